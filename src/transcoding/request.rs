//! A REST request → the request message: path, query and body woven into one encoding.
//!
//! Protobuf merges what it reads twice, so the parts are encoded one after the other, the path
//! last: whatever happens, the path that was authorised is the path that is called. A field that
//! is given twice with different values is refused before that.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{
    JsonError, ReadOptions, Transcoder,
    query::{QueryField, QueryParameter},
    text_value::is_default,
    wire::{Parent, find_last, put_nested},
};
use crate::{
    schema::{Cardinality, FieldPath, Kind, MessageIndex},
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
}

impl Transcoder {
    /// Appends the encoded request message, or tells every violation found.
    pub fn bind(
        &self,
        request: &RestRequest<'_>,
        options: &ReadOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Vec<FieldViolation>> {
        let mut violations = Vec::new();
        let start = out.len();
        if let Err(error) = self.bind_body(request, options, out) {
            violations.push(violation_of(error));
        }
        let body_is_set = out.len() > start;
        let path = self.bind_path(request, options, &out[start..], &mut violations);
        self.bind_query(request, options, body_is_set, &path, out, &mut violations);
        for bound in &path {
            self.put(&bound.path, &bound.element, out);
        }
        if let Some((path, text)) = request.resume {
            let mut element = Vec::new();
            let field = path.leaf(&self.schema);
            match self.text_to_wire(path.leaf_message(), field, text, options, &mut element) {
                Ok(()) => self.put(path, &element, out),
                Err(description) => {
                    violations
                        .push(FieldViolation { field: path.display(&self.schema), description });
                }
            }
        }
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }

    fn bind_body(
        &self,
        request: &RestRequest<'_>,
        options: &ReadOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        match request.body {
            RequestBody::None => Ok(()),
            RequestBody::Message(json) | RequestBody::Field(_, json) if is_blank(json) => Ok(()),
            RequestBody::Message(json) => self.json_to_wire(request.input, json, options, out),
            RequestBody::Field(field, json) => {
                self.field_json_to_wire(request.input, field, json, options, out)
            }
        }
    }

    fn bind_path(
        &self,
        request: &RestRequest<'_>,
        options: &ReadOptions,
        body: &[u8],
        violations: &mut Vec<FieldViolation>,
    ) -> Vec<QueryField> {
        let mut bound = Vec::with_capacity(request.path.len());
        for (path, text) in request.path {
            let field = path.leaf(&self.schema);
            let mut element = Vec::new();
            let mut refuse = |description: String| {
                let field = path.display(&self.schema);
                violations.push(FieldViolation { field, description });
            };
            let message = path.leaf_message();
            if let Err(description) = self.text_to_wire(message, field, text, options, &mut element)
            {
                refuse(description);
                continue;
            }
            let differs = match find_last(body, &path.numbers(&self.schema)) {
                Some(said) => said != element,
                // A default is not encoded, but may have been said.
                None => !is_default(&element) && self.is_said(request, path, options),
            };
            if differs {
                refuse("the path and the body give different values".to_owned());
                continue;
            }
            if self.siblings(path).iter().any(|sibling| find_last(body, sibling).is_some()) {
                refuse("another member of its oneof is given too".to_owned());
                continue;
            }
            bound.push(QueryField { path: (*path).clone(), element, map_key: Vec::new() });
        }
        bound
    }

    fn bind_query(
        &self,
        request: &RestRequest<'_>,
        options: &ReadOptions,
        body_is_set: bool,
        path: &[QueryField],
        out: &mut Vec<u8>,
        violations: &mut Vec<FieldViolation>,
    ) {
        // What is set so far: a singular field, or a oneof by the path of its message.
        let mut fields: HashMap<FieldPath, Vec<u8>> = HashMap::new();
        let mut oneofs: HashMap<(Vec<u32>, u32), u32> = HashMap::new();
        let mut entries = HashSet::new();
        for bound in path {
            fields.insert(bound.path.clone(), bound.element.clone());
            oneofs.extend(self.oneofs(&bound.path));
        }
        if let RequestBody::Field(body, _) = request.body
            && body_is_set
        {
            oneofs.extend(self.oneofs(body));
        }
        for parameter in request.query {
            let bound = match self.query_field(request.input, parameter, options) {
                Ok(bound) => bound,
                Err(_)
                    if options.ignore_unknown_fields && !self.knows(request.input, parameter) =>
                {
                    continue;
                }
                Err(violation) => {
                    violations.push(violation);
                    continue;
                }
            };
            let mut refuse = |description: &str| {
                violations.push(FieldViolation {
                    field: parameter.name.to_string(),
                    description: description.to_owned(),
                });
            };
            let field = bound.path.leaf(&self.schema);
            match request.body {
                RequestBody::Message(_) if !fields.contains_key(&bound.path) => {
                    refuse("belongs in the body: this method takes its whole message from there");
                    continue;
                }
                RequestBody::Field(body, _) if body.is_prefix_of(&bound.path) => {
                    refuse("belongs in the body");
                    continue;
                }
                _ => {}
            }
            if field.cardinality == Cardinality::Singular {
                let in_path = path.iter().any(|in_path| in_path.path == bound.path);
                match fields.get(&bound.path) {
                    Some(said) if in_path && *said == bound.element => continue,
                    Some(_) if in_path => {
                        refuse("the path and the query give different values");
                        continue;
                    }
                    Some(_) => {
                        refuse("is given more than once");
                        continue;
                    }
                    None => {
                        fields.insert(bound.path.clone(), bound.element.clone());
                    }
                }
            }
            if field.cardinality == Cardinality::Map
                && !entries.insert((bound.path.clone(), bound.map_key.clone()))
            {
                refuse("is given more than once");
                continue;
            }
            let chosen = self.oneofs(&bound.path);
            if chosen.iter().any(|(key, member)| oneofs.get(key).is_some_and(|m| m != member)) {
                refuse("another member of its oneof is given too");
                continue;
            }
            oneofs.extend(chosen);
            self.put(&bound.path, &bound.element, out);
        }
    }

    /// Whether the parameter names a field, whatever its value.
    fn knows(&self, input: MessageIndex, parameter: &QueryParameter<'_>) -> bool {
        let name = parameter.name.split('[').next().unwrap_or_default();
        FieldPath::resolve(&self.schema, input, name).is_ok()
    }

    /// The oneofs that a field chooses, its own and those of the messages around it: where each
    /// is, and which member.
    fn oneofs(&self, path: &FieldPath) -> Vec<((Vec<u32>, u32), u32)> {
        let mut outer = Vec::new();
        let mut chosen = Vec::new();
        for field in path.fields(&self.schema) {
            if let Some(oneof) = field.oneof {
                chosen.push(((outer.clone(), oneof), field.number));
            }
            outer.push(field.number);
        }
        chosen
    }

    /// The other members of a field's oneof, and of those around it, each as the numbers that
    /// lead to it.
    fn siblings(&self, path: &FieldPath) -> Vec<Vec<u32>> {
        let mut outer = Vec::new();
        let mut siblings = Vec::new();
        for (message, field) in path.steps(&self.schema) {
            let others = message.fields.iter().filter(|other| {
                field.oneof.is_some() && other.oneof == field.oneof && other.number != field.number
            });
            siblings.extend(others.map(|other| [&outer[..], &[other.number]].concat()));
            outer.push(field.number);
        }
        siblings
    }

    /// Whether the JSON body has a value for the field, be it its default.
    fn is_said(&self, request: &RestRequest<'_>, path: &FieldPath, options: &ReadOptions) -> bool {
        // Where a default is a value like any other, it is on the wire.
        if path.leaf(&self.schema).explicit_presence {
            return false;
        }
        let (json, skipped) = match request.body {
            RequestBody::Message(json) => (json, 0),
            RequestBody::Field(field, json) if field.is_prefix_of(path) => (json, field.depth()),
            _ => return false,
        };
        let fields: Vec<_> = path.fields(&self.schema).skip(skipped).collect();
        self.says(json, &fields, options)
    }

    fn put(&self, path: &FieldPath, element: &[u8], out: &mut Vec<u8>) {
        let mut parents: Vec<_> = path
            .fields(&self.schema)
            .map(|field| Parent {
                number: field.number,
                is_group: matches!(field.kind, Kind::Group(_)),
            })
            .collect();
        parents.pop();
        put_nested(&parents, element, out);
    }
}

fn violation_of(error: JsonError) -> FieldViolation {
    let description = format!("{} (at byte {} of the body)", error.message, error.offset);
    FieldViolation { field: error.path, description }
}

fn is_blank(json: &[u8]) -> bool {
    json.iter().all(u8::is_ascii_whitespace)
}
