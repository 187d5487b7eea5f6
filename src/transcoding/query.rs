//! Query parameters → request fields: `a.b=1&tags=x&tags=y&labels[k]=v`.
//!
//! Names are proto or JSON names, dotted; a repeated field takes every value; a map's key stands
//! in brackets. Nothing is dropped: a parameter that binds nothing is a violation.

use std::borrow::Cow;

use super::{
    ReadOptions, RequestBody, RestRequest, Transcoder,
    bound::{Bound, By, Relation},
    plan::FieldPlan,
    wire::enclose,
};
use crate::schema::{Cardinality, FieldPath, Kind, MessageIndex};

/// One parameter, decoded.
pub struct QueryParameter<'q> {
    /// Its name, up to the first `=`.
    pub name: Cow<'q, str>,
    /// Its value; empty where there is no `=`.
    pub value: Cow<'q, str>,
}

/// Field paths longer than this are refused.
pub const FIELD_PATH_DEPTH_LIMIT: usize = 32;

impl Transcoder {
    /// Appends what a parameter says, unless the path says it already. `steps` is room for the
    /// way to its field. On an error, there is garbage behind `out`.
    pub(super) fn bind_parameter<'p>(
        &'p self,
        request: &RestRequest<'_>,
        parameter: &QueryParameter<'_>,
        options: &ReadOptions,
        bound: &mut Bound<'p>,
        steps: &mut Vec<&'p FieldPlan>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let (name, key) = split_name(&parameter.name);
        self.steps(request.input, name, steps)?;
        let Some((field, parents)) = steps.split_last() else { return Ok(()) };
        let start = out.len();
        let mut key_end = start;
        match (field.cardinality, key, field.kind) {
            (Cardinality::Map, Some(key), Kind::Message(entry)) => {
                let [key_field, value_field] = &self.plans.message(entry).fields[..] else {
                    return Err("is a map without entries".to_owned());
                };
                self.text_to_wire(key_field, key, options, out)?;
                key_end = out.len();
                self.text_to_wire(value_field, &parameter.value, options, out)?;
            }
            (Cardinality::Map, None, _) => {
                return Err(format!("is a map: write {name}[key]=value"));
            }
            (_, Some(_), _) => return Err("is not a map".to_owned()),
            _ => self.text_to_wire(field, &parameter.value, options, out)?,
        }
        let relation = bound.relation(steps, &out[start..key_end]);
        if let Relation::Twice(By::Path(variable)) = relation {
            let element = out.len();
            self.text_to_wire(field, &request.path[variable].1, options, out)?;
            if out[start..element] != out[element..] {
                return Err("the path and the query give different values".to_owned());
            }
            out.truncate(start);
            return Ok(());
        }
        match request.body {
            RequestBody::Message(_) => {
                let description =
                    "belongs in the body: this method takes its whole message from there";
                return Err(description.to_owned());
            }
            RequestBody::Field(body, _) if body.leaf(&self.schema).number == steps[0].number => {
                return Err("belongs in the body".to_owned());
            }
            _ => {}
        }
        match relation {
            Relation::New => bound.add(steps.iter().copied(), &out[start..key_end], By::Query),
            Relation::Another => {}
            Relation::Twice(_) => return Err("is given more than once".to_owned()),
            Relation::Excluded => {
                return Err("another member of its oneof is given too".to_owned());
            }
        }
        if field.cardinality == Cardinality::Map {
            enclose(field.number, false, start, out);
        }
        enclose_in(parents.iter().copied(), start, out);
        Ok(())
    }

    /// Whether the parameter names a field, whatever its value.
    pub(super) fn knows(&self, input: MessageIndex, parameter: &QueryParameter<'_>) -> bool {
        FieldPath::resolve(&self.schema, input, split_name(&parameter.name).0).is_ok()
    }

    /// The way from a message to the field that a parameter names.
    fn steps<'p>(
        &'p self,
        input: MessageIndex,
        name: &str,
        steps: &mut Vec<&'p FieldPlan>,
    ) -> Result<(), String> {
        steps.clear();
        if name.split('.').nth(FIELD_PATH_DEPTH_LIMIT).is_some() {
            return Err(format!("is more than {FIELD_PATH_DEPTH_LIMIT} fields deep"));
        }
        let mut message = Some(input);
        for part in name.split('.') {
            let plan = message.map(|message| self.plans.message(message));
            // Extensions have names in brackets, which mean something else in a query.
            let found = plan.filter(|_| !part.starts_with('[')).and_then(|plan| {
                plan.names.get(part.as_bytes()).map(|place| &plan.fields[place as usize])
            });
            let Some(field) = found else {
                let reason = FieldPath::resolve(&self.schema, input, name).err();
                let reason = reason.unwrap_or_default();
                return Err(format!("is not a parameter of this method: {reason}"));
            };
            steps.push(field);
            message = field.kind.message().filter(|_| field.cardinality == Cardinality::Singular);
        }
        let parents = steps.iter().rev().skip(1).filter_map(|field| field.kind.message());
        for parent in parents {
            if !self.is_object(parent) {
                let name = &self.plans.message(parent).name;
                return Err(format!("is inside a {name}: write it as one value"));
            }
        }
        Ok(())
    }
}

/// Puts the fields from `start` on into the messages that lead to them, the outermost first.
pub(super) fn enclose_in<'p>(
    parents: impl DoubleEndedIterator<Item = &'p FieldPlan>,
    start: usize,
    out: &mut Vec<u8>,
) {
    for parent in parents.rev() {
        enclose(parent.number, matches!(parent.kind, Kind::Group(_)), start, out);
    }
}

/// `labels[k]` as name and key.
pub(super) fn split_name(name: &str) -> (&str, Option<&str>) {
    match name.strip_suffix(']').and_then(|inner| inner.split_once('[')) {
        Some((name, key)) => (name, Some(key)),
        None => (name, None),
    }
}
