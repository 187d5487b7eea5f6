//! How often transcoding asks for memory, and for how much. `cargo bench -p transom-benches --bench
//! codec_allocations` has the numbers of every message, and of others' engines.

#![allow(clippy::unwrap_used, clippy::expect_used)] // what a test unwraps, it asserts

use std::sync::Arc;

use transom::{
    schema::Schema,
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
