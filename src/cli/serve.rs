//! `transom serve`: where its configuration comes from.

use std::net::SocketAddr;

use clap::Args;

use super::{
    Action, Error,
    common::{self, Common},
    schema::UpstreamOptions,
};

#[derive(Args)]
pub(super) struct Serve {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", env = "TRANSOM_LISTEN")]
    listen: Option<SocketAddr>,

    #[command(flatten)]
    common: Common,

    #[command(flatten)]
    upstream: UpstreamOptions,

    /// An origin whose pages may call; * for all, dev for every port of this machine
    #[arg(long, value_name = "ORIGIN", env = "TRANSOM_CORS_ORIGIN", value_delimiter = ',')]
    cors_origin: Vec<String>,
}

impl Serve {
    pub(super) fn action(self) -> Result<Action, Error> {
        let mut config = self.common.config(self.listen)?;
        if !self.cors_origin.is_empty() {
            config.cors.origins.clone_from(&self.cors_origin);
        }
        self.upstream.apply(&mut config)?;
        common::check(&config)?;
        Ok(Action::Serve(Box::new(config), self.common.log_format))
    }
}
