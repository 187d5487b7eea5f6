//! `transom user-service`: the bundled service alone, for gRPC callers.

use tonic::service::Routes;

use super::{
    Error, banner, listen, on_main_runtime, rpc_services::RpcServices, stop_signals, users,
};
use crate::{
    config::Config,
    layers,
    server::{self, Hooks, Readiness},
    users::DESCRIPTOR_SET,
};

/// The service's full name.
const NAME: &str = "user.v1.UserService";

/// Runs `transom user-service` until it is told to stop; `announce` is given the banner.
pub fn user_service(config: Config, announce: impl FnOnce(&str)) -> Result<(), Error> {
    on_main_runtime(run(config, announce))
}

async fn run(mut config: Config, announce: impl FnOnce(&str)) -> Result<(), Error> {
    let listener = listen(&mut config)?;
    let store = users::open_store(&config.database).await?;
    let readiness = Readiness::new();
    let rpc_services = RpcServices::new().await;
    rpc_services.describe(&[NAME.to_owned()], &[DESCRIPTOR_SET.into()]);
    let routes = Routes::new(users::service(std::sync::Arc::clone(&store))).into_axum_router();
    let service = layers::stack(
        server::router(routes.merge(rpc_services.router()), readiness.clone(), &config.pages),
        &config,
    );
    let stops = stop_signals()?;
    announce(&banner::user_service(&config));
    tracing::info!(address = %config.listen, "listening");
    let hooks = Hooks {
        readiness: readiness.clone(),
        end_streams: Box::new(|| {}),
        before_workers_stop: async { store.close().await },
    };
    tokio::select! {
        result = server::run(listener, &config.listener, &config.drain, service, stops, hooks) => {
            result?;
        }
        () = rpc_services.follow(&readiness, || vec![NAME.to_owned()]) => {}
    }
    tracing::info!("stopped");
    Ok(())
}
