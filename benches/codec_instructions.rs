//! How many instructions each engine takes, counted by Valgrind: the same from run to run, so
//! that a change of one per cent is seen, where times are off by ten. `benches/run` makes a table.

#![forbid(unsafe_code)]
#![allow(missing_docs)] // what the macros make

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use transom_benches::{Contest, Direction, Engine};

/// A contest, and the buffer to write into.
struct Prepared(Contest, Vec<u8>);

/// What comes before counting: everything that is looked up once, and a first run, which grows
/// the buffer.
fn prepare(sample: &str, engine: Engine, direction: Direction) -> Prepared {
    let contest = Contest::all().into_iter().find(|contest| contest.sample.name == sample);
    let Some(contest) = contest else { panic!("no sample is called {sample}") };
    let mut out = Vec::new();
    contest.run(engine, direction, &mut out);
    out.clear();
    Prepared(contest, out)
}

/// One function for each engine and direction, one benchmark for each sample.
macro_rules! count {
    ($($function:ident: $engine:ident $direction:ident;)*) => {$(
        #[library_benchmark(setup = prepare)]
        #[bench::small_user("small_user", Engine::$engine, Direction::$direction)]
        #[bench::users_1000("users_1000", Engine::$engine, Direction::$direction)]
        #[bench::deep_tree("deep_tree", Engine::$engine, Direction::$direction)]
        #[bench::log_record("log_record", Engine::$engine, Direction::$direction)]
        #[bench::numbers("numbers", Engine::$engine, Direction::$direction)]
        #[bench::bytes("bytes", Engine::$engine, Direction::$direction)]
        #[bench::maps("maps", Engine::$engine, Direction::$direction)]
        #[bench::every_kind("every_kind", Engine::$engine, Direction::$direction)]
        fn $function(mut prepared: Prepared) -> Prepared {
            let Prepared(contest, out) = &mut prepared;
            black_box(&*contest).run(Engine::$engine, Direction::$direction, out);
            // Given back, so that dropping is not counted.
            prepared
        }
    )*};
}

count! {
    transom_json_to_wire: Transom JsonToWire;
    pbjson_json_to_wire: Pbjson JsonToWire;
    prost_reflect_json_to_wire: ProstReflect JsonToWire;
    transom_wire_to_json: Transom WireToJson;
    pbjson_wire_to_json: Pbjson WireToJson;
    prost_reflect_wire_to_json: ProstReflect WireToJson;
}

library_benchmark_group!(
    name = codec,
    benchmarks = [
        transom_json_to_wire,
        pbjson_json_to_wire,
        prost_reflect_json_to_wire,
        transom_wire_to_json,
        pbjson_wire_to_json,
        prost_reflect_wire_to_json
    ]
);

main!(library_benchmark_groups = codec);
