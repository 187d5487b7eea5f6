//! `transom user-service`.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;

use super::{
    Action, Error,
    common::{self, Common},
};
use crate::config::Config;

/// Where gRPC services are looked for by custom.
const PORT: u16 = 50051;

#[derive(Args)]
pub(super) struct UserService {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDRESS", env = "TRANSOM_LISTEN")]
    listen: Option<SocketAddr>,

    #[command(flatten)]
    common: Common,
}

impl UserService {
    pub(super) fn action(self) -> Result<Action, Error> {
        let mut config = self.common.config(self.listen)?;
        if self.listen.is_none() && config.listen == Config::default().listen {
            config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        }
        common::check(&config)?;
        Ok(Action::UserService(Box::new(config), self.common.log_format))
    }
}
