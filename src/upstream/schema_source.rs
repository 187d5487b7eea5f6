//! Where the schema of a remote upstream comes from: a file, a directory, or the upstream itself.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    RemoteError, Upstream, UpstreamError,
    reflection::{self, ReflectionError},
};
use crate::{
    config,
    schema::{self, Exposure, Problems, Schema, ServiceConfig},
};

/// What is known of a schema now.
pub enum Source {
    /// Everything.
    Known(Described),
    /// The upstream has to be asked, and cannot be asked now.
    Unavailable(UpstreamError),
}

/// What an upstream's schema is built from.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its `FileDescriptorSet`, imports included.
    pub descriptor_set: Bytes,
    /// What of it is served.
    pub exposure: Exposure,
}

impl Described {
    /// Builds the schema.
    pub fn schema(self) -> Result<Schema, Problems> {
        Schema::exposing(self.descriptor_set, &self.exposure)
    }
}

/// Why there is no schema, and will be none.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // each says itself
pub enum SourceError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: there is no .proto file in it", .0.display())]
    NoProtos(PathBuf),
    #[error("{0}")]
    Problems(#[from] Problems),
    #[error("{0}")]
    Remote(#[from] RemoteError),
    #[error("{url}: {error}. Say where its schema is: --descriptor-set FILE or --proto DIR")]
    Reflection { url: String, error: ReflectionError },
}

/// Reads the files that `options` names, and asks the upstream for what they do not tell.
pub async fn load(options: &config::Upstream) -> Result<Source, SourceError> {
    let service_config = match &options.service_config {
        Some(file) => {
            let text = fs::read_to_string(file).map_err(refused(file))?;
            Some(ServiceConfig::new(file.to_string_lossy(), text))
        }
        None => None,
    };
    let exposure = Exposure { services: options.services.clone(), service_config };
    let known = |descriptor_set| Ok(Source::Known(Described { descriptor_set, exposure }));
    if let Some(file) = &options.descriptor_set {
        return known(fs::read(file).map_err(refused(file))?.into());
    }
    if let Some(directory) = &options.proto {
        let mut sources = Vec::new();
        read_protos(directory, directory, &mut sources).map_err(refused(directory))?;
        if sources.is_empty() {
            return Err(SourceError::NoProtos(directory.clone()));
        }
        return known(schema::compile_protos(&sources)?);
    }
    // Connections of its own: the workers make theirs.
    let upstream = Upstream::remote(options)?;
    match reflection::fetch(&upstream, &options.services).await {
        Ok(set) => known(set),
        Err(ReflectionError::Unavailable(error)) => Ok(Source::Unavailable(error)),
        Err(error) => Err(SourceError::Reflection { url: options.url.clone(), error }),
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

fn refused(path: &Path) -> impl Fn(io::Error) -> SourceError {
    move |error| SourceError::File { path: path.to_owned(), error }
}
