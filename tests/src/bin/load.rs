//! Makes connections on loopback: `load COUNT` short ones at full speed, and prints how many a
//! second; `load hold COUNT` ones that stay, and prints a line when they are there, until standard
//! input is closed. `load calls COUNT` calls getppid(), and prints how many nanoseconds each
//! took in the fastest of ten parts: what came between is not theirs.

use std::{io::Read as _, time::Instant};

use tracer_tests::load;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (work, count): (fn(usize), _) = match arguments[..] {
        ["hold", count] => (hold, count.parse()),
        ["calls", count] => (calls, count.parse()),
        [count] => (connect, count.parse()),
        _ => (connect, "".parse()),
    };
    let Ok(count) = count else {
        eprintln!(
            "load: how many connections? for instance: load 100000, load hold 9000, or \
             load calls 1000000"
        );
        std::process::exit(2);
    };
    work(count);
}

fn connect(count: usize) {
    println!("{:.0}", count as f64 / load::connections(count).as_secs_f64());
}

fn calls(count: usize) {
    const PARTS: usize = 10;
    let of_part = || {
        let begun = Instant::now();
        for _ in 0..count / PARTS {
            // By its number, so that no library remembers the answer.
            // SAFETY: it takes nothing and changes nothing.
            unsafe { libc::syscall(libc::SYS_getppid) };
        }
        begun.elapsed()
    };
    let fastest = (0..PARTS).map(|_| of_part()).min().unwrap_or_default();
    println!("{:.2}", fastest.as_nanos() as f64 / (count / PARTS) as f64);
}

fn hold(count: usize) {
    load::allow_descriptors();
    let _held = load::held(count);
    println!("{count}");
    // Whatever comes, also an error: the connections have been wanted for long enough.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
