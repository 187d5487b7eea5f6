//! `user.v2`: a version of a service beside the one before.

use tonic::{Request, Response, Status};

pub mod v2 {
    tonic::include_proto!("user.v2");
}

use v2::{GetUserRequest, Name, User, user_service_server};

pub use v2::user_service_server::UserServiceServer;

/// Knows everybody, and calls them all alike.
pub struct Users;

#[tonic::async_trait]
impl user_service_server::UserService for Users {
    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let id = request.into_inner().user_id;
        let name = Some(Name { given: "Ada".to_owned(), family: "Lovelace".to_owned() });
        Ok(Response::new(User { id, email: "ada@example.com".to_owned(), name }))
    }
}
