//! A file that is there whole, or as it was before.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Written beside its target, and put in its place by `commit`; without that, it leaves nothing.
pub(super) struct AtomicFile {
    target: PathBuf,
    temporary: PathBuf,
    file: Option<BufWriter<File>>,
}

impl AtomicFile {
    /// Begins the file that is to be at `target`. Its owner alone may read it.
    pub(super) fn create(target: &Path) -> io::Result<Self> {
        // What a link leads to is replaced, not the link.
        let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        let name = target.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let mut temporary_name = name.to_owned();
        temporary_name.push(format!(".{}.tmp", std::process::id()));
        let temporary = target.with_file_name(temporary_name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = Some(BufWriter::with_capacity(64 << 10, options.open(&temporary)?));
        Ok(Self { target, temporary, file })
    }

    /// Puts the file in its place, where it is found after any crash.
    pub(super) fn commit(mut self) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            let committed = file
                .into_inner()
                .map_err(io::IntoInnerError::into_error)
                .and_then(|file| file.sync_all())
                .and_then(|()| fs::rename(&self.temporary, &self.target));
            if committed.is_err() {
                let _ = fs::remove_file(&self.temporary);
            }
            committed?;
        }
        // Not every file system syncs a folder; the file is there all the same.
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().ok_or(io::ErrorKind::NotConnected)?.write(bytes)
    }

    /// Nobody reads it before it is in its place.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_there_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("users.jsonl");
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"new").unwrap();
        assert!(!target.exists());
        file.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");

        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"newer").unwrap();
        drop(file);
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["users.jsonl"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_a_link_leads_to_is_replaced_and_its_owner_alone_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, b"old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        AtomicFile::create(&link).unwrap().commit().unwrap();
        assert!(link.is_symlink() && fs::read(&target).unwrap().is_empty());
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
