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

use crate::google::rpc;

type Reply<T> = Result<Response<T>, Status>;
type ReplyStream = Pin<Box<dyn Stream<Item = Result<CountReply, Status>> + Send>>;

/// The service. What happened to it can be watched from outside.
#[derive(Clone, Default)]
pub struct Inventory {
    /// Calls to `Hang` and hanging `Count`s that are open now.
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
        let mut messages = request.into_inner();
        let mut reply = CountReply::default();
        while messages.message().await?.is_some() {
            reply.number += 1;
        }
        Ok(Response::new(reply))
    }

    async fn chat(&self, request: Request<Streaming<CountReply>>) -> Reply<ReplyStream> {
        Ok(Response::new(Box::pin(request.into_inner())))
    }

    async fn ping(&self, request: Request<Everything>) -> Reply<Everything> {
        Ok(Response::new(request.into_inner()))
    }
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
