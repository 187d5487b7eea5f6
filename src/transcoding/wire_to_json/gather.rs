//! Messages whose fields are not in order: the occurrences of each field are gathered first.

use super::{
    super::{
        plan::{FieldPlan, Plan},
        wire,
    },
    Parts, Stop, Writer,
};
use crate::schema::Cardinality;

/// Where the occurrences of each field stand that count: 4 bytes for each, and none is shorter
/// than 2 bytes.
pub(super) struct Index {
    /// By place of the field in its plan, with one more at the end: where its entries begin.
    starts: Vec<u32>,
    /// Where keys stand, field by field, in the order in which they came.
    entries: Vec<u32>,
}

impl Index {
    /// Looks through a message. Of a singular scalar the last occurrence counts; of a oneof's
    /// members those since another was set.
    pub(super) fn build(
        writer: &mut Writer<'_>,
        plan: &Plan,
        parts: Parts<'_>,
    ) -> Result<Self, Stop> {
        let mut slots = vec![Slot::default(); plan.fields.len()];
        let mut chosen = vec![None; plan.oneof_count];
        writer.each_known(plan, parts, |index, at| {
            let field = &plan.fields[index];
            if let Some(oneof) = field.oneof
                && let Some(previous) = chosen[usize::from(oneof)].replace(index)
                && previous != index
            {
                slots[previous] = Slot { from: at, count: 0 };
            }
            let slot = &mut slots[index];
            let merges =
                field.cardinality != Cardinality::Singular || field.kind.message().is_some();
            *slot = match merges {
                true => Slot { count: slot.count + 1, ..*slot },
                false => Slot { from: at, count: 1 },
            };
        })?;
        let mut starts = Vec::with_capacity(slots.len() + 1);
        let mut total = 0;
        for slot in &slots {
            starts.push(total);
            total += slot.count;
        }
        starts.push(total);
        let mut entries = vec![0; total as usize];
        let mut filled = starts.clone();
        writer.each_known(plan, parts, |index, at| {
            let slot = &slots[index];
            if slot.count > 0 && at >= slot.from {
                entries[filled[index] as usize] = at;
                filled[index] += 1;
            }
        })?;
        Ok(Self { starts, entries })
    }

    /// Where the keys stand of the field at this place of its plan.
    pub(super) fn entries(&self, field: usize) -> &[u32] {
        &self.entries[self.starts[field] as usize..self.starts[field + 1] as usize]
    }
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// Occurrences before this do not count.
    from: u32,
    count: u32,
}

impl<'a> Writer<'a> {
    /// Writes the fields of a message, each as `,"name":value`, from an index of them.
    pub(super) fn gather(&mut self, plan: &'a Plan, parts: Parts<'_>) -> Result<(), Stop> {
        if !self.checked {
            return Err(Stop::Disorder);
        }
        let index = Index::build(self, plan, parts)?;
        for (place, field) in plan.fields.iter().enumerate() {
            let entries = index.entries(place);
            if entries.is_empty() {
                if self.options.emit_defaults {
                    self.defaults(std::slice::from_ref(field));
                }
                continue;
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
