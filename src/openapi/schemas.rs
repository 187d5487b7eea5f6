//! Message types as JSON schemas: what ProtoJSON makes of each.

use std::collections::{BTreeMap, BTreeSet};

use utoipa::openapi::{
    ArrayBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, Schema as JsonSchema, SchemaFormat,
    schema::{AdditionalProperties, SchemaType, Type},
};

use super::Version;
use crate::{
    routing::RouteTable,
    schema::{Cardinality, EnumIndex, Field, FieldPath, Kind, MessageIndex, Schema},
};

/// The component that every refusal is.
pub(super) const STATUS: &str = "google.rpc.Status";

/// Collects the components that operations refer to.
pub(super) struct Schemas<'t> {
    table: &'t RouteTable,
    components: BTreeMap<String, JsonSchema>,
    /// Referred to, but not written yet.
    begun: BTreeSet<String>,
    pub(super) version: Version,
}

impl<'t> Schemas<'t> {
    pub(super) fn new(table: &'t RouteTable, version: Version) -> Self {
        let mut components = BTreeMap::new();
        components.insert(STATUS.to_owned(), status());
        Self { table, components, begun: BTreeSet::new(), version }
    }

    pub(super) fn into_components(self) -> BTreeMap<String, JsonSchema> {
        self.components
    }

    /// The schema of a message, by reference where it has a component.
    pub(super) fn message(&mut self, schema: usize, index: MessageIndex) -> RefOr<JsonSchema> {
        let types = &self.table.schemas()[schema];
        let message = types.message(index);
        if let Some(known) = well_known(types, index) {
            return known.into();
        }
        let name = self.name(schema, &message.name);
        if self.begun.insert(name.clone()) {
            let component = self.object(schema, index, &[]);
            self.components.insert(name.clone(), component);
        }
        Ref::from_schema_name(name).into()
    }

    /// A message's fields, without those that stand elsewhere in the request.
    pub(super) fn object(
        &mut self,
        schema: usize,
        index: MessageIndex,
        without: &[u32],
    ) -> JsonSchema {
        let types = &self.table.schemas()[schema];
        let message = types.message(index);
        let mut object = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description((!message.comment.is_empty()).then_some(&message.comment));
        for field in message.fields.iter().filter(|field| !without.contains(&field.number)) {
            object = object.property(&field.json_name, self.field(schema, field));
        }
        object.build().into()
    }

    /// The schema of a field, lists and maps included.
    pub(super) fn field(&mut self, schema: usize, field: &Field) -> RefOr<JsonSchema> {
        let comment = (!field.comment.is_empty()).then_some(&field.comment);
        match field.cardinality {
            Cardinality::Singular => match self.kind(schema, field.kind) {
                RefOr::T(JsonSchema::Object(mut object)) if comment.is_some() => {
                    object.description = comment.cloned();
                    JsonSchema::Object(object).into()
                }
                RefOr::Ref(mut reference) => {
                    reference.description = comment.cloned().unwrap_or_default();
                    RefOr::Ref(reference)
                }
                other => other,
            },
            Cardinality::Repeated => {
                let items = self.kind(schema, field.kind);
                ArrayBuilder::new().items(items).description(comment).build().into()
            }
            Cardinality::Map => {
                let entry = field.kind.message().map(|m| self.table.schemas()[schema].message(m));
                let value = entry.and_then(|entry| entry.field_by_number(2)).map(|f| f.kind);
                let value = value.map_or_else(any, |kind| self.kind(schema, kind));
                ObjectBuilder::new()
                    .schema_type(Type::Object)
                    .description(comment)
                    .additional_properties(Some(AdditionalProperties::RefOr(value)))
                    .build()
                    .into()
            }
        }
    }

    /// The schema of the field that a path ends at.
    pub(super) fn path_leaf(&mut self, schema: usize, path: &FieldPath) -> RefOr<JsonSchema> {
        let table = self.table;
        self.field(schema, path.leaf(&table.schemas()[schema]))
    }

    /// The numbers of the top-level fields among `paths`.
    pub(super) fn top_level(&self, schema: usize, paths: &[FieldPath]) -> Vec<u32> {
        let types = &self.table.schemas()[schema];
        let top_level = paths.iter().filter(|path| path.depth() == 1);
        top_level.map(|path| path.leaf(types).number).collect()
    }

    fn kind(&mut self, schema: usize, kind: Kind) -> RefOr<JsonSchema> {
        match kind {
            Kind::Message(index) | Kind::Group(index) => self.message(schema, index),
            Kind::Enum(index) => self.enumeration(schema, index),
            scalar => scalar_schema(scalar).into(),
        }
    }

    fn enumeration(&mut self, schema: usize, index: EnumIndex) -> RefOr<JsonSchema> {
        let r#enum = self.table.schemas()[schema].enumeration(index);
        if r#enum.name == "google.protobuf.NullValue" {
            return typed(Type::Null).build().into();
        }
        let name = self.name(schema, &r#enum.name);
        if self.begun.insert(name.clone()) {
            let values = r#enum.values.iter().map(|(value, _)| value.as_str());
            let component = typed(Type::String)
                .description((!r#enum.comment.is_empty()).then_some(&r#enum.comment))
                .enum_values(Some(values))
                .build();
            self.components.insert(name.clone(), component.into());
        }
        Ref::from_schema_name(name).into()
    }

    /// The full name; with a number where two upstreams have types of one name.
    fn name(&self, schema: usize, name: &str) -> String {
        let earlier = self.table.schemas()[..schema].iter();
        match earlier.filter(|other| other.declares(name)).count() {
            0 => name.to_owned(),
            count => format!("{name}.{}", count + 1),
        }
    }
}

/// The types whose JSON is not an object of their fields.
fn well_known(types: &Schema, index: MessageIndex) -> Option<JsonSchema> {
    let message = types.message(index);
    let name = message.name.strip_prefix("google.protobuf.")?;
    if message.is_wrapper() {
        let Some(JsonSchema::Object(mut object)) =
            message.field("value").map(|value| scalar_schema(value.kind))
        else {
            return None;
        };
        if let SchemaType::Type(r#type) = object.schema_type {
            object.schema_type = SchemaType::from_iter([r#type, Type::Null]);
        }
        return Some(JsonSchema::Object(object));
    }
    Some(
        match name {
            "Timestamp" => with_format(typed(Type::String), KnownFormat::DateTime),
            "Duration" => typed(Type::String).pattern(Some(r"^-?[0-9]+(\.[0-9]{1,9})?s$")),
            "FieldMask" => typed(Type::String),
            "Struct" => typed(Type::Object)
                .additional_properties(Some(AdditionalProperties::FreeForm(true))),
            "Value" => typed(SchemaType::AnyValue),
            "ListValue" => {
                return Some(ArrayBuilder::new().items(any()).build().into());
            }
            "Any" => typed(Type::Object)
                .property("@type", scalar_schema(Kind::String))
                .required("@type")
                .additional_properties(Some(AdditionalProperties::FreeForm(true))),
            _ => return None,
        }
        .build()
        .into(),
    )
}

fn scalar_schema(kind: Kind) -> JsonSchema {
    match kind {
        Kind::Bool => typed(Type::Boolean),
        Kind::Double => with_format(typed(Type::Number), KnownFormat::Double),
        Kind::Float => with_format(typed(Type::Number), KnownFormat::Float),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            with_format(typed(Type::Integer), KnownFormat::Int32)
        }
        Kind::Uint32 | Kind::Fixed32 => with_format(typed(Type::Integer), KnownFormat::Int64)
            .minimum(Some(0))
            .maximum(Some(f64::from(u32::MAX))),
        // 64 bits are more than a JSON number holds everywhere: they are written as text.
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            with_format(typed(Type::String), KnownFormat::Int64)
        }
        Kind::Uint64 | Kind::Fixed64 => {
            typed(Type::String).format(Some(SchemaFormat::Custom("uint64".to_owned())))
        }
        Kind::Bytes => typed(Type::String).content_encoding("base64"),
        Kind::String | Kind::Enum(_) | Kind::Message(_) | Kind::Group(_) => typed(Type::String),
    }
    .build()
    .into()
}

/// `google.rpc.Status`, as every refusal is written.
fn status() -> JsonSchema {
    let detail = typed(Type::Object)
        .property("@type", scalar_schema(Kind::String))
        .required("@type")
        .additional_properties(Some(AdditionalProperties::FreeForm(true)));
    let code = with_format(typed(Type::Integer), KnownFormat::Int32)
        .description(Some("A google.rpc.Code: 3 INVALID_ARGUMENT, 5 NOT_FOUND, …"));
    typed(Type::Object)
        .description(Some("How a call that failed ended."))
        .property("code", code)
        .property("message", scalar_schema(Kind::String))
        .property("details", ArrayBuilder::new().items(detail))
        .required("code")
        .required("message")
        .required("details")
        .build()
        .into()
}

fn any() -> RefOr<JsonSchema> {
    typed(SchemaType::AnyValue).build().into()
}

fn typed(r#type: impl Into<SchemaType>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(r#type)
}

fn with_format(object: ObjectBuilder, format: KnownFormat) -> ObjectBuilder {
    object.format(Some(SchemaFormat::KnownFormat(format)))
}
