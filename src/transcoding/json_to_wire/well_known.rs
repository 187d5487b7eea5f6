//! The types that have a JSON form of their own.

use super::{
    super::{
        any, field_mask,
        form::Form,
        plan::Plan,
        time_text::{self, Instant},
        wire,
    },
    Reader, Stop,
};

impl<'a, const COLLECTS: bool> Reader<'a, COLLECTS> {
    /// Reads a message that is not an object of its fields.
    pub(super) fn well_known(&mut self, plan: &'a Plan) -> Result<(), Stop> {
        match plan.form {
            Form::Timestamp => {
                self.instant("a timestamp such as \"2026-01-02T03:04:05Z\"", time_text::timestamp)
            }
            Form::Duration => self.instant("a duration such as \"1.5s\"", time_text::duration),
            Form::Wrapper => {
                let field = &plan.fields[0];
                self.value(field, field.tag, true).map(|_| ())
            }
            Form::FieldMask => self.field_mask(),
            Form::Struct => self.map(&plan.fields[0]),
            Form::ListValue => self.list(&plan.fields[0]),
            Form::Value => self.any_value(plan),
            Form::Any => self.any(),
            Form::Empty | Form::Object => self.object(plan),
        }
    }

    fn instant(
        &mut self,
        expected: &str,
        parse: impl Fn(&[u8]) -> Option<Instant>,
    ) -> Result<(), Stop> {
        let at = self.position;
        if self.peek() != b'"' {
            return Err(self.expected(expected));
        }
        let text = self.string()?;
        let Some(Instant { seconds, nanos }) = parse(self.text(text)) else {
            return Err(self.expected_at(at, expected));
        };
        if seconds != 0 {
            wire::put_varint(1, seconds as u64, &mut self.out);
        }
        if nanos != 0 {
            wire::put_varint(2, i64::from(nanos) as u64, &mut self.out);
        }
        Ok(())
    }

    fn field_mask(&mut self) -> Result<(), Stop> {
        let expected = "field paths such as \"user.emailAddress,name\"";
        let at = self.position;
        if self.peek() != b'"' {
            return Err(self.expected(expected));
        }
        let text = self.string()?;
        let paths = self.text(text).to_vec();
        let paths = std::str::from_utf8(&paths).unwrap_or_default();
        for path in paths.split(',').filter(|_| !paths.is_empty()) {
            wire::put_tag(1, wire::DELIMITED, &mut self.out);
            let begun = self.begin();
            if !field_mask::put_proto_path(&mut self.out, path) {
                return Err(self.expected_at(at, expected));
            }
            self.finish(begun);
        }
        Ok(())
    }

    fn any_value(&mut self, plan: &'a Plan) -> Result<(), Stop> {
        let [null, number, string, boolean, object, list] = &plan.fields[..] else {
            return Err(self.expected("a google.protobuf.Value that has its fields"));
        };
        let field = match self.peek() {
            b'n' if self.word(b"null") => {
                self.put_varint(null.tag, false, 0);
                return Ok(());
            }
            b'-' | b'0'..=b'9' => number,
            b'"' => string,
            b't' | b'f' => boolean,
            b'{' => object,
            b'[' => list,
            _ => return Err(self.expected("a value")),
        };
        self.value(field, field.tag, false).map(|_| ())
    }

    fn any(&mut self) -> Result<(), Stop> {
        let at = self.position;
        self.open(b'{', "an object with `@type`")?;
        if self.is_empty(b'}') {
            return Ok(());
        }
        self.any_depth += 1;
        if self.any_depth > any::DEPTH_LIMIT {
            return Err(self.refuse(at, any::too_deep()));
        }
        let plan = self.type_of_any(at)?;
        wire::put_tag(2, wire::DELIMITED, &mut self.out);
        let begun = self.begin();
        if plan.form == Form::Object {
            self.members(plan, true)?;
        } else {
            self.value_of_any(plan, at)?;
        }
        if self.out.len() == begun + 1 {
            // Nothing in it: no value at all.
            self.out.truncate(begun - 1);
        } else {
            self.finish(begun);
        }
        self.any_depth -= 1;
        Ok(())
    }

    /// Finds the `@type` wherever it stands among the keys, writes it, and goes back to the first
    /// of them.
    fn type_of_any(&mut self, at: usize) -> Result<&'a Plan, Stop> {
        let first = self.position;
        let depth = self.depth;
        let found = loop {
            let key = self.object_key()?;
            let is_type = self.text(key) == b"@type";
            self.colon()?;
            if is_type {
                // A second one is left to whoever reads the others.
                break Some(self.any_type()?);
            }
            self.skip_value()?;
            if !self.more(b'}')? {
                break None;
            }
        };
        self.position = first;
        self.depth = depth;
        found.ok_or_else(|| self.refuse(at, "an object without `@type` is no google.protobuf.Any"))
    }

    fn any_type(&mut self) -> Result<&'a Plan, Stop> {
        let at = self.position;
        if self.peek() != b'"' {
            return Err(self.expected("the URL of a type"));
        }
        let text = self.string()?;
        let url = std::str::from_utf8(self.text(text)).unwrap_or_default();
        let known = any::type_name(url).and_then(|name| self.plans.by_name(name));
        let Some(message) = known else {
            return Err(self.expected_at(at, "the URL of a type that is known here"));
        };
        wire::put_tag(1, wire::DELIMITED, &mut self.out);
        self.put_text(text);
        Ok(self.plans.message(message))
    }

    /// The `value` of a type that has a form of its own.
    fn value_of_any(&mut self, plan: &'a Plan, start: usize) -> Result<(), Stop> {
        let (mut found, mut types) = (false, 0);
        loop {
            let at = self.position;
            let key = self.object_key()?;
            let is_value = self.text(key) == b"value";
            let is_type = self.text(key) == b"@type";
            types += u32::from(is_type);
            self.colon()?;
            if (is_value && found) || types > 1 {
                return Err(self.refuse(at, "this field occurs twice"));
            }
            if is_value {
                found = true;
                self.well_known(plan)?;
            } else if is_type || self.options.ignore_unknown_fields {
                self.skip_value()?;
            } else {
                let text =
                    format!("a {} in an Any has `@type` and `value`, nothing else", plan.name);
                return Err(self.refuse(at, text));
            }
            if !self.more(b'}')? {
                break;
            }
        }
        if found || plan.form == Form::Empty {
            return Ok(());
        }
        let text = format!("a {} in an Any needs a `value`", plan.name);
        Err(self.refuse(start, text))
    }
}
