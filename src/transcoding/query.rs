//! Query parameters → request fields: `a.b=1&tags=x&tags=y&labels[k]=v`.
//!
//! Names are proto or JSON names, dotted; a repeated field takes every value; a map's key stands
//! in brackets. Nothing is dropped: a parameter that binds nothing is a violation.

use std::borrow::Cow;

use super::{ReadOptions, Transcoder, wire::put_delimited};
use crate::{
    schema::{Cardinality, FieldPath, Kind, MessageIndex},
    status::FieldViolation,
};

/// One parameter, decoded.
pub struct QueryParameter<'q> {
    /// Its name, up to the first `=`.
    pub name: Cow<'q, str>,
    /// Its value; empty where there is no `=`.
    pub value: Cow<'q, str>,
}

/// What a parameter says: this element, for this field.
pub(super) struct QueryField {
    pub(super) path: FieldPath,
    /// The leaf, encoded with its key.
    pub(super) element: Vec<u8>,
    /// Of a map, the key of the entry, encoded.
    pub(super) map_key: Vec<u8>,
}

/// Field paths longer than this are refused.
pub const FIELD_PATH_DEPTH_LIMIT: usize = 32;

impl Transcoder {
    /// Resolves one parameter against the request message.
    pub(super) fn query_field(
        &self,
        input: MessageIndex,
        parameter: &QueryParameter<'_>,
        options: &ReadOptions,
    ) -> Result<QueryField, FieldViolation> {
        let violation =
            |description: String| FieldViolation { field: parameter.name.to_string(), description };
        let (name, map_key) = match parameter.name.strip_suffix(']').map(|n| n.split_once('[')) {
            Some(Some((name, key))) => (name, Some(key)),
            _ => (parameter.name.as_ref(), None),
        };
        if name.split('.').count() > FIELD_PATH_DEPTH_LIMIT {
            let limit = FIELD_PATH_DEPTH_LIMIT;
            return Err(violation(format!("is more than {limit} fields deep")));
        }
        let path = FieldPath::resolve(&self.schema, input, name)
            .map_err(|reason| violation(format!("is not a parameter of this method: {reason}")))?;
        let outer = path.fields(&self.schema).rev().skip(1);
        for kind in outer.filter_map(|field| field.kind.message()) {
            if !self.is_object(kind) {
                let name = &self.schema.message(kind).name;
                return Err(violation(format!("is inside a {name}: write it as one value")));
            }
        }
        let field = path.leaf(&self.schema);
        let (mut element, mut encoded_key) = (Vec::new(), Vec::new());
        match (field.cardinality, map_key, field.kind) {
            (Cardinality::Map, Some(key), Kind::Message(entry)) => {
                let r#type = self.schema.message(entry);
                let put = |number: u32, text: &str, content: &mut Vec<u8>| {
                    r#type.field_by_number(number).map_or(Ok(()), |part| {
                        self.text_to_wire(entry, part, text, options, content).map_err(violation)
                    })
                };
                put(1, key, &mut encoded_key)?;
                let mut content = encoded_key.clone();
                put(2, &parameter.value, &mut content)?;
                put_delimited(field.number, &content, &mut element);
            }
            (Cardinality::Map, None, _) => {
                return Err(violation(format!("is a map: write {name}[key]=value")));
            }
            (_, Some(_), _) => return Err(violation("is not a map".to_owned())),
            _ => self
                .text_to_wire(path.leaf_message(), field, &parameter.value, options, &mut element)
                .map_err(violation)?,
        }
        Ok(QueryField { path, element, map_key: encoded_key })
    }
}
