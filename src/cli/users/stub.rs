//! A user service in memory, for tests: it fails as it is told, and counts what it is asked.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};
use hyper_util::rt::TokioIo;
use tokio::{sync::Notify, task::AbortHandle};
use tonic::{Request, Response, Status, Streaming, transport::Server};

use super::{
    channel::{endpoint, sound},
    client::Client,
};
use crate::users::{
    UserServiceServer,
    v1::{
        BulkCreateResponse, CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest,
        UpdateUserRequest, User, UserUpdateRequest, user_service_server::UserService,
    },
};

#[derive(Clone, Default)]
pub(super) struct Stub {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    users: Vec<User>,
    /// What the next calls of one message are answered, before those that succeed.
    answers: Vec<Answer>,
    /// After how many users the next lists end, and how.
    breaks: Vec<(usize, Ending)>,
    /// Calls, as `get_user authorization timeout`; lists with their token.
    calls: Vec<String>,
    connections_refused: usize,
    links: Vec<Link>,
}

enum Answer {
    Fails(Status),
    Never,
}

enum Ending {
    Fails(Status),
    Never,
    /// The connection is gone; or nothing comes through it any more.
    Cut,
    Freeze,
}

/// What carries a connection.
struct Link {
    task: AbortHandle,
    freeze: Arc<Notify>,
}

impl Stub {
    pub(super) fn with_users(count: usize) -> Self {
        let stub = Self::default();
        let user = |number| User {
            id: format!("id-{number:04}"),
            email: format!("{number}@b"),
            ..User::default()
        };
        stub.state.lock().unwrap().users = (1..=count).map(user).collect();
        stub
    }

    pub(super) fn fail(&self, status: Status) {
        self.state.lock().unwrap().answers.push(Answer::Fails(status));
    }

    pub(super) fn hang(&self) {
        self.state.lock().unwrap().answers.push(Answer::Never);
    }

    pub(super) fn break_list_after(&self, users: usize, status: Status) {
        self.state.lock().unwrap().breaks.push((users, Ending::Fails(status)));
    }

    pub(super) fn hang_list_after(&self, users: usize) {
        self.state.lock().unwrap().breaks.push((users, Ending::Never));
    }

    pub(super) fn cut_list_after(&self, users: usize) {
        self.state.lock().unwrap().breaks.push((users, Ending::Cut));
    }

    pub(super) fn freeze_list_after(&self, users: usize) {
        self.state.lock().unwrap().breaks.push((users, Ending::Freeze));
    }

    pub(super) fn refuse_connections(&self, count: usize) {
        self.state.lock().unwrap().connections_refused = count;
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }

    /// A client that reaches it without a socket.
    pub(super) fn client(&self) -> Client {
        let stub = self.clone();
        let connector = tower::service_fn(move |_| {
            let stub = stub.clone();
            async move {
                {
                    let mut state = stub.state.lock().unwrap();
                    if state.connections_refused > 0 {
                        state.connections_refused -= 1;
                        return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
                    }
                }
                let (here, mut near) = tokio::io::duplex(64 << 10);
                let (mut far, there) = tokio::io::duplex(64 << 10);
                let freeze = Arc::new(Notify::new());
                let frozen = Arc::clone(&freeze);
                let task = tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        () = frozen.notified() => std::future::pending().await,
                    }
                });
                let link = Link { task: task.abort_handle(), freeze };
                stub.state.lock().unwrap().links.push(link);
                let server = Server::builder().add_service(UserServiceServer::new(stub));
                let incoming =
                    stream::iter([Ok::<_, std::io::Error>(there)]).chain(stream::pending());
                tokio::spawn(server.serve_with_incoming(incoming));
                Ok(TokioIo::new(here))
            }
        });
        let endpoint = endpoint("http://stub".parse().unwrap());
        let channel = sound(endpoint.connect_with_connector_lazy(connector));
        let token = Some("Bearer t0ken".parse().unwrap());
        Client::new(channel, "http://stub".into(), token, Duration::from_secs(5))
    }

    async fn answer<M>(&self, call: &str, request: &Request<M>) -> Result<(), Status> {
        let header = |name| request.metadata().get(name).map_or("-", |v| v.to_str().unwrap());
        let call = format!("{call} {} {}", header("authorization"), header("grpc-timeout"));
        let answer = {
            let mut state = self.state.lock().unwrap();
            state.calls.push(call);
            (!state.answers.is_empty()).then(|| state.answers.remove(0))
        };
        match answer {
            None => Ok(()),
            Some(Answer::Fails(status)) => Err(status),
            Some(Answer::Never) => std::future::pending().await,
        }
    }
}

type UserStream = Pin<Box<dyn Stream<Item = Result<User, Status>> + Send>>;

#[tonic::async_trait]
impl UserService for Stub {
    type ListUsersStream = UserStream;
    type UserUpdatesStream = UserStream;

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        self.answer("get_user", &request).await?;
        let id = request.into_inner().user_id;
        let state = self.state.lock().unwrap();
        let user = state.users.iter().find(|user| user.id == id).cloned();
        user.map(Response::new).ok_or_else(|| Status::not_found(format!("User {id} not found")))
    }

    async fn create_user(
        &self,
        request: Request<CreateUserRequest>,
    ) -> Result<Response<User>, Status> {
        self.answer("create_user", &request).await?;
        Ok(Response::new(User { email: request.into_inner().email, ..User::default() }))
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<UserStream>, Status> {
        let ListUsersRequest { page_token, .. } = request.into_inner();
        let mut state = self.state.lock().unwrap();
        state.calls.push(format!("list_users {page_token}"));
        let users = state.users.iter().filter(|user| user.id > page_token).cloned().map(Ok);
        let users: Vec<_> = users.collect();
        if state.breaks.is_empty() {
            return Ok(Response::new(Box::pin(stream::iter(users))));
        }
        let (count, ending) = state.breaks.remove(0);
        let users = stream::iter(users).take(count);
        Ok(Response::new(match ending {
            Ending::Fails(status) => Box::pin(users.chain(stream::iter([Err(status)]))),
            Ending::Never => Box::pin(users.chain(stream::pending())),
            ending => {
                let links = std::mem::take(&mut state.links);
                let is_cut = matches!(ending, Ending::Cut);
                // Not before the users are on their way.
                let cut = async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    for link in &links {
                        match is_cut {
                            true => link.task.abort(),
                            false => link.freeze.notify_one(),
                        }
                    }
                    std::future::pending().await
                };
                Box::pin(users.chain(stream::once(cut)))
            }
        }))
    }

    async fn bulk_create_users(
        &self,
        request: Request<Streaming<CreateUserRequest>>,
    ) -> Result<Response<BulkCreateResponse>, Status> {
        self.answer("bulk_create_users", &request).await?;
        let mut rows = request.into_inner();
        let mut created_count = 0;
        while rows.message().await?.is_some() {
            created_count += 1;
        }
        Ok(Response::new(BulkCreateResponse { created_count, user_ids: Vec::new() }))
    }

    async fn update_user(&self, _: Request<UpdateUserRequest>) -> Result<Response<User>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn delete_user(
        &self,
        _: Request<DeleteUserRequest>,
    ) -> Result<Response<pbjson_types::Empty>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn user_updates(
        &self,
        _: Request<Streaming<UserUpdateRequest>>,
    ) -> Result<Response<UserStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}
