//! Objects and arrays: keys to fields, lists, maps.

use super::{
    super::{
        form::Form,
        json_text::shown,
        key_set::KeySet,
        plan::{FieldPlan, Plan, Tag},
        wire,
    },
    Reader, Stop,
    number::integer_of,
    presence::Seen,
    string::Text,
};
use crate::schema::{Cardinality, Kind, MessageIndex};

impl<'a, const COLLECTS: bool> Reader<'a, COLLECTS> {
    /// Reads a message in the form that its type has.
    pub(super) fn message(&mut self, index: MessageIndex) -> Result<(), Stop> {
        let plan = self.plans.message(index);
        if plan.form != Form::Object {
            return self.well_known(plan);
        }
        self.object(plan)
    }

    /// Reads an object with the fields of a message as keys.
    pub(super) fn object(&mut self, plan: &'a Plan) -> Result<(), Stop> {
        self.open(b'{', "an object")?;
        if self.is_empty(b'}') {
            return Ok(());
        }
        self.members(plan, false)
    }

    /// Reads keys and values up to the closing brace. Of a message in an `Any`, one `@type` is
    /// passed over.
    pub(super) fn members(&mut self, plan: &'a Plan, in_any: bool) -> Result<(), Stop> {
        let mut types = in_any.then_some(0);
        let mut seen = Seen::begin(plan, &mut self.seen);
        let mut expected = 0;
        loop {
            let at = self.position;
            let matched =
                plan.fields.get(expected).and_then(|f| f.json_key.match_at(self.json, at));
            let index = match matched {
                Some(next) => {
                    self.position = next;
                    self.space();
                    Some(expected)
                }
                None => self.named_field(plan, &mut types)?,
            };
            if let Some(index) = index {
                let field = &plan.fields[index];
                let value = self.mark();
                if !seen.insert(index, &mut self.seen) {
                    let stop = self.refuse(at, "this field occurs twice");
                    self.pass_over(stop, value)?;
                } else {
                    let is_set = match self.field(field) {
                        Ok(is_set) => is_set,
                        Err(stop) => self.pass_over(stop, value).map(|()| true)?,
                    };
                    if is_set
                        && let Some(oneof) = field.oneof
                        && !seen.insert(plan.fields.len() + usize::from(oneof), &mut self.seen)
                    {
                        let stop = self.refuse(at, "another member of its oneof is set already");
                        self.note(stop)?;
                    }
                }
                expected = index + 1;
            }
            if !self.more(b'}')? {
                if self.depth == 0 && !in_any {
                    self.outermost = Some(seen.keep());
                } else {
                    seen.end(&mut self.seen);
                }
                return Ok(());
            }
        }
    }

    /// Reads a key, up to its value, and finds its field. None, and the value passed over, where
    /// it has none and that is no fault.
    fn named_field(&mut self, plan: &Plan, types: &mut Option<u32>) -> Result<Option<usize>, Stop> {
        let at = self.position;
        let key = self.object_key()?;
        if let Some(index) = plan.names.get(self.text(key)) {
            self.colon()?;
            return Ok(Some(index as usize));
        }
        if let Some(types) = types
            && self.text(key) == b"@type"
        {
            *types += 1;
            if *types > 1 {
                let stop = self.refuse(at, "this field occurs twice");
                self.note(stop)?;
            }
        } else if !self.options.ignore_unknown_fields {
            let name = shown(self.text(key));
            let stop = self.refuse(at, format!("{} has no field {name}", plan.name));
            self.note(stop)?;
        }
        self.colon()?;
        self.skip_value()?;
        Ok(None)
    }

    pub(in crate::transcoding) fn object_key(&mut self) -> Result<Text, Stop> {
        if self.peek() != b'"' {
            return Err(self.expected("a key"));
        }
        self.string()
    }

    /// Reads the value of a field; false where it is `null`, and so not set.
    pub(super) fn field(&mut self, field: &'a FieldPlan) -> Result<bool, Stop> {
        let singular = field.cardinality == Cardinality::Singular;
        if self.peek() == b'n' && !(field.takes_null && singular) && self.word(b"null") {
            return Ok(false);
        }
        match field.cardinality {
            Cardinality::Singular => self.value(field, field.tag, !field.explicit_presence),
            Cardinality::Repeated => self.list(field).map(|()| true),
            Cardinality::Map => self.map(field).map(|()| true),
        }
    }

    pub(super) fn list(&mut self, field: &'a FieldPlan) -> Result<(), Stop> {
        self.open(b'[', "an array")?;
        if self.is_empty(b']') {
            return Ok(());
        }
        let (tag, begun) = if field.packed {
            field.packed_tag.put(&mut self.out);
            (Tag::default(), Some(self.begin()))
        } else {
            (field.tag, None)
        };
        loop {
            let element = self.mark();
            let read = match self.peek() == b'n' && !field.takes_null && self.word(b"null") {
                true => Err(self.refuse(self.position - 4, "null is no element of a list")),
                false => self.value(field, tag, false),
            };
            if let Err(stop) = read {
                self.pass_over(stop, element)?;
            }
            if !self.more(b']')? {
                break;
            }
        }
        match begun {
            // Elements that were passed over leave a pack of none.
            Some(begun) if self.out.len() == begun + 1 => {
                self.out.truncate(begun - field.packed_tag.len());
            }
            Some(begun) => self.finish(begun),
            None => {}
        }
        Ok(())
    }

    pub(super) fn map(&mut self, field: &'a FieldPlan) -> Result<(), Stop> {
        self.open(b'{', "an object")?;
        if self.is_empty(b'}') {
            return Ok(());
        }
        let mut keys = self.spare_keys.pop().unwrap_or_default();
        loop {
            let entry = self.mark();
            if let Err(stop) = self.entry(field, &mut keys) {
                self.pass_over_entry(stop, entry)?;
            }
            if !self.more(b'}')? {
                break;
            }
        }
        keys.clear();
        self.spare_keys.push(keys);
        Ok(())
    }

    fn entry(&mut self, field: &'a FieldPlan, keys: &mut KeySet) -> Result<(), Stop> {
        let entry = field.kind.message().map(|index| self.plans.message(index));
        let Some([key, value]) = entry.map(|entry| &entry.fields[..]) else {
            return Err(self.expected("a map that has entries"));
        };
        let before = self.out.len();
        field.tag.put(&mut self.out);
        let begun = self.begin();
        let at = self.position;
        self.map_key(key)?;
        self.colon()?;
        if self.peek() == b'n' && !value.takes_null && self.word(b"null") {
            return Err(self.refuse(self.position - 4, "null is no value of a map"));
        }
        if !self.value(value, value.tag, false)? {
            self.out.truncate(before);
            return Ok(());
        }
        self.finish(begun);
        // The length in front of the entry's key is known now, and so is where the key stands.
        let mut key_at = before + field.tag.len();
        let _ = wire::varint(&self.out, &mut key_at);
        let out = &self.out;
        let key = encoded_field(out, key_at as u32);
        if keys.insert(key_at as u32, key, |other| encoded_field(out, other) == key).is_some() {
            // Read to its end: there is nothing to pass over, which would be done at each level.
            let stop = self.refuse(at, "this key occurs twice");
            self.out.truncate(before);
            return self.note(stop);
        }
        Ok(())
    }

    fn map_key(&mut self, key: &'a FieldPlan) -> Result<(), Stop> {
        let at = self.position;
        let text = self.object_key()?;
        key.tag.put(&mut self.out);
        if key.kind == Kind::String {
            self.put_text(text);
            return Ok(());
        }
        let text = self.text(text);
        let bits = match key.kind {
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => 32,
            _ => 64,
        };
        let integer = integer_of(text);
        let value = match key.kind {
            Kind::Bool => match text {
                b"true" => Some(1),
                b"false" => Some(0),
                _ => return Err(self.expected_at(at, "\"true\" or \"false\" as a key")),
            },
            Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => {
                integer.and_then(|integer| integer.unsigned(bits))
            }
            Kind::Sint32 | Kind::Sint64 => {
                let signed = integer.and_then(|integer| integer.signed(bits));
                signed.map(|value| ((value << 1) ^ (value >> 63)) as u64)
            }
            _ => integer.and_then(|integer| integer.signed(bits)).map(|value| value as u64),
        };
        let Some(value) = value else {
            return Err(self.expected_at(at, &format!("a {bits}-bit integer as a key")));
        };
        match key.kind {
            Kind::Fixed32 | Kind::Sfixed32 => {
                self.out.extend_from_slice(&(value as u32).to_le_bytes());
            }
            Kind::Fixed64 | Kind::Sfixed64 => self.out.extend_from_slice(&value.to_le_bytes()),
            _ => wire::put_raw_varint(&mut self.out, value),
        }
        Ok(())
    }

    /// Leaves room for a length, of one byte for now, and answers where.
    #[inline]
    pub(super) fn begin(&mut self) -> usize {
        self.out.push(0);
        self.out.len() - 1
    }

    /// Puts the length of what was written since `begun` there.
    #[inline]
    pub(super) fn finish(&mut self, begun: usize) {
        let length = self.out.len() - begun - 1;
        if length < 0x80 {
            self.out[begun] = length as u8;
        } else {
            self.finish_long(begun, length);
        }
    }

    fn finish_long(&mut self, begun: usize, length: usize) {
        let content = begun + 1..self.out.len();
        let (prefix, count) = wire::varint_bytes(length as u64);
        self.out.resize(self.out.len() + count - 1, 0);
        self.out.copy_within(content, begun + count);
        self.out[begun..begun + count].copy_from_slice(&prefix[..count]);
    }
}

/// The bytes of the field whose key stands at `at`.
fn encoded_field(out: &[u8], at: u32) -> &[u8] {
    let start = at as usize;
    let mut end = start;
    if let Some((number, wire_type)) = wire::tag(out, &mut end) {
        let _ = wire::skip(out, &mut end, number, wire_type);
    }
    &out[start..end]
}
