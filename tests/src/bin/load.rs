//! Makes short connections on loopback at full speed: `load COUNT`. Prints connections a second.

use tracer_tests::load;

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok());
    let Some(count) = count else {
        eprintln!("load: how many connections? for instance: load 100000");
        std::process::exit(2);
    };
    let took = load::connections(count);
    println!("{:.0}", count as f64 / took.as_secs_f64());
}
