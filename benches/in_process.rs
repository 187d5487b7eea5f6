//! One in-memory user service over REST, served in one of two ways, for `benches/in_process` and
//! `benches/idle_streams`:
//!
//! - `transom ADDRESS`: all that the binary has around a call (server, layers, router, gateway);
//!   the service is called in process.
//! - `hand-written ADDRESS`: what one would write for this one method: axum, pbjson's `Json<User>`
//!   and a call of the service's trait.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
    serve::ListenerExt as _,
};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};
use transom::{
    Gateway,
    config::Config,
    layers,
    server::{self, Hooks, Readiness},
    users::{
        DESCRIPTOR_SET, UserServiceServer,
        v1::{
            BulkCreateResponse, CreateUserRequest, DeleteUserRequest, GetUserRequest,
            ListUsersRequest, UpdateUserRequest, User, UserStatus, UserUpdateRequest,
            user_service_server::UserService,
        },
    },
};

type Error = Box<dyn std::error::Error>;

/// Knows one user.
#[derive(Clone)]
struct Memory(Arc<User>);

type Users = Pin<Box<dyn Stream<Item = Result<User, Status>> + Send>>;

#[tonic::async_trait]
impl UserService for Memory {
    type ListUsersStream = Users;
    type UserUpdatesStream = Users;

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        match request.get_ref().user_id == self.0.id {
            true => Ok(Response::new(User::clone(&self.0))),
            false => Err(Status::not_found("no such user")),
        }
    }

    async fn create_user(&self, _: Request<CreateUserRequest>) -> Result<Response<User>, Status> {
        Err(Status::unimplemented("only read"))
    }

    /// The user, and then nothing for as long as somebody listens.
    async fn list_users(&self, _: Request<ListUsersRequest>) -> Result<Response<Users>, Status> {
        let user = User::clone(&self.0);
        let users = stream::once(async { Ok(user) }).chain(stream::pending());
        Ok(Response::new(Box::pin(users)))
    }

    async fn update_user(&self, _: Request<UpdateUserRequest>) -> Result<Response<User>, Status> {
        Err(Status::unimplemented("only read"))
    }

    async fn delete_user(
        &self,
        _: Request<DeleteUserRequest>,
    ) -> Result<Response<pbjson_types::Empty>, Status> {
        Err(Status::unimplemented("only read"))
    }

    async fn bulk_create_users(
        &self,
        _: Request<Streaming<CreateUserRequest>>,
    ) -> Result<Response<BulkCreateResponse>, Status> {
        Err(Status::unimplemented("only read"))
    }

    async fn user_updates(
        &self,
        _: Request<Streaming<UserUpdateRequest>>,
    ) -> Result<Response<Users>, Status> {
        Err(Status::unimplemented("only read"))
    }
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (kind, address) = (arguments.next(), arguments.next());
    let address: SocketAddr = address.ok_or("say where to listen")?.parse()?;
    let memory = Memory(Arc::new(User {
        id: "u-00000042".to_owned(),
        email: "user42@example.com".to_owned(),
        name: "Test User Number 42".to_owned(),
        status: UserStatus::Active.into(),
        created_at: Some(pbjson_types::Timestamp { seconds: 1_704_069_762, nanos: 42_000_000 }),
    }));
    match kind.as_deref() {
        Some("transom") => through_transom(address, memory),
        Some("hand-written") => by_hand(address, memory),
        _ => Err("say `transom ADDRESS` or `hand-written ADDRESS`".into()),
    }
}

/// The binary's own composition, without its pages.
#[tokio::main(flavor = "current_thread")]
async fn through_transom(address: SocketAddr, memory: Memory) -> Result<(), Error> {
    let mut config = Config::default();
    // As an upstream it has every stream of a gateway on one connection.
    config.listener.http2.max_streams = 20_000;
    let gateway = Gateway::builder()
        .service(DESCRIPTOR_SET, UserServiceServer::new(memory))
        .expose(&["user.v1.UserService".to_owned()])
        .build()?;
    let readiness = Readiness::new();
    let router = Router::new().fallback_service(gateway.clone());
    let router = server::router(router, readiness.clone(), None, &config.pages);
    let front = server::front(router, &config.pages, gateway.clone());
    let service = layers::stack(front, &config);
    let listener = server::bind(address, config.listener.backlog)?;
    // Nobody asks it to stop: it is killed.
    let (_stop, stops) = mpsc::channel(1);
    let end_streams = Box::new(move || gateway.end_streams());
    let hooks = Hooks {
        readiness,
        end_streams,
        tells_caller_address: false,
        before_workers_stop: async {},
    };
    Ok(server::run(listener, &config.listener, &config.drain, service, stops, hooks).await?)
}

#[tokio::main]
async fn by_hand(address: SocketAddr, memory: Memory) -> Result<(), Error> {
    async fn get_user(
        State(memory): State<Memory>,
        Path(user_id): Path<String>,
    ) -> Result<Json<User>, StatusCode> {
        let found = memory.get_user(Request::new(GetUserRequest { user_id })).await;
        found.map(|user| Json(user.into_inner())).map_err(|_| StatusCode::NOT_FOUND)
    }
    let router = Router::new().route("/v1/users/{user_id}", get(get_user)).with_state(memory);
    let listener = tokio::net::TcpListener::bind(address).await?.tap_io(|io| {
        let _ = io.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}
