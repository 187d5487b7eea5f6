//! What a start says: where, what, and a line to paste. At most eight lines.

use crate::{
    Gateway,
    config::{AuthMode, Config},
    users::SERVICES,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn serve(config: &Config, gateway: &Gateway) -> String {
    let url = format!("http://{}", config.listen);
    let routes = match gateway.route_count() {
        1 => "1 route".to_owned(),
        count => format!("{count} routes"),
    };
    let services = match gateway.services() {
        services if services.is_empty() => "nothing yet: the upstream cannot be reached".to_owned(),
        services => format!("{} ({routes})", services.join(", ")),
    };
    let behind = match config.upstreams.as_slice() {
        [] => format!("in process, users in {}", config.database),
        remotes => remotes.iter().map(|r| r.url.as_str()).collect::<Vec<_>>().join(", "),
    };
    let pages = [&config.pages.console, &config.pages.docs, &config.pages.readyz];
    let pages = pages.into_iter().filter(|page| !page.is_empty());
    let pages = pages.map(|page| format!("{url}{page}")).collect::<Vec<_>>().join("  ");
    let try_it = match config.upstreams.is_empty() {
        true => format!(
            "curl {url}/v1/users -H 'content-type: application/json' \
             -d '{{\"email\":\"ada@example.com\",\"name\":\"Ada\",\"password\":\"correct horse\"}}'"
        ),
        false => format!("curl {url}/readyz"),
    };
    format!(
        "Transom {VERSION} listens on {url}\n\
         \x20 serves  {services}\n\
         \x20 from    {behind}\n\
         \x20 speaks  REST/JSON, server-sent events, NDJSON, WebSocket, gRPC-Web, gRPC, Connect\n\
         \x20 pages   {pages}\n\
         \x20 auth    {}{}\n\
         \x20 try     {try_it}\n",
        auth(config),
        if config.cors.is_open() { "; pages of EVERY origin may call" } else { "" },
    )
}

pub(super) fn user_service(config: &Config) -> String {
    let address = config.listen;
    format!(
        "Transom {VERSION} user service listens on http://{address}\n\
         \x20 serves  {}, grpc.health.v1.Health, server reflection\n\
         \x20 from    users in {}\n\
         \x20 speaks  gRPC\n\
         \x20 auth    {}\n\
         \x20 try     transom serve --upstream http://{address}\n",
        SERVICES.join(", "),
        config.database,
        auth(config)
    )
}

fn auth(config: &Config) -> &'static str {
    if config.auth.mode == AuthMode::Jwt {
        "jwt: methods take the token of a login, but CreateUser, Login and Refresh"
    } else if config.listen.ip().is_loopback() {
        "off: every program on this machine may call everything"
    } else {
        "OFF: everyone who reaches this address may call everything"
    }
}
