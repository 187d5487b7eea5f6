//! `transom check`: everything that is wrong with schemas, rules and configuration, and what is
//! probably not meant, without serving anything.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::{
    Action, Error,
    schema::{Loaded, SchemaOptions, sorted},
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
        let Loaded { schemas, problems: found, is_whole } = self.schema.load(&config)?;
        problems.extend(found);
        for schema in &schemas {
            if let Err(Problems(found)) = Transcoder::new(schema.clone()) {
                problems.extend(found);
            }
        }
        let (table, Problems(found)) = RouteTable::survey(schemas);
        problems.extend(found);
        problems.extend(taken_pages(&table, &config));
        Ok(Report::of_problems(sorted(problems)).with_table(&table, is_whole))
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
    /// None where not everything could be looked at.
    methods: Option<usize>,
    routes: Option<usize>,
    /// Whether nothing but the problems is known.
    #[serde(skip)]
    is_empty: bool,
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
        Self { ok: problems.is_empty(), methods: None, routes: None, is_empty: true, problems }
    }

    fn with_table(mut self, table: &RouteTable, is_whole: bool) -> Self {
        let services = table.schemas().iter().flat_map(|schema| schema.services());
        let methods = services.map(|service| service.methods.len()).sum();
        self.methods = is_whole.then_some(methods);
        self.routes = is_whole.then_some(table.routes().len());
        self.is_empty = table.schemas().is_empty();
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
        if let Some((methods, routes)) = self.methods.zip(self.routes) {
            let _ = write!(text, "{}, {}, ", count(methods, "method"), count(routes, "route"));
        }
        let (errors, warnings) = (level(Level::Error), level(Level::Warning));
        let _ = write!(text, "{}, {}", count(errors, "error"), count(warnings, "warning"));
        text.push_str(match (self.methods, self.is_empty) {
            (Some(_), _) => "\n",
            (None, true) => "; nothing further was looked at\n",
            (None, false) => "; not every upstream was looked at further\n",
        });
        text
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
