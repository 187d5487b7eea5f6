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
    upstream::schema_source::{self, Source, SourceError},
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
        Ok(())
    }

    /// The same where nothing is called: a schema that is in files needs no URL.
    fn apply_offline(&self, config: &mut Config) -> Result<(), Error> {
        if self.upstream.is_empty() && (self.descriptor_set.is_some() || self.proto.is_some()) {
            config.upstreams = vec![self.described("")];
            return Ok(());
        }
        self.apply(config)
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

/// Schemas, and the routes they make together.
pub(super) struct Loaded {
    /// In the order of the upstreams; those without a problem of their own.
    pub(super) schemas: Vec<Arc<Schema>>,
    /// The routes, or everything that keeps them from being served.
    pub(super) table: Result<RouteTable, Problems>,
}

impl SchemaOptions {
    /// Reads and asks for everything. What cannot be read, and what is wrong with what was, is
    /// among the table's problems.
    pub(super) fn load(&self) -> Result<Loaded, Error> {
        let mut config = self.read_config()?;
        self.apply(&mut config)?;
        common::check(&config)?;
        load(&config)
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
}

/// The schemas of what `config` puts on the web.
pub(super) fn load(config: &Config) -> Result<Loaded, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Config(error.to_string()))?;
    let (mut schemas, mut problems) = (Vec::new(), Vec::new());
    let mut add = |schema: Result<Schema, Problems>| match schema {
        Ok(schema) => schemas.push(Arc::new(schema)),
        Err(found) => problems.extend(found.0),
    };
    if config.upstreams.is_empty() {
        add(Schema::from_descriptor_set(DESCRIPTOR_SET));
    }
    for options in &config.upstreams {
        add(match runtime.block_on(schema_source::load(options)) {
            Ok(Source::Known(described)) => described.schema(),
            Ok(Source::Unavailable(error)) => {
                let url = &options.url;
                Err(nowhere(format!(
                    "{url}: {error}. Say where its schema is: --descriptor-set FILE or --proto DIR"
                )))
            }
            Err(SourceError::Problems(found)) => Err(found),
            Err(error) => Err(nowhere(error.to_string())),
        });
    }
    problems.sort();
    let table = match problems.is_empty() {
        true => RouteTable::build(schemas.clone()),
        false => Err(Problems(problems)),
    };
    Ok(Loaded { schemas, table })
}

fn usage(kind: ErrorKind, message: &str) -> Error {
    Error::Usage(clap::Error::raw(kind, format!("{message}\n")))
}

fn nowhere(message: String) -> Problems {
    Problems(vec![Problem { position: None, message }])
}
