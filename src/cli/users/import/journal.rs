//! How far the import of a file has come, beside the file: `FILE.transom-import`.
//!
//! Written behind each acknowledged call. One that is lost, or of another file or service, means
//! that everything is sent once more, which does no harm.

use std::{
    fs::{self, Metadata},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::{super::atomic_file::AtomicFile, batch::Position, tally::Tally};

const VERSION: u32 = 1;

pub(super) struct Journal {
    path: PathBuf,
    of: Of,
}

/// Whose journal it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Of {
    version: u32,
    url: String,
    size_bytes: u64,
    modified_ns: u64,
}

#[derive(Deserialize, Serialize)]
struct Record {
    #[serde(flatten)]
    of: Of,
    #[serde(flatten)]
    position: Position,
    #[serde(flatten)]
    tally: Tally,
}

/// What an earlier run left.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Earlier {
    None,
    /// Of this file and service.
    Here(Position, Tally),
    /// Of something else.
    Other,
}

impl Journal {
    /// The journal of the import of `file` to the service at `url`.
    pub(super) fn new(file: &Path, metadata: &Metadata, url: &str) -> Self {
        let mut path = file.as_os_str().to_owned();
        path.push(".transom-import");
        let modified = metadata.modified().ok();
        let modified = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let modified_ns = modified.and_then(|time| u64::try_from(time.as_nanos()).ok());
        let of = Of {
            version: VERSION,
            url: url.to_owned(),
            size_bytes: metadata.len(),
            modified_ns: modified_ns.unwrap_or_default(),
        };
        Self { path: path.into(), of }
    }

    pub(super) fn read(&self) -> io::Result<Earlier> {
        let text = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Earlier::None),
            text => text?,
        };
        Ok(match serde_json::from_slice(&text) {
            Ok(Record { of, position, tally })
                if of == self.of && position.offset_bytes <= of.size_bytes =>
            {
                Earlier::Here(position, tally)
            }
            _ => Earlier::Other,
        })
    }

    pub(super) fn write(&self, position: Position, tally: Tally) -> io::Result<()> {
        let mut file = AtomicFile::create(&self.path)?;
        let record = Record { of: self.of.clone(), position, tally };
        serde_json::to_writer(&mut file, &record)?;
        file.write_all(b"\n")?;
        file.commit()
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_holds_for_the_same_file_and_service_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.jsonl");
        fs::write(&file, "0123456789").unwrap();
        let journal = |url| Journal::new(&file, &file.metadata().unwrap(), url);
        assert_eq!(journal("http://a").read().unwrap(), Earlier::None);

        let position = Position { offset_bytes: 4, lines: 2 };
        let tally = Tally { created: 1, not_created: 0, malformed: 1 };
        journal("http://a").write(position, tally).unwrap();
        assert_eq!(journal("http://a").read().unwrap(), Earlier::Here(position, tally));
        assert_eq!(journal("http://b").read().unwrap(), Earlier::Other);

        let beyond = Position { offset_bytes: 11, lines: 2 };
        journal("http://a").write(beyond, tally).unwrap();
        assert_eq!(journal("http://a").read().unwrap(), Earlier::Other);
        journal("http://a").write(position, tally).unwrap();
        fs::write(&file, "0123456789+").unwrap();
        assert_eq!(journal("http://a").read().unwrap(), Earlier::Other);
        fs::write(folder.path().join("users.jsonl.transom-import"), "{").unwrap();
        assert_eq!(journal("http://a").read().unwrap(), Earlier::Other);

        journal("http://a").remove().unwrap();
        assert_eq!(journal("http://a").read().unwrap(), Earlier::None);
        journal("http://a").remove().unwrap();
    }
}
