//! The types that have a JSON form of their own.

use super::{
    super::{
        any, field_mask,
        form::Form,
        json_text,
        plan::Plan,
        time_text::{self, Instant},
        wire,
    },
    Parts, Stop, WireFault, Writer,
    gather::Index,
};
use crate::schema::{Cardinality, MessageIndex};

impl<'a> Writer<'a> {
    /// Writes a message that is not an object of its fields.
    pub(super) fn well_known(&mut self, plan: &'a Plan, parts: Parts<'_>) -> Result<(), Stop> {
        match plan.form {
            Form::Timestamp => {
                let instant = self.instant(parts)?;
                if time_text::put_timestamp(&mut self.out, instant) {
                    return Ok(());
                }
                Err(self.out_of_range(plan, instant, parts))
            }
            Form::Duration => {
                let span = self.instant(parts)?;
                if time_text::put_duration(&mut self.out, span) {
                    return Ok(());
                }
                Err(self.out_of_range(plan, span, parts))
            }
            Form::Wrapper => self.wrapper(plan, parts),
            Form::FieldMask => self.field_mask(parts),
            Form::Value => self.any_value(plan, parts),
            Form::Struct | Form::ListValue => {
                self.enter(parts)?;
                self.only_field(plan, parts)?;
                self.depth -= 1;
                Ok(())
            }
            Form::Any => self.any(parts),
            Form::Empty | Form::Object => {
                self.each_field(parts, |_, _, _, _, _| {})?;
                self.out.extend_from_slice(b"{}");
                Ok(())
            }
        }
    }

    /// Seconds and nanoseconds, in fields 1 and 2.
    fn instant(&mut self, parts: Parts<'_>) -> Result<Instant, Stop> {
        if let Parts::Whole(start, end) = parts
            && let Some(instant) = usual_instant(&self.wire[..end], start)
        {
            return Ok(instant);
        }
        let mut instant = Instant::default();
        self.each_field(parts, |_, wire, tag, _, position| {
            let value = wire::varint(wire, &mut { position }).unwrap_or_default();
            match tag {
                (1, wire::VARINT) => instant.seconds = value as i64,
                (2, wire::VARINT) => instant.nanos = value as i32,
                _ => {}
            }
        })?;
        Ok(instant)
    }

    #[cold]
    fn out_of_range(&mut self, plan: &Plan, found: Instant, parts: Parts<'_>) -> Stop {
        let Instant { seconds, nanos } = found;
        let text = format!("{} of {seconds} s and {nanos} ns is out of range", plan.name);
        self.fault(WireFault::NoForm, self.offset_of(parts), text)
    }

    fn wrapper(&mut self, plan: &'a Plan, parts: Parts<'_>) -> Result<(), Stop> {
        let field = &plan.fields[0];
        let mut found = None;
        self.each_field(parts, |_, wire, tag, _, position| {
            if tag == (1, field.wire_type) {
                found = Some((wire, position));
            }
        })?;
        match found {
            Some((wire, position)) => self.value(field, wire, position).map(|_| ()),
            None => {
                self.default(field);
                Ok(())
            }
        }
    }

    fn field_mask(&mut self, parts: Parts<'_>) -> Result<(), Stop> {
        let mut text = String::new();
        let mut refused = None;
        self.each_field(parts, |_, wire, tag, _, position| {
            if tag != (1, wire::DELIMITED) || refused.is_some() {
                return;
            }
            let (start, end) = wire::delimited(wire, &mut { position }).unwrap_or_default();
            if !text.is_empty() {
                text.push(',');
            }
            match std::str::from_utf8(&wire[start..end]) {
                Ok(path) if field_mask::put_json_path(&mut text, path) => {}
                Ok(path) => {
                    let path = json_text::shown(path.as_bytes());
                    refused = Some((start, format!("the path {path} has no form in JSON")));
                }
                Err(_) => refused = Some((start, "a path that is not UTF-8".to_owned())),
            }
        })?;
        if let Some((start, reason)) = refused {
            return Err(self.fault(WireFault::NoForm, start, reason));
        }
        json_text::put_str(&mut self.out, &text);
        Ok(())
    }

    /// Writes the one field of a `Struct` or a `ListValue`, without its name.
    fn only_field(&mut self, plan: &'a Plan, parts: Parts<'_>) -> Result<(), Stop> {
        let field = &plan.fields[0];
        let (Parts::Whole(start, end), false) = (parts, self.checked) else {
            let index = Index::build(self, plan, parts)?;
            return self.gathered_value(field, index.entries(0));
        };
        let wire = &self.wire[..end];
        let before = self.out.len();
        let mut position = start;
        while position < end {
            let at = position;
            let Some((number, wire_type)) = wire::tag(wire, &mut position) else {
                return Err(self.malformed(at));
            };
            if (number, wire_type) != (1, wire::DELIMITED) {
                if wire::skip(wire, &mut position, number, wire_type).is_none() {
                    return Err(self.malformed(at));
                }
                continue;
            }
            if self.out.len() > before {
                return Err(Stop::Disorder);
            }
            position = match field.cardinality {
                Cardinality::Map => self.map_items(field, wire, at)?,
                _ => self.list_items(field, wire, wire_type, position)?,
            };
        }
        if self.out.len() == before {
            self.default(field);
        }
        Ok(())
    }

    /// Writes a `google.protobuf.Value`; one that has nothing in it is `null`.
    fn any_value(&mut self, plan: &'a Plan, parts: Parts<'_>) -> Result<(), Stop> {
        // As every serializer writes it: one field.
        if let Parts::Whole(start, end) = parts {
            let wire = &self.wire[..end];
            let mut position = start;
            if let Some((number, wire_type)) = wire::tag(wire, &mut position)
                && let Some(index) = self.known_field(plan, wire, number, wire_type, position)
            {
                let mut after = position;
                if wire::skip(wire, &mut after, number, wire_type).is_some() && after == end {
                    self.refuse_not_finite(number, wire, position)?;
                    return self.value(&plan.fields[index], wire, position).map(|_| ());
                }
            }
        }
        let index = Index::build(self, plan, parts)?;
        for (place, field) in plan.fields.iter().enumerate() {
            let entries = index.entries(place);
            if let [.., last] = entries {
                let (_, position) = self.key_at(*last)?;
                self.refuse_not_finite(field.number, self.wire, position)?;
                return self.gathered_value(field, entries);
            }
        }
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    /// JSON's numbers are finite, and in a `Value` a string would be another thing.
    fn refuse_not_finite(&mut self, number: u32, wire: &[u8], at: usize) -> Result<(), Stop> {
        const NUMBER_VALUE: u32 = 2;
        if number != NUMBER_VALUE {
            return Ok(());
        }
        let value = wire.get(at..).and_then(|rest| rest.first_chunk::<8>());
        match value.map(|bytes| f64::from_le_bytes(*bytes)) {
            Some(value) if !value.is_finite() => {
                let text = format!("{value} in a google.protobuf.Value has no form in JSON");
                Err(self.fault(WireFault::NoForm, at, text))
            }
            _ => Ok(()),
        }
    }

    fn any(&mut self, parts: Parts<'_>) -> Result<(), Stop> {
        let here = self.offset_of(parts);
        let (mut type_url, mut value) = ((here, here), (here, here));
        self.each_field(parts, |_, wire, tag, _, position| {
            let content = || wire::delimited(wire, &mut { position }).unwrap_or_default();
            match tag {
                (1, wire::DELIMITED) => type_url = content(),
                (2, wire::DELIMITED) => value = content(),
                _ => {}
            }
        })?;
        // Set to nothing is the same as not set.
        if type_url.0 == type_url.1 && value.0 == value.1 {
            self.out.extend_from_slice(b"{}");
            return Ok(());
        }
        let wire = self.wire;
        let Ok(type_url) = std::str::from_utf8(&wire[type_url.0..type_url.1]) else {
            return Err(self.fault(
                WireFault::Malformed,
                type_url.0,
                "a type_url that is not UTF-8",
            ));
        };
        let known = any::type_name(type_url).and_then(|name| self.plans.by_name(name));
        let Some(message) = known else {
            let text = format!(
                "google.protobuf.Any of the unknown type {}",
                json_text::shown(type_url.as_bytes())
            );
            return Err(self.fault(WireFault::NoForm, self.offset_of(parts), text));
        };
        self.any_of(type_url, message, Parts::Whole(value.0, value.1))
    }

    /// Writes `{"@type":…, …}` with the fields of a message, or with its form as `value`.
    pub(super) fn any_of(
        &mut self,
        type_url: &str,
        message: MessageIndex,
        parts: Parts<'_>,
    ) -> Result<(), Stop> {
        self.enter(parts)?;
        self.any_depth += 1;
        if self.any_depth > any::DEPTH_LIMIT {
            return Err(self.fault(WireFault::TooLarge, self.offset_of(parts), any::too_deep()));
        }
        self.out.extend_from_slice(b"{\"@type\":");
        json_text::put_str(&mut self.out, type_url);
        let plan = self.plans.message(message);
        if matches!(plan.form, Form::Object | Form::Empty) {
            self.members(plan, parts)?;
        } else {
            self.out.extend_from_slice(b",\"value\":");
            self.message(message, parts)?;
        }
        self.out.push(b'}');
        self.any_depth -= 1;
        self.depth -= 1;
        Ok(())
    }
}

/// As every serializer writes it: the seconds, then the nanoseconds, each if it is not 0.
fn usual_instant(wire: &[u8], start: usize) -> Option<Instant> {
    const SECONDS: u8 = 1 << 3;
    const NANOS: u8 = 2 << 3;
    let mut instant = Instant::default();
    let mut position = start;
    if wire.get(position) == Some(&SECONDS) {
        position += 1;
        instant.seconds = wire::varint(wire, &mut position)? as i64;
    }
    if wire.get(position) == Some(&NANOS) {
        position += 1;
        instant.nanos = wire::varint(wire, &mut position)? as i32;
    }
    (position == wire.len()).then_some(instant)
}
