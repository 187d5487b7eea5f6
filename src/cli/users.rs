//! `transom users`: the users of a running service, by gRPC through the gateway or straight.
//!
//! What it reads and writes are lines of JSON, typed by the generated serde of `users::v1`.

use std::io::{self, BufWriter, Write};

use clap::{Args, Subcommand};

mod atomic_file;
mod channel;
mod client;
mod connection;
mod create;
mod export;
mod failure;
mod get;
mod import;
mod list;
mod output;
mod progress;
mod retry;
mod stop;
#[cfg(test)]
mod stub;
mod user_list;

pub(super) const EXAMPLES: &str = "Examples:
  transom users list --limit 20
  transom users export users.jsonl
  transom users import users.jsonl --url http://127.0.0.1:50051";

pub(super) const EXITS: &str = "Exit codes:
  0  done
  1  the service refused or could not be reached, or some rows were not created
  2  the command line is wrong";

const LIST_EXAMPLES: &str = "Examples:
  transom users list                                  those of the gateway on 127.0.0.1:8080
  transom users list --limit 20 --output table
  transom users list --url https://api.example.com | jq -r .email";

const GET_EXAMPLES: &str = "Examples:
  transom users get 01a1fedd-ecbd-7024-907d-e47e26f7c097
  transom users get 01a1fedd-ecbd-7024-907d-e47e26f7c097 --output json";

const CREATE_EXAMPLES: &str = "Examples:
  transom users create --email ada@example.com --name Ada
  transom users create --email ada@example.com --password-stdin < password.txt";

const EXPORT_EXAMPLES: &str = "Examples:
  transom users export users.jsonl
  transom users export | gzip > users.jsonl.gz";

const IMPORT_EXAMPLES: &str = "Examples:
  transom users import users.jsonl
  transom users export --url http://old:8080 | transom users import - --url http://new:8080";

const READ_EXITS: &str = "A list that breaks off because the service is unavailable is gone on with behind the last user, three
attempts in all; 60 s without a message are a failure.

Exit codes:
  0  done; also when the reader of the output went away
  1  the service refused or could not be reached, or the output could not be written
  2  the command line is wrong";

const ONE_EXITS: &str = "Exit codes:
  0  done
  1  the service refused or could not be reached, or the output could not be written
  2  the command line is wrong";

const IMPORT_HELP: &str = "Each line is an object with `email`, `name` and `password`, or a user as export writes them: the service
gives `id`, `status` and `createdAt` anew, so they are ignored. A line that is neither, or is longer than
1 MiB, is malformed: the first ten are told on standard error, the others are counted.

A call has as many rows as --batch says, or 1 MiB of them, or 250 with a password; the next follows when
it is answered. A service that is silent for 60 s has failed. Where each acknowledged call ended is kept in
FILE.transom-import: an import that was interrupted (Ctrl-C finishes the call under way) goes on there when
it is run again. A row that is sent twice does no harm, since emails are unique.

Exit codes:
  0  every row was created
  1  some rows were not created, or the service refused or could not be reached
  2  the command line is wrong, or FILE cannot be read";

/// A command of `transom users`.
#[derive(Args)]
pub struct UsersCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print users in order of creation, as they are read
    #[command(before_help = LIST_EXAMPLES, after_help = READ_EXITS)]
    List(list::List),
    /// Print one user
    #[command(before_help = GET_EXAMPLES, after_help = ONE_EXITS)]
    Get(get::Get),
    /// Create one user, and print it
    #[command(before_help = CREATE_EXAMPLES, after_help = ONE_EXITS)]
    Create(create::Create),
    /// Write every user as a line of JSON, for import
    #[command(before_help = EXPORT_EXAMPLES, after_help = READ_EXITS)]
    Export(export::Export),
    /// Create a user for each line of JSON
    #[command(before_help = IMPORT_EXAMPLES, after_help = IMPORT_HELP)]
    Import(import::Import),
}

/// Why a command of `transom users` did not do as asked.
#[derive(Debug)]
pub enum Error {
    /// What it was told is wrong.
    Usage(String),
    /// The service refused or could not be reached, or a file could not be read or written.
    Failed(String),
    /// Standard output could not be written.
    Output(io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<failure::Failure> for Error {
    fn from(failure: failure::Failure) -> Self {
        Self::Failed(failure.to_string())
    }
}

impl UsersCommand {
    /// Prints to `output`; the exit code where nothing failed.
    pub fn run(self, output: &mut dyn Write) -> Result<u8, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Failed(error.to_string()))?;
        let handle = runtime.handle().clone();
        // Connections live on a thread of their own: they are kept alive while this one waits for
        // whoever reads the output.
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        let mut output = BufWriter::with_capacity(64 << 10, output);
        let code = handle.block_on(async {
            match self.command {
                Command::List(list) => list.run(&mut output).await,
                Command::Get(get) => get.run(&mut output).await,
                Command::Create(create) => create.run(&mut output).await,
                Command::Export(export) => export.run(&mut output).await,
                Command::Import(import) => import.run(&mut output).await,
            }
        });
        // What was printed before a failure is of use.
        let flushed = output.flush();
        let code = code?;
        flushed?;
        Ok(code)
    }
}
