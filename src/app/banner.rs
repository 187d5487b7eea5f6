//! What a start says: where, what, and a line to paste. At most eight lines.

use crate::{Gateway, config::Config};

pub(super) fn text(config: &Config, gateway: &Gateway) -> String {
    let url = format!("http://{}", config.listen);
    let services = gateway.services().join(", ");
    let routes = gateway.route_count();
    let version = env!("CARGO_PKG_VERSION");
    let database = &config.database;
    let auth = if config.listen.ip().is_loopback() {
        "off: every program on this machine may call everything"
    } else {
        "OFF: everyone who reaches this address may call everything"
    };
    format!(
        "Transom {version} listens on {url}\n\
         \x20 serves  {services}, in process, on {routes} routes\n\
         \x20 speaks  REST/JSON, server-sent events, gRPC-Web, gRPC\n\
         \x20 store   {database}\n\
         \x20 health  {url}/livez  {url}/readyz\n\
         \x20 auth    {auth}\n\
         \x20 try     curl {url}/v1/users -H 'content-type: application/json' \
         -d '{{\"email\":\"ada@example.com\",\"name\":\"Ada\"}}'\n"
    )
}
