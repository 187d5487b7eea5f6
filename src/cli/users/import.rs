//! `transom users import`: a user for each line of JSON, a call for each batch of lines.
//!
//! Lines are read on a thread of their own, one batch ahead of the call under way, so that memory
//! does not grow with the input. What is not known here is which rows of a batch the service passed
//! over: it answers how many it created.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use clap::{Args, ValueEnum};
use tokio::sync::mpsc;

use super::{
    Error,
    client::Client,
    connection::{Connection, Deadline},
    failure::Failure,
    progress::Progress,
    stop::Stop,
};
use crate::users::v1::BulkCreateResponse;

mod batch;
mod journal;
mod row;
mod tally;

use batch::{Batch, BatchReader, Position};
use journal::{Earlier, Journal};
use tally::Tally;

#[derive(Args)]
pub(super) struct Import {
    /// Where from; - is standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// Rows of one call; at most 250 of them with a password, since hashing one takes long
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,

    /// Stop at the first malformed line
    #[arg(long)]
    strict: bool,

    /// Begin anew, whatever an earlier run has done
    #[arg(long)]
    restart: bool,

    /// How the outcome is printed
    #[arg(long, value_enum, default_value = "text")]
    output: SummaryFormat,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SummaryFormat {
    /// For people
    Text,
    /// One object: created, not_created, malformed, finished
    Json,
}

impl Import {
    pub(super) async fn run(self, output: &mut dyn Write) -> Result<u8, Error> {
        let client = self.connection.client(&Deadline::default())?;
        let source = Source::open(&self.file, client.url(), self.restart)?;
        let Source { input, journal, position, tally, progress } = source;
        let reader = BatchReader::new(input, position, self.batch as usize, self.strict);
        let mut run = Run {
            client,
            batches: read_ahead(reader),
            stop: Stop::listen(),
            journal,
            progress,
            position,
            tally,
            rows: 0,
            started: Instant::now(),
        };
        let ended = run.send_all().await;
        let tally = match self.output {
            SummaryFormat::Text => run.tally.to_string(),
            SummaryFormat::Json => run.tally.json(ended.is_ok()),
        };
        let code = u8::from(!run.tally.is_clean());
        drop(run);
        writeln!(output, "{tally}")?;
        ended.map(|()| code).map_err(Error::Failed)
    }
}

/// Where lines come from, and what an earlier run made of them.
struct Source {
    input: Box<dyn BufRead + Send>,
    /// Of a file.
    journal: Option<Journal>,
    position: Position,
    tally: Tally,
    progress: Progress,
}

impl Source {
    fn open(path: &Path, url: &str, is_restart: bool) -> Result<Self, Error> {
        let mut source = Self {
            input: Box::new(io::empty()),
            journal: None,
            position: Position::default(),
            tally: Tally::default(),
            progress: Progress::of_count(),
        };
        if path.as_os_str() == "-" {
            source.input = Box::new(BufReader::new(io::stdin()));
            return Ok(source);
        }
        let failed = |error| Error::Usage(format!("{}: {error}", path.display()));
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        if metadata.is_file() {
            let journal = Journal::new(path, &metadata, url);
            if is_restart {
                journal.remove().map_err(failed)?;
            }
            match journal.read().map_err(failed)? {
                Earlier::None => {}
                Earlier::Here(position, tally) => {
                    file.seek(SeekFrom::Start(position.offset_bytes)).map_err(failed)?;
                    (source.position, source.tally) = (position, tally);
                    let note = format!(
                        "going on with line {}, as an earlier run ended before it: {tally}; \
                         --restart begins anew",
                        position.lines + 1
                    );
                    source.progress.note(&note);
                }
                Earlier::Other => source
                    .progress
                    .note("an earlier run was of another file or service, so this one begins anew"),
            }
            source.progress = Progress::of_bytes(source.position.offset_bytes, metadata.len());
            source.journal = Some(journal);
        }
        source.input = Box::new(BufReader::with_capacity(64 << 10, file));
        Ok(source)
    }
}

/// Batches, read one ahead.
fn read_ahead(
    mut reader: BatchReader<Box<dyn BufRead + Send>>,
) -> mpsc::Receiver<io::Result<Batch>> {
    let (sender, batches) = mpsc::channel(1);
    thread::spawn(move || {
        while let Some(batch) = reader.next().transpose() {
            let is_failure = batch.is_err();
            if sender.blocking_send(batch).is_err() || is_failure {
                break;
            }
        }
    });
    batches
}

/// An import under way.
struct Run {
    client: Client,
    batches: mpsc::Receiver<io::Result<Batch>>,
    stop: Stop,
    journal: Option<Journal>,
    progress: Progress,
    /// Up to where everything is done.
    position: Position,
    tally: Tally,
    /// Rows of this run.
    rows: u64,
    started: Instant,
}

impl Run {
    /// Until everything is done, or what keeps it from that.
    async fn send_all(&mut self) -> Result<(), String> {
        loop {
            let batch = tokio::select! {
                biased;
                () = self.stop.asked() => return Err(self.interrupted()),
                batch = self.batches.recv() => batch,
            };
            let Some(batch) = batch else { break };
            let batch = batch.map_err(|error| format!("cannot read on: {error}"))?;
            for fault in &batch.faults {
                self.progress.note(&format!("line {}: {}", fault.line, fault.what));
            }
            let (created, is_asked_to_stop) = self.send(&batch).await?;
            self.tally.add(batch.rows.len(), created, batch.malformed);
            self.rows += batch.rows.len() as u64;
            self.position = batch.end;
            self.keep_position();
            if let Some(fault) = batch.strict_fault {
                let told = format!("line {}: {}; stopped there (--strict)", fault.line, fault.what);
                return Err(told);
            }
            if is_asked_to_stop {
                return Err(self.interrupted());
            }
        }
        if let Some(journal) = &self.journal
            && let Err(error) = journal.remove()
        {
            self.progress.note(&format!("the journal of the import could not be removed: {error}"));
        }
        Ok(())
    }

    /// How many users the call created, and whether somebody asked to stop meanwhile.
    async fn send(&mut self, batch: &Batch) -> Result<(i32, bool), String> {
        if batch.rows.is_empty() {
            return Ok((0, false));
        }
        let mut call = std::pin::pin!(self.client.bulk_create(batch.rows.clone()));
        let mut is_asked_to_stop = false;
        loop {
            tokio::select! {
                answer = &mut call => {
                    let BulkCreateResponse { created_count, .. } =
                        answer.map_err(|failure| self.failed(&failure, batch))?;
                    return Ok((created_count, is_asked_to_stop));
                }
                () = self.stop.asked() => match is_asked_to_stop {
                    true => return Err(format!("{}{}", maybe_created(batch), self.how_to_go_on())),
                    false => {
                        is_asked_to_stop = true;
                        self.progress.note("ends with the call under way; Ctrl-C again ends at once");
                    }
                },
            }
        }
    }

    /// Keeps what is done, here and on the screen.
    fn keep_position(&mut self) {
        if let Some(journal) = &self.journal
            && let Err(error) = journal.write(self.position, self.tally)
        {
            self.progress.note(&format!(
                "how far the import is cannot be written, so a later run begins anew: {error}"
            ));
            self.journal = None;
        }
        let rate = self.rows as f64 / self.started.elapsed().as_secs_f64().max(1e-3);
        let message = format!("{} rows, {rate:.0}/s", self.rows);
        self.progress.at(self.position.offset_bytes, message);
    }

    fn failed(&self, failure: &Failure, batch: &Batch) -> String {
        let what = match failure.may_have_done() {
            true => format!("\n{}", maybe_created(batch)),
            false => String::new(),
        };
        let smaller = match failure.is_deadline() && batch.rows.len() > 1 {
            true => "\na smaller --batch asks less of one call",
            false => "",
        };
        format!("{failure}{what}{smaller}{}", self.how_to_go_on())
    }

    fn interrupted(&self) -> String {
        format!("interrupted{}", self.how_to_go_on())
    }

    fn how_to_go_on(&self) -> String {
        match &self.journal {
            Some(_) => format!("\nthe same command goes on with line {}", self.position.lines + 1),
            None => format!("\nwhat is done ends behind line {}", self.position.lines),
        }
    }
}

fn maybe_created(batch: &Batch) -> String {
    let (first, last) = (batch.begin.lines + 1, batch.end.lines);
    format!("some of lines {first} to {last} may have been created")
}
