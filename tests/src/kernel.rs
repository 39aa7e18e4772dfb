//! What the kernel says of the sockets of the calling thread's namespace, by other ways than the
//! tracer's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{netns::run, sockets::End};

/// A socket as `ss` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its cookie.
    pub cookie: u64,
    /// Its state, as the tracer writes it.
    pub state: &'static str,
    /// The line of `ss`.
    pub line: String,
}

/// Sockets by their cookies.
pub type States = BTreeMap<u64, &'static str>;

/// All TCP sockets, half-open and TIME_WAIT ones included.
pub fn sockets() -> Vec<Known> {
    lines(&ss(&["-tanoeH"])).map(known).collect()
}

/// The same with who holds each: process and descriptor.
pub fn held() -> Vec<(Known, BTreeSet<(u64, u64)>)> {
    lines(&ss(&["-tanopeH"])).map(|line| (known(line), holders(line))).collect()
}

/// `users:(("name",pid=1,fd=2),("name",pid=3,fd=4))`
fn holders(line: &str) -> BTreeSet<(u64, u64)> {
    let number = |text: &str| text.split([',', ')']).next()?.parse().ok();
    let holders = line.split("pid=").skip(1);
    holders
        .filter_map(|holder| Some((number(holder)?, number(holder.split("fd=").nth(1)?)?)))
        .collect()
}

/// States of all sockets; fails where `ss` shows one twice.
pub fn states() -> States {
    let mut states = States::new();
    for Known { cookie, state, line } in sockets() {
        assert_eq!(states.insert(cookie, state), None, "ss shows a socket twice: {line}");
    }
    states
}

/// How many sockets are in each state.
pub fn count(states: &States) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for state in states.values() {
        *counts.entry(*state).or_default() += 1;
    }
    counts
}

/// Minisockets (TIME_WAIT and orphaned FIN_WAIT2) of the namespace, as the kernel counts them.
pub fn minisockets() -> usize {
    // /proc/net is the namespace of the process's first thread.
    let text = fs::read_to_string("/proc/thread-self/net/sockstat").expect("/proc");
    let line = text.lines().find_map(|line| line.strip_prefix("TCP: ")).expect("a line on TCP");
    let mut words = line.split(' ').skip_while(|word| *word != "tw").skip(1);
    words.next().and_then(|count| count.parse().ok()).expect("a number of minisockets")
}

/// All sockets as `/proc/net` lists them.
pub fn listed() -> String {
    let table = |name| fs::read_to_string(format!("/proc/thread-self/net/{name}")).expect("/proc");
    table("tcp") + &table("tcp6")
}

/// Whether a socket with the ports of this one is [`listed`].
pub fn is_listed(table: &str, end: &End) -> bool {
    let ports = [end.local, end.peer].map(|address| format!(":{:04X}", address.port()));
    table.lines().any(|line| {
        // sl, local address, peer's address, …
        let mut words = line.split_ascii_whitespace().skip(1);
        ports.iter().all(|port| words.next().is_some_and(|address| address.ends_with(port)))
    })
}

/// Kills a TIME_WAIT, which no tracepoint reports.
pub fn kill_time_wait(end: &End) {
    let [local, peer] = [end.local, end.peer].map(|address| address.to_string());
    run("ss", &["-tKH", "state", "time-wait", "src", &local, "dst", &peer]);
    if is_listed(&listed(), end) {
        lacks("SOCK_DESTROY of TIME_WAIT");
    }
}

/// How a test begins to say that it fails for want of something of the kernel's, in words that
/// `cargo xtask vm` knows.
pub const LACKS: &str = "this kernel lacks ";

/// Fails a test for want of something of the kernel's.
pub fn lacks(what: &str) -> ! {
    panic!("{LACKS}{what}");
}

/// Fails a test where the kernel does not say in which of its functions a process waits, once it
/// does.
pub fn names_functions(pid: u64) {
    let is_named = || fs::read(format!("/proc/{pid}/wchan")).is_ok_and(|function| function != b"0");
    let begun = Instant::now();
    while !is_named() {
        if begun.elapsed() > Duration::from_secs(10) {
            lacks("wchan");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Without a socket that is closed already and only leaves the table.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("UNCONN "))
}

fn known(line: &str) -> Known {
    let mut words = line.split(' ');
    let shown = words.next();
    let state = NAMES.iter().find(|(name, _)| shown == Some(name));
    let cookie = words.find_map(|word| word.strip_prefix("sk:"));
    let cookie = cookie.and_then(|cookie| u64::from_str_radix(cookie, 16).ok());
    let (Some((_, state)), Some(cookie)) = (state, cookie) else { panic!("ss says {line:?}") };
    Known { cookie, state, line: line.to_owned() }
}

/// States as `ss` writes them and as the tracer does.
const NAMES: [(&str, &str); 10] = [
    ("LISTEN", "LISTEN"),
    ("SYN-SENT", "SYN_SENT"),
    ("SYN-RECV", "SYN_RECV"),
    ("ESTAB", "ESTABLISHED"),
    ("FIN-WAIT-1", "FIN_WAIT1"),
    ("FIN-WAIT-2", "FIN_WAIT2"),
    ("CLOSE-WAIT", "CLOSE_WAIT"),
    ("LAST-ACK", "LAST_ACK"),
    ("CLOSING", "CLOSING"),
    ("TIME-WAIT", "TIME_WAIT"),
];

/// The same name of a state, to be kept.
pub fn name(state: &str) -> &'static str {
    let known = NAMES.iter().find(|(_, name)| *name == state);
    known.unwrap_or_else(|| panic!("no state of a socket: {state}")).1
}

/// Sockets of the calling thread's namespace in a state, as `ss` names it.
pub fn count_in(state: &str) -> usize {
    ss(&["-Htn", "state", state]).lines().count()
}

/// What `ss` shows.
pub fn ss(options: &[&str]) -> String {
    let output = Command::new("ss").args(options).output().expect("ss");
    let errors = String::from_utf8_lossy(&output.stderr);
    // It names control groups where they are of version 2.
    let is_usual = |line: &str| line == "Failed to find cgroup2 mount";
    assert!(output.status.success() && errors.lines().all(is_usual), "ss {options:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}
