//! A REST request → the request message: path, query and body woven into one encoding.
//!
//! Protobuf merges what it reads twice, so the parts are encoded one after the other, the path
//! last: whatever happens, the path that was authorised is the path that is called. A field that
//! is given twice with different values is refused before that.

use std::{borrow::Cow, ops::Range};

use super::{
    JsonError, ReadOptions, Transcoder,
    bound::{Bound, By},
    json_to_wire::Present,
    plan::FieldPlan,
    query::{QueryParameter, enclose_in, split_name},
    text_value::is_default,
    wire::{fields, find_last},
};
use crate::{
    schema::{Field, FieldPath, MessageIndex},
    status::FieldViolation,
};

/// A REST request, taken apart.
pub struct RestRequest<'r> {
    /// The type of the request message.
    pub input: MessageIndex,
    /// The fields that the path binds, with their text.
    pub path: &'r [(&'r FieldPath, Cow<'r, str>)],
    /// The query's parameters, decoded.
    pub query: &'r [QueryParameter<'r>],
    /// The HTTP body.
    pub body: RequestBody<'r>,
    /// The top-level field mask that says what a PATCH changes: where the query leaves it empty,
    /// it is what the body's field has.
    pub mask: Option<&'r FieldPath>,
    /// A field that is set whatever the others say: where a stream resumes.
    pub resume: Option<(&'r FieldPath, &'r str)>,
}

/// What the HTTP body is of the request message.
pub enum RequestBody<'r> {
    /// Nothing: every other field may come from the query.
    None,
    /// All of it: nothing comes from the query. Empty bytes are an empty message.
    Message(&'r [u8]),
    /// This top-level field. Empty bytes leave it unset.
    Field(&'r FieldPath, &'r [u8]),
    /// What there is of it in JSON: what that leaves out may come from the query.
    Part(&'r [u8]),
    /// The same, encoded already. Only its outermost fields are looked at, and what the path and
    /// the query bind.
    Wire(&'r [u8]),
}

impl RestRequest<'_> {
    /// Room for the message, in bytes: more than it takes, nearly always.
    pub fn size_hint(&self) -> usize {
        // Of each field: its key and length, those of the messages around it, and a number.
        const FIELD: usize = 64;
        let body = match self.body {
            RequestBody::None => 0,
            RequestBody::Message(body)
            | RequestBody::Field(_, body)
            | RequestBody::Part(body)
            | RequestBody::Wire(body) => body.len() + 32,
        };
        let path = self.path.iter().map(|(_, text)| text.len());
        let query = self.query.iter().map(|parameter| parameter.value.len());
        body + path.chain(query).map(|length| length + FIELD).sum::<usize>()
    }
}

/// What the body has put into the message.
#[derive(Default)]
struct BodyPart {
    /// Where it stands.
    wire: Range<usize>,
    /// Which fields it had, if that is known.
    present: Option<Present>,
    /// Whether it was read, and had no faults.
    is_sound: bool,
}

impl Transcoder {
    /// Appends the encoded request message, or tells every violation found: of the body up to one
    /// more than are told (`VIOLATION_LIMIT`). What is in `out` then is of no use.
    pub fn bind(
        &self,
        request: &RestRequest<'_>,
        options: &ReadOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Vec<FieldViolation>> {
        out.reserve(request.size_hint());
        let mut violations = Vec::new();
        let mut bound = Bound::default();
        let body = self.bind_body(request, options, out, &mut violations);
        let path_start = out.len();
        self.bind_path(request, options, &body, &mut bound, out, &mut violations);
        let query_start = out.len();
        if !request.query.is_empty() {
            self.bind_query(request, options, &body, &mut bound, out, &mut violations);
        }
        if let Some(mask) = request.mask
            && violations.is_empty()
        {
            violations.extend(self.derive_mask(request, mask, options, query_start, out).err());
        }
        out[path_start..].rotate_left(query_start - path_start);
        if let Some((path, text)) = request.resume
            && let Err(description) = self.put_text(path, text, options, out)
        {
            violations.push(self.violation(path, description));
        }
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }

    fn bind_body(
        &self,
        request: &RestRequest<'_>,
        options: &ReadOptions,
        out: &mut Vec<u8>,
        violations: &mut Vec<FieldViolation>,
    ) -> BodyPart {
        let start = out.len();
        let (field, json) = match request.body {
            RequestBody::Message(json) | RequestBody::Part(json) if !is_blank(json) => (None, json),
            RequestBody::Field(field, json) if !is_blank(json) => (Some(field), json),
            RequestBody::Wire(wire) => {
                // A field that is cut off would swallow what is written behind it: the path.
                if fields(wire).map(|field| field.whole.len()).sum::<usize>() != wire.len() {
                    let description = "expected an encoded message, found other bytes".to_owned();
                    violations.push(FieldViolation { field: String::new(), description });
                    return BodyPart::default();
                }
                out.extend_from_slice(wire);
                return BodyPart { wire: start..out.len(), present: None, is_sound: true };
            }
            _ => return BodyPart::default(),
        };
        let read = self.body_to_wire(request.input, field, json, options, out);
        let wire = start..out.len();
        match read {
            Ok(present) => BodyPart { wire, present, is_sound: true },
            Err(faults) => {
                violations.extend(faults.into_iter().map(violation_of));
                BodyPart { wire, present: None, is_sound: false }
            }
        }
    }

    fn bind_path<'p>(
        &'p self,
        request: &RestRequest<'_>,
        options: &ReadOptions,
        body: &BodyPart,
        bound: &mut Bound<'p>,
        out: &mut Vec<u8>,
        violations: &mut Vec<FieldViolation>,
    ) {
        for (variable, (path, text)) in request.path.iter().enumerate() {
            let Some(field) = self.leaf_plan(path) else { continue };
            let start = out.len();
            let wrong = match self.text_to_wire(field, text, options, out) {
                Ok(()) => self.contradiction(request, path, options, body, start, out),
                Err(description) => Some(description),
            };
            if let Some(description) = wrong {
                out.truncate(start);
                violations.push(self.violation(path, description));
                continue;
            }
            // Only a query can bind it again.
            if !request.query.is_empty() {
                bound.add(self.plans_of(path), &[], By::Path(variable));
            }
            self.enclose_leaf(path, start, out);
        }
    }

    fn bind_query<'p>(
        &'p self,
        request: &RestRequest<'_>,
        options: &ReadOptions,
        body: &BodyPart,
        bound: &mut Bound<'p>,
        out: &mut Vec<u8>,
        violations: &mut Vec<FieldViolation>,
    ) {
        if let RequestBody::Field(field, _) = request.body
            && !body.wire.is_empty()
        {
            bound.add(self.plans_of(field), &[], By::Body);
        }
        let mut steps = Vec::new();
        for parameter in request.query {
            let start = out.len();
            let bound = self.bind_parameter(request, parameter, options, bound, &mut steps, out);
            let Err(description) = bound.and_then(|()| {
                self.check_against_part(request, parameter, options, body, start, out)
            }) else {
                continue;
            };
            out.truncate(start);
            if options.ignore_unknown_fields && !self.knows(request.input, parameter) {
                continue;
            }
            violations.push(FieldViolation { field: parameter.name.to_string(), description });
        }
    }

    /// Appends a field whose value is a text.
    fn put_text(
        &self,
        path: &FieldPath,
        text: &str,
        options: &ReadOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let Some(field) = self.leaf_plan(path) else { return Ok(()) };
        let start = out.len();
        self.text_to_wire(field, text, options, out)?;
        self.enclose_leaf(path, start, out);
        Ok(())
    }

    /// Puts the field that stands behind `start` into the messages that lead to it.
    pub(super) fn enclose_leaf(&self, path: &FieldPath, start: usize, out: &mut Vec<u8>) {
        let mut parents = self.plans_of(path);
        parents.next_back();
        enclose_in(parents, start, out);
    }

    /// Refuses a parameter that a body from which it may be missing has too.
    fn check_against_part(
        &self,
        request: &RestRequest<'_>,
        parameter: &QueryParameter<'_>,
        options: &ReadOptions,
        body: &BodyPart,
        element: usize,
        out: &[u8],
    ) -> Result<(), String> {
        if !matches!(request.body, RequestBody::Part(_) | RequestBody::Wire(_)) {
            return Ok(());
        }
        let Ok(path) =
            FieldPath::resolve(&self.schema, request.input, split_name(&parameter.name).0)
        else {
            return Ok(());
        };
        // What the path says too was compared with it.
        let is_of_path = request.path.iter().any(|(bound, _)| **bound == path);
        match self.contradiction(request, &path, options, body, element, out) {
            Some(_) if !is_of_path => {
                Err("the query and the message give different values".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// What the body says against a field of the path, whose element begins at `element`.
    fn contradiction(
        &self,
        request: &RestRequest<'_>,
        path: &FieldPath,
        options: &ReadOptions,
        body: &BodyPart,
        element: usize,
        out: &[u8],
    ) -> Option<String> {
        let (wire, element) = (&out[body.wire.clone()], &out[element..]);
        let numbers = path.fields(&self.schema).map(|field| field.number);
        if self.may_have(request, path, body) {
            let differs = match find_last(wire, numbers.clone()) {
                Some(said) => said != element,
                // A default is not encoded, but may have been said.
                None => {
                    !is_default(element) && body.is_sound && self.is_said(request, path, options)
                }
            };
            if differs {
                return Some("the path and the body give different values".to_owned());
            }
        }
        let steps = path.steps(&self.schema).enumerate();
        for (depth, (message, field)) in steps.filter(|(_, (_, field))| field.oneof.is_some()) {
            let is_sibling =
                |other: &&Field| other.oneof == field.oneof && other.number != field.number;
            let is_set = |sibling: &Field| {
                let to_sibling = numbers.clone().take(depth).chain(std::iter::once(sibling.number));
                find_last(wire, to_sibling).is_some()
            };
            if message.fields.iter().filter(is_sibling).any(is_set) {
                return Some("another member of its oneof is given too".to_owned());
            }
        }
        None
    }

    /// Whether the body may have a value for a field of the path: if not, nobody needs to look.
    fn may_have(&self, request: &RestRequest<'_>, path: &FieldPath, body: &BodyPart) -> bool {
        let (outer, depth) = match request.body {
            RequestBody::None => return false,
            RequestBody::Message(_) | RequestBody::Part(_) | RequestBody::Wire(_) => {
                (Some(request.input), 0)
            }
            RequestBody::Field(field, _) if field.is_prefix_of(path) => {
                (field.leaf(&self.schema).kind.message(), field.depth())
            }
            RequestBody::Field(..) => return false,
        };
        let first = path.fields(&self.schema).nth(depth);
        let (Some(present), Some(outer), Some(first)) = (&body.present, outer, first) else {
            return true;
        };
        self.plans.message(outer).index_of(first.number).is_some_and(|place| present.has(place))
    }

    /// Whether the JSON body has a value for the field, be it its default.
    fn is_said(&self, request: &RestRequest<'_>, path: &FieldPath, options: &ReadOptions) -> bool {
        // Where a default is a value like any other, it is on the wire.
        if path.leaf(&self.schema).explicit_presence {
            return false;
        }
        let (json, skipped) = match request.body {
            RequestBody::Message(json) | RequestBody::Part(json) => (json, 0),
            RequestBody::Field(field, json) if field.is_prefix_of(path) => (json, field.depth()),
            _ => return false,
        };
        let fields: Vec<_> = path.fields(&self.schema).skip(skipped).collect();
        self.says(json, &fields, options)
    }

    /// The plan of the field that a path leads to.
    pub(super) fn leaf_plan(&self, path: &FieldPath) -> Option<&FieldPlan> {
        self.plans_of(path).next_back()
    }

    /// The plans of the fields on the way.
    fn plans_of(&self, path: &FieldPath) -> impl DoubleEndedIterator<Item = &FieldPlan> {
        path.numbered_steps(&self.schema).filter_map(|(message, number)| {
            let plan = self.plans.message(message);
            plan.index_of(number).map(|place| &plan.fields[place])
        })
    }

    pub(super) fn violation(&self, path: &FieldPath, description: String) -> FieldViolation {
        FieldViolation { field: path.display(&self.schema), description }
    }
}

fn violation_of(error: JsonError) -> FieldViolation {
    let description = format!("{} (at byte {} of the body)", error.message, error.offset);
    FieldViolation { field: error.path, description }
}

pub(super) fn is_blank(json: &[u8]) -> bool {
    json.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::{
            WriteOptions,
            tests::{legacy, transcoder},
        },
        *,
    };
    use crate::schema;

    /// Binds a query (and a path-bound `text`), and answers the message as JSON.
    fn bind(text: Option<&str>, query: &[(&str, &str)], body: &str) -> Result<String, String> {
        let (transcoder, everything) = transcoder();
        let path = FieldPath::resolve(transcoder.schema(), everything, "text").unwrap();
        let captures: Vec<_> = text.iter().map(|text| (&path, Cow::Borrowed(*text))).collect();
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| QueryParameter { name: (*name).into(), value: (*value).into() })
            .collect();
        let body = match body {
            "" => RequestBody::None,
            body => RequestBody::Message(body.as_bytes()),
        };
        let request = RestRequest {
            input: everything,
            path: &captures,
            query: &query,
            body,
            mask: None,
            resume: None,
        };
        let mut wire = Vec::new();
        transcoder.bind(&request, &ReadOptions::default(), &mut wire).map_err(|violations| {
            let said = violations.iter().map(|v| format!("{}: {}", v.field, v.description));
            said.collect::<Vec<_>>().join("; ")
        })?;
        let mut json = Vec::new();
        transcoder.wire_to_json(everything, &wire, &WriteOptions::default(), &mut json).unwrap();
        Ok(String::from_utf8(json).unwrap())
    }

    #[test]
    fn a_query_sets_every_kind_of_field() {
        let query = [
            ("signed", "-3"),
            ("big", "-9"),
            ("unsigned", "3"),
            ("huge", "9"),
            ("zigzag", "-2"),
            ("fixed", "5"),
            ("real", "1e2"),
            ("small_real", "NaN"),
            ("flag", "true"),
            ("blob", "_-8"),
            ("kind", "KIND_TOOL"),
            ("tags", "a"),
            ("tags", "b"),
            ("numbers", "1"),
            ("kinds", "2"),
            ("kinds", "77"),
            ("labels[k]", "v=w"),
            ("childrenById[4]", ""),
            ("child.child.text", "deep"),
            ("child.tags", "t"),
            ("at", "2026-01-02T03:04:05Z"),
            ("takes", "1.5s"),
            ("mask", "a,b.c"),
            ("open", r#"{"a":1}"#),
            ("maybe_big", "8"),
            ("maybeText", ""),
            ("left", "l"),
        ];
        let query: Vec<_> = query.into_iter().filter(|(n, _)| *n != "childrenById[4]").collect();
        assert_eq!(
            bind(Some("p"), &query, "").unwrap(),
            concat!(
                r#"{"text":"p","signed":-3,"big":"-9","unsigned":3,"huge":"9","zigzag":-2,"#,
                r#""fixed":"5","real":100,"smallReal":"NaN","flag":true,"blob":"/+8=","#,
                r#""kind":"KIND_TOOL","tags":["a","b"],"numbers":[1],"kinds":["KIND_PART",77],"#,
                r#""labels":{"k":"v=w"},"child":{"tags":["t"],"child":{"text":"deep"}},"#,
                r#""at":"2026-01-02T03:04:05Z","takes":"1.500s","mask":"a,b.c","open":{"a":1},"#,
                r#""maybeBig":"8","maybeText":"","left":"l"}"#
            )
        );
    }

    #[test]
    fn every_violation_of_a_query_is_told() {
        let error = bind(
            Some("p"),
            &[
                ("nope", "1"),
                ("signed", "x"),
                ("flag", "yes"),
                ("kind", "KIND_NOPE"),
                ("text", "other"),
                ("opt", "1"),
                ("opt", "2"),
                ("left", "a"),
                ("right", "1"),
                ("child", "x"),
                ("labels", "x"),
                ("opt[k]", "v"),
                ("blob", "!"),
                ("real", "1e999"),
            ],
            "",
        )
        .unwrap_err();
        for said in [
            "nope: is not a parameter of this method: `inventory.v1.Everything` has no field `nope`",
            r#"signed: expected a 32-bit integer, found "x""#,
            r#"flag: expected true or false, found "yes""#,
            r#"kind: expected a name or number of inventory.v1.Kind, found "KIND_NOPE""#,
            "text: the path and the query give different values",
            "opt: is given more than once",
            "right: another member of its oneof is given too",
            "child: inventory.v1.Everything is a message: name one of its fields",
            "labels: is a map: write labels[key]=value",
            "opt[k]: is not a map",
            r#"blob: expected base64, found "!""#,
            r#"real: expected a number in the range of a double, found "1e999""#,
        ] {
            assert!(error.contains(said), "{said}\n{error}");
        }
        assert_eq!(error.split("; ").count(), 12, "{error}");
    }

    #[test]
    fn the_path_wins_and_a_different_value_elsewhere_is_refused() {
        assert_eq!(bind(Some("p"), &[("text", "p")], "").unwrap(), r#"{"text":"p"}"#);
        assert_eq!(bind(Some("p"), &[], r#"{"text":"p"}"#).unwrap(), r#"{"text":"p"}"#);
        assert_eq!(
            bind(Some("p"), &[], r#"{"text":"q"}"#).unwrap_err(),
            "text: the path and the body give different values"
        );
        assert_eq!(
            bind(Some("p"), &[("signed", "1")], "{}").unwrap_err(),
            "signed: belongs in the body: this method takes its whole message from there"
        );
    }

    #[test]
    fn a_part_has_the_rest_from_path_and_query_in_either_encoding() {
        let (transcoder, everything) = transcoder();
        let text = FieldPath::resolve(transcoder.schema(), everything, "text").unwrap();
        let encode = |body: RequestBody<'_>, query: &[QueryParameter<'_>], path: &[_]| {
            let request =
                RestRequest { input: everything, path, query, body, mask: None, resume: None };
            let mut wire = Vec::new();
            transcoder.bind(&request, &ReadOptions::default(), &mut wire).map(|()| wire)
        };
        let bind = |is_wire: bool, (name, value): (&'static str, &'static str), json: &str| {
            let query = [QueryParameter { name: name.into(), value: value.into() }];
            let path = [(&text, Cow::Borrowed("p"))];
            let wire = encode(RequestBody::Message(json.as_bytes()), &[], &[]).unwrap();
            let body = match is_wire {
                true => RequestBody::Wire(&wire),
                false => RequestBody::Part(json.as_bytes()),
            };
            let wire = encode(body, &query, &path).map_err(|found| found[0].field.clone())?;
            let mut out = Vec::new();
            transcoder.wire_to_json(everything, &wire, &WriteOptions::default(), &mut out).unwrap();
            Ok::<serde_json::Value, String>(serde_json::from_slice(&out).unwrap())
        };
        for is_wire in [false, true] {
            for (query, json, bound) in [
                (("signed", "1"), "{}", Ok(r#"{"text":"p","signed":1}"#)),
                (
                    ("signed", "1"),
                    r#"{"text":"p","flag":true}"#,
                    Ok(r#"{"text":"p","signed":1,"flag":true}"#),
                ),
                (("signed", "1"), r#"{"signed":1}"#, Ok(r#"{"text":"p","signed":1}"#)),
                (("text", "p"), r#"{"flag":true}"#, Ok(r#"{"text":"p","flag":true}"#)),
                (("signed", "1"), r#"{"signed":2}"#, Err("signed")),
                (("signed", "1"), r#"{"text":"q"}"#, Err("text")),
                (("text", "q"), "{}", Err("text")),
                (("tags", "b"), r#"{"tags":["a"]}"#, Err("tags")),
                (("left", "a"), r#"{"right":1}"#, Err("left")),
                (("child.signed", "1"), r#"{"child":{"signed":2}}"#, Err("child.signed")),
                (("nope", "1"), "{}", Err("nope")),
            ] {
                let found = bind(is_wire, query, json);
                let bound = bound.map(|json| serde_json::from_str(json).unwrap());
                assert_eq!(found, bound.map_err(str::to_owned), "{query:?} {json} {is_wire}");
            }
        }
        // What is cut off would swallow what stands behind it.
        for cut_off in [&[0x0a, 5][..], &[0x0a], &[0x0b], &[0xff], &[8, 1, 0x0c]] {
            let refused = encode(RequestBody::Wire(cut_off), &[], &[(&text, "p".into())]);
            assert!(refused.is_err(), "{cut_off:x?}");
        }
    }

    #[test]
    fn the_path_and_the_body_disagree_about_defaults_and_oneofs_too() {
        let contradiction = "text: the path and the body give different values";
        assert_eq!(bind(Some("p"), &[], r#"{"text":""}"#).unwrap_err(), contradiction);
        assert_eq!(bind(Some("p"), &[], r#"{"text":null}"#).unwrap(), r#"{"text":"p"}"#);
        assert_eq!(bind(Some(""), &[], r#"{"text":""}"#).unwrap(), "{}");

        let (transcoder, everything) = transcoder();
        let bind_path = |name: &str, text: &str, body: &str, query: &[(&str, &str)]| {
            let path = FieldPath::resolve(transcoder.schema(), everything, name).unwrap();
            let captures = [(&path, Cow::Borrowed(text))];
            let query: Vec<_> = query
                .iter()
                .map(|(n, v)| QueryParameter { name: (*n).into(), value: (*v).into() })
                .collect();
            let body = match body {
                "" => RequestBody::None,
                body => RequestBody::Message(body.as_bytes()),
            };
            let request = RestRequest {
                input: everything,
                path: &captures,
                query: &query,
                body,
                mask: None,
                resume: None,
            };
            transcoder
                .bind(&request, &ReadOptions::default(), &mut Vec::new())
                .map_err(|violations| violations[0].description.clone())
        };
        let oneof = "another member of its oneof is given too";
        assert_eq!(bind_path("left", "l", r#"{"right":1}"#, &[]).unwrap_err(), oneof);
        assert_eq!(bind_path("left", "l", "", &[("right", "1")]).unwrap_err(), oneof);
        assert_eq!(bind_path("maybe_big", "0", r#"{"maybeBig":"0"}"#, &[]), Ok(()));
        // What a path binds whole, a query cannot change inside.
        let inside = bind_path("at", "2026-01-02T03:04:05Z", "", &[("at.nanos", "5")]);
        assert!(inside.unwrap_err().contains("write it as one value"));
    }

    #[test]
    fn a_oneof_around_a_path_field_is_one_choice_too() {
        let source = "syntax = \"proto3\"; message A { string id = 1; } \
                      message R { oneof x { A a = 1; A b = 2; } }";
        let schema = Arc::new(schema::compile_for_tests("r.proto", source).unwrap());
        let input = schema.message_by_name("R").unwrap();
        let transcoder = Transcoder::new(schema).unwrap();
        let path = FieldPath::resolve(transcoder.schema(), input, "a.id").unwrap();
        let captures = [(&path, Cow::Borrowed("1"))];
        let bind = |body: &str| {
            let body = RequestBody::Message(body.as_bytes());
            let request =
                RestRequest { input, path: &captures, query: &[], body, mask: None, resume: None };
            transcoder.bind(&request, &ReadOptions::default(), &mut Vec::new())
        };
        assert!(bind(r#"{"a":{"id":"1"}}"#).is_ok());
        assert!(bind(r#"{"b":{"id":"1"}}"#).is_err());
    }

    #[test]
    fn a_stream_resumes_behind_an_event_whatever_the_request_said() {
        let (transcoder, everything) = transcoder();
        let text = FieldPath::resolve(transcoder.schema(), everything, "text").unwrap();
        for (query, body) in [(vec![("text", "old")], ""), (vec![], r#"{"text":"old"}"#)] {
            let query: Vec<_> = query
                .iter()
                .map(|(n, v): &(&str, &str)| QueryParameter {
                    name: (*n).into(),
                    value: (*v).into(),
                })
                .collect();
            let body = match body {
                "" => RequestBody::None,
                body => RequestBody::Message(body.as_bytes()),
            };
            let resume = Some((&text, "new"));
            let request = RestRequest {
                input: everything,
                path: &[],
                query: &query,
                body,
                mask: None,
                resume,
            };
            let (mut wire, mut json) = (Vec::new(), Vec::new());
            transcoder.bind(&request, &ReadOptions::default(), &mut wire).unwrap();
            let options = WriteOptions::default();
            transcoder.wire_to_json(everything, &wire, &options, &mut json).unwrap();
            assert_eq!(json, br#"{"text":"new"}"#);
        }
    }

    #[test]
    fn a_body_field_is_one_value_and_no_more() {
        let (transcoder, everything) = transcoder();
        let tags = FieldPath::resolve(transcoder.schema(), everything, "tags").unwrap();
        let bind = |body: &str| {
            let request = RestRequest {
                input: everything,
                path: &[],
                query: &[],
                body: RequestBody::Field(&tags, body.as_bytes()),
                mask: None,
                resume: None,
            };
            let mut wire = Vec::new();
            transcoder.bind(&request, &ReadOptions::default(), &mut wire).map(|()| wire)
        };
        assert_eq!(bind(r#"["a"]"#).unwrap(), b"\x6a\x01a");
        assert_eq!(bind(" ").unwrap(), b"");
        assert!(bind(r#"["a"],"flag":true"#).is_err());
        let violations = bind(r#"["a",1]"#).unwrap_err();
        assert_eq!(violations[0].field, "tags[1]");
    }

    fn bind_in(
        (transcoder, input): &(Transcoder, MessageIndex),
        path: Option<(&str, &str)>,
        query: &[(&str, &str)],
        body: &str,
    ) -> Result<Vec<u8>, String> {
        let resolve = |name| FieldPath::resolve(transcoder.schema(), *input, name).unwrap();
        let path = path.map(|(name, text)| (resolve(name), text));
        let path: Vec<_> = path.iter().map(|(path, text)| (path, Cow::Borrowed(*text))).collect();
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| QueryParameter { name: (*name).into(), value: (*value).into() })
            .collect();
        let body = match body {
            "" => RequestBody::None,
            body => RequestBody::Message(body.as_bytes()),
        };
        let request = RestRequest {
            input: *input,
            path: &path,
            query: &query,
            body,
            mask: None,
            resume: None,
        };
        let mut wire = Vec::new();
        transcoder
            .bind(&request, &ReadOptions::default(), &mut wire)
            .map(|()| wire)
            .map_err(|violations| violations[0].description.clone())
    }

    #[test]
    fn the_path_stands_last_on_the_wire() {
        let message =
            legacy("message M { optional string a = 1; optional M m = 2; optional string b = 3; }");
        let wire = bind_in(&message, Some(("m.a", "p")), &[("b", "q"), ("m.b", "r")], "");
        assert_eq!(wire.unwrap(), b"\x1a\x01q\x12\x03\x1a\x01r\x12\x03\x0a\x01p");
    }

    #[test]
    fn a_query_that_says_what_the_path_says_is_no_contradiction() {
        let message = legacy("message M { optional int32 i = 1; optional M m = 2; }");
        for (query, expected) in [
            (&[("m.i", "7")][..], Ok(b"\x12\x02\x08\x07".to_vec())),
            (&[("m.i", "7.0"), ("m.i", "7e0")], Ok(b"\x12\x02\x08\x07".to_vec())),
            (&[("m.i", "8")], Err("the path and the query give different values".to_owned())),
        ] {
            assert_eq!(bind_in(&message, Some(("m.i", "7")), query, ""), expected);
        }
    }

    #[test]
    fn wide_messages_are_looked_into_where_the_path_is_said_again() {
        let fields: Vec<_> = (1..=100).map(|n| format!("optional string f{n} = {n};")).collect();
        let message = legacy(&format!("message M {{ optional M m = 101; {} }}", fields.join(" ")));
        for body in [r#"{"f1":"x","f90":"y"}"#, r#"{"f90":"y","f89":null}"#] {
            assert!(bind_in(&message, Some(("f90", "y")), &[], body).is_ok());
            assert!(bind_in(&message, Some(("f90", "z")), &[], body).is_err());
            assert!(bind_in(&message, Some(("f89", "z")), &[], body).is_ok());
            assert!(bind_in(&message, Some(("m.f90", "z")), &[], body).is_ok());
        }
        let body = r#"{"m":{"f90":"y"}}"#;
        assert!(bind_in(&message, Some(("m.f90", "y")), &[], body).is_ok());
        assert!(bind_in(&message, Some(("m.f90", "z")), &[], body).is_err());
    }

    #[test]
    fn many_parameters_are_bound_in_their_order() {
        let message = legacy("message M { repeated int32 l = 1; map<int32, int32> m = 2; }");
        let names: Vec<_> = (0..100).map(|n| format!("m[{n}]")).collect();
        let query: Vec<_> = names.iter().flat_map(|name| [("l", "5"), (name, "1")]).collect();
        let entry = |n| [8, 5, 0x12, 4, 8, n, 0x10, 1];
        let expected: Vec<u8> = (0..100).flat_map(entry).collect();
        assert_eq!(bind_in(&message, None, &query, "").unwrap(), expected);
    }

    #[test]
    fn path_and_query_reach_into_groups_as_the_body_does() {
        let legacy = legacy("message M { optional group G = 3 { optional string id = 1; } }");
        let in_group = b"\x1b\x0a\x01a\x1c".to_vec();
        assert_eq!(bind_in(&legacy, None, &[("g.id", "a")], ""), Ok(in_group.clone()));
        assert_eq!(bind_in(&legacy, None, &[], r#"{"g":{"id":"a"}}"#), Ok(in_group.clone()));
        let twice = [&in_group[..], &in_group].concat();
        assert_eq!(bind_in(&legacy, Some(("g.id", "a")), &[], r#"{"g":{"id":"a"}}"#), Ok(twice));
        let error = bind_in(&legacy, Some(("g.id", "")), &[], r#"{"g":{"id":"b"}}"#).unwrap_err();
        assert_eq!(error, "the path and the body give different values");
    }

    #[test]
    fn a_text_means_in_a_query_what_it_means_in_json() {
        let legacy = legacy(
            "enum E { A = 1; } message M { optional int32 i = 1; optional float f = 2; \
             optional E e = 3; map<string, int32> m = 4; }",
        );
        for (name, text) in [("i", "1e2"), ("i", "1.0"), ("f", "16777217.00000000001"), ("e", "A")]
        {
            let json = format!("{{\"{name}\":\"{text}\"}}");
            let (query, body) =
                (bind_in(&legacy, None, &[(name, text)], ""), bind_in(&legacy, None, &[], &json));
            assert_eq!(query, body, "{json}");
            assert!(query.is_ok(), "{json}");
        }
        for (name, text) in
            [("i", "+5"), ("i", "007"), ("f", ".5"), ("f", "5."), ("e", "7"), ("e", "B")]
        {
            assert!(bind_in(&legacy, None, &[(name, text)], "").is_err(), "{name}={text}");
        }
        let twice = bind_in(&legacy, None, &[("m[a]", "1"), ("m[a]", "2")], "").unwrap_err();
        assert_eq!(twice, "is given more than once");
    }
}
