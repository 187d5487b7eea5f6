//! `BulkCreateUsers`: many new users, kept in batches.

use futures_util::{Stream, StreamExt as _};
use tonic::Status;

use super::{
    NewUser,
    password::Wait,
    refusal,
    service::UserService,
    v1::{BulkCreateResponse, CreateUserRequest},
};

/// How many rows one transaction keeps; fewer, if the caller has sent no more.
const BATCH: usize = 512;

/// How many rows may wait for their password's hash, behind which those without wait too.
const HASHES_AHEAD: usize = 8;

/// How many ids are answered: 100,000 are some 3.8 MB.
const ID_LIMIT: usize = 100_000;

/// How many bad rows are logged one by one.
const LOGGED_LIMIT: u64 = 100;

/// Keeps what can be kept of `requests`. Those of a batch are kept together and stay, whatever
/// becomes of the call.
pub(super) async fn create<R>(
    service: &UserService,
    requests: R,
) -> Result<BulkCreateResponse, Status>
where
    R: Stream<Item = Result<CreateUserRequest, Status>> + Send,
{
    let prepared = requests
        .enumerate()
        .map(|(row, request)| async move {
            let request = request?;
            Ok::<_, Status>((row, service.prepare(request, Wait::Patiently).await))
        })
        .buffered(HASHES_AHEAD)
        .ready_chunks(BATCH);
    let mut prepared = std::pin::pin!(prepared);
    let mut bad = BadRows::default();
    let mut response = BulkCreateResponse::default();
    while let Some(rows) = prepared.next().await {
        let (mut batch, mut numbers, mut broken) =
            (Vec::with_capacity(rows.len()), Vec::new(), None);
        for row in rows {
            match row {
                Ok((number, Ok(prepared))) => {
                    batch.push(service.new_user(prepared));
                    numbers.push(number);
                }
                Ok((number, Err(refusal))) => bad.note(number, refusal.message()),
                // The stream itself: what came before is kept all the same.
                Err(status) => broken = Some(status),
            }
        }
        keep(service, batch, &numbers, &mut response, &mut bad).await?;
        if let Some(status) = broken {
            return Err(status);
        }
    }
    bad.sum_up(response.created_count);
    Ok(response)
}

async fn keep(
    service: &UserService,
    batch: Vec<NewUser>,
    numbers: &[usize],
    response: &mut BulkCreateResponse,
    bad: &mut BadRows,
) -> Result<(), Status> {
    if batch.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = batch.iter().map(|user| user.record.id.clone()).collect();
    let kept = service.insert_all(batch).await.map_err(refusal::store)?;
    for ((id, is_kept), number) in ids.into_iter().zip(kept).zip(numbers) {
        if !is_kept {
            bad.note(*number, "Email already registered");
            continue;
        }
        response.created_count = response.created_count.saturating_add(1);
        if response.user_ids.len() < ID_LIMIT {
            response.user_ids.push(id);
        }
    }
    Ok(())
}

/// Rows that were passed over; their contents are nobody's business.
#[derive(Default)]
struct BadRows {
    count: u64,
}

impl BadRows {
    fn note(&mut self, row: usize, reason: &str) {
        self.count += 1;
        if self.count <= LOGGED_LIMIT {
            tracing::warn!(row, reason, "a row of a bulk creation was passed over");
        }
    }

    fn sum_up(&self, created: i32) {
        if self.count > 0 {
            tracing::warn!(created, passed_over = self.count, "a bulk creation is done");
        }
    }
}
