//! Where a command's schema comes from, and the route table it makes: what `routes`, `check` and
//! their like work on without serving anything.

use std::{path::PathBuf, sync::Arc};

use clap::{Args, error::ErrorKind};

use super::{
    Error,
    common::{self, ConfigFault},
};
use crate::{
    config::{Config, Upstream},
    routing::RouteTable,
    schema::{Position, Problem, Problems, Schema},
    upstream::schema_source,
    users::DESCRIPTOR_SET,
};

/// What is put on the web, as `serve` is told too.
#[derive(Args)]
pub(super) struct UpstreamOptions {
    /// A gRPC service to put on the web, instead of the bundled one; may be given again
    #[arg(long, value_name = "URL", env = "TRANSOM_UPSTREAM", value_delimiter = ',')]
    upstream: Vec<String>,

    /// The upstream's FileDescriptorSet, imports included [default: asked by server reflection]
    #[arg(long, value_name = "FILE", conflicts_with = "proto", env = "TRANSOM_DESCRIPTOR_SET")]
    descriptor_set: Option<PathBuf>,

    /// A directory of the upstream's .proto files
    #[arg(long, value_name = "DIR", env = "TRANSOM_PROTO")]
    proto: Option<PathBuf>,

    /// A YAML file whose http rules replace the upstream's annotations
    #[arg(long, value_name = "FILE", env = "TRANSOM_SERVICE_CONFIG")]
    service_config: Option<PathBuf>,

    /// The full names of the services to expose [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "TRANSOM_SERVICES")]
    services: Vec<String>,
}

impl UpstreamOptions {
    /// Lets the flags say what `config` puts on the web.
    pub(super) fn apply(&self, config: &mut Config) -> Result<(), Error> {
        let of_one =
            self.descriptor_set.is_some() || self.proto.is_some() || self.service_config.is_some();
        if self.upstream.is_empty() && (of_one || !self.services.is_empty()) {
            let message = "--descriptor-set, --proto, --service-config and --services are of an \
                           upstream: say which with --upstream URL";
            return Err(usage(ErrorKind::MissingRequiredArgument, message));
        }
        if of_one && self.upstream.len() > 1 {
            let message = "--descriptor-set, --proto and --service-config are of one upstream: \
                           describe several in a configuration file, as [[upstreams]]";
            return Err(usage(ErrorKind::ArgumentConflict, message));
        }
        if !self.upstream.is_empty() {
            config.upstreams = self.upstream.iter().map(|url| self.described(url)).collect();
        }
        config.settle();
        Ok(())
    }

    /// The same where nothing is called: a schema that is in files needs no URL. What describes no
    /// upstream describes the bundled service.
    fn apply_offline(&self, config: &mut Config) -> Result<(), Error> {
        if !self.upstream.is_empty() {
            return self.apply(config);
        }
        if self.descriptor_set.is_some() || self.proto.is_some() {
            config.upstreams = vec![self.described("")];
            config.settle();
            return Ok(());
        }
        if config.upstreams.is_empty() { Ok(()) } else { self.apply(config) }
    }

    fn described(&self, url: &str) -> Upstream {
        Upstream {
            url: url.to_owned(),
            descriptor_set: self.descriptor_set.clone(),
            proto: self.proto.clone(),
            service_config: self.service_config.clone(),
            services: self.services.clone(),
            ..Upstream::default()
        }
    }
}

/// Which schemas a command works on.
#[derive(Args)]
pub(super) struct SchemaOptions {
    #[command(flatten)]
    upstream: UpstreamOptions,

    /// A TOML file, whose [[upstreams]] are taken where no flag says otherwise
    #[arg(long, value_name = "FILE", env = "TRANSOM_CONFIG")]
    config: Option<PathBuf>,
}

/// What there is to look at.
pub(super) struct Loaded {
    /// In the order of the upstreams, without what the problems are about.
    pub(super) schemas: Vec<Arc<Schema>>,
    /// What is wrong with them, and with those that cannot be looked at.
    pub(super) problems: Vec<Problem>,
    /// Whether there is a schema of every upstream.
    pub(super) is_whole: bool,
}

impl Loaded {
    /// The routes, or everything that keeps them from being served.
    pub(super) fn table(&self) -> Result<RouteTable, Error> {
        let (table, Problems(found)) = RouteTable::survey(self.schemas.clone());
        let problems = sorted([self.problems.clone(), found].concat());
        match problems.is_empty() {
            true => Ok(table),
            false => Err(cannot_be_served(&Problems(problems))),
        }
    }
}

/// What a command says that needs a schema without a problem.
pub(super) fn cannot_be_served(problems: &Problems) -> Error {
    Error::Config(format!("the schema cannot be served:\n{problems}"))
}

/// In their order, each once.
pub(super) fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems.dedup();
    problems
}

impl SchemaOptions {
    /// The configuration, with what the flags say; refused if it cannot work.
    pub(super) fn config(&self) -> Result<Config, Error> {
        let mut config = self.read_config()?;
        self.apply(&mut config)?;
        common::check(&config)?;
        Ok(config)
    }

    /// The configuration file alone.
    pub(super) fn read_config(&self) -> Result<Config, ConfigFault> {
        common::read_config(self.config.as_deref())
    }

    /// Where what is said of the whole configuration is.
    pub(super) fn config_position(&self) -> Option<Position> {
        let file = self.config.as_ref()?.display().to_string();
        Some(Position { file, line_column: None })
    }

    /// Lets the flags say what `config` puts on the web.
    pub(super) fn apply(&self, config: &mut Config) -> Result<(), Error> {
        self.upstream.apply_offline(config)
    }

    /// What `config` puts on the web, once it is applied.
    pub(super) fn load(&self, config: &Config) -> Result<Loaded, Error> {
        let mut loaded = Loaded { schemas: Vec::new(), problems: Vec::new(), is_whole: true };
        let mut add = |(schema, Problems(found)): (Option<Schema>, Problems)| {
            loaded.is_whole &= schema.is_some();
            loaded.schemas.extend(schema.map(Arc::new));
            loaded.problems.extend(found);
        };
        if config.upstreams.is_empty() {
            add(match schema_source::exposure(&self.upstream.described("")) {
                Ok(exposure) => Schema::survey(DESCRIPTOR_SET, &exposure),
                Err(error) => (None, Problems(error.problems())),
            });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Config(error.to_string()))?;
        for options in &config.upstreams {
            add(runtime.block_on(schema_source::survey(options)));
        }
        Ok(loaded)
    }
}

fn usage(kind: ErrorKind, message: &str) -> Error {
    Error::Usage(clap::Error::raw(kind, format!("{message}\n")))
}
