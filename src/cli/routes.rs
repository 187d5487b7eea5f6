//! `transom routes`: every route, as a table for people or as JSON.

use clap::Args;
use serde::Serialize;

use super::{Action, Error, schema::SchemaOptions};
use crate::{
    routing::{Route, RouteTable},
    schema::{BodyRule, HttpMethod, Method},
};

#[derive(Args)]
pub(super) struct Routes {
    #[command(flatten)]
    schema: SchemaOptions,

    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

impl Routes {
    pub(super) fn action(self) -> Result<Action, Error> {
        let table = self.schema.load(&self.schema.config()?)?.table()?;
        let rows: Vec<_> = table.routes().iter().map(|route| row(&table, route)).collect();
        Ok(Action::Print(if self.json { json(&rows)? } else { text(&rows) }))
    }
}

/// A route as it is printed.
#[derive(Serialize)]
struct Row<'t> {
    method: &'t str,
    template: &'t str,
    rpc: &'t str,
    stream: &'static str,
    body: Option<&'t str>,
    response_body: Option<&'t str>,
    variables: Vec<&'t str>,
    source: String,
    annotated: bool,
}

fn row<'t>(table: &'t RouteTable, route: &'t Route) -> Row<'t> {
    let method = table.method(route.method);
    let variables = route.template.variables.iter();
    Row {
        method: match &route.binding.method {
            HttpMethod::Is(method) => method.as_str(),
            HttpMethod::Any => "*",
        },
        template: &route.binding.template,
        rpc: method.full_name(),
        stream: stream(method),
        body: match &route.binding.body {
            BodyRule::None => None,
            BodyRule::All => Some("*"),
            BodyRule::Field(field) => Some(field),
        },
        response_body: route.binding.response_body.as_deref(),
        variables: variables.map(|variable| variable.field_path.as_str()).collect(),
        source: route.binding.position.to_string(),
        annotated: route.is_annotated,
    }
}

/// Who sends any number of messages.
fn stream(method: &Method) -> &'static str {
    match (method.client_streaming, method.server_streaming) {
        (false, false) => "unary",
        (false, true) => "server",
        (true, false) => "client",
        (true, true) => "bidi",
    }
}

fn json(rows: &[Row<'_>]) -> Result<String, Error> {
    let json = serde_json::to_string_pretty(rows);
    json.map(|json| json + "\n").map_err(|error| Error::Config(error.to_string()))
}

fn text(rows: &[Row<'_>]) -> String {
    const HEAD: [&str; 5] = ["METHOD", "TEMPLATE", "RPC", "STREAM", "BODY"];
    let cells = rows
        .iter()
        .map(|row| [row.method, row.template, row.rpc, row.stream, row.body.unwrap_or("-")]);
    let lines: Vec<_> = std::iter::once(HEAD).chain(cells).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: [usize; 5] = std::array::from_fn(|column| width(column).unwrap_or_default());
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
