//! Messages that have each field once: each is written as it is read.

use super::{
    super::{
        form::Form,
        plan::{FieldPlan, Plan},
        wire,
    },
    DEPTH_LIMIT, Parts, Stop, WireFault, Writer,
};
use crate::schema::{Cardinality, Kind, MessageIndex};

impl<'a> Writer<'a> {
    /// Writes a message in the form that its type has.
    pub(super) fn message(&mut self, index: MessageIndex, parts: Parts<'_>) -> Result<(), Stop> {
        let plan = self.plans.message(index);
        if plan.form != Form::Object {
            return self.well_known(plan, parts);
        }
        self.enter(parts)?;
        let at = self.out.len();
        self.members(plan, parts)?;
        self.close(at, b'{', b'}');
        self.depth -= 1;
        Ok(())
    }

    pub(super) fn enter(&mut self, parts: Parts<'_>) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            let text = format!("messages are nested more than {DEPTH_LIMIT} levels deep");
            return Err(self.fault(WireFault::TooLarge, self.offset_of(parts), text));
        }
        Ok(())
    }

    /// Writes the fields of a message, each as `,"name":value`.
    pub(super) fn members(&mut self, plan: &'a Plan, parts: Parts<'_>) -> Result<(), Stop> {
        match parts {
            Parts::Whole(start, end) if !self.checked || self.is_ordered(plan, start, end)? => {
                self.stream(plan, start, end)
            }
            parts => self.gather(plan, parts),
        }
    }

    fn stream(&mut self, plan: &'a Plan, start: usize, end: usize) -> Result<(), Stop> {
        let wire = &self.wire[..end];
        let emit_defaults = self.options.emit_defaults;
        let mut order = Order { rises: emit_defaults, ..Order::default() };
        let mut position = start;
        while position < end {
            let at = position;
            let Some((number, wire_type)) = wire::tag(wire, &mut position) else {
                return Err(self.malformed(at));
            };
            let Some(index) = self.known_field(plan, wire, number, wire_type, position) else {
                if wire::skip(wire, &mut position, number, wire_type).is_none() {
                    return Err(self.malformed(at));
                }
                continue;
            };
            let field = &plan.fields[index];
            if emit_defaults && index > order.next {
                self.defaults(&plan.fields[order.next..index]);
            }
            order.take(index, field)?;
            self.check_size(at)?;
            let written = match field.cardinality {
                Cardinality::Singular if self.is_omitted(field, wire, position) => {
                    match wire::skip(wire, &mut position, number, wire_type) {
                        Some(()) => Ok(position),
                        None => Err(self.malformed(at)),
                    }
                }
                Cardinality::Singular => {
                    self.key(field);
                    self.value(field, wire, position)
                }
                Cardinality::Repeated => self.list_run(field, wire, wire_type, position),
                Cardinality::Map => self.map_run(field, wire, at),
            };
            position = match written {
                Ok(position) => position,
                Err(stop) => return Err(self.within(field, stop)),
            };
        }
        if emit_defaults {
            self.defaults(&plan.fields[order.next..]);
        }
        Ok(())
    }

    /// The place of the field that an occurrence is of. None where it is to be passed over: no
    /// such field, another wire type than the field's, or no value of a closed enum.
    #[inline(always)]
    pub(super) fn known_field(
        &self,
        plan: &Plan,
        wire: &[u8],
        number: u32,
        wire_type: u8,
        position: usize,
    ) -> Option<usize> {
        let index = plan.index_of(number)?;
        let field = &plan.fields[index];
        let fits = wire_type == field.wire_type
            || (wire_type == wire::DELIMITED
                && field.cardinality == Cardinality::Repeated
                && field.kind.is_packable());
        if !fits {
            return None;
        }
        if field.closed_enum && wire_type == wire::VARINT {
            self.is_known_value(field, wire, position).then_some(index)
        } else {
            Some(index)
        }
    }

    /// Whether the varint at `position` is a value of the field's enum.
    pub(super) fn is_known_value(&self, field: &FieldPlan, wire: &[u8], position: usize) -> bool {
        let Kind::Enum(index) = field.kind else { return true };
        // What is malformed is for the reader of the value to refuse.
        let Some(value) = wire::varint(wire, &mut { position }) else { return true };
        self.plans.enumeration(index).quoted_name(value as i32).is_some()
    }

    /// Whether a singular field is at its default, and that is the same as not being there.
    #[inline(always)]
    pub(super) fn is_omitted(&self, field: &FieldPlan, wire: &[u8], position: usize) -> bool {
        if field.explicit_presence || self.options.emit_defaults {
            return false;
        }
        match field.wire_type {
            wire::VARINT | wire::DELIMITED => match wire.get(position) {
                Some(0) => true,
                // Zero in more bytes than it needs, or once it is cut to 32 bits.
                Some(0x80) => {
                    let value = wire::varint(wire, &mut { position });
                    let is_short = matches!(
                        field.kind,
                        Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Enum(_)
                    );
                    value.is_some_and(|v| if is_short { v as u32 == 0 } else { v == 0 })
                }
                _ => false,
            },
            wire::FIXED32 => wire.get(position..position + 4) == Some(&[0; 4]),
            wire::FIXED64 => wire.get(position..position + 8) == Some(&[0; 8]),
            _ => false,
        }
    }

    /// Whether a message can be streamed.
    pub(super) fn is_ordered(
        &mut self,
        plan: &Plan,
        start: usize,
        end: usize,
    ) -> Result<bool, Stop> {
        let wire = &self.wire[..end];
        let mut order = Order { rises: self.options.emit_defaults, ..Order::default() };
        // The list or map whose elements may go on.
        let mut run = 0;
        let mut position = start;
        while position < end {
            let at = position;
            let Some((number, wire_type)) = wire::tag(wire, &mut position) else {
                return Err(self.malformed(at));
            };
            let known = self.known_field(plan, wire, number, wire_type, position);
            if wire::skip(wire, &mut position, number, wire_type).is_none() {
                return Err(self.malformed(at));
            }
            if number == run {
                continue;
            }
            run = 0;
            if let Some(index) = known {
                let field = &plan.fields[index];
                if order.take(index, field).is_err() {
                    return Ok(false);
                }
                if field.cardinality != Cardinality::Singular {
                    run = number;
                }
            }
        }
        Ok(true)
    }

    /// Writes the elements of a list up to the first field that is another, `position` being
    /// behind the key of the first.
    fn list_run(
        &mut self,
        field: &'a FieldPlan,
        wire: &'a [u8],
        wire_type: u8,
        position: usize,
    ) -> Result<usize, Stop> {
        let before_key = self.out.len();
        self.key(field);
        let at = self.out.len();
        let position = self.list_items(field, wire, wire_type, position)?;
        if self.out.len() == at + 2 && !self.is_shown_empty(field) {
            self.out.truncate(before_key);
        }
        Ok(position)
    }

    /// As [`Self::list_run`], without the key.
    pub(super) fn list_items(
        &mut self,
        field: &'a FieldPlan,
        wire: &'a [u8],
        mut wire_type: u8,
        mut position: usize,
    ) -> Result<usize, Stop> {
        let at = self.out.len();
        loop {
            position = self.elements(field, wire, wire_type, position)?;
            // Most often the same key follows.
            if field.tag.is_at(wire, position) && !field.closed_enum {
                position += field.tag.len();
                wire_type = field.wire_type;
                continue;
            }
            match self.goes_on(field, wire, position)? {
                Some(next) => (wire_type, position) = (next.wire_type, next.position),
                None => break,
            }
        }
        self.close(at, b'[', b']');
        Ok(position)
    }

    /// The next occurrence of `field`, if it is what comes next; those of a wrong wire type or no
    /// value of a closed enum are passed over.
    pub(super) fn goes_on(
        &mut self,
        field: &FieldPlan,
        wire: &[u8],
        position: usize,
    ) -> Result<Option<Occurrence>, Stop> {
        let mut position = position;
        while position < wire.len() {
            let at = position;
            let Some((number, wire_type)) = wire::tag(wire, &mut position) else {
                return Err(self.malformed(at));
            };
            if number != field.number {
                return Ok(None);
            }
            let packed = wire_type == wire::DELIMITED && field.kind.is_packable();
            let known = !field.closed_enum || self.is_known_value(field, wire, position);
            if packed || (wire_type == field.wire_type && known) {
                return Ok(Some(Occurrence { at, wire_type, position }));
            }
            if wire::skip(wire, &mut position, number, wire_type).is_none() {
                return Err(self.malformed(at));
            }
        }
        Ok(None)
    }

    /// Writes one element of a list, or several that are packed, each behind a comma.
    pub(super) fn elements(
        &mut self,
        field: &'a FieldPlan,
        wire: &'a [u8],
        wire_type: u8,
        position: usize,
    ) -> Result<usize, Stop> {
        if wire_type == field.wire_type {
            self.check_size(position)?;
            self.out.push(b',');
            return self.value(field, wire, position);
        }
        let Some((start, end)) = wire::delimited(wire, &mut { position }) else {
            return Err(self.malformed(position));
        };
        let packed = &wire[..end];
        let mut next = start;
        while next < end {
            if field.closed_enum && !self.is_known_value(field, packed, next) {
                // It was read: it is there.
                let _ = wire::varint(packed, &mut next);
                continue;
            }
            self.check_size(next)?;
            self.out.push(b',');
            next = self.value(field, packed, next)?;
        }
        Ok(end)
    }

    /// Writes the defaults of fields that are not there.
    pub(super) fn defaults(&mut self, fields: &'a [FieldPlan]) {
        for field in fields.iter().filter(|field| !field.explicit_presence) {
            self.key(field);
            self.default(field);
        }
    }

    /// Whether a list or map is written though nothing is in it: extensions are not.
    pub(super) fn is_shown_empty(&self, field: &FieldPlan) -> bool {
        self.options.emit_defaults && !field.explicit_presence
    }
}

/// A field on the wire.
pub(super) struct Occurrence {
    /// Where its key stands.
    pub(super) at: usize,
    pub(super) wire_type: u8,
    /// Where its value begins.
    pub(super) position: usize,
}

/// What was read of a message so far, if each field was there once.
#[derive(Default)]
struct Order {
    /// Whether fields have to come in the order of their numbers: where those that are not there
    /// are written too, each in its place.
    rises: bool,
    /// The place behind the highest field so far.
    next: usize,
    /// Which of the first 64 fields were there. Those behind come in order in any case.
    seen: u64,
    oneofs: u64,
}

impl Order {
    #[inline(always)]
    fn take(&mut self, index: usize, field: &FieldPlan) -> Result<(), Stop> {
        if index >= self.next {
            self.next = index + 1;
        } else if self.rises || index >= 64 || self.seen & 1 << index != 0 {
            return Err(Stop::Disorder);
        }
        if index < 64 {
            self.seen |= 1 << index;
        }
        if let Some(oneof) = field.oneof {
            // More than 64 share their bits: then some messages are gathered without need.
            let bit = 1 << (oneof % 64);
            if self.oneofs & bit != 0 {
                return Err(Stop::Disorder);
            }
            self.oneofs |= bit;
        }
        Ok(())
    }
}
