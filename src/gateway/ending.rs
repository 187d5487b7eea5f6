//! How the end of an RPC is told: in HTTP trailers, or in a last frame of the body.

use bytes::Bytes;
use http::HeaderMap;

use super::reply::CallEnd;
use crate::{
    protocol::{Protocol, connect, grpc, grpc_web},
    status::{Code, Status},
    transcoding::Transcoder,
};

pub(super) enum Ending {
    Trailers(HeaderMap),
    Frame(Bytes),
}

impl Ending {
    pub(super) fn of(protocol: Protocol, end: &CallEnd, transcoder: &Transcoder) -> Self {
        let (status, metadata) = match end {
            Ok(metadata) => (&Status::new(Code::Ok, ""), metadata),
            Err(refusal) => (&refusal.status, refusal.headers()),
        };
        match protocol {
            Protocol::GrpcWeb(..) => Self::Frame(grpc_web::trailers_frame(status, metadata)),
            Protocol::Connect(..) => {
                Self::Frame(connect::end_of_stream(status, metadata, Some(transcoder)))
            }
            Protocol::Grpc(_) | Protocol::Rest | Protocol::WebSocket => {
                let mut trailers = metadata.clone();
                grpc::put_status(status, &mut trailers);
                Self::Trailers(trailers)
            }
        }
    }
}
