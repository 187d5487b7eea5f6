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
    schema::{self, Exposure, Position, Problem, Problems, Schema, ServiceConfig},
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
    #[error(
        "{url}: {error}. Start it, or say where its schema is: --descriptor-set FILE or --proto DIR"
    )]
    Unreached { url: String, error: UpstreamError },
}

impl SourceError {
    /// The same as problems, at the file they are of.
    pub fn problems(self) -> Vec<Problem> {
        let at = |path: &Path, message| {
            let file = path.display().to_string();
            Problem { position: Some(Position { file, line_column: None }), message }
        };
        match self {
            Self::Problems(Problems(problems)) => problems,
            Self::File { path, error } => vec![at(&path, error.to_string())],
            Self::NoProtos(path) => vec![at(&path, "there is no .proto file in it".to_owned())],
            other => vec![Problem { position: None, message: other.to_string() }],
        }
    }
}

/// Reads the files that `options` names, and asks the upstream for what they do not tell.
pub async fn load(options: &config::Upstream) -> Result<Source, SourceError> {
    let exposure = exposure(options)?;
    let known = |descriptor_set| Ok(Source::Known(Described { descriptor_set, exposure }));
    if let Some(file) = &options.descriptor_set {
        return known(read_descriptor_set(file)?);
    }
    if let Some(directory) = &options.proto {
        return match schema::compile_protos(&sources(directory)?) {
            Ok(set) => known(set),
            // The compiler tells one problem, and a survey all of them.
            Err(_) => Err(survey(options).await.1.into()),
        };
    }
    match ask(options).await? {
        Ok(set) => known(set),
        Err(error) => Ok(Source::Unavailable(error)),
    }
}

/// Everything that can be looked at of the schema, and all that is wrong with the rest: not to be
/// served.
pub async fn survey(options: &config::Upstream) -> (Option<Schema>, Problems) {
    let mut problems = Vec::new();
    let exposure = exposure(options).map_err(|error| problems.extend(error.problems())).ok();
    let set = match survey_set(options).await {
        Ok((set, Problems(found))) => {
            problems.extend(found);
            set
        }
        Err(error) => {
            problems.extend(error.problems());
            None
        }
    };
    let schema = set.zip(exposure).and_then(|(set, exposure)| {
        let (schema, Problems(found)) = Schema::survey(set, &exposure);
        problems.extend(found);
        schema
    });
    (schema, Problems(problems))
}

async fn survey_set(options: &config::Upstream) -> Result<(Option<Bytes>, Problems), SourceError> {
    let known = |set| Ok((Some(set), Problems(Vec::new())));
    if let Some(file) = &options.descriptor_set {
        return known(read_descriptor_set(file)?);
    }
    if let Some(directory) = &options.proto {
        return Ok(schema::survey_protos(&sources(directory)?));
    }
    let asked = ask(options).await?;
    known(asked.map_err(|error| SourceError::Unreached { url: options.url.clone(), error })?)
}

/// What is served of a schema by these options, and how.
pub fn exposure(options: &config::Upstream) -> Result<Exposure, SourceError> {
    let service_config = match &options.service_config {
        Some(file) => {
            let text = fs::read_to_string(file).map_err(refused(file))?;
            Some(ServiceConfig::new(file.to_string_lossy(), text))
        }
        None => None,
    };
    Ok(Exposure { services: options.services.clone(), service_config })
}

fn read_descriptor_set(file: &Path) -> Result<Bytes, SourceError> {
    let set = Bytes::from(fs::read(file).map_err(refused(file))?);
    schema::check_descriptor_set(&set).map_err(|Problems(mut found)| {
        let position = Position { file: file.display().to_string(), line_column: None };
        found.iter_mut().for_each(|problem| problem.position = Some(position.clone()));
        Problems(found)
    })?;
    Ok(set)
}

/// The `.proto` files of a directory.
fn sources(directory: &Path) -> Result<Vec<(String, String)>, SourceError> {
    let mut sources = Vec::new();
    read_protos(directory, directory, &mut sources).map_err(refused(directory))?;
    match sources.is_empty() {
        true => Err(SourceError::NoProtos(directory.to_owned())),
        false => Ok(sources),
    }
}

/// By server reflection; the inner error is of an upstream that cannot be asked now.
async fn ask(options: &config::Upstream) -> Result<Result<Bytes, UpstreamError>, SourceError> {
    // Connections of its own: the workers make theirs.
    let upstream = Upstream::remote(options)?;
    match reflection::fetch(&upstream, &options.services).await {
        Ok(set) => Ok(Ok(set)),
        Err(ReflectionError::Unavailable(error)) => Ok(Err(error)),
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
