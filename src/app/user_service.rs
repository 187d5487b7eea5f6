//! `transom user-service`: the bundled service alone, for gRPC callers.

use std::sync::Arc;

use tonic::service::Routes;

use super::{
    Error, banner, listen, on_main_runtime, rpc_services::RpcServices, stop_signals, store_watch,
    users,
};
use crate::{
    config::Config,
    layers,
    server::{self, Hooks, Jwks, Readiness},
    users::{DESCRIPTOR_SET, SERVICES},
};

/// Runs `transom user-service` until it is told to stop; `announce` is given the banner.
pub fn user_service(config: Config, announce: impl FnOnce(&str)) -> Result<(), Error> {
    on_main_runtime(run(config, announce))
}

async fn run(mut config: Config, announce: impl FnOnce(&str)) -> Result<(), Error> {
    let listener = listen(&mut config)?;
    let bundle = users::open(&config).await?;
    let readiness = Readiness::new();
    let rpc_services = RpcServices::new().await;
    let services = SERVICES.map(str::to_owned);
    rpc_services.describe(&services, &[DESCRIPTOR_SET.into()]);
    let routes = Routes::new(bundle.user_service()).add_service(bundle.auth_service());
    let router = routes.into_axum_router().merge(rpc_services.router());
    let auth = bundle.auth().clone();
    let jwks: Jwks = Arc::new(move || auth.jwks());
    let router = server::router(router, readiness.clone(), Some(jwks), &config.pages);
    let service = layers::stack(router, &config);
    let stops = stop_signals()?;
    announce(&banner::user_service(&config));
    tracing::info!(address = %config.listen, "listening");
    let hooks = Hooks {
        readiness: readiness.clone(),
        end_streams: Box::new({
            let bundle = bundle.clone();
            move || bundle.end_streams()
        }),
        tells_caller_address: false,
        before_workers_stop: async { bundle.store().close().await },
    };
    tokio::select! {
        result = server::run(listener, &config.listener, &config.drain, service, stops, hooks) => {
            result?;
        }
        () = rpc_services.follow(&readiness, || services.to_vec()) => {}
        () = bundle.run() => {}
        () = store_watch::watch(bundle.store(), &readiness) => {}
    }
    tracing::info!("stopped");
    Ok(())
}
