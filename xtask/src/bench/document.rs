//! The document around the table: with what and how the figures were made.

use super::figures::grouped;
use super::table::{self, Row};
use super::tool::Tool;
use super::{Bench, TRANSITIONS};

/// Markdown of the whole document.
pub(crate) fn write(machine: &str, rows: &[Row], bench: &Bench) -> String {
    let Bench { scale, tracer, .. } = bench;
    let commands = [
        Tool::tracer(tracer, "", &[]),
        Tool::tracer(tracer, "", &["--format", "json"]),
        Tool::tracer(tracer, "", &["--port", "9"]),
        Tool::tracer(tracer, "", &["--summary-only"]),
        Tool::tracer(tracer, "", &["record", "-o", "FILE"]),
        Tool::tcpstates(),
        Tool::bpftrace(),
    ];
    let shown = |tool: &Tool| match tool.command_line() {
        line if line.ends_with(" FILE") => line,
        line => format!("{line} > FILE"),
    };
    let commands: Vec<String> = commands.iter().map(shown).collect();
    let opening = "# What tracing costs\n\n\
        Made by `cargo xtask bench`; do not edit. Where the time goes is in \
        [benchmarks/anatomy.md](benchmarks/anatomy.md).\n";
    format!(
        "{opening}\n## With what\n\n{machine}\n## Figures\n\n{}\n## How\n\n{}\n\
         The commands:\n\n```sh\n{}\n```\n",
        table::markdown(rows),
        methods(scale.rounds, scale.connections),
        commands.join("\n"),
    )
}

fn methods(rounds: usize, connections: usize) -> String {
    let (rounds, connections) = (rounds.to_string(), grouped(connections as f64));
    METHODS
        .replace("{rounds}", &rounds)
        .replace("{connections}", &connections)
        .replace("{transitions}", &TRANSITIONS.to_string())
}

const METHODS: &str = "\
All variants take turns, untraced first, in {rounds} rounds, fewer where that would take too long; \
figures are medians, ratios the medians of the ratios of each turn. Every run has a network \
namespace of its own; the tools trace the whole host unless a line says otherwise, and write to \
files in memory. What is bold is a verdict on the tool: the same on a machine's good and bad days. The \
other ratios depend on where the kernel lets load and tool run that hour.

* **connections**: one thread connects and closes, another accepts and closes, {connections} \
times over loopback; both ends make {transitions} transitions a connection.
* **connections, all on one core**: load and tool pinned to the first processor (`taskset`), a \
third of the connections. What the tool takes is taken from the load, so that the ratio is that of \
the processor time.
* **getppid()**, **on each system call**: the shortest system call, the fastest of ten parts of \
5,000,000 calls, while a tracer has nothing to do; the difference to the untraced turn before. \
Accept() is seen at the return of the kernel's function where `tracer features` has fexit, else at \
the exit of system calls, which all pass; `--no-accept` sees it nowhere.
* **CPU per event, the tool's own**: time of all its threads on a processor, from before the \
first connection until the output is written (`/proc/PID/task/*/schedstat`). The eBPF programs are \
not in it: they run in whoever changes the state.
* **time per event in the kernel**: `run_time_ns` of the tool's eBPF programs while their \
statistics are on, in shorter runs of their own; reading the clock twice for each program is in it.
* **CPU per event, kernel and user**: the sum of both medians.
* **events not seen**: transitions of the load without a line of their own in the output. Of \
tracer only lines that the tracepoint told count, not what was made good afterwards.
* **by its own account**: what tracer's last line says of the whole host.
* **all processors busy**: the same in shorter runs, with a thread on each processor that does \
nothing but spin.
* **recursion misses**: times the kernel skipped a program because it was running on that \
processor already. What the main program of tracer misses, its guard catches.
* **start to all attached**: from starting tracer until its header is on a pipe, which it writes when \
nothing that happens from then on is missed.
* **start to first event told**: from starting the tool until the first line on a pipe that shows \
one of the events that another thread makes each millisecond; peers write by line for this \
(`stdbuf -oL`, `-B line`).
* **state change to line**: from listen() until the line has been read from a pipe, 40 ms apart; \
tcpstates and bpftrace again by line.
* **looks at many sockets**: the whole run of a command, its output to /dev/null. tracer always \
shows owners. ESTABLISHED ones have both ends in processes of 20,000 descriptors or what the limit allows. \
Memory for each socket: resident memory of a tracer that found them, less that of one that found \
none.
* **idle**: processor time of the tool's threads over some seconds in which nothing happens.
* **requests to nginx**: one worker, `wrk` with 16 connections and `Connection: close`.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_name_the_numbers() {
        let text = methods(5, 100_000);
        assert!(text.contains("untraced first, in 5 rounds"), "{text}");
        assert!(text.contains("100,000 times over loopback"), "{text}");
        assert!(!text.contains('{'), "{text}");
    }
}
