//! Messages that have fields again or in pieces: the occurrences of each are gathered first.

use super::{
    super::{
        plan::{FieldPlan, Plan},
        wire,
    },
    Parts, Stop, Writer,
};
use crate::schema::Cardinality;

/// Where the occurrences of each field stand that count: of a singular scalar the last, of a
/// oneof's members those since another was set.
///
/// 4 bytes for each, and none is shorter than 2 bytes.
pub(super) struct Index {
    /// The fields that are there, by their place in the plan, and where their entries end; in the
    /// order of the plan.
    groups: Vec<(u32, u32)>,
    /// Where keys stand, field by field, in the order in which they came.
    entries: Vec<u32>,
}

/// Up to this many occurrences are sorted. More are counted field by field, which takes room and
/// time for each field of the type, there or not.
const FEW: usize = 64;

impl Index {
    /// Looks through a message.
    pub(super) fn build(
        writer: &mut Writer<'_>,
        plan: &Plan,
        parts: Parts<'_>,
    ) -> Result<Self, Stop> {
        let mut few = Vec::new();
        let mut total = 0;
        writer.each_known(plan, parts, |index, at| {
            total += 1;
            if total <= FEW {
                let field = &plan.fields[index];
                few.retain(|&(other, _): &(u32, u32)| match other == index as u32 {
                    true => merges(field),
                    false => {
                        field.oneof.is_none() || plan.fields[other as usize].oneof != field.oneof
                    }
                });
                few.push((index as u32, at));
            }
        })?;
        if total > FEW {
            return Self::count(writer, plan, parts);
        }
        few.sort_unstable();
        let mut groups: Vec<(u32, u32)> = Vec::with_capacity(few.len());
        for (&(field, _), end) in few.iter().zip(1..) {
            match groups.last_mut() {
                Some(group) if group.0 == field => group.1 = end,
                _ => groups.push((field, end)),
            }
        }
        Ok(Self { groups, entries: few.into_iter().map(|(_, at)| at).collect() })
    }

    /// Looks through a message of many fields: once to count, once to note.
    fn count(writer: &mut Writer<'_>, plan: &Plan, parts: Parts<'_>) -> Result<Self, Stop> {
        let mut slots = vec![Slot::default(); plan.fields.len()];
        let mut chosen = vec![None; plan.oneof_count];
        writer.each_known(plan, parts, |index, at| {
            let field = &plan.fields[index];
            if let Some(oneof) = field.oneof
                && let Some(previous) = chosen[usize::from(oneof)].replace(index)
                && previous != index
            {
                slots[previous] = Slot { from: at, count: 0, filled: 0 };
            }
            let slot = &mut slots[index];
            *slot = match merges(field) {
                true => Slot { count: slot.count + 1, ..*slot },
                false => Slot { from: at, count: 1, filled: 0 },
            };
        })?;
        let mut groups = Vec::new();
        let mut total = 0;
        for (field, slot) in slots.iter_mut().enumerate().filter(|(_, slot)| slot.count > 0) {
            slot.filled = total;
            total += slot.count;
            groups.push((field as u32, total));
        }
        let mut entries = vec![0; total as usize];
        writer.each_known(plan, parts, |index, at| {
            let slot = &mut slots[index];
            if slot.count > 0 && at >= slot.from {
                entries[slot.filled as usize] = at;
                slot.filled += 1;
            }
        })?;
        Ok(Self { groups, entries })
    }

    /// Where the keys stand of the field at this place of its plan.
    pub(super) fn entries(&self, field: usize) -> &[u32] {
        let found = self.groups.binary_search_by_key(&(field as u32), |group| group.0);
        found.map_or(&[], |group| self.group(group))
    }

    /// The fields that are there, in the order of the plan, with their entries.
    pub(super) fn fields(&self) -> impl Iterator<Item = (usize, &[u32])> {
        let places = self.groups.iter().enumerate();
        places.map(|(group, &(field, _))| (field as usize, self.group(group)))
    }

    fn group(&self, group: usize) -> &[u32] {
        let start = if group == 0 { 0 } else { self.groups[group - 1].1 };
        &self.entries[start as usize..self.groups[group].1 as usize]
    }
}

/// Whether occurrences add up, instead of the last one counting.
fn merges(field: &FieldPlan) -> bool {
    field.cardinality != Cardinality::Singular || field.kind.message().is_some()
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// Occurrences before this do not count.
    from: u32,
    count: u32,
    /// Where the next entry goes.
    filled: u32,
}

impl<'a> Writer<'a> {
    /// Writes the fields of a message, each as `,"name":value`, from an index of them.
    pub(super) fn gather(&mut self, plan: &'a Plan, parts: Parts<'_>) -> Result<(), Stop> {
        if !self.checked {
            return Err(Stop::Disorder);
        }
        let index = Index::build(self, plan, parts)?;
        let mut next = 0;
        for (place, entries) in index.fields() {
            let field = &plan.fields[place];
            if self.options.emit_defaults {
                self.defaults(&plan.fields[next..place]);
                next = place + 1;
            }
            if field.cardinality == Cardinality::Singular {
                let (wire, at) = (self.wire, entries[entries.len() - 1]);
                let (_, position) = self.key_at(at)?;
                if self.is_omitted(field, wire, position) {
                    continue;
                }
            }
            let before_key = self.out.len();
            self.key(field);
            let before = self.out.len();
            self.gathered_value(field, entries).map_err(|stop| self.within(field, stop))?;
            // Elements that are no values of a closed enum, or packs of none.
            let is_empty =
                field.cardinality != Cardinality::Singular && self.out.len() == before + 2;
            if is_empty && !self.is_shown_empty(field) {
                self.out.truncate(before_key);
            }
        }
        if self.options.emit_defaults {
            self.defaults(&plan.fields[next..]);
        }
        Ok(())
    }

    /// Writes the value of a field whose keys stand at `entries`; its default where there is none.
    pub(super) fn gathered_value(
        &mut self,
        field: &'a FieldPlan,
        entries: &[u32],
    ) -> Result<(), Stop> {
        let wire = self.wire;
        match (field.cardinality, entries) {
            (_, []) => self.default(field),
            (Cardinality::Singular, entries) => match field.kind.message() {
                Some(message) => {
                    let mut parts = Parts::Tagged(entries);
                    if let [_] = entries {
                        let (start, end) = self.piece(parts, 0)?;
                        parts = Parts::Whole(start, end);
                    }
                    self.message(message, parts)?;
                }
                None => {
                    let (_, position) = self.key_at(entries[entries.len() - 1])?;
                    self.value(field, wire, position)?;
                }
            },
            (Cardinality::Repeated, entries) => {
                let start = self.out.len();
                for &entry in entries {
                    let (wire_type, position) = self.key_at(entry)?;
                    self.elements(field, wire, wire_type, position)?;
                }
                self.close(start, b'[', b']');
            }
            (Cardinality::Map, entries) => self.gathered_map(field, entries)?,
        }
        Ok(())
    }

    /// The wire type of a key that was read before, and where its value begins.
    pub(super) fn key_at(&mut self, at: u32) -> Result<(u8, usize), Stop> {
        let mut position = at as usize;
        match wire::tag(self.wire, &mut position) {
            Some((_, wire_type)) => Ok((wire_type, position)),
            None => Err(self.malformed(at as usize)),
        }
    }

    /// Calls `found` with each occurrence of a known field: the field's place in its plan, and
    /// where the key stands.
    pub(super) fn each_known(
        &mut self,
        plan: &Plan,
        parts: Parts<'_>,
        mut found: impl FnMut(usize, u32),
    ) -> Result<(), Stop> {
        self.each_field(parts, |writer, wire, (number, wire_type), at, position| {
            if let Some(index) = writer.known_field(plan, wire, number, wire_type, position) {
                found(index, at as u32);
            }
        })
    }

    /// Calls `found` with each field: what of the wire its message reaches, its number and wire
    /// type, where its key stands and where its value begins.
    pub(super) fn each_field(
        &mut self,
        parts: Parts<'_>,
        mut found: impl FnMut(&Self, &'a [u8], (u32, u8), usize, usize),
    ) -> Result<(), Stop> {
        let count = match parts {
            Parts::Whole(..) => 1,
            Parts::Tagged(entries) => entries.len(),
        };
        for piece in 0..count {
            let (start, end) = self.piece(parts, piece)?;
            let wire = &self.wire[..end];
            let mut position = start;
            while position < end {
                let at = position;
                let Some((number, wire_type)) = wire::tag(wire, &mut position) else {
                    return Err(self.malformed(at));
                };
                let value = position;
                if wire::skip(wire, &mut position, number, wire_type).is_none() {
                    return Err(self.malformed(at));
                }
                found(self, wire, (number, wire_type), at, value);
            }
        }
        Ok(())
    }

    /// Where the content of one part of a message starts and ends.
    pub(super) fn piece(&mut self, parts: Parts<'_>, piece: usize) -> Result<(usize, usize), Stop> {
        let at = match parts {
            Parts::Whole(start, end) => return Ok((start, end)),
            Parts::Tagged(entries) => entries[piece] as usize,
        };
        let mut position = at;
        let content = wire::tag(self.wire, &mut position).and_then(|(number, wire_type)| {
            let start = position;
            match wire_type {
                wire::START_GROUP => {
                    wire::group_end(self.wire, &mut position, number).map(|end| (start, end))
                }
                _ => wire::delimited(self.wire, &mut position),
            }
        });
        content.ok_or_else(|| self.malformed(at))
    }

    /// Where a message begins, for errors.
    pub(super) fn offset_of(&self, parts: Parts<'_>) -> usize {
        match parts {
            Parts::Whole(start, _) => start,
            Parts::Tagged(entries) => entries.first().map_or(0, |&at| at as usize),
        }
    }
}
