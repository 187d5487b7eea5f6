//! Any bytes as descriptors: no panic, and what compiles to plans can be used.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use transom::{
    schema::Schema,
    transcoding::{ReadOptions, Transcoder, WriteOptions},
};

fuzz_target!(|data: &[u8]| {
    let schema = match Schema::from_descriptor_set(data.to_vec()) {
        Ok(schema) => Arc::new(schema),
        Err(problems) => return assert!(!problems.0.is_empty()),
    };
    let Ok(transcoder) = Transcoder::new(schema) else { return };
    for message in transcoder.schema().messages().iter().take(20) {
        let message = transcoder.schema().message_by_name(&message.name).expect("it has a name");
        let (mut wire, mut json) = (Vec::new(), Vec::new());
        let options = WriteOptions { emit_defaults: true, ..Default::default() };
        let _ = transcoder.json_to_wire(message, b"{}", &ReadOptions::default(), &mut wire);
        let _ = transcoder.wire_to_json(message, &wire, &options, &mut json);
        json.clear();
        let _ = transcoder.wire_to_json(message, data, &options, &mut json);
    }
});
