//! How often each engine asks for memory, for each message and direction, when it writes into a
//! `Vec` that is new. Growing one counts each time.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)] // the table

use transom_benches::{Contest, Direction, Engine};

fn main() {
    println!(
        "{:<14} {:<13} {:>8} {:>8} {:>14}",
        "direction", "message", "transom", "pbjson", "prost_reflect"
    );
    let contests = Contest::all();
    for direction in Direction::ALL {
        for contest in &contests {
            let [transom, pbjson, prost_reflect] = Engine::ALL.map(|engine| {
                // What is made once, by the first call, is no cost of a call.
                contest.run(engine, direction, &mut Vec::new());
                let run = || contest.run(engine, direction, &mut Vec::new());
                allocation_counter::measure(run).count_total
            });
            let (direction, name) = (direction.name(), contest.sample.name);
            println!("{direction:<14} {name:<13} {transom:>8} {pbjson:>8} {prost_reflect:>14}");
        }
    }
}
