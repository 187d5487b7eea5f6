//! `inventory.v1.Inventory`: answers, fails, hangs and counts as it is told.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use prost::Message as _;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Response, Status, Streaming, metadata::KeyAndValueRef};

pub mod v1 {
    #![allow(clippy::large_enum_variant)]
    tonic::include_proto!("inventory.v1");
}

use v1::*;
pub use v1::{inventory_client::InventoryClient, inventory_server::InventoryServer};

use crate::google::{api::HttpBody, rpc};

/// The number with which `Collect` and `Chat` hang.
pub const HANG: i32 = -100;

type Reply<T> = Result<Response<T>, Status>;
type StreamOf<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type ReplyStream = StreamOf<CountReply>;

/// The service. What happened to it can be watched from outside.
#[derive(Clone, Default)]
pub struct Inventory {
    /// Calls to `Hang`, and hanging `Count`s, `Collect`s and `Chat`s, that are open now.
    pub hanging: Gauge,
    /// Messages that `Count` has produced so far.
    pub counted: Gauge,
}

/// A number that tests can watch.
#[derive(Clone, Default)]
pub struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    pub fn value(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn increment(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts one for as long as the guard lives: a dropped call is seen.
    fn enter(&self) -> GaugeGuard {
        self.increment();
        GaugeGuard(self.clone())
    }
}

struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tonic::async_trait]
impl v1::inventory_server::Inventory for Inventory {
    type CountStream = ReplyStream;
    type ChatStream = ReplyStream;
    type StreamDownloadStream = StreamOf<HttpBody>;
    type StreamWrappedStream = StreamOf<DownloadReply>;
    type ChatBodiesStream = StreamOf<HttpBody>;

    async fn get_item(&self, request: Request<GetItemRequest>) -> Reply<Item> {
        let name = request.into_inner().name;
        Ok(Response::new(Item { name, stock: 7, ..Item::default() }))
    }

    async fn create_item(&self, request: Request<CreateItemRequest>) -> Reply<Item> {
        let request = request.into_inner();
        let mut item = request.item.unwrap_or_default();
        item.name = format!("{}/items/{}", request.parent, item.name);
        if request.dry_run {
            item.stock = -1;
        }
        Ok(Response::new(item))
    }

    async fn update_item(&self, request: Request<UpdateItemRequest>) -> Reply<Item> {
        Ok(Response::new(request.into_inner().item.unwrap_or_default()))
    }

    async fn patch_item(&self, request: Request<UpdateItemRequest>) -> Reply<UpdateItemRequest> {
        Ok(Response::new(request.into_inner()))
    }

    async fn patch_everything(
        &self,
        request: Request<PatchEverythingRequest>,
    ) -> Reply<PatchEverythingRequest> {
        Ok(Response::new(request.into_inner()))
    }

    async fn delete_item(&self, _: Request<GetItemRequest>) -> Reply<()> {
        Ok(Response::new(()))
    }

    async fn echo(&self, request: Request<Everything>) -> Reply<Everything> {
        Ok(Response::new(request.into_inner()))
    }

    async fn metadata(&self, request: Request<()>) -> Reply<MetadataReply> {
        let metadata = request
            .metadata()
            .iter()
            .map(|entry| match entry {
                KeyAndValueRef::Ascii(key, value) => {
                    (key.to_string(), value.to_str().unwrap_or_default().to_owned())
                }
                KeyAndValueRef::Binary(key, value) => {
                    (key.to_string(), format!("{:?}", value.to_bytes()))
                }
            })
            .collect();
        let mut reply = Response::new(MetadataReply { metadata });
        reply.metadata_mut().insert("x-shelf", tonic::metadata::MetadataValue::from_static("3"));
        reply
            .metadata_mut()
            .insert("set-cookie", tonic::metadata::MetadataValue::from_static("a=b"));
        Ok(reply)
    }

    async fn fail(&self, request: Request<FailRequest>) -> Reply<()> {
        let request = request.into_inner();
        let code = Code::from_i32(request.code);
        if !request.details.is_empty() {
            return Err(Status::with_details(code, request.message, request.details.into()));
        }
        if request.field.is_empty() {
            return Err(Status::new(code, request.message));
        }
        let violation = rpc::bad_request::FieldViolation {
            field: request.field,
            description: "is wrong".into(),
            ..Default::default()
        };
        let detail = rpc::BadRequest { field_violations: vec![violation] };
        let status = RpcStatus {
            code: request.code,
            message: request.message.clone(),
            details: vec![prost_types::Any {
                type_url: "type.googleapis.com/google.rpc.BadRequest".into(),
                value: detail.encode_to_vec(),
            }],
        };
        Err(Status::with_details(code, request.message, status.encode_to_vec().into()))
    }

    async fn hang(&self, _: Request<()>) -> Reply<()> {
        let _open = self.hanging.enter();
        std::future::pending().await
    }

    async fn count(&self, request: Request<CountRequest>) -> Reply<ReplyStream> {
        let request = request.into_inner();
        if request.messages < 0 {
            return Err(Status::out_of_range("messages must not be negative"));
        }
        let counted = self.counted.clone();
        let padding = vec![0; usize::try_from(request.padding_bytes).unwrap_or_default()];
        let numbers = tokio_stream::iter(1..=request.messages).map(move |number| {
            counted.increment();
            Ok(CountReply { number, padding: padding.clone() })
        });
        let end = match request.code {
            0 => None,
            code => Some(Err(Status::new(Code::from_i32(code), "as told"))),
        };
        let stream = numbers.chain(tokio_stream::iter(end));
        if !request.hang {
            return Ok(Response::new(Box::pin(stream)));
        }
        let open = self.hanging.enter();
        let never = tokio_stream::pending().map(move |never| {
            let _ = &open;
            never
        });
        Ok(Response::new(Box::pin(stream.chain(never))))
    }

    async fn collect(&self, request: Request<Streaming<CountReply>>) -> Reply<CountReply> {
        let mut messages = self.obeyed(request);
        let mut reply = CountReply::default();
        while messages.next().await.transpose()?.is_some() {
            reply.number += 1;
        }
        Ok(Response::new(reply))
    }

    async fn chat(&self, request: Request<Streaming<CountReply>>) -> Reply<ReplyStream> {
        Ok(Response::new(self.obeyed(request)))
    }

    async fn ping(&self, request: Request<Everything>) -> Reply<Everything> {
        Ok(Response::new(request.into_inner()))
    }

    async fn upload_photo(&self, request: Request<UploadPhotoRequest>) -> Reply<Item> {
        let mut received = Received::default();
        received.take(request.into_inner());
        Ok(Response::new(received.0))
    }

    async fn stream_photo(&self, request: Request<Streaming<UploadPhotoRequest>>) -> Reply<Item> {
        let mut messages = request.into_inner();
        let mut received = Received::default();
        while let Some(message) = messages.message().await? {
            received.take(message);
            self.counted.increment();
        }
        Ok(Response::new(received.0))
    }

    async fn download_photo(&self, request: Request<DownloadRequest>) -> Reply<HttpBody> {
        let request = request.into_inner();
        if request.code != 0 {
            return Err(Status::new(Code::from_i32(request.code), "as told"));
        }
        let mut reply = Response::new(whole(&request));
        if let Ok(etag) = request.etag.parse()
            && !request.etag.is_empty()
        {
            reply.metadata_mut().insert("etag", etag);
        }
        reply.metadata_mut().insert("x-shelf", tonic::metadata::MetadataValue::from_static("3"));
        Ok(reply)
    }

    async fn stream_download(
        &self,
        request: Request<DownloadRequest>,
    ) -> Reply<Self::StreamDownloadStream> {
        let parts = parts(request.into_inner())
            .map(|reply| reply.map(|reply| reply.body.unwrap_or_default()));
        Ok(Response::new(Box::pin(parts)))
    }

    async fn wrapped_photo(&self, request: Request<DownloadRequest>) -> Reply<DownloadReply> {
        let body = Some(whole(&request.into_inner()));
        Ok(Response::new(DownloadReply { number: 1, body, ..DownloadReply::default() }))
    }

    async fn stream_wrapped(
        &self,
        request: Request<DownloadRequest>,
    ) -> Reply<Self::StreamWrappedStream> {
        Ok(Response::new(Box::pin(parts(request.into_inner()))))
    }

    async fn echo_body(&self, request: Request<HttpBody>) -> Reply<HttpBody> {
        Ok(Response::new(request.into_inner()))
    }

    async fn chat_bodies(
        &self,
        request: Request<Streaming<HttpBody>>,
    ) -> Reply<Self::ChatBodiesStream> {
        Ok(Response::new(Box::pin(request.into_inner())))
    }
}

impl Inventory {
    /// A stream of requests. A negative number among them is an order: the stream fails with that
    /// code, or, at [`HANG`], never goes on.
    fn obeyed(&self, request: Request<Streaming<CountReply>>) -> ReplyStream {
        let hanging = self.hanging.clone();
        Box::pin(request.into_inner().then(move |message| {
            let hanging = hanging.clone();
            async move {
                let message = message?;
                if message.number == HANG {
                    let _open = hanging.enter();
                    std::future::pending::<()>().await;
                }
                match message.number {
                    order @ ..0 => Err(Status::new(Code::from_i32(-order), "as told")),
                    _ => Ok(message),
                }
            }
        }))
    }
}

/// What was uploaded, told by an item: the names and content types of all messages one behind the
/// other, and how many bytes they had.
#[derive(Default)]
struct Received(Item);

impl Received {
    fn take(&mut self, message: UploadPhotoRequest) {
        let photo = message.photo.unwrap_or_default();
        let Self(item) = self;
        item.name.push_str(&message.name);
        let label = |item: &mut Item, name: &str, value: usize| {
            *item.labels.entry(name.to_owned()).or_default() += value as i64;
        };
        label(item, "messages", 1);
        label(item, "bytes", photo.data.len());
        let largest = item.labels.entry("largest".to_owned()).or_default();
        *largest = (*largest).max(photo.data.len() as i64);
        item.kind = i32::from(message.dry_run);
        if item.photo.len() < 100 {
            item.photo.extend_from_slice(&photo.data);
        }
        let price = item.price.get_or_insert(item::Price::OnRequest(String::new()));
        if let item::Price::OnRequest(text) = price {
            text.push_str(&photo.content_type);
        }
    }
}

fn whole(request: &DownloadRequest) -> HttpBody {
    HttpBody {
        content_type: request.content_type.clone(),
        data: request.chunks.concat().into_bytes(),
        ..HttpBody::default()
    }
}

/// Each chunk as a message of a stream; only the first says the type.
fn parts(request: DownloadRequest) -> impl Stream<Item = Result<DownloadReply, Status>> {
    let end = match request.code {
        0 => None,
        code => Some(Err(Status::new(Code::from_i32(code), "as told"))),
    };
    let mut content_type = request.content_type;
    let parts = (1..).zip(request.chunks).map(move |(number, chunk)| {
        let content_type = std::mem::take(&mut content_type);
        let labels = std::collections::HashMap::from([(chunk.clone(), number.into())]);
        let data = chunk.into_bytes();
        let body = Some(HttpBody { content_type, data, ..HttpBody::default() });
        Ok(DownloadReply { number, body, labels })
    });
    tokio_stream::iter(parts.chain(end))
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<prost_types::Any>,
}
