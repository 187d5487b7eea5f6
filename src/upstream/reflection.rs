//! Server reflection: an upstream's schema, asked of the upstream itself.
//!
//! Speaks `grpc.reflection.v1`, and `v1alpha` where that is not known. Descriptors are taken as
//! bytes and never decoded whole: custom options such as `google.api.http` stay in them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method as Verb, Request, Version, header};
use http_body_util::BodyExt as _;
use prost::Message;
use tower::Service as _;

use super::{RequestBody, Upstream, UpstreamError};
use crate::schema;

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Larger answers are refused, in bytes.
const ANSWER_LIMIT_BYTES: usize = 64 << 20;

/// More imported files are refused.
const FILE_LIMIT: usize = 10_000;

const UNIMPLEMENTED: i64 = 12;

/// Why there is no schema.
#[derive(Debug, thiserror::Error)]
pub enum ReflectionError {
    /// It cannot be asked now; later it may.
    #[error("{0}")]
    Unavailable(#[from] UpstreamError),
    /// It has no server reflection.
    #[error("the upstream has no server reflection")]
    Unimplemented,
    /// Its answer is of no use.
    #[error("the upstream's server reflection: {0}")]
    Unusable(String),
}

/// The `FileDescriptorSet` of the services `wanted`, or of all; imports included.
pub async fn fetch(upstream: &Upstream, wanted: &[String]) -> Result<Bytes, ReflectionError> {
    match fetch_version(upstream, "v1", wanted).await {
        Err(ReflectionError::Unimplemented) => fetch_version(upstream, "v1alpha", wanted).await,
        result => result,
    }
}

async fn fetch_version(
    upstream: &Upstream,
    version: &'static str,
    wanted: &[String],
) -> Result<Bytes, ReflectionError> {
    let client = Client { upstream, version };
    let services = match wanted {
        [] => client.list_services().await?,
        wanted => wanted.to_vec(),
    };
    let mut files: BTreeMap<String, (Bytes, Vec<String>)> = BTreeMap::new();
    for service in services {
        let found = client.files(Ask::FileContainingSymbol(service.clone())).await?;
        let Some(found) = found else {
            return Err(ReflectionError::Unusable(format!("it does not know `{service}`")));
        };
        files.extend(found);
    }
    let mut missing: VecDeque<String> = dependencies(&files).into();
    let mut asked = BTreeSet::new();
    while let Some(name) = missing.pop_front() {
        if files.contains_key(&name) {
            continue;
        }
        if !asked.insert(name.clone()) || asked.len() > FILE_LIMIT {
            return Err(ReflectionError::Unusable(format!("it does not give `{name}`")));
        }
        let found = match client.files(Ask::FileByFilename(name.clone())).await? {
            Some(found) => found,
            // Some servers leave out the files that everybody has.
            None => match schema::builtin_file(&name) {
                Some(file) => vec![entry(file)?],
                None => {
                    return Err(ReflectionError::Unusable(format!("it does not have `{name}`")));
                }
            },
        };
        missing.extend(found.iter().flat_map(|(_, (_, imports))| imports.iter().cloned()));
        files.extend(found);
    }
    Ok(descriptor_set(&files))
}

/// A file's name; its descriptor, and what it imports.
type File = (String, (Bytes, Vec<String>));

fn dependencies(files: &BTreeMap<String, (Bytes, Vec<String>)>) -> Vec<String> {
    files.values().flat_map(|(_, imports)| imports.iter().cloned()).collect()
}

/// The files as one set.
fn descriptor_set(files: &BTreeMap<String, (Bytes, Vec<String>)>) -> Bytes {
    let mut set = BytesMut::new();
    for (file, _) in files.values() {
        prost::encoding::bytes::encode(1, file, &mut set);
    }
    set.freeze()
}

fn entry(file: Bytes) -> Result<File, ReflectionError> {
    let head = FileHead::decode(file.clone())
        .map_err(|error| ReflectionError::Unusable(error.to_string()))?;
    Ok((head.name, (file, head.dependency)))
}

struct Client<'u> {
    upstream: &'u Upstream,
    version: &'static str,
}

impl Client<'_> {
    async fn list_services(&self) -> Result<Vec<String>, ReflectionError> {
        match self.ask(Ask::ListServices("*".to_owned())).await?.answer {
            Some(Answer::Services(list)) => {
                let names = list.service.into_iter().map(|service| service.name);
                Ok(names.filter(|name| !name.starts_with("grpc.reflection.")).collect())
            }
            _ => Err(ReflectionError::Unusable("it lists no services".to_owned())),
        }
    }

    /// None where it does not know what is asked for.
    async fn files(&self, ask: Ask) -> Result<Option<Vec<File>>, ReflectionError> {
        match self.ask(ask).await?.answer {
            Some(Answer::Files(files)) => {
                files.file.into_iter().map(entry).collect::<Result<_, _>>().map(Some)
            }
            Some(Answer::Error(error)) if error.code == UNIMPLEMENTED => {
                Err(ReflectionError::Unimplemented)
            }
            _ => Ok(None),
        }
    }

    /// One question, one answer: a stream of one message each way.
    async fn ask(&self, ask: Ask) -> Result<ReflectionResponse, ReflectionError> {
        tokio::time::timeout(TIMEOUT, self.try_ask(ask)).await.unwrap_or_else(|_| {
            Err(UpstreamError::unavailable("server reflection took too long").into())
        })
    }

    async fn try_ask(&self, ask: Ask) -> Result<ReflectionResponse, ReflectionError> {
        let mut message = vec![0; 5];
        // A Vec grows: encoding into one cannot fail.
        let _ = ReflectionRequest { ask: Some(ask) }.encode(&mut message);
        let length = (message.len() - 5) as u32;
        message[1..5].copy_from_slice(&length.to_be_bytes());
        let mut request = Request::new(RequestBody::Full(Some(message.into())));
        *request.method_mut() = Verb::POST;
        *request.version_mut() = Version::HTTP_2;
        let version = self.version;
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        *request.uri_mut() = path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));

        let (head, body) = self.upstream.clone().call(request).await?.into_parts();
        let ended_with = |headers: &http::HeaderMap, code: &str| {
            headers.get("grpc-status").is_some_and(|status| status == code)
        };
        let is_unimplemented = |headers: &http::HeaderMap| ended_with(headers, "12");
        if is_unimplemented(&head.headers) || head.status == http::StatusCode::NOT_FOUND {
            return Err(ReflectionError::Unimplemented);
        }
        if matches!(head.status.as_u16(), 429 | 502..=504) {
            let message = format!("the upstream answers HTTP {}", head.status.as_u16());
            return Err(UpstreamError::unavailable(message).into());
        }
        if head.status != http::StatusCode::OK {
            let message = format!("it answers HTTP {}", head.status.as_u16());
            return Err(ReflectionError::Unusable(message));
        }
        let limited = http_body_util::Limited::new(body, ANSWER_LIMIT_BYTES);
        let collected =
            limited.collect().await.map_err(|error| match error.downcast::<UpstreamError>() {
                Ok(error) => ReflectionError::Unavailable(*error),
                Err(error) => ReflectionError::Unusable(error.to_string()),
            })?;
        if collected.trailers().is_some_and(is_unimplemented) {
            return Err(ReflectionError::Unimplemented);
        }
        // Some servers tell "not found" as the call's status, some in a message.
        if ended_with(collected.trailers().unwrap_or(&head.headers), "5") {
            return Ok(ReflectionResponse { answer: None });
        }
        for passing in ["4", "8", "14"] {
            if ended_with(collected.trailers().unwrap_or(&head.headers), passing) {
                let message = format!("the upstream answers with status {passing}");
                return Err(UpstreamError::unavailable(message).into());
            }
        }
        let bytes = collected.to_bytes();
        let length = bytes.get(1..5).and_then(|length| length.try_into().ok());
        let length = length.map_or(0, |length| u32::from_be_bytes(length) as usize);
        let message = bytes.get(5..5 + length).filter(|_| bytes.first() == Some(&0));
        message
            .and_then(|message| ReflectionResponse::decode(message).ok())
            .ok_or_else(|| ReflectionError::Unusable("its answer cannot be read".to_owned()))
    }
}

/// `ServerReflectionRequest`, the same in both versions.
#[derive(Clone, PartialEq, Message)]
struct ReflectionRequest {
    #[prost(oneof = "Ask", tags = "3, 4, 7")]
    ask: Option<Ask>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Ask {
    #[prost(string, tag = "3")]
    FileByFilename(String),
    #[prost(string, tag = "4")]
    FileContainingSymbol(String),
    #[prost(string, tag = "7")]
    ListServices(String),
}

#[derive(Clone, PartialEq, Message)]
struct ReflectionResponse {
    #[prost(oneof = "Answer", tags = "4, 6, 7")]
    answer: Option<Answer>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Answer {
    #[prost(message, tag = "4")]
    Files(FileAnswer),
    #[prost(message, tag = "6")]
    Services(ServiceAnswer),
    #[prost(message, tag = "7")]
    Error(ErrorAnswer),
}

#[derive(Clone, PartialEq, Message)]
struct FileAnswer {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct ServiceAnswer {
    #[prost(message, repeated, tag = "1")]
    service: Vec<ServiceName>,
}

#[derive(Clone, PartialEq, Message)]
struct ServiceName {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct ErrorAnswer {
    #[prost(int64, tag = "1")]
    code: i64,
    #[prost(string, tag = "2")]
    message: String,
}

/// As much of a `FileDescriptorProto` as says what it needs.
#[derive(Clone, PartialEq, Message)]
struct FileHead {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "3")]
    dependency: Vec<String>,
}
