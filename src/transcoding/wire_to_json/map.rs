//! Maps: entries on the wire → an object, each key once.

use super::{
    super::{
        json_text,
        key_set::{KeySet, Place},
        plan::{FieldPlan, Plan},
        wire,
    },
    Parts, Stop, WireFault, Writer,
    gather::Index,
    value::zigzag,
};
use crate::schema::Kind;

/// A map's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MapKey<'w> {
    Text(&'w [u8]),
    Signed(i64),
    Unsigned(u64),
    Bool(bool),
}

impl<'a> Writer<'a> {
    /// Writes the entries of a map up to the first field that is another, the first key standing
    /// at `at`.
    pub(super) fn map_run(
        &mut self,
        field: &'a FieldPlan,
        wire: &'a [u8],
        at: usize,
    ) -> Result<usize, Stop> {
        let before_key = self.out.len();
        self.key(field);
        let start = self.out.len();
        let position = self.map_items(field, wire, at)?;
        if self.out.len() == start + 2 && !self.is_shown_empty(field) {
            self.out.truncate(before_key);
        }
        Ok(position)
    }

    /// As [`Self::map_run`], without the key.
    pub(super) fn map_items(
        &mut self,
        field: &'a FieldPlan,
        wire: &'a [u8],
        at: usize,
    ) -> Result<usize, Stop> {
        let mut keys = self.spare_keys.pop().unwrap_or_default();
        let start = self.out.len();
        let entry = self.entry_plan(field);
        let mut position = at;
        while let Some(next) = self.goes_on(field, wire, position)? {
            let at = next.at;
            position = next.position;
            let Some(content) = wire::delimited(wire, &mut position) else {
                return Err(self.malformed(at));
            };
            // Nothing that it could replace.
            if self.is_unknown_entry(entry, content)? {
                continue;
            }
            let known = self.insert_key(&mut keys, entry, at as u32)?;
            match known {
                // Looking ahead, only the keys are collected.
                _ if self.checked => {
                    if let Some(place) = known {
                        keys.replace(place, at as u32);
                    }
                }
                Some(_) => return Err(Stop::Disorder),
                None => self.entry(entry, content)?,
            }
        }
        if self.checked {
            self.chosen_entries(entry, keys.entries())?;
        }
        keys.clear();
        self.spare_keys.push(keys);
        self.close(start, b'{', b'}');
        Ok(position)
    }

    /// Writes a map whose keys stand at `entries`.
    pub(super) fn gathered_map(
        &mut self,
        field: &'a FieldPlan,
        entries: &[u32],
    ) -> Result<(), Stop> {
        let mut keys = self.spare_keys.pop().unwrap_or_default();
        let entry = self.entry_plan(field);
        let start = self.out.len();
        for (piece, &at) in entries.iter().enumerate() {
            let content = self.piece(Parts::Tagged(entries), piece)?;
            if self.is_unknown_entry(entry, content)? {
                continue;
            }
            if let Some(place) = self.insert_key(&mut keys, entry, at)? {
                keys.replace(place, at);
            }
        }
        self.chosen_entries(entry, keys.entries())?;
        keys.clear();
        self.spare_keys.push(keys);
        self.close(start, b'{', b'}');
        Ok(())
    }

    fn insert_key(
        &mut self,
        keys: &mut KeySet,
        entry: &Plan,
        at: u32,
    ) -> Result<Option<Place>, Stop> {
        let Some(key) = key_of(entry, self.wire, at) else {
            return Err(self.malformed(at as usize));
        };
        let is_key_of = |other| key_of(entry, self.wire, other) == Some(key);
        Ok(match key {
            MapKey::Text(text) => keys.insert(at, text, is_key_of),
            MapKey::Bool(value) => keys.insert(at, &[u8::from(value)], is_key_of),
            MapKey::Signed(value) => keys.insert(at, &value.to_le_bytes(), is_key_of),
            MapKey::Unsigned(value) => keys.insert(at, &value.to_le_bytes(), is_key_of),
        })
    }

    fn chosen_entries(&mut self, entry: &'a Plan, entries: &[u32]) -> Result<(), Stop> {
        for index in 0..entries.len() {
            let content = self.piece(Parts::Tagged(entries), index)?;
            self.entry(entry, content)?;
        }
        Ok(())
    }

    fn entry_plan(&self, field: &FieldPlan) -> &'a Plan {
        let index = field.kind.message().unwrap_or(crate::schema::MessageIndex(0));
        self.plans.message(index)
    }

    /// Writes one entry as `,"key":value`.
    fn entry(&mut self, plan: &'a Plan, (start, end): (usize, usize)) -> Result<(), Stop> {
        let [key, value] = &plan.fields[..] else { return Ok(()) };
        self.check_size(start)?;
        let wire = &self.wire[..end];
        // As every serializer writes it: the key, the value, and nothing else.
        let mut position = start + key.tag.len();
        if key.tag.is_at(wire, start)
            && wire::skip(wire, &mut position, 1, key.wire_type).is_some()
            && value.tag.is_at(wire, position)
        {
            position += value.tag.len();
            let mut after = position;
            if wire::skip(wire, &mut after, 2, value.wire_type).is_some() && after == end {
                self.map_key(key, wire, start + key.tag.len())?;
                return self.value(value, wire, position).map(|_| ());
            }
        }
        self.unusual_entry(plan, start, end)
    }

    /// An entry with its parts out of order, missing, again, or with others among them.
    #[inline(never)]
    fn unusual_entry(&mut self, plan: &'a Plan, start: usize, end: usize) -> Result<(), Stop> {
        let [key, value] = &plan.fields[..] else { return Ok(()) };
        let parts = Parts::Whole(start, end);
        let index = Index::build(self, plan, parts)?;
        let wire = self.wire;
        match index.entries(0) {
            [.., at] => {
                let (_, position) = self.key_at(*at)?;
                self.map_key(key, wire, position)?;
            }
            [] => self.out.extend_from_slice(match key.kind {
                Kind::String => b",\"\":",
                Kind::Bool => b",\"false\":",
                _ => b",\"0\":",
            }),
        }
        match (index.entries(1), value.kind.message()) {
            // A message that is not there is an empty one.
            ([], Some(message)) => self.message(message, Parts::Whole(start, start)),
            (entries, _) => self.gathered_value(value, entries),
        }
    }

    /// Whether an entry is passed over, as its value is none of a closed enum.
    fn is_unknown_entry(
        &mut self,
        plan: &Plan,
        (start, end): (usize, usize),
    ) -> Result<bool, Stop> {
        let [_, value] = &plan.fields[..] else { return Ok(false) };
        Ok(value.closed_enum && self.has_unknown_value(value, Parts::Whole(start, end))?)
    }

    /// Whether the last value of an entry is no value of its closed enum.
    fn has_unknown_value(&mut self, value: &FieldPlan, parts: Parts<'_>) -> Result<bool, Stop> {
        let mut unknown = false;
        self.each_field(parts, |writer, wire, tag, _, position| {
            if tag == (value.number, wire::VARINT) {
                unknown = !writer.is_known_value(value, wire, position);
            }
        })?;
        Ok(unknown)
    }

    /// `,"key":`
    fn map_key(&mut self, key: &FieldPlan, wire: &'a [u8], position: usize) -> Result<(), Stop> {
        self.out.push(b',');
        let Some(found) = read_key(key.kind, wire, position) else {
            return Err(self.malformed(position));
        };
        match found {
            MapKey::Text(text) => {
                let end = position_of(wire, position) + text.len();
                if !json_text::put_string(&mut self.out, self.wire, end - text.len(), end) {
                    return Err(self.fault(
                        WireFault::Malformed,
                        position,
                        "a map key that is not UTF-8",
                    ));
                }
            }
            MapKey::Bool(true) => self.out.extend_from_slice(b"\"true\""),
            MapKey::Bool(false) => self.out.extend_from_slice(b"\"false\""),
            MapKey::Signed(value) => {
                self.out.push(b'"');
                json_text::put_integer(&mut self.out, value);
                self.out.push(b'"');
            }
            MapKey::Unsigned(value) => {
                self.out.push(b'"');
                json_text::put_integer(&mut self.out, value);
                self.out.push(b'"');
            }
        }
        self.out.push(b':');
        Ok(())
    }
}

/// Where the content of a length-delimited value begins.
fn position_of(wire: &[u8], position: usize) -> usize {
    let mut position = position;
    let _ = wire::varint(wire, &mut position);
    position
}

/// The key of the entry whose own key stands at `at`; None where the entry is malformed.
fn key_of<'w>(plan: &Plan, wire: &'w [u8], at: u32) -> Option<MapKey<'w>> {
    let [key, value] = &plan.fields[..] else { return None };
    let mut position = at as usize;
    wire::tag(wire, &mut position)?;
    let (mut position, end) = wire::delimited(wire, &mut position)?;
    let wire = &wire[..end];
    let mut found = None;
    // As every serializer writes it: the key, and one value behind it.
    if key.tag.is_at(wire, position) {
        position += key.tag.len();
        found = read_key(key.kind, wire, position);
        wire::skip(wire, &mut position, 1, key.wire_type)?;
        if value.tag.is_at(wire, position) {
            position += value.tag.len();
            wire::skip(wire, &mut position, 2, value.wire_type)?;
        }
    }
    while position < end {
        let (number, wire_type) = wire::tag(wire, &mut position)?;
        if number == 1 && wire_type == key.wire_type {
            found = read_key(key.kind, wire, position);
        }
        wire::skip(wire, &mut position, number, wire_type)?;
    }
    Some(found.unwrap_or(match key.kind {
        Kind::String => MapKey::Text(b""),
        Kind::Bool => MapKey::Bool(false),
        Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => MapKey::Unsigned(0),
        _ => MapKey::Signed(0),
    }))
}

fn read_key(kind: Kind, wire: &[u8], position: usize) -> Option<MapKey<'_>> {
    let mut next = position;
    let fixed32 = || wire.get(position..).and_then(|rest| rest.first_chunk::<4>()).copied();
    let fixed64 = || wire.get(position..).and_then(|rest| rest.first_chunk::<8>()).copied();
    Some(match kind {
        Kind::String => {
            let (start, end) = wire::delimited(wire, &mut next)?;
            MapKey::Text(&wire[start..end])
        }
        Kind::Fixed32 => MapKey::Unsigned(u64::from(u32::from_le_bytes(fixed32()?))),
        Kind::Sfixed32 => MapKey::Signed(i64::from(i32::from_le_bytes(fixed32()?))),
        Kind::Fixed64 => MapKey::Unsigned(u64::from_le_bytes(fixed64()?)),
        Kind::Sfixed64 => MapKey::Signed(i64::from_le_bytes(fixed64()?)),
        kind => {
            let value = wire::varint(wire, &mut next)?;
            match kind {
                Kind::Bool => MapKey::Bool(value != 0),
                Kind::Uint32 => MapKey::Unsigned(u64::from(value as u32)),
                Kind::Uint64 => MapKey::Unsigned(value),
                Kind::Int32 => MapKey::Signed(i64::from(value as i32)),
                Kind::Sint32 => MapKey::Signed(i64::from(zigzag(value & 0xffff_ffff) as i32)),
                Kind::Sint64 => MapKey::Signed(zigzag(value)),
                _ => MapKey::Signed(value as i64),
            }
        }
    })
}
