//! One route as an operation: parameters, body, answers.

use utoipa::openapi::{
    ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema as JsonSchema,
    extensions::ExtensionsBuilder,
    path::{
        HttpMethod as Verb, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
        ParameterStyle,
    },
    request_body::RequestBodyBuilder,
    schema::ArrayBuilder,
};

use super::{
    Version,
    schemas::{STATUS, Schemas},
    template,
};
use crate::{
    protocol::http_body::Place,
    routing::{Route, RouteTable},
    schema::{BodyRule, Cardinality, Field, HttpMethod, MessageIndex, Method},
};

/// The media type of a `google.api.HttpBody`, which says its own.
const ANY_TYPE: &str = "*/*";

/// Messages within messages whose fields are named as query parameters.
const QUERY_DEPTH: usize = 3;

/// The HTTP method as OpenAPI knows it.
pub(super) fn verbs(method: &HttpMethod) -> Option<Vec<Verb>> {
    let HttpMethod::Is(method) = method else { return Some(vec![Verb::Get, Verb::Post]) };
    Some(vec![match method.as_str() {
        "GET" => Verb::Get,
        "PUT" => Verb::Put,
        "POST" => Verb::Post,
        "DELETE" => Verb::Delete,
        "PATCH" => Verb::Patch,
        "HEAD" => Verb::Head,
        "OPTIONS" => Verb::Options,
        "TRACE" => Verb::Trace,
        _ => return None,
    }])
}

/// The operation of a route, the method's `binding`-th.
pub(super) fn operation(
    table: &RouteTable,
    route: &Route,
    binding: usize,
    schemas: &mut Schemas<'_>,
) -> Operation {
    let schema = route.method.schema;
    let service = &table.schemas()[schema].services()[route.method.service];
    let method = table.method(route.method);
    let short = service.name.rsplit('.').next().unwrap_or_default();
    let mut id = format!("{short}_{}", method.name);
    if binding > 0 {
        id.push_str(&format!("_{}", binding + 1));
    }
    let mut operation = OperationBuilder::new()
        .operation_id(Some(id))
        .tag(&service.name)
        .parameters(Some(path_parameters(table, route, schemas)))
        .response("200", success(table, route, method, schemas))
        .response("default", failure());
    if !method.comment.is_empty() {
        let summary = method.comment.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        let more = (summary != method.comment).then_some(&method.comment);
        operation = operation.summary(Some(summary)).description(more);
    }
    if method.client_streaming {
        let what = ExtensionsBuilder::new().add("x-client-streaming", true).build();
        operation = operation.extensions(Some(what));
    }
    if route.binding.body != BodyRule::All {
        let mut query = Vec::new();
        query_parameters(table, route, method.input, "", 0, schemas, &mut query);
        operation = query.into_iter().fold(operation, OperationBuilder::parameter);
    }
    if let Some((media, schema)) = body(table, route, method, schemas) {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let body = RequestBodyBuilder::new().content(media, content);
        operation = operation.request_body(Some(body.required(Some(Required::True)).build()));
    }
    operation.build()
}

fn path_parameters(table: &RouteTable, route: &Route, schemas: &mut Schemas<'_>) -> Vec<Parameter> {
    let types = &table.schemas()[route.method.schema];
    let fields: Vec<_> = route.variables.iter().map(|path| path.leaf(types)).collect();
    template::parameters(&route.template)
        .into_iter()
        .map(|(name, variable, is_whole)| {
            let field = variable.and_then(|variable| {
                let index = route.template.variables.iter().position(|v| v == variable)?;
                fields.get(index).copied()
            });
            let parameter = ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True);
            match field {
                Some(field) if is_whole => described(
                    parameter.schema(Some(schemas.field(route.method.schema, field))),
                    field,
                ),
                Some(field) => described(parameter.schema(Some(text())), field),
                None => parameter.schema(Some(text())).build(),
            }
        })
        .collect()
}

/// Every field that a query can set, by its dotted JSON name.
fn query_parameters(
    table: &RouteTable,
    route: &Route,
    message: MessageIndex,
    prefix: &str,
    depth: usize,
    schemas: &mut Schemas<'_>,
    out: &mut Vec<Parameter>,
) {
    let types = &table.schemas()[route.method.schema];
    let in_path: Vec<_> = route.variables.iter().map(|path| path.numbers(types)).collect();
    let in_body = route.body_field.as_ref().map(|path| path.leaf(types).number);
    for field in &types.message(message).fields {
        let is_elsewhere = depth == 0
            && (in_path.iter().any(|numbers| numbers == &[field.number])
                || in_body == Some(field.number));
        if is_elsewhere {
            continue;
        }
        let name = format!("{prefix}{}", field.json_name);
        let parameter = ParameterBuilder::new().name(&name).parameter_in(ParameterIn::Query);
        match (field.cardinality, field.kind.message()) {
            (Cardinality::Map, _) => {
                let schema = schemas.field(route.method.schema, field);
                let parameter = parameter
                    .style(Some(ParameterStyle::DeepObject))
                    .explode(Some(true))
                    .schema(Some(schema));
                out.push(described(parameter, field));
            }
            (_, Some(inner)) if !types.message(inner).is_text_in_json() => {
                if field.cardinality == Cardinality::Singular && depth + 1 < QUERY_DEPTH {
                    let prefix = format!("{name}.");
                    query_parameters(table, route, inner, &prefix, depth + 1, schemas, out);
                }
            }
            _ => {
                let schema = schemas.field(route.method.schema, field);
                out.push(described(parameter.schema(Some(schema)), field));
            }
        }
    }
}

fn described(parameter: ParameterBuilder, field: &Field) -> Parameter {
    let comment = (!field.comment.is_empty()).then_some(&field.comment);
    parameter.description(comment).build()
}

/// The media type of the body, and its schema.
fn body(
    table: &RouteTable,
    route: &Route,
    method: &Method,
    schemas: &mut Schemas<'_>,
) -> Option<(&'static str, RefOr<JsonSchema>)> {
    let schema = route.method.schema;
    let (types, rule) = (&table.schemas()[schema], &route.binding.body);
    if Place::in_request(types, method.input, rule, route.body_field.as_ref()).is_some() {
        return Some((ANY_TYPE, bytes()));
    }
    let json = match (rule, &route.body_field) {
        (BodyRule::None, _) => None,
        (BodyRule::Field(_), Some(field)) => Some(schemas.path_leaf(schema, field)),
        _ if route.variables.is_empty() => Some(schemas.message(schema, method.input)),
        _ => {
            let bound = schemas.top_level(schema, &route.variables);
            Some(schemas.object(schema, method.input, &bound).into())
        }
    };
    json.map(|json| ("application/json", json))
}

fn success(
    table: &RouteTable,
    route: &Route,
    method: &Method,
    schemas: &mut Schemas<'_>,
) -> Response {
    let schema = route.method.schema;
    let types = &table.schemas()[schema];
    if Place::in_response(types, method.output, route.response_field.as_ref()).is_some() {
        let content = ContentBuilder::new().schema(Some(bytes())).build();
        let description = match method.server_streaming {
            true => "The answer, of whichever type, as it comes. A failure breaks it off.",
            false => "The answer, of whichever type.",
        };
        let response = ResponseBuilder::new().description(description);
        return response.content(ANY_TYPE, content).build();
    }
    let message = match &route.response_field {
        Some(field) => schemas.field(schema, field.leaf(types)),
        None => schemas.message(schema, method.output),
    };
    if !method.server_streaming {
        let content = ContentBuilder::new().schema(Some(message)).build();
        return ResponseBuilder::new()
            .description("The answer.")
            .content("application/json", content)
            .build();
    }
    let array = ArrayBuilder::new().items(message.clone()).build();
    let array = ContentBuilder::new().schema(Some(array)).build();
    let content = match schemas.version {
        // It cannot say what the data of an event is.
        Version::V31 => {
            let item = serde_json::to_value(&message).unwrap_or_default();
            let hint = ExtensionsBuilder::new().add("x-item-schema", item).build();
            ContentBuilder::new().schema(Some(text())).extensions(Some(hint)).build()
        }
        Version::V32 => ContentBuilder::new().item_schema(Some(message)).build(),
    };
    ResponseBuilder::new()
        .description(
            "Server-sent events: each message is the data of an unnamed event; `end` comes last, \
             or `error` with a google.rpc.Status. Or one message a line; a failure is a last line \
             with an `error`. Or an array, which a failure leaves open.",
        )
        .content("text/event-stream", content.clone())
        .content("application/x-ndjson", content)
        .content("application/json", array)
        .build()
}

fn failure() -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(STATUS))).build();
    ResponseBuilder::new()
        .description("The call failed, or was refused.")
        .content("application/json", content)
        .build()
}

/// Bytes, as generators know them.
fn bytes() -> RefOr<JsonSchema> {
    use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, schema::Type};
    let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build().into()
}

fn text() -> RefOr<JsonSchema> {
    use utoipa::openapi::{ObjectBuilder, schema::Type};
    ObjectBuilder::new().schema_type(Type::String).build().into()
}
