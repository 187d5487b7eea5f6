//! `transom serve`: where its configuration comes from.

use std::path::PathBuf;

use clap::Args;

use super::{
    Action, Error,
    common::{self, Common},
};
use crate::config::Upstream;

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    common: Common,

    /// A gRPC service to put on the web, instead of the bundled one; may be given again
    #[arg(long, value_name = "URL", env = "TRANSOM_UPSTREAM", value_delimiter = ',')]
    upstream: Vec<String>,

    /// The upstream's FileDescriptorSet, imports included [default: asked by server reflection]
    #[arg(long, value_name = "FILE", requires = "upstream", conflicts_with = "proto")]
    #[arg(env = "TRANSOM_DESCRIPTOR_SET")]
    descriptor_set: Option<PathBuf>,

    /// A directory of the upstream's .proto files
    #[arg(long, value_name = "DIR", requires = "upstream", env = "TRANSOM_PROTO")]
    proto: Option<PathBuf>,

    /// An origin whose pages may call; * for all, dev for every port of this machine
    #[arg(long, value_name = "ORIGIN", env = "TRANSOM_CORS_ORIGIN", value_delimiter = ',')]
    cors_origin: Vec<String>,

    /// The full names of the services to expose [default: all]
    #[arg(long, value_name = "NAMES", requires = "upstream", value_delimiter = ',')]
    #[arg(env = "TRANSOM_SERVICES")]
    services: Vec<String>,
}

impl Serve {
    pub(super) fn action(self) -> Result<Action, Error> {
        let mut config = self.common.config()?;
        if !self.cors_origin.is_empty() {
            config.cors.origins.clone_from(&self.cors_origin);
        }
        if !self.upstream.is_empty() {
            let of_one = self.descriptor_set.is_some() || self.proto.is_some();
            if of_one && self.upstream.len() > 1 {
                let message = "--descriptor-set and --proto are of one upstream: describe several \
                               in a configuration file, as [[upstreams]]";
                return Err(Error::Config(message.to_owned()));
            }
            let upstream = |url: String| Upstream {
                url,
                descriptor_set: self.descriptor_set.clone(),
                proto: self.proto.clone(),
                services: self.services.clone(),
                ..Upstream::default()
            };
            config.upstreams = self.upstream.into_iter().map(upstream).collect();
        }
        common::check(&config)?;
        Ok(Action::Serve(Box::new(config), self.common.log_format))
    }
}
