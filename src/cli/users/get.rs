//! `transom users get`.

use std::io::Write;

use clap::Args;

use super::{
    Error,
    connection::{Connection, Deadline},
    output::{OutputOptions, UserWriter},
};

#[derive(Args)]
pub(super) struct Get {
    /// The user's id
    id: String,

    #[command(flatten)]
    output: OutputOptions,

    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    deadline: Deadline,
}

impl Get {
    pub(super) async fn run(self, output: &mut dyn Write) -> Result<u8, Error> {
        let user = self.connection.client(&self.deadline)?.get(&self.id).await?;
        UserWriter::new(output, self.output.format())?.write(&user)?;
        Ok(0)
    }
}
