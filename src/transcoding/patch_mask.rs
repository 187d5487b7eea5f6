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
/// length. What is written of one may be this long, and longer only where its body is.
const MASK_LIMIT_BYTES: usize = 64 << 10;

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
            limit: MASK_LIMIT_BYTES.max(json.len()),
            written: 0,
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
    /// Bytes of paths so far, of those too that were taken back.
    written: usize,
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
    fn mask_path(&mut self, paths: &mut Paths) -> Result<(), Stop> {
        if paths.names.is_empty() {
            return Ok(());
        }
        paths.written += paths.names.len();
        if paths.written > paths.limit {
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

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, sync::Arc};

    use super::*;
    use crate::schema::{Schema, compile_for_tests};

    const SOURCE: &str = "syntax = \"proto2\"; import \"google/protobuf/field_mask.proto\"; \
        import \"google/protobuf/struct.proto\"; \
        enum E { option allow_alias = true; ZERO = 0; } \
        message M { \
          optional int32 snake_case = 1; optional int32 odd = 2 [json_name = \"@Odd\"]; \
          optional M inner = 3; optional group Grouped = 4 { optional int32 in_group = 1; } \
          optional E e = 5; repeated E es = 6; optional google.protobuf.Struct open = 7; \
          extensions 100 to 200; } \
        extend M { optional M more = 100; } \
        message R { optional M m = 1; optional google.protobuf.FieldMask mask = 2; \
          optional google.protobuf.Struct open = 3; }";

    fn schema() -> Arc<Schema> {
        Arc::new(compile_for_tests("mask.proto", SOURCE).unwrap())
    }

    /// The paths derived of a body, which is the field `body`, beside what the path binds.
    fn paths(
        body: &str,
        bound: &[&str],
        json: &str,
        options: &ReadOptions,
    ) -> Result<Vec<String>, Vec<FieldViolation>> {
        let transcoder = Transcoder::new(schema()).unwrap();
        let input = transcoder.schema().message_by_name("R").unwrap();
        let resolve = |name: &str| FieldPath::resolve(transcoder.schema(), input, name).unwrap();
        let (body, mask) = (resolve(body), resolve("mask"));
        let bound: Vec<_> = bound.iter().map(|name| resolve(name)).collect();
        let path: Vec<_> = bound.iter().map(|path| (path, Cow::Borrowed("1"))).collect();
        let body = RequestBody::Field(&body, json.as_bytes());
        let mask = Some(&mask);
        let request = RestRequest { input, path: &path, query: &[], body, mask, resume: None };
        let mut wire = Vec::new();
        transcoder.bind(&request, options, &mut wire)?;
        let mut paths = Vec::new();
        for field in crate::transcoding::wire::fields(&wire).filter(|field| field.number == 2) {
            for path in crate::transcoding::wire::fields(field.content) {
                paths.push(String::from_utf8(path.content.to_vec()).unwrap());
            }
        }
        Ok(paths)
    }

    fn of(json: &str) -> Vec<String> {
        paths("m", &[], json, &ReadOptions::default()).unwrap()
    }

    #[test]
    fn fields_have_their_proto_names_whatever_the_body_calls_them() {
        assert_eq!(of(r#"{"snakeCase":1,"@Odd":2}"#), ["snake_case", "odd"]);
        assert_eq!(
            of(r#"{"inner":{"snake_case":1,"inner":{"odd":1}}}"#),
            ["inner.snake_case", "inner.inner.odd"]
        );
        assert_eq!(of(r#"{"grouped":{"inGroup":1}}"#), ["grouped.in_group"]);
        assert_eq!(of(r#"{"[more]":{"odd":1}}"#), ["[more].odd"]);
    }

    #[test]
    fn what_the_path_binds_is_left_out_however_deep_it_is() {
        let options = ReadOptions::default();
        let bound = ["m.inner.snake_case"];
        for (json, expected) in [
            (r#"{"snakeCase":1,"inner":{"snakeCase":1}}"#, &["snake_case"][..]),
            (
                r#"{"inner":{"odd":1,"snakeCase":1,"inner":{"snakeCase":1}}}"#,
                &["inner.odd", "inner.inner.snake_case"],
            ),
            (r#"{"inner":{}}"#, &["inner"]),
        ] {
            assert_eq!(paths("m", &bound, json, &options).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn what_is_ignored_is_no_change() {
        let options = ReadOptions { ignore_unknown_fields: true, ..Default::default() };
        let json = r#"{"nope":{"a":1},"e":"NOPE","es":["NOPE"],"inner":{"nope":1,"e":"ZERO"}}"#;
        assert_eq!(paths("m", &[], json, &options).unwrap(), ["es", "inner.e"]);
    }

    #[test]
    fn a_body_that_is_a_struct_has_keys() {
        let open = |json: &str| paths("open", &[], json, &ReadOptions::default()).unwrap();
        assert_eq!(open(r#"{"A b":{"c":1},"d":[{}]}"#), ["A b.c", "d"]);
        assert_eq!(open("{}"), [""; 0]);
        // Nothing can be named, and what is named by nothing is the whole.
        assert_eq!(open(r#"{"a":1,"b.c":1}"#), [""; 0]);
        for key in ["", "a.b", "a,b"] {
            let json = format!(r#"{{"x":{{"y":{{"{key}":1}}}}}}"#);
            assert_eq!(open(&json), ["x.y"], "{key}");
        }
    }

    #[test]
    fn a_mask_has_a_limit_that_grows_with_its_body() {
        let long = "x".repeat(1 << 10);
        let keys = |count: usize| -> String {
            let keys: Vec<_> = (0..count).map(|n| format!("\"{n}\":0")).collect();
            format!("{{\"open\":{{\"{long}\":{{{}}}}}}}", keys.join(","))
        };
        assert_eq!(of(&keys(60)).len(), 60);
        let violations = paths("m", &[], &keys(70), &ReadOptions::default()).unwrap_err();
        assert_eq!(violations[0].field, "mask");
        assert_eq!(violations[0].description, "the mask of this body is over 65536 bytes: send it");
        // As many, with values as long as the key: a long body may have a long mask.
        let keys: Vec<_> = (0..70).map(|n| format!("\"{n}\":\"{long}\"")).collect();
        let json = format!("{{\"open\":{{\"{long}\":{{{}}}}}}}", keys.join(","));
        assert_eq!(of(&json).len(), 70);
    }
}
