//! How often transcoding and routing ask for memory, and for how much. `cargo bench -p transom-benches --bench
//! codec_allocations` has the numbers of every message, and of others' engines.

#![allow(clippy::unwrap_used, clippy::expect_used)] // what a test unwraps, it asserts

use std::sync::Arc;

use transom::{
    routing::{Found, RouteTable},
    schema::{Schema, compile_protos},
    transcoding::{ReadOptions, Transcoder, WriteOptions},
};
use transom_bench_messages::{DESCRIPTOR_SET, samples};

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
