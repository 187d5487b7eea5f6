//! How long each engine takes for each message, in both directions: `benches/run` makes a table
//! of it.

#![forbid(unsafe_code)]

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use transom_benches::{Contest, Direction, Engine};

fn codec(criterion: &mut Criterion) {
    for contest in Contest::all() {
        contest.check();
        for direction in Direction::ALL {
            let name = format!("{}/{}", direction.name(), contest.sample.name);
            let mut group = criterion.benchmark_group(name);
            group.throughput(Throughput::Bytes(contest.sample.json.len() as u64));
            // One behind the other, so that what else the machine does meets all of them alike.
            for engine in Engine::ALL {
                group.bench_function(engine.name(), |bencher| {
                    let mut out = Vec::new();
                    bencher.iter(|| {
                        out.clear();
                        black_box(&contest).run(engine, direction, &mut out);
                        black_box(&out);
                    });
                });
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .without_plots();
    targets = codec
}
criterion_main!(benches);
