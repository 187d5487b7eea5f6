//! How often transcoding and routing ask for memory, and for how much. `cargo bench -p transom-benches --bench
//! codec_allocations` has the numbers of every message, and of others' engines.

#![allow(clippy::unwrap_used, clippy::expect_used)] // what a test unwraps, it asserts

use std::{borrow::Cow, sync::Arc};

use transom::{
    routing::{Found, RouteTable},
    schema::{FieldPath, MessageIndex, Schema, compile_protos},
    transcoding::{
        QueryParameter, ReadOptions, RequestBody, RestRequest, Transcoder, WriteOptions,
    },
};
use transom_bench_messages::{DESCRIPTOR_SET, samples};
use transom_test_services::INVENTORY_DESCRIPTOR_SET;

#[test]
fn a_small_message_takes_one_allocation_and_that_is_the_result() {
    let schema = Schema::from_descriptor_set(DESCRIPTOR_SET).unwrap();
    let user = schema.message_by_name("user.v1.User").unwrap();
    let transcoder = Transcoder::new(Arc::new(schema)).unwrap();
    let sample = samples().into_iter().find(|sample| sample.name == "small_user").unwrap();

    let read = || {
        let options = ReadOptions::default();
        transcoder.json_to_wire(user, &sample.json, &options, &mut Vec::new()).unwrap();
    };
    let write = || {
        let options = WriteOptions::default();
        transcoder.wire_to_json(user, &sample.wire, &options, &mut Vec::new()).unwrap();
    };
    // What is made once, by the first call, is no cost of a call.
    read();
    write();
    let count = |run: &dyn Fn()| allocation_counter::measure(run).count_total;
    assert_eq!((count(&read), count(&write)), (1, 1));
}

#[test]
fn memory_stays_within_three_times_the_larger_side() {
    let schema = Schema::from_descriptor_set(DESCRIPTOR_SET).unwrap();
    let transcoder = Transcoder::new(Arc::new(schema)).unwrap();
    let (read, write) = (ReadOptions::default(), WriteOptions::default());
    for sample in samples() {
        let message = transcoder.schema().message_by_name(sample.generated.message).unwrap();
        // Twice over, each field is there again, and messages merge.
        for wire in [sample.wire.clone(), [sample.wire.clone(), sample.wire.clone()].concat()] {
            let (mut json, mut back) = (Vec::new(), Vec::new());
            let used = allocation_counter::measure(|| {
                transcoder.wire_to_json(message, &wire, &write, &mut json).unwrap();
            });
            let limit = 3 * wire.len().max(json.len()) + 4_096;
            assert!(used.bytes_max <= limit as u64, "{}: {used:?}", sample.name);
            let used = allocation_counter::measure(|| {
                transcoder.json_to_wire(message, &json, &read, &mut back).unwrap();
            });
            let limit = 3 * json.len().max(back.len()) + 4_096;
            assert!(used.bytes_max <= limit as u64, "{}: {used:?}", sample.name);
        }
    }
}

#[test]
fn a_plain_path_is_routed_and_captured_without_memory() {
    let source = r#"
        syntax = "proto3";
        package r.v1;
        import "google/api/annotations.proto";
        service S {
          rpc Get(M) returns (M) { option (google.api.http) = {get: "/v1/shelves/{id}/books/{other}"}; }
          rpc Name(M) returns (M) { option (google.api.http) = {get: "/v1/{id=things/*/parts/*}"}; }
          rpc Rest(M) returns (M) { option (google.api.http) = {get: "/v1/files/{id=**}/raw"}; }
          rpc Verb(M) returns (M) { option (google.api.http) = {post: "/v1/shelves/{id}:archive"}; }
          rpc Other(M) returns (M) { option (google.api.http) = {get: "/v1/{id}/a/b/c/d/e/f/g/h/{other}"}; }
        }
        message M { string id = 1; string other = 2; }
    "#;
    let bytes = compile_protos(&[("r.proto".to_owned(), source.to_owned())]).unwrap();
    let table = RouteTable::build(vec![Arc::new(Schema::from_descriptor_set(bytes).unwrap())]);
    let table = table.unwrap();
    for (method, path, captured) in [
        ("GET", "/v1/shelves/1/books/2", &["1", "2"][..]),
        ("HEAD", "/v1/shelves/a:b/books/c:d", &["a:b", "c:d"]),
        ("GET", "/v1/things/x/parts/y", &["things/x/parts/y"]),
        ("GET", "/v1/files/a/b/c/raw", &["a/b/c"]),
        ("POST", "/v1/shelves/x:archive", &["x"]),
        ("GET", "/v1/shelves/a/b/c/d/e/f/g/h/x", &["shelves", "x"]),
        ("POST", "/r.v1.S/Get", &[]),
    ] {
        let method = method.parse().unwrap();
        let used = allocation_counter::measure(|| {
            let Ok(Found::Route(route)) = table.find(&method, path) else { panic!("{path}") };
            let mut expected = captured.iter();
            for text in table.routes()[route].captures(path) {
                assert_eq!(text.as_deref(), Ok(*expected.next().unwrap()), "{path}");
            }
            assert!(expected.next().is_none(), "{path}");
        });
        assert_eq!(used.count_total, 0, "{path}: {used:?}");
    }
    let used = allocation_counter::measure(|| {
        assert!(matches!(table.find(&http::Method::GET, "/v1/nothing/here"), Ok(Found::Nothing)));
    });
    assert_eq!(used.count_total, 0, "{used:?}");
}

fn whole(input: MessageIndex, body: RequestBody<'_>) -> RestRequest<'_> {
    RestRequest { input, path: &[], query: &[], body, mask: None, resume: None }
}

#[test]
fn binding_a_request_takes_what_its_message_takes() {
    let schema = Arc::new(Schema::from_descriptor_set(INVENTORY_DESCRIPTOR_SET).unwrap());
    let transcoder = Transcoder::new(Arc::clone(&schema)).unwrap();
    let message = |name: &str| schema.message_by_name(&format!("inventory.v1.{name}")).unwrap();
    let path = |input, name| FieldPath::resolve(&schema, input, name).unwrap();
    let allocations = |request: &RestRequest<'_>| {
        let bind = || {
            let mut out = Vec::new();
            transcoder.bind(request, &ReadOptions::default(), &mut out).unwrap();
            assert!(!out.is_empty());
        };
        bind();
        allocation_counter::measure(bind).count_total
    };
    let json =
        br#"{"text":"a text of some length","signed":7,"tags":["a","b"],"child":{"flag":true}}"#;

    // GET /v1/{name=shelves/*/items/*}
    let (get, everything) = (message("GetItemRequest"), message("Everything"));
    let name = path(get, "name");
    let captures = [(&name, Cow::Borrowed("shelves/1/items/2"))];
    let by_path = RestRequest { path: &captures, ..whole(get, RequestBody::None) };
    assert_eq!(allocations(&by_path), 1);

    // POST /v1/everything, and with a variable that the body leaves out
    let posted = whole(everything, RequestBody::Message(json));
    assert_eq!(allocations(&posted), 1);
    let (opt, number) = (path(everything, "opt"), path(everything, "child.child.signed"));
    let captures = [(&opt, Cow::Borrowed("x"))];
    let and_path = whole(everything, RequestBody::Message(json));
    assert_eq!(allocations(&RestRequest { path: &captures, ..and_path }), 1);

    // A number in the path is quoted to be read.
    let captures = [(&number, Cow::Borrowed("7"))];
    let by_number = whole(everything, RequestBody::None);
    assert_eq!(allocations(&RestRequest { path: &captures, ..by_number }), 2);

    // POST /v1/{parent=shelves/*}/items, PUT /v1/{item.name=shelves/*/items/*}
    for (request, variable) in [("CreateItemRequest", "parent"), ("UpdateItemRequest", "item.name")]
    {
        let input = message(request);
        let (item, variable) = (path(input, "item"), path(input, variable));
        let captures = [(&variable, Cow::Borrowed("shelves/1"))];
        for json in [&br#"{"stock":"3","amount":1.5}"#[..], br#"{"name":"shelves/1"}"#] {
            let body = RequestBody::Field(&item, json);
            let request = RestRequest { path: &captures, ..whole(input, body) };
            assert_eq!(allocations(&request), 1);
        }
    }

    // GET /v1/everything?…: lists of what is bound, which grow with the fields that are.
    let parameter =
        |name, value| QueryParameter { name: Cow::Borrowed(name), value: Cow::Borrowed(value) };
    let few: Vec<_> = ["text", "opt", "left", "child.text"].map(|name| parameter(name, "x")).into();
    let many: Vec<_> = (0..256).map(|_| parameter("child.tags", "x")).collect();
    for query in [few, many] {
        let request = RestRequest { query: &query, ..whole(everything, RequestBody::None) };
        assert!(allocations(&request) <= 5, "{}", allocations(&request));
    }
}
