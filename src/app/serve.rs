//! `transom serve`: the gateway, in front of the bundled service or of remote ones.

use std::time::Duration;

use super::{
    Error, banner, end_streams, gateway_builder, listen, on_main_runtime,
    rpc_services::RpcServices, stop_signals, store_watch, users,
};
use crate::{
    Gateway, GatewayBuilder,
    config::{self, Config, Pages},
    layers,
    schema::Exposure,
    server::{self, Docs, Hooks, Jwks, Readiness},
    upstream::{
        Upstream,
        schema_source::{self, Described, Source},
    },
    users::{Bundle, DESCRIPTOR_SET},
};

/// How long to wait before asking an upstream again: doubled each time, up to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Runs `transom serve` until it is told to stop; `announce` is given the banner.
pub fn serve(config: Config, announce: impl FnOnce(&str)) -> Result<(), Error> {
    on_main_runtime(run(config, announce))
}

async fn run(mut config: Config, announce: impl FnOnce(&str)) -> Result<(), Error> {
    let listener = listen(&mut config)?;
    let behind = Behind::open(&config).await?;
    let gateway = behind.describe(&config).build()?;
    check_pages(&gateway, &config.pages)?;
    let readiness = Readiness::new();
    let rpc_services = RpcServices::new().await;
    rpc_services.describe(&gateway.services(), &gateway.descriptor_sets());

    let docs = Docs::new(&gateway.route_table());
    let router =
        rpc_services.router().merge(docs.router(&config.pages)).fallback_service(gateway.clone());
    let router = server::router(router, readiness.clone(), behind.jwks(), &config.pages);
    let front = server::front(router, &config.pages, gateway.clone());
    let service = layers::stack(front, &config);
    let stops = stop_signals()?;
    announce(&banner::serve(&config, &gateway));
    tracing::info!(address = %config.listen, "listening");
    let hooks = Hooks {
        readiness: readiness.clone(),
        end_streams: end_streams(&gateway, &rpc_services),
        tells_caller_address: config.upstreams.is_empty(),
        before_workers_stop: behind.close(),
    };
    let reaching = async {
        behind.reach(&config, &gateway, &rpc_services, &docs, &readiness).await?;
        std::future::pending::<Result<(), Error>>().await
    };
    tokio::select! {
        result = server::run(listener, &config.listener, &config.drain, service, stops, hooks) => {
            result?;
        }
        result = reaching => result?,
        () = behind.run(&readiness) => {}
        () = rpc_services.follow(&readiness, || gateway.services()) => {}
    }
    tracing::info!("stopped");
    Ok(())
}

fn check_pages(gateway: &Gateway, pages: &Pages) -> Result<(), Error> {
    let table = gateway.route_table();
    let taken = table.routes().iter().find_map(|route| {
        let path = &route.binding.template;
        pages.key_of(path).map(|key| Error::PageTaken { path: path.clone(), key })
    });
    taken.map_or(Ok(()), Err)
}

/// What is behind the gateway.
enum Behind {
    Users(Box<Bundle>),
    Remote(Vec<Remote>),
}

struct Remote {
    options: config::Upstream,
    upstream: Upstream,
    schema: Option<Described>,
}

impl Behind {
    async fn open(config: &Config) -> Result<Self, Error> {
        if config.upstreams.is_empty() {
            return Ok(Self::Users(Box::new(users::open(config).await?)));
        }
        let mut remotes = Vec::with_capacity(config.upstreams.len());
        for options in &config.upstreams {
            let upstream = Upstream::remote(options)?;
            let schema = ask(options).await?;
            remotes.push(Remote { options: options.clone(), upstream, schema });
        }
        Ok(Self::Remote(remotes))
    }

    /// A gateway for everything whose schema is known.
    fn describe(&self, config: &Config) -> GatewayBuilder {
        let builder = gateway_builder(config);
        match self {
            Self::Users(bundle) => builder.service(DESCRIPTOR_SET, bundle.service()),
            Self::Remote(remotes) => describe(remotes, builder),
        }
    }

    /// Asks each upstream until it answers; not ready before that.
    async fn reach(
        &self,
        config: &Config,
        gateway: &Gateway,
        rpc_services: &RpcServices,
        docs: &Docs,
        readiness: &Readiness,
    ) -> Result<(), Error> {
        let Self::Remote(remotes) = self else { return Ok(()) };
        let hold = readiness.hold();
        let mut described = Vec::with_capacity(remotes.len());
        for Remote { options, upstream, schema } in remotes {
            let mut schema = schema.clone();
            let mut wait = RETRY.0;
            while !is_reached(options, upstream, &mut schema).await? {
                tokio::time::sleep(wait).await;
                wait = RETRY.1.min(2 * wait);
            }
            let (options, upstream) = (options.clone(), upstream.clone());
            described.push(Remote { options, upstream, schema });
        }
        if remotes.iter().any(|remote| remote.schema.is_none()) {
            gateway.replace(describe(&described, Gateway::builder()))?;
            check_pages(gateway, &config.pages)?;
            rpc_services.describe(&gateway.services(), &gateway.descriptor_sets());
            docs.update(&gateway.route_table());
            let (services, routes) = (gateway.services(), gateway.route_count());
            tracing::info!(?services, routes, "the upstream has told its services");
        }
        drop(hold);
        Ok(())
    }

    /// The keys that tokens of the bundled service are signed with.
    fn jwks(&self) -> Option<Jwks> {
        let Self::Users(bundle) = self else { return None };
        Some(users::jwks(bundle))
    }

    /// What the bundled service does beside its calls, for as long as it is polled.
    async fn run(&self, readiness: &Readiness) {
        match self {
            Self::Users(bundle) => {
                tokio::join!(bundle.run(), store_watch::watch(bundle.store(), readiness));
            }
            Self::Remote(_) => std::future::pending().await,
        }
    }

    async fn close(&self) {
        if let Self::Users(bundle) = self {
            bundle.store().close().await;
        }
    }
}

/// The schema, if it is known now.
async fn ask(options: &config::Upstream) -> Result<Option<Described>, Error> {
    match schema_source::load(options).await? {
        Source::Known(described) => Ok(Some(described)),
        Source::Unavailable(error) => {
            // Why there is no connection is logged by who tried.
            if !error.is_unreached() {
                tracing::warn!(url = options.url, %error, "the schema cannot be asked for yet");
            }
            Ok(None)
        }
    }
}

async fn is_reached(
    options: &config::Upstream,
    upstream: &Upstream,
    schema: &mut Option<Described>,
) -> Result<bool, Error> {
    if schema.is_none() {
        *schema = ask(options).await?;
        return Ok(schema.is_some());
    }
    Ok(match upstream {
        Upstream::Remote(remote) => remote.probe().await.is_ok(),
        Upstream::Service(_) => true,
    })
}

fn describe(remotes: &[Remote], builder: GatewayBuilder) -> GatewayBuilder {
    let is_pending = remotes.iter().any(|remote| remote.schema.is_none());
    let known = remotes.iter().filter_map(|remote| Some((remote, remote.schema.clone()?)));
    known.fold(builder.pending(is_pending), |builder, (remote, described)| {
        let Exposure { services, service_config } = described.exposure;
        let builder = builder.upstream(described.descriptor_set, remote.upstream.clone());
        let builder = builder.expose(&services);
        service_config.into_iter().fold(builder, GatewayBuilder::service_config)
    })
}
