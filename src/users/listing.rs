//! A walk through the store, page by page: nothing is held open between two pages, and nothing is
//! read before it is asked for.

use std::{collections::VecDeque, sync::Arc};

use futures_util::{Stream, stream};
use tonic::Status;
use uuid::Uuid;

use super::{
    Store, StoreError, UserRecord,
    refusal::{self, Violation},
    service::message,
    v1::{ListUsersRequest, User},
};

/// Rows read from the store at a time when the caller does not say.
const DEFAULT_PAGE_SIZE: u32 = 100;
const MAX_PAGE_SIZE: u32 = 1_000;

/// The users that `request` asks for, each read as the one before is taken.
pub(super) fn users(
    store: &Arc<dyn Store>,
    request: ListUsersRequest,
) -> Result<impl Stream<Item = Result<User, Status>> + Send + use<>, Status> {
    let ListUsersRequest { page_size, page_token } = request;
    let page_size = match u32::try_from(page_size) {
        Ok(0) => DEFAULT_PAGE_SIZE,
        Ok(rows @ 1..=MAX_PAGE_SIZE) => rows,
        _ => {
            let reason = "must be 0 to 1,000";
            return Err(Violation::new("Invalid page size", "page_size", reason).into());
        }
    };
    let after = match page_token.as_str() {
        "" => String::new(),
        // In the spelling that ids are kept in: they are compared as text.
        token => Uuid::try_parse(token).map(|id| id.hyphenated().to_string()).map_err(|_| {
            let reason = "must be the id of the last user seen";
            Violation::new("Invalid page token", "page_token", reason)
        })?,
    };
    let pages =
        Pages { store: Arc::clone(store), page_size, after, page: VecDeque::new(), is_last: false };
    Ok(stream::unfold(pages, |mut pages| async {
        let next = pages.next().await.transpose()?;
        Some((next.map(message).map_err(refusal::store), pages))
    }))
}

struct Pages {
    store: Arc<dyn Store>,
    page_size: u32,
    after: String,
    page: VecDeque<UserRecord>,
    is_last: bool,
}

impl Pages {
    async fn next(&mut self) -> Result<Option<UserRecord>, StoreError> {
        if self.page.is_empty() && !self.is_last {
            let page = self.store.page(&self.after, self.page_size).await;
            // After a failure there is nothing more to say.
            self.is_last = page.as_ref().map_or(true, |page| page.len() < self.page_size as usize);
            self.page = page?.into();
            if let Some(last) = self.page.back() {
                self.after.clone_from(&last.id);
            }
        }
        Ok(self.page.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use futures_util::StreamExt as _;
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::{super::store::stub::StubStore, *};

    fn list(store: &Arc<dyn Store>, page_size: i32) -> impl Stream<Item = Result<User, Status>> {
        users(store, ListUsersRequest { page_size, page_token: String::new() }).unwrap()
    }

    #[tokio::test]
    async fn the_store_is_read_a_page_at_a_time_as_users_are_taken() {
        let stub = Arc::new(StubStore::with_users(250));
        let store: Arc<dyn Store> = stub.clone();
        let pages = || stub.pages_read.load(Ordering::SeqCst);
        let mut listed = Box::pin(list(&store, 0));
        assert_eq!(pages(), 0);
        listed.next().await.unwrap().unwrap();
        assert_eq!(pages(), 1);
        assert_eq!(listed.count().await, 249);
        assert_eq!(pages(), 3);
        assert_eq!(list(&store, 7).count().await, 250);
    }

    #[tokio::test]
    async fn a_store_that_fails_ends_the_list_with_that() {
        let stub = Arc::new(StubStore::with_users(2));
        let store: Arc<dyn Store> = stub.clone();
        let mut listed = Box::pin(list(&store, 1));
        listed.next().await.unwrap().unwrap();
        stub.is_down.store(true, Ordering::SeqCst);
        assert_eq!(listed.next().await.unwrap().unwrap_err().code(), Code::Unavailable);
        assert!(listed.next().await.is_none());
    }

    #[tokio::test]
    async fn a_page_size_or_token_that_makes_no_sense_is_refused() {
        let store: Arc<dyn Store> = Arc::new(StubStore::with_users(1));
        for (page_size, page_token) in [(-1, ""), (1_001, ""), (0, "nope")] {
            let request = ListUsersRequest { page_size, page_token: page_token.into() };
            let status = users(&store, request).err().unwrap();
            assert_eq!(status.code(), Code::InvalidArgument);
            assert_eq!(status.get_details_bad_request().unwrap().field_violations.len(), 1);
        }
    }
}
