//! `transom check`: everything that is wrong with schemas, rules and configuration, and what is
//! probably not meant, without serving anything.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::{
    Action, Error,
    schema::{self, Loaded, SchemaOptions},
};
use crate::{
    config::Config,
    routing::{Lint, RouteTable},
    schema::{Position, Problem, Problems},
    transcoding::Transcoder,
    upstream::Upstream,
};

#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    schema: SchemaOptions,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn action(self) -> Result<Action, Error> {
        let report = self.report()?;
        let text = if self.json { report.json()? } else { report.text() };
        Ok(if report.ok { Action::Print(text) } else { Action::Fail(text) })
    }

    fn report(&self) -> Result<Report, Error> {
        let mut config = match self.schema.read_config() {
            Ok(config) => config,
            Err(fault) => return Ok(Report::of_problems(vec![fault.problem])),
        };
        let position = self.schema.config_position();
        let of_config = |message| Problem { position: position.clone(), message };
        let mut problems: Vec<_> = config.check().err().into_iter().map(of_config).collect();
        let remotes = config.upstreams.iter().map(Upstream::remote);
        problems.extend(remotes.filter_map(|r| r.err().map(|error| of_config(error.to_string()))));
        self.schema.apply(&mut config)?;
        let Loaded { schemas, table } = schema::load(&config)?;
        problems.extend(table.err().into_iter().flat_map(|Problems(found)| found));
        for schema in &schemas {
            if let Err(Problems(found)) = Transcoder::new(schema.clone()) {
                problems.extend(found);
            }
        }
        // What the other schemas have to say is said too, although one is broken.
        let (table, Problems(found)) = RouteTable::survey(schemas);
        problems.extend(found);
        problems.extend(taken_pages(&table, &config));
        problems.sort();
        problems.dedup();
        Ok(Report::of_problems(problems).with_table(&table))
    }
}

/// Routes where the server has a page of its own.
fn taken_pages(table: &RouteTable, config: &Config) -> Vec<Problem> {
    let taken = table.routes().iter().filter_map(|route| {
        let path = &route.binding.template;
        let key = config.pages.key_of(path)?;
        let message = format!("`{path}` is a page of the server's own: move the page with {key}");
        Some(Problem { position: Some(route.binding.position.clone()), message })
    });
    taken.collect()
}

/// What was found.
#[derive(Serialize)]
struct Report {
    ok: bool,
    methods: usize,
    routes: usize,
    problems: Vec<Finding>,
}

#[derive(Serialize)]
struct Finding {
    level: Level,
    lint: Option<&'static str>,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Error,
    Warning,
}

impl Finding {
    fn new(
        level: Level,
        lint: Option<&'static str>,
        position: Option<Position>,
        message: String,
    ) -> Self {
        let (file, place) = match position {
            Some(Position { file, line_column }) => (Some(file), line_column),
            None => (None, None),
        };
        let (line, column) = place.unzip();
        Self { level, lint, file, line, column, message }
    }
}

impl Report {
    fn of_problems(problems: Vec<Problem>) -> Self {
        let error =
            |Problem { position, message }| Finding::new(Level::Error, None, position, message);
        let problems: Vec<_> = problems.into_iter().map(error).collect();
        Self { ok: problems.is_empty(), methods: 0, routes: 0, problems }
    }

    fn with_table(mut self, table: &RouteTable) -> Self {
        let services = table.schemas().iter().flat_map(|schema| schema.services());
        self.methods = services.map(|service| service.methods.len()).sum();
        self.routes = table.routes().len();
        let warning = |Lint { kind, position, message }| {
            Finding::new(Level::Warning, Some(kind.name()), Some(position), message)
        };
        self.problems.extend(table.lints().into_iter().map(warning));
        self.ok = self.problems.is_empty();
        self
    }

    fn json(&self) -> Result<String, Error> {
        let json = serde_json::to_string_pretty(self);
        json.map(|json| json + "\n").map_err(|error| Error::Config(error.to_string()))
    }

    /// A line for each finding, and one that counts.
    fn text(&self) -> String {
        let mut text = String::new();
        for Finding { lint, file, line, column, message, .. } in &self.problems {
            let mut place = file.clone().unwrap_or_default();
            for number in [line, column].into_iter().flatten() {
                let _ = write!(place, ":{number}");
            }
            let separator = if place.is_empty() { "" } else { ": " };
            let level = lint.map_or("error".to_owned(), |lint| format!("warning[{lint}]"));
            // One line each, whatever a message holds.
            let message = message.replace('\n', " ");
            let _ = writeln!(text, "{place}{separator}{level}: {message}");
        }
        let level = |level| self.problems.iter().filter(|f| f.level == level).count();
        let _ = writeln!(
            text,
            "{}, {}, {}, {}",
            count(self.methods, "method"),
            count(self.routes, "route"),
            count(level(Level::Error), "error"),
            count(level(Level::Warning), "warning"),
        );
        text
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
