//! `transom user-service`: the bundled service alone, for gRPC callers. A gateway is in front of it
//! here too: it has the deadlines and limits that tonic's services have not by themselves.

use super::{
    Error, banner, end_streams, gateway_builder, listen, on_main_runtime,
    rpc_services::RpcServices, stop_signals, store_watch, users,
};
use crate::{
    config::Config,
    layers,
    server::{self, Hooks, Readiness},
    users::DESCRIPTOR_SET,
};

/// Runs `transom user-service` until it is told to stop; `announce` is given the banner.
pub fn user_service(config: Config, announce: impl FnOnce(&str)) -> Result<(), Error> {
    on_main_runtime(run(config, announce))
}

async fn run(mut config: Config, announce: impl FnOnce(&str)) -> Result<(), Error> {
    let listener = listen(&mut config)?;
    let bundle = users::open(&config).await?;
    let gateway = gateway_builder(&config).service(DESCRIPTOR_SET, bundle.service()).build()?;
    let readiness = Readiness::new();
    let rpc_services = RpcServices::new().await;
    rpc_services.describe(&gateway.services(), &gateway.descriptor_sets());
    let router = rpc_services.router().fallback_service(gateway.clone());
    let jwks = Some(users::jwks(&bundle));
    let router = server::router(router, readiness.clone(), jwks, &config.pages);
    let front = server::front(router, &config.pages, gateway.clone());
    let service = layers::stack(front, &config);
    let stops = stop_signals()?;
    announce(&banner::user_service(&config));
    tracing::info!(address = %config.listen, "listening");
    let hooks = Hooks {
        readiness: readiness.clone(),
        end_streams: end_streams(&gateway, &rpc_services),
        tells_caller_address: false,
        before_workers_stop: async { bundle.store().close().await },
    };
    tokio::select! {
        result = server::run(listener, &config.listener, &config.drain, service, stops, hooks) => {
            result?;
        }
        () = rpc_services.follow(&readiness, || gateway.services()) => {}
        () = bundle.run() => {}
        () = store_watch::watch(bundle.store(), &readiness) => {}
    }
    tracing::info!("stopped");
    Ok(())
}
