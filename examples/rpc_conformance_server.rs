//! Transom as the server under test of Connect's conformance suite: reads one
//! `ServerCompatRequest` from stdin, starts a gateway that is as it asks, and says on stdout where.
//!
//! `tests/run rpc-conformance` starts one for each configuration, all in front of one reference
//! gRPC server. It also shows a whole server on the library alone: schema, gateway, layers, socket.
//!
//! ```text
//! rpc_conformance_server http://HOST:PORT PROTOS
//! ```
//!
//! The first is the upstream, the second a directory of `.proto` files.

use std::{
    env,
    error::Error,
    io::{self, Read as _, Write as _},
};

use prost::Message as _;
use tokio::sync::mpsc;
use transom::{
    Gateway,
    config::{self, Config, Deadlines, Limits},
    layers,
    server::{self, Hooks, Readiness},
    upstream::{
        Upstream,
        schema_source::{self, Source},
    },
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(url), Some(protos)) = (arguments.next(), arguments.next()) else {
        return Err("usage: rpc_conformance_server URL PROTOS".into());
    };
    let request = read_request()?;
    if request.use_tls {
        return Err("the listener has no TLS".into());
    }
    let options = config::Upstream { url, proto: Some(protos.into()), ..Default::default() };
    let limits = Limits {
        message_limit_bytes: match request.message_receive_limit {
            0 => Limits::default().message_limit_bytes,
            bytes => usize::try_from(bytes)?,
        },
        ..Limits::default()
    };
    // Whether a call has a deadline is the suite's to say, and it looks for none where it said none.
    let deadlines = Deadlines { unary_ms: 0, ..Deadlines::default() };
    let config = Config { limits, deadlines, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(&config, &options))
}

async fn serve(config: &Config, options: &config::Upstream) -> Result<(), Box<dyn Error>> {
    let Source::Known(described) = schema_source::load(options).await? else {
        return Err("the schema comes from files".into());
    };
    let gateway = Gateway::builder()
        .upstream(described.descriptor_set, Upstream::remote(options)?)
        .limits(config.limits.clone())
        .deadlines(config.deadlines.clone())
        .build()?;

    let readiness = Readiness::new();
    let router = axum::Router::new().fallback_service(gateway.clone());
    let router = server::router(router, readiness.clone(), None, &config.pages);
    let service = layers::stack(router, config);
    let listener = server::bind(([127, 0, 0, 1], 0).into(), config.listener.backlog)?;
    // Callers that come before the workers wait in the backlog.
    write_response(&Response {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr()?.port().into(),
    })?;
    let hooks = Hooks {
        readiness,
        end_streams: Box::new(move || gateway.end_streams()),
        tells_caller_address: false,
        before_workers_stop: async {},
    };
    // The suite ends its servers with SIGTERM, which nobody here waits for.
    let (_stop, stops) = mpsc::channel(1);
    server::run(listener, &config.listener, &config.drain, service, stops, hooks).await?;
    Ok(())
}

/// The one request that is sent, behind its length.
fn read_request() -> Result<Request, Box<dyn Error>> {
    let mut stdin = io::stdin().lock();
    let mut length = [0; 4];
    stdin.read_exact(&mut length)?;
    let mut message = Vec::new();
    stdin.take(u32::from_be_bytes(length).into()).read_to_end(&mut message)?;
    Ok(Request::decode(&*message)?)
}

fn write_response(response: &Response) -> Result<(), Box<dyn Error>> {
    let message = response.encode_to_vec();
    let mut stdout = io::stdout().lock();
    stdout.write_all(&u32::try_from(message.len())?.to_be_bytes())?;
    stdout.write_all(&message)?;
    Ok(stdout.flush()?)
}

// What is used of server_compat.proto. Protocol and version of HTTP are the caller's choice: one
// listener has them all.

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(bool, tag = "4")]
    use_tls: bool,
    #[prost(uint32, tag = "6")]
    message_receive_limit: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(string, tag = "1")]
    host: String,
    #[prost(uint32, tag = "2")]
    port: u32,
}
