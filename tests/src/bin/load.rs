//! Makes connections on loopback: `load COUNT` short ones at full speed, and prints how many a
//! second; `load hold COUNT` ones that stay, and prints a line when they are there, until standard
//! input is closed.

use std::io::Read as _;

use tracer_tests::load;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (holds, count) = match arguments.as_slice() {
        [verb, count] if verb == "hold" => (true, count.parse().ok()),
        [count] => (false, count.parse().ok()),
        _ => (false, None),
    };
    let Some(count) = count else {
        eprintln!("load: how many connections? for instance: load 100000, or load hold 9000");
        std::process::exit(2);
    };
    if holds {
        hold(count);
    } else {
        println!("{:.0}", count as f64 / load::connections(count).as_secs_f64());
    }
}

fn hold(count: usize) {
    load::allow_descriptors();
    let _held = load::held(count);
    println!("{count}");
    // Whatever comes, also an error: the connections have been wanted for long enough.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
