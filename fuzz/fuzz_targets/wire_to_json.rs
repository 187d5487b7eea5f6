//! Any bytes as protobuf: no panic, and what is accepted becomes JSON that is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use transom_fuzz::Case;

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::new(data) else { return };
    let Some(json) = case.json(case.input) else { return };
    case.check_round_trip(&json);
});
