//! `transom users list`.

use std::{future::ready, io::Write, pin::pin};

use clap::Args;

use super::{
    Error,
    connection::{Connection, Deadline},
    output::{OutputOptions, UserWriter},
    user_list::UserList,
};

#[derive(Args)]
pub(super) struct List {
    /// Users that the service reads at a time, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    page_size: i32,

    /// Stop after so many users [default: none]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    #[command(flatten)]
    output: OutputOptions,

    #[command(flatten)]
    connection: Connection,
}

impl List {
    pub(super) async fn run(self, output: &mut dyn Write) -> Result<u8, Error> {
        let limit = self.limit.unwrap_or(u64::MAX);
        let page_size = self.page_size.min(i32::try_from(limit.max(1)).unwrap_or(i32::MAX));
        let mut users = self.connection.client(&Deadline::default())?.list(page_size);
        let mut writer = UserWriter::new(output, self.output.format())?;
        write_users(&mut users, limit, &mut writer, |_| ()).await?;
        Ok(0)
    }
}

/// Writes users as they are read, and whatever there is before it waits for more; `told` hears how
/// many there are.
pub(super) async fn write_users(
    users: &mut UserList,
    limit: u64,
    writer: &mut UserWriter<'_>,
    mut told: impl FnMut(u64),
) -> Result<u64, Error> {
    let mut count = 0;
    while count < limit {
        let mut next = pin!(users.next());
        let next = tokio::select! {
            biased;
            user = &mut next => user,
            () = ready(()) => {
                writer.flush()?;
                next.await
            }
        };
        let Some(user) = next? else { break };
        writer.write(&user)?;
        count += 1;
        told(count);
    }
    writer.flush()?;
    Ok(count)
}
