//! How long a lookup takes among ten, a thousand and ten thousand routes: `benches/run` makes a
//! table of it. A hundred times the routes should not be felt.

#![forbid(unsafe_code)]

use std::{fmt::Write as _, hint::black_box, sync::Arc, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::Method;
use transom::{
    routing::{Found, RouteTable},
    schema::{Schema, compile_protos},
};

/// Of a resource: as usual APIs have them.
const ROUTES: [(Method, &str); 5] = [
    (Method::GET, ""),
    (Method::POST, ""),
    (Method::GET, "/{id}"),
    (Method::DELETE, "/{id}"),
    (Method::POST, "/{id}:archive"),
];

/// As many for every table, so that what is looked for costs the same in all.
const LOOKUPS: usize = 10_000;

/// A table of so many annotated routes, and the routes that every method has besides.
fn table(routes: usize) -> RouteTable {
    let mut source = "syntax = \"proto3\";\npackage bench.v1;\n\
        import \"google/api/annotations.proto\";\nmessage Message { string id = 1; }\n"
        .to_owned();
    for resource in 0..routes / ROUTES.len() {
        let _ = writeln!(source, "service Service{resource} {{");
        for (number, (method, path)) in ROUTES.iter().enumerate() {
            let pattern = method.as_str().to_lowercase();
            let _ = writeln!(
                source,
                "rpc Method{number}(Message) returns (Message) {{ option (google.api.http) = \
                 {{{pattern}: \"/v1/resources{resource}{path}\"}}; }}"
            );
        }
        source.push_str("}\n");
    }
    let bytes = compile_protos(&[("bench.proto".to_owned(), source)]).expect("it compiles");
    let schema = Schema::from_descriptor_set(bytes).expect("it is a schema");
    RouteTable::build(vec![Arc::new(schema)]).expect("no route clashes")
}

/// Requests for routes at random, as `change` makes them of what would be found.
fn requests(
    routes: usize,
    change: impl Fn(&Method, String) -> (Method, String),
) -> Vec<(Method, String)> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit as u64) as usize
    };
    let mut request = || {
        let resource = random(routes / ROUTES.len());
        let (method, path) = &ROUTES[random(ROUTES.len())];
        let id = format!("{:08x}", random(1 << 32));
        change(method, format!("/v1/resources{resource}{}", path.replace("{id}", &id)))
    };
    (0..LOOKUPS).map(|_| request()).collect()
}

fn routing(criterion: &mut Criterion) {
    let sizes = [10, 1_000, 10_000];
    let tables: Vec<_> = sizes.into_iter().map(|size| (size, table(size))).collect();
    type Change = fn(&Method, String) -> (Method, String);
    type Expected = fn(&Found) -> bool;
    let kinds: [(&str, Change, Expected); 3] = [
        ("hit", |method, path| (method.clone(), path), |found| matches!(found, Found::Route(_))),
        (
            "miss",
            |method, path| (method.clone(), path + "/nothing/here"),
            |found| *found == Found::Nothing,
        ),
        ("405", |_, path| (Method::PATCH, path), |found| matches!(found, Found::OtherMethods(_))),
    ];
    for (kind, change, expected) in kinds {
        let mut group = criterion.benchmark_group(format!("route_{kind}"));
        group.throughput(Throughput::Elements(LOOKUPS as u64));
        for (size, table) in &tables {
            let requests = requests(*size, change);
            for (method, path) in &requests {
                let found = table.find(method, path).expect("it is a path");
                assert!(expected(&found), "{method} {path}: {found:?}");
            }
            group.bench_function(size.to_string(), |bencher| {
                bencher.iter(|| {
                    for (method, path) in &requests {
                        let _ = black_box(table.find(black_box(method), black_box(path)));
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots();
    targets = routing
}
criterion_main!(benches);
