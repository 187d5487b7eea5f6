//! gRPC through the gateway, on a socket: tonic's own client as the caller, all four kinds, in
//! process and remote.

use std::time::Duration;

use tokio_stream::StreamExt as _;
use tonic::{
    Code, Request,
    metadata::{MetadataMap, MetadataValue},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;
use transom::Gateway;
use transom_test_services::{
    INVENTORY_DESCRIPTOR_SET,
    inventory::{
        Inventory, InventoryClient, InventoryServer,
        v1::{CountReply, CountRequest, Everything, FailRequest, GetItemRequest},
    },
};

use crate::{
    remote,
    server::serve_gateway,
    support::{inventory_gateway, request, send, until},
};

struct Setup {
    client: InventoryClient<Channel>,
    inventory: Inventory,
    what: &'static str,
}

/// The inventory behind a gateway, in process and remote.
async fn both() -> [Setup; 2] {
    let in_process = Inventory::default();
    let remote = Inventory::default();
    let gateways = [
        inventory_gateway(in_process.clone()).build().unwrap(),
        remote::gateway(remote::serve_inventory(remote.clone()).await),
    ];
    let [first, second] = gateways;
    [
        Setup { client: client(first).await, inventory: in_process, what: "in process" },
        Setup { client: client(second).await, inventory: remote, what: "remote" },
    ]
}

async fn client(gateway: Gateway) -> InventoryClient<Channel> {
    let address = serve_gateway(gateway).await;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    InventoryClient::new(endpoint.connect().await.unwrap())
}

fn numbers(count: i32) -> Vec<CountReply> {
    (1..=count).map(|number| CountReply { number, padding: vec![] }).collect()
}

#[tokio::test]
async fn all_four_kinds() {
    for Setup { mut client, what, .. } in both().await {
        let item = client.get_item(GetItemRequest { name: "x".into() }).await.unwrap();
        assert_eq!(item.into_inner().stock, 7, "{what}");

        let count = CountRequest { messages: 1_000, padding_bytes: 100, ..Default::default() };
        let counted = client.count(count).await.unwrap().into_inner();
        let counted: Vec<_> = counted.map(|reply| reply.unwrap().number).collect().await;
        assert_eq!(counted, (1..=1_000).collect::<Vec<_>>(), "{what}");

        let stream = tokio_stream::iter(numbers(1_000));
        let collected = client.collect(stream).await.unwrap().into_inner();
        assert_eq!(collected.number, 1_000, "{what}");

        // Each answer comes before the next question: neither side waits for the other's end.
        let (questions, stream) = tokio::sync::mpsc::channel(1);
        let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
        questions.send(numbers(1)[0].clone()).await.unwrap();
        let mut answers = client.chat(stream).await.unwrap().into_inner();
        for number in 2..20 {
            assert_eq!(answers.message().await.unwrap().unwrap().number, number - 1, "{what}");
            questions.send(CountReply { number, padding: vec![] }).await.unwrap();
        }
        drop(questions);
        assert_eq!(answers.message().await.unwrap().unwrap().number, 19, "{what}");
        assert!(answers.message().await.unwrap().is_none(), "{what}");
    }
}

#[tokio::test]
async fn metadata_goes_there_and_back() {
    for Setup { mut client, what, .. } in both().await {
        let mut request = Request::new(());
        let metadata: &mut MetadataMap = request.metadata_mut();
        metadata.insert("x-shelf-mark", "A 1".parse().unwrap());
        metadata.insert_bin("trace-bin", MetadataValue::from_bytes(b"\x01\x02"));
        metadata.insert("x-transom-subject", "root".parse().unwrap());
        request.set_timeout(Duration::from_secs(5));
        let reply = client.metadata(request).await.unwrap();
        assert_eq!(reply.metadata().get("x-shelf").unwrap(), "3", "{what}");
        assert!(reply.metadata().get("set-cookie").is_none(), "{what}");
        let seen = reply.into_inner().metadata;
        assert_eq!(seen["x-shelf-mark"], "A 1", "{what}");
        assert_eq!(seen["trace-bin"], "Ok(b\"\\x01\\x02\")", "{what}");
        assert!(!seen.contains_key("x-transom-subject"), "{what}");
        let timeout = &seen["grpc-timeout"];
        let micros: u64 = timeout.trim_end_matches('u').parse().unwrap();
        assert!((1..=5_000_000).contains(&micros), "{what}: {timeout}");
    }
}

#[tokio::test]
async fn errors_keep_their_details() {
    for Setup { mut client, what, .. } in both().await {
        let fail =
            FailRequest { code: 3, message: "é%".into(), field: "f".into(), details: vec![] };
        let status = client.fail(fail).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "é%"), "{what}");
        let details = status.get_details_bad_request().unwrap();
        assert_eq!(details.field_violations[0].field, "f", "{what}");

        let count = CountRequest { messages: 2, code: 10, ..Default::default() };
        let mut stream = client.count(count).await.unwrap().into_inner();
        for _ in 0..2 {
            stream.message().await.unwrap().unwrap();
        }
        assert_eq!(stream.message().await.unwrap_err().code(), Code::Aborted, "{what}");
    }
}

#[tokio::test]
async fn deadlines_and_limits_are_the_gateways_own() {
    for Setup { mut client, inventory, what } in both().await {
        // tonic's client gives up on its own; this header is read by the gateway alone.
        let mut hang = Request::new(());
        hang.metadata_mut().insert("x-server-timeout", "0.05".parse().unwrap());
        let status = client.hang(hang).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{what}");
        let count = CountRequest { messages: 1, hang: true, ..Default::default() };
        let mut count = Request::new(count);
        count.metadata_mut().insert("x-server-timeout", "0.5".parse().unwrap());
        let mut stream = client.count(count).await.unwrap().into_inner();
        assert_eq!(stream.message().await.unwrap().unwrap().number, 1, "{what}");
        let status = stream.message().await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{what}");
        until(|| inventory.hanging.value() == 0).await;

        let large = Everything { text: "x".repeat(4 << 20), ..Default::default() };
        let status = client.echo(large.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{what}: {status}");
        let stream = tokio_stream::iter([CountReply { number: 1, padding: vec![0; 4 << 20] }]);
        let status = client.collect(stream).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{what}: {status}");
    }
}

#[tokio::test]
async fn a_caller_that_cancels_is_felt_upstream() {
    for Setup { mut client, inventory, what } in both().await {
        let count = CountRequest { messages: 1, hang: true, ..Default::default() };
        let mut stream = client.count(count).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some(), "{what}");
        assert_eq!(inventory.hanging.value(), 1, "{what}");
        drop(stream);
        until(|| inventory.hanging.value() == 0).await;
    }
}

#[tokio::test]
async fn compressed_messages_pass_as_they_are() {
    use tonic::codec::CompressionEncoding::Gzip;
    for Setup { client, what, .. } in both().await {
        // The service takes no compression: that it says so shows that the flag reached it.
        let everything = Everything { text: "x".repeat(5_000), ..Default::default() };
        let status = client.send_compressed(Gzip).echo(everything).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{what}: {status}");
    }
}

#[tokio::test]
async fn compressed_answers_pass_as_they_are() {
    use tonic::codec::CompressionEncoding::Gzip;
    let service = InventoryServer::new(Inventory::default()).send_compressed(Gzip);
    let gateway = Gateway::builder().service(INVENTORY_DESCRIPTOR_SET, service).build().unwrap();
    let mut client = client(gateway).await.accept_compressed(Gzip);
    let everything = Everything { text: "x".repeat(5_000), ..Default::default() };
    let echoed = client.echo(everything.clone()).await.unwrap();
    assert_eq!(echoed.metadata().get("grpc-encoding").unwrap(), "gzip");
    assert_eq!(echoed.into_inner(), everything);
    let count = CountRequest { messages: 3, padding_bytes: 2_000, ..Default::default() };
    let counted = client.count(count).await.unwrap().into_inner();
    assert_eq!(counted.map(|reply| reply.unwrap().number).collect::<Vec<_>>().await, [1, 2, 3]);
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let gateway = inventory_gateway(Inventory::default()).build().unwrap();
    let nope = request("POST /nope.Nope/Nope").header("content-type", "application/grpc");
    let answer = send(&gateway, nope.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, "12"));
}
