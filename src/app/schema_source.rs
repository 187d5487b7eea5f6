//! Where the schema of a remote upstream comes from: a file, a directory, or the upstream itself.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::Error;
use crate::{
    config, schema,
    upstream::{
        Upstream,
        reflection::{self, ReflectionError},
    },
};

/// What is known of a schema now.
pub(super) enum Source {
    Known(Bytes),
    /// The upstream has to be asked, and cannot be asked now.
    Unavailable,
}

pub(super) async fn load(options: &config::Upstream) -> Result<Source, Error> {
    if let Some(file) = &options.descriptor_set {
        return fs::read(file).map(|set| Source::Known(set.into())).map_err(refused(file));
    }
    if let Some(directory) = &options.proto {
        let mut sources = Vec::new();
        read_protos(directory, directory, &mut sources).map_err(refused(directory))?;
        if sources.is_empty() {
            let message = format!("{}: there is no .proto file in it", directory.display());
            return Err(Error::SchemaFile(message));
        }
        return Ok(Source::Known(schema::compile_protos(&sources)?));
    }
    // Connections of its own: the workers make theirs.
    let upstream = Upstream::remote(options)?;
    match reflection::fetch(&upstream, &options.services).await {
        Ok(set) => Ok(Source::Known(set)),
        Err(ReflectionError::Unavailable(error)) => {
            tracing::warn!(url = options.url, %error, "the schema cannot be asked for yet");
            Ok(Source::Unavailable)
        }
        Err(error) => Err(Error::Reflection { url: options.url.clone(), error }),
    }
}

/// Every `.proto` below `directory`, with the path that others import it by.
fn read_protos(
    root: &Path,
    directory: &Path,
    sources: &mut Vec<(String, String)>,
) -> io::Result<()> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read_protos(root, &path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            let name =
                path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            sources.push((name, fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

fn refused(path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| Error::SchemaFile(format!("{}: {error}", path.display()))
}
