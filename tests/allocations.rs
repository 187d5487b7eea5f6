//! How often transcoding asks for memory. `cargo bench -p transom-benches --bench
//! codec_allocations` has the numbers of every message, and of others' engines.

#![allow(clippy::unwrap_used, clippy::expect_used)] // what a test unwraps, it asserts

use std::sync::Arc;

use transom::{
    schema::Schema,
    transcoding::{ReadOptions, Transcoder, WriteOptions},
};
use transom_bench_messages::{DESCRIPTOR_SET, samples};

#[test]
#[ignore = "an engine that builds a tree of values asks for each of them"]
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
