//! `shapes.v1`: whatever is asked is answered.

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue},
    service::Routes,
};

pub mod v1 {
    #![allow(clippy::large_enum_variant)]
    tonic::include_proto!("shapes.v1");
}

use v1::*;

type Reply<T> = Result<Response<T>, Status>;

/// All services of `shapes.v1`, beside those that `routes` has.
pub fn add_to(routes: Routes) -> Routes {
    routes
        .add_service(paths_server::PathsServer::new(Shapes))
        .add_service(values_server::ValuesServer::new(Shapes))
        .add_service(calls_server::CallsServer::new(Shapes))
}

struct Shapes;

/// Methods that answer the request, and their own name in it.
macro_rules! paths {
    ($($method:ident $name:literal)*) => {
        #[tonic::async_trait]
        impl paths_server::Paths for Shapes {
            $(async fn $method(&self, request: Request<Path>) -> Reply<Path> {
                Ok(Response::new(Path { rpc: $name.to_owned(), ..request.into_inner() }))
            })*
        }
    };
}

paths! {
    get_new "GetNew"
    get "Get"
    special "Special"
    start "Start"
    pages "Pages"
    anything "Anything"
    tail "Tail"
    tail_of "TailOf"
    docs_tail "DocsTail"
    publish "Publish"
    import "Import"
    watch "Watch"
    get_volume "GetVolume"
    post_volume "PostVolume"
    colon "Colon"
    colon_behind "ColonBehind"
    post_new "PostNew"
    get_book "GetBook"
    delete_anything "DeleteAnything"
    lock "Lock"
    any_method "AnyMethod"
    get_of_any "GetOfAny"
    unicode "Unicode"
    variables "Variables"
}

#[tonic::async_trait]
impl values_server::Values for Shapes {
    async fn echo(&self, request: Request<Everything>) -> Reply<Everything> {
        Ok(Response::new(request.into_inner()))
    }

    async fn body(&self, request: Request<Everything>) -> Reply<Everything> {
        Ok(Response::new(request.into_inner()))
    }

    async fn answer(&self, request: Request<Everything>) -> Reply<Everything> {
        Ok(Response::new(request.into_inner()))
    }
}

#[tonic::async_trait]
impl calls_server::Calls for Shapes {
    type TicksStream = Pin<Box<dyn Stream<Item = Result<Tick, Status>> + Send>>;

    async fn metadata(&self, request: Request<MetadataRequest>) -> Reply<MetadataReply> {
        let (sent, _, request) = request.into_parts();
        let entry = |name: &String, value: &MetadataValue<Ascii>| metadata_reply::Entry {
            name: name.clone(),
            value: value.to_str().unwrap_or("not ASCII").to_owned(),
        };
        let of_name = |name: &String| {
            sent.get_all(name).iter().map(|value| entry(name, value)).collect::<Vec<_>>()
        };
        let entries = request.names.iter().flat_map(of_name).collect();
        let answer = metadata_of(&request)?;
        if request.code != 0 {
            let code = Code::from_i32(request.code);
            return Err(Status::with_metadata(code, "as told", answer));
        }
        let mut reply = Response::new(MetadataReply { entries });
        *reply.metadata_mut() = answer;
        Ok(reply)
    }

    async fn ticks(&self, request: Request<TicksRequest>) -> Reply<Self::TicksStream> {
        let request = request.into_inner();
        let after: i32 = match request.after.as_str() {
            "" => 0,
            after => after.parse().map_err(|_| Status::invalid_argument("after is no tick"))?,
        };
        let padding = request.padding;
        let ticks = (after + 1..=request.ticks).map(move |number| {
            Ok(Tick { id: number.to_string(), padding: padding.clone(), color: Color::Red.into() })
        });
        let end =
            (request.code != 0).then(|| Err(Status::new(Code::from_i32(request.code), "as told")));
        Ok(Response::new(Box::pin(tokio_stream::iter(ticks.chain(end)))))
    }
}

fn metadata_of(request: &MetadataRequest) -> Result<MetadataMap, Status> {
    let mut metadata = MetadataMap::new();
    for (name, value) in &request.answer {
        let no_metadata = |_| Status::internal(format!("{name} cannot be metadata"));
        let name =
            MetadataKey::<Ascii>::from_bytes(name.as_bytes()).map_err(|_| no_metadata(()))?;
        let value = value.parse().map_err(|_| no_metadata(()))?;
        metadata.insert(name, value);
    }
    Ok(metadata)
}
