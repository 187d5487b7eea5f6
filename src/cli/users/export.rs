//! `transom users export`: every user as a line of JSON, in a file that is there when it is whole.

use std::{
    fs::{self, OpenOptions},
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    Error,
    atomic_file::AtomicFile,
    client::Client,
    connection::{Connection, Deadline},
    list::write_users,
    output::{Output, UserWriter},
    progress::Progress,
    stop::Stop,
};

/// The most that the service reads at a time.
const PAGE_SIZE: i32 = 1_000;

#[derive(Args)]
pub(super) struct Export {
    /// Where to; it is replaced once everything is there, and its owner alone may read it. Without
    /// one, or with -, standard output
    #[arg(value_name = "FILE|-")]
    file: Option<PathBuf>,

    #[command(flatten)]
    connection: Connection,
}

impl Export {
    pub(super) async fn run(self, output: &mut dyn Write) -> Result<u8, Error> {
        let client = self.connection.client(&Deadline::default())?;
        match self.file.filter(|file| file.as_os_str() != "-") {
            Some(file) => to_file(&client, &file).await?,
            None => {
                // Two writers on one terminal would only disturb each other.
                let progress = match io::stdout().is_terminal() {
                    true => Progress::none(),
                    false => Progress::of_count(),
                };
                export(&client, output, &progress).await?;
            }
        }
        Ok(0)
    }
}

async fn to_file(client: &Client, file: &Path) -> Result<(), Error> {
    let failed = |error| Error::Failed(format!("{}: {error}", file.display()));
    let progress = Progress::of_count();
    let count = match fs::metadata(file) {
        // A pipe or a device is written to; a file in its place would be none.
        Ok(metadata) if !metadata.is_file() => {
            let device = OpenOptions::new().write(true).open(file).map_err(failed)?;
            let mut device = BufWriter::new(device);
            let count = export(client, &mut device, &progress).await.map_err(of_file(file))?;
            device.flush().map_err(failed)?;
            count
        }
        _ => {
            let mut stop = Stop::listen();
            let mut written = AtomicFile::create(file).map_err(failed)?;
            let count = tokio::select! {
                count = export(client, &mut written, &progress) => count.map_err(of_file(file))?,
                () = stop.asked() => {
                    let told = format!("interrupted: {} is as it was", file.display());
                    return Err(Error::Failed(told));
                }
            };
            written.commit().map_err(failed)?;
            count
        }
    };
    let s = if count == 1 { "" } else { "s" };
    progress.note(&format!("{count} user{s} in {}", file.display()));
    Ok(())
}

async fn export(
    client: &Client,
    output: &mut dyn Write,
    progress: &Progress,
) -> Result<u64, Error> {
    let mut writer = UserWriter::new(output, Output::Json)?;
    let told = |count: u64| {
        if count.is_multiple_of(100) && progress.is_seen() {
            progress.at(0, format!("{count} users"));
        }
    };
    write_users(&mut client.list(PAGE_SIZE), u64::MAX, &mut writer, told).await
}

/// What could not be written is not standard output, but `file`.
fn of_file(file: &Path) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::Output(error) => Error::Failed(format!("{}: {error}", file.display())),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::{super::stub::Stub, *};

    #[tokio::test(start_paused = true)]
    async fn a_list_that_fails_for_good_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.jsonl");
        fs::write(&file, "before").unwrap();
        let stub = Stub::with_users(5);
        stub.break_list_after(2, Status::internal("the disk is on fire"));
        let failed = to_file(&stub.client(), &file).await;
        assert!(matches!(failed, Err(Error::Failed(told)) if told.contains("on fire")));
        assert_eq!(fs::read_to_string(&file).unwrap(), "before");

        to_file(&stub.client(), &file).await.unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 5);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
