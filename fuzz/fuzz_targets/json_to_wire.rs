//! Any bytes as JSON: no panic, and what is accepted is written and read alike ever after.

#![no_main]

use libfuzzer_sys::fuzz_target;
use transom_fuzz::Case;

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::new(data) else { return };
    let Some(wire) = case.wire(case.input, &case.read) else { return };
    // Some types hold what has no JSON; what came from JSON never does.
    let json = case.json(&wire).expect("what was read can be written");
    case.check_round_trip(&json);
});
