//! The field mask of a PATCH that came without one: the fields that its body has.
//!
//! A message is looked into, and each field in it named, by its name in the proto; one that is
//! `{}` or `null` is named itself, and so is anything else: lists, maps, `Any`, values that are
//! one text or number. In a `Struct`, and a `Value` that is an object, every key is a field, down
//! to what is no object; where a key cannot stand in a path (it is empty, or has a dot or comma),
//! the object it is in is named instead. What the path binds is not named: it says which resource
//! is meant, not what to change in it.

use super::{
    ReadOptions, RequestBody, RestRequest, Transcoder,
    form::Form,
    json_to_wire::{Reader, Stop},
    plan::{FieldPlan, Plan, Tag},
    request::is_blank,
    text_value::is_default,
    wire::{enclose, find_last, put_delimited},
};
use crate::{
    schema::{Cardinality, FieldPath, Kind},
    status::FieldViolation,
};

/// Each path repeats the names around it, so that a short body can stand for a mask of any
/// length. A mask may be this long, and longer only if its body is long too.
const MASK_LIMIT_BYTES: usize = 64 << 10;

/// How many times as long as its body a mask over the limit may be.
const MASK_LIMIT_FACTOR: usize = 4;

impl Transcoder {
    /// Appends `mask`, a top-level field of the request message, as what the body has. Not where
    /// what was bound of the query, from `query_start` on, says something of it already.
    pub(super) fn derive_mask(
        &self,
        request: &RestRequest<'_>,
        mask: &FieldPath,
        options: &ReadOptions,
        query_start: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), FieldViolation> {
        let RequestBody::Field(body, json) = request.body else { return Ok(()) };
        let Some(body_plan) = self.leaf_plan(body) else { return Ok(()) };
        let number = mask.leaf(&self.schema).number;
        let given = find_last(&out[query_start..], std::iter::once(number));
        if is_blank(json) || given.is_some_and(|given| !is_default(given)) {
            return Ok(());
        }
        let in_body = request.path.iter().filter(|(path, _)| body.is_prefix_of(path));
        let bound = in_body.map(|(path, _)| path.numbers(&self.schema).split_off(body.depth()));
        let mut paths = Paths {
            limit: MASK_LIMIT_BYTES.max(MASK_LIMIT_FACTOR * json.len()),
            begun: out.len(),
            bound: bound.collect(),
            names: Vec::new(),
            numbers: Vec::new(),
        };
        let start = out.len();
        let walked =
            self.read(json, options, out, |reader| reader.mask_value(body_plan, &mut paths));
        if let Err(error) = walked {
            return Err(self.violation(mask, error.message));
        }
        if out.len() > start {
            enclose(number, false, start, out);
        }
        Ok(())
    }
}

/// The paths of a mask, while they are written.
struct Paths {
    limit: usize,
    /// Where they begin in the reader's output.
    begun: usize,
    /// The fields that the path of the request binds, by the numbers that lead to them.
    bound: Vec<Vec<u32>>,
    /// The way to where the walk is, in names with dots between them, and in numbers.
    names: Vec<u8>,
    numbers: Vec<u32>,
}

impl Paths {
    /// Goes into a field or key. The answer leads back.
    fn enter(&mut self, name: &[u8]) -> usize {
        let outer = self.names.len();
        if outer > 0 {
            self.names.push(b'.');
        }
        self.names.extend_from_slice(name);
        outer
    }
}

impl<'a> Reader<'a> {
    /// The value of the body's field, or of one in it.
    fn mask_value(&mut self, field: &'a FieldPlan, paths: &mut Paths) -> Result<(), Stop> {
        let is_object = self.peek() == b'{';
        let inner = match field.cardinality {
            Cardinality::Singular => {
                field.kind.message().map(|message| self.plans.message(message))
            }
            Cardinality::Repeated | Cardinality::Map => None,
        };
        match inner.filter(|_| is_object) {
            Some(plan) if plan.form == Form::Object => self.mask_members(plan, paths),
            Some(plan) if matches!(plan.form, Form::Struct | Form::Value) => self.mask_keys(paths),
            _ => {
                self.skip_value()?;
                self.mask_path(paths)
            }
        }
    }

    /// An object whose keys are the fields of a message.
    fn mask_members(&mut self, plan: &'a Plan, paths: &mut Paths) -> Result<(), Stop> {
        self.open(b'{', "an object")?;
        if self.is_empty(b'}') {
            return self.mask_path(paths);
        }
        loop {
            let key = self.object_key()?;
            let key = self.text(key);
            let field = plan.names.get(key).map(|place| &plan.fields[place as usize]);
            let outer = match field {
                // An extension has no other name.
                Some(_) if key.starts_with(b"[") => paths.enter(key),
                Some(field) => paths.enter(field.name.as_bytes()),
                None => paths.names.len(),
            };
            self.colon()?;
            match field {
                Some(field) => {
                    paths.numbers.push(field.number);
                    if paths.bound.contains(&paths.numbers) || self.is_ignored(field)? {
                        self.skip_value()?;
                    } else {
                        self.mask_value(field, paths)?;
                    }
                    paths.numbers.pop();
                }
                None => self.skip_value()?,
            }
            paths.names.truncate(outer);
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }

    /// An object whose keys are anything.
    fn mask_keys(&mut self, paths: &mut Paths) -> Result<(), Stop> {
        let start = self.out.len();
        self.open(b'{', "an object")?;
        if self.is_empty(b'}') {
            return self.mask_path(paths);
        }
        let mut can_be_named = true;
        loop {
            let key = self.object_key()?;
            let name = self.text(key);
            can_be_named &= !name.is_empty() && !name.iter().any(|byte| b".,".contains(byte));
            let outer = paths.enter(name);
            self.colon()?;
            if !can_be_named {
                self.skip_value()?;
            } else if self.peek() == b'{' {
                self.mask_keys(paths)?;
            } else {
                self.skip_value()?;
                self.mask_path(paths)?;
            }
            paths.names.truncate(outer);
            if !self.more(b'}')? {
                break;
            }
        }
        if !can_be_named {
            self.out.truncate(start);
            self.mask_path(paths)?;
        }
        Ok(())
    }

    /// Writes the path to where the walk is; none to the body as a whole.
    fn mask_path(&mut self, paths: &Paths) -> Result<(), Stop> {
        if paths.names.is_empty() {
            return Ok(());
        }
        if self.out.len() - paths.begun + paths.names.len() > paths.limit {
            let text = format!("the mask of this body is over {} bytes: send it", paths.limit);
            return Err(self.refuse(0, text));
        }
        put_delimited(1, &paths.names, &mut self.out);
        Ok(())
    }

    /// Whether the value that comes next is one of an enum that is unknown, and passed over.
    fn is_ignored(&mut self, field: &'a FieldPlan) -> Result<bool, Stop> {
        let is_enum = matches!(field.kind, Kind::Enum(_)) && self.peek() == b'"';
        if !is_enum || !self.options.ignore_unknown_fields {
            return Ok(false);
        }
        let (position, written) = (self.position, self.out.len());
        let is_known = self.value(field, Tag::default(), false)?;
        self.position = position;
        self.out.truncate(written);
        Ok(!is_known)
    }
}
