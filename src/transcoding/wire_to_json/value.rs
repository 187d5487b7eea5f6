//! One value of a field: from its place on the wire to its JSON.

use super::{
    super::{json_text, plan::FieldPlan, wire},
    Parts, Stop, WireFault, Writer,
};
use crate::schema::{Cardinality, EnumIndex, Kind};

impl<'a> Writer<'a> {
    /// Writes the value at `position`, behind its key, and answers where it ends.
    #[inline]
    pub(super) fn value(
        &mut self,
        field: &'a FieldPlan,
        wire: &'a [u8],
        position: usize,
    ) -> Result<usize, Stop> {
        let mut next = position;
        match field.kind {
            Kind::String => {
                let Some((start, end)) = wire::delimited(wire, &mut next) else {
                    return Err(self.malformed(position));
                };
                if !json_text::put_string(&mut self.out, self.wire, start, end) {
                    return Err(self.fault(
                        WireFault::Malformed,
                        start,
                        "a string that is not UTF-8",
                    ));
                }
            }
            Kind::Message(index) => {
                let Some((start, end)) = wire::delimited(wire, &mut next) else {
                    return Err(self.malformed(position));
                };
                self.message(index, Parts::Whole(start, end))?;
            }
            Kind::Group(index) => {
                let Some(end) = wire::group_end(wire, &mut next, field.number) else {
                    return Err(self.malformed(position));
                };
                self.message(index, Parts::Whole(position, end))?;
            }
            Kind::Bytes => {
                let Some((start, end)) = wire::delimited(wire, &mut next) else {
                    return Err(self.malformed(position));
                };
                json_text::put_base64(&mut self.out, &self.wire[start..end]);
            }
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => {
                let bytes = wire.get(position..).and_then(|rest| rest.first_chunk::<8>());
                let Some(&bytes) = bytes else { return Err(self.malformed(position)) };
                next += 8;
                match field.kind {
                    Kind::Double => json_text::put_double(&mut self.out, f64::from_le_bytes(bytes)),
                    Kind::Fixed64 => self.integer64(u64::from_le_bytes(bytes)),
                    _ => self.integer64(i64::from_le_bytes(bytes)),
                }
            }
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => {
                let bytes = wire.get(position..).and_then(|rest| rest.first_chunk::<4>());
                let Some(&bytes) = bytes else { return Err(self.malformed(position)) };
                next += 4;
                match field.kind {
                    Kind::Float => json_text::put_float(&mut self.out, f32::from_le_bytes(bytes)),
                    Kind::Fixed32 => {
                        json_text::put_integer(&mut self.out, u32::from_le_bytes(bytes))
                    }
                    _ => json_text::put_integer(&mut self.out, i32::from_le_bytes(bytes)),
                }
            }
            Kind::Int32
            | Kind::Int64
            | Kind::Uint32
            | Kind::Uint64
            | Kind::Sint32
            | Kind::Sint64
            | Kind::Bool
            | Kind::Enum(_) => {
                let Some(value) = wire::varint(wire, &mut next) else {
                    return Err(self.malformed(position));
                };
                match field.kind {
                    Kind::Int32 => json_text::put_integer(&mut self.out, value as i32),
                    Kind::Uint32 => json_text::put_integer(&mut self.out, value as u32),
                    Kind::Sint32 => {
                        json_text::put_integer(&mut self.out, zigzag(value & 0xffff_ffff) as i32)
                    }
                    Kind::Int64 => self.integer64(value as i64),
                    Kind::Uint64 => self.integer64(value),
                    Kind::Sint64 => self.integer64(zigzag(value)),
                    Kind::Enum(index) => self.enum_value(index, value as i32),
                    _ => self.out.extend_from_slice(if value != 0 { b"true" } else { b"false" }),
                }
            }
        }
        Ok(next)
    }

    /// Writes what a field without presence is where it is not there.
    pub(super) fn default(&mut self, field: &'a FieldPlan) {
        match (field.cardinality, field.kind) {
            (Cardinality::Repeated, _) => self.out.extend_from_slice(b"[]"),
            (Cardinality::Map, _) => self.out.extend_from_slice(b"{}"),
            (_, Kind::String | Kind::Bytes) => self.out.extend_from_slice(b"\"\""),
            (_, Kind::Bool) => self.out.extend_from_slice(b"false"),
            (_, Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64) => {
                self.integer64(0_u64);
            }
            (_, Kind::Enum(index)) => {
                let first = self.plans.enumeration(index).first;
                self.enum_value(index, first);
            }
            (_, Kind::Message(_) | Kind::Group(_)) => self.out.extend_from_slice(b"null"),
            _ => self.out.push(b'0'),
        }
    }

    fn integer64(&mut self, value: impl itoa::Integer) {
        if self.options.int64_numbers {
            json_text::put_integer(&mut self.out, value);
        } else {
            self.out.push(b'"');
            json_text::put_integer(&mut self.out, value);
            self.out.push(b'"');
        }
    }

    fn enum_value(&mut self, index: EnumIndex, number: i32) {
        let plan = self.plans.enumeration(index);
        if plan.is_null {
            self.out.extend_from_slice(b"null");
            return;
        }
        match plan.quoted_name(number).filter(|_| !self.options.enum_numbers) {
            Some(name) => self.out.extend_from_slice(name),
            None => json_text::put_integer(&mut self.out, number),
        }
    }
}

/// The signed number that a zigzag-encoded one stands for.
pub(super) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
