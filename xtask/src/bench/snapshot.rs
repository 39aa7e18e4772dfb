//! A look at very many sockets, against `ss`; and the memory that following them takes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, getrlimit};

use super::figures::{Figures, Unit, alternate, grouped};
use super::namespace::Namespace;
use super::table::Row;
use super::tool::{Running, Tool};
use super::{Bench, accounts, command, idle, throughput};

const BUDGET: Duration = Duration::from_secs(25);
/// Kernel memory of a socket that a process holds, with its file: generously, bytes.
const SOCKET: u64 = 8 << 10;
/// Descriptors that a holding process needs besides those of its connections.
const SPARE: u64 = 100;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = time_wait(bench)?;
    rows.extend(established(bench)?);
    Ok(rows)
}

fn time_wait(bench: &Bench) -> Result<Vec<Row>> {
    let namespace = Namespace::new()?;
    throughput::load(bench, &namespace, bench.scale.crowd)?;
    let there = sockets(&namespace)?;
    let what = format!("{} sockets, nearly all in TIME_WAIT", grouped(there as f64));
    let mut rows = looks(bench, &namespace, &what, &["-tan"]);
    rows.push(quiet(bench, &namespace, &what));
    Ok(rows)
}

/// What following them costs while nothing else happens.
fn quiet(bench: &Bench, namespace: &Namespace, what: &str) -> Row {
    let share = idle::share(bench, &tracer(bench, namespace)).map(|share| vec![share]);
    let figures: Figures = share.map_err(|error| format!("{error:#}"));
    Row::new(what, "tracer, share of a core while idle", Unit::Percent, &figures)
}

fn established(bench: &Bench) -> Result<Vec<Row>> {
    let namespace = Namespace::new()?;
    let few = memory(bench, &namespace)?;
    let holders = hold(bench, &namespace)?;
    let there = sockets(&namespace)?;
    let what = format!("{} sockets, ESTABLISHED", grouped(there as f64));
    let mut rows = looks(bench, &namespace, &what, &["-tan", "-tanp"]);
    let many = memory(bench, &namespace)?;
    let each = (many.rest - few.rest) / there as f64;
    let memory = [("peak memory of tracer", many.peak), ("tracer, memory for each", each)];
    rows.extend(memory.map(|(label, value)| Row::new(&what, label, Unit::Bytes, &Ok(vec![value]))));
    rows.push(quiet(bench, &namespace, &what));
    drop(holders);
    Ok(rows)
}

/// Looks of `tracer sockets` and of `ss`, in turns.
fn looks(bench: &Bench, namespace: &Namespace, what: &str, options: &[&str]) -> Vec<Row> {
    let inode = namespace.inode.to_string();
    let variants: Vec<Option<&str>> =
        [None].into_iter().chain(options.iter().copied().map(Some)).collect();
    let samples = alternate(bench.scale.rounds, BUDGET, &variants, |options| {
        let took = match options {
            None => command::time(Command::new(&bench.tracer).args(["sockets", "--netns", &inode])),
            Some(options) => command::time(namespace.command("ss").arg(options)),
        };
        Ok(took?.as_nanos() as f64)
    });
    let all: Vec<Figures> = samples.iter().map(|samples| samples.figures(|took| *took)).collect();
    let rows = variants.iter().zip(&all).map(|(options, figures)| match options {
        None => Row::new(what, "tracer sockets (with owners)", Unit::Nanoseconds, figures),
        Some(options) => Row::new(what, &format!("ss {options}"), Unit::Nanoseconds, figures)
            .compared(figures, &all[0], "tracer sockets"),
    });
    rows.collect()
}

/// A tracer that follows what there is.
fn tracer(bench: &Bench, namespace: &Namespace) -> Tool {
    let inode = namespace.inode.to_string();
    Tool::tracer(&bench.tracer, "tracer", &["--format", "json", "--netns", &inode])
}

/// A tracer's resident memory, bytes.
struct Memory {
    peak: f64,
    /// After it has found what is there.
    rest: f64,
}

fn memory(bench: &Bench, namespace: &Namespace) -> Result<Memory> {
    let tool = tracer(bench, namespace);
    let output = bench.directory.join("output");
    let stdout = fs::File::create(&output).context("no file for a tool's output")?;
    let mut running = Running::start(&tool, Stdio::from(stdout), &bench.directory)?;
    running.wait_until_attached()?;
    std::thread::sleep(Duration::from_secs(1));
    let peak = accounts::memory(running.pid(), "VmHWM")? as f64;
    let rest = accounts::memory(running.pid(), "VmRSS")? as f64;
    running.finish()?;
    Ok(Memory { peak, rest })
}

/// A process that holds connections until its standard input is closed.
struct Holder {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It is killed where it does not end by itself.
        let _ = command::wait(&mut self.child, Duration::from_secs(10));
    }
}

/// Connections that stay, both ends, in as many processes as the limit on descriptors asks for;
/// fewer than wanted where memory does not suffice.
fn hold(bench: &Bench, namespace: &Namespace) -> Result<Vec<Holder>> {
    let meminfo = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
    let available = accounts::kibibytes(&meminfo, "MemAvailable").unwrap_or(0);
    let wanted = bench.scale.crowd.min((available / 2 / SOCKET) as usize);
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(1 << 20);
    let each = (limit.saturating_sub(SPARE) as usize / 2).max(1);
    let mut connections = wanted / 2;
    let mut holders = Vec::new();
    while connections > 0 {
        let some = connections.min(each);
        holders.push(holder(bench, namespace, some)?);
        connections -= some;
    }
    Ok(holders)
}

fn holder(bench: &Bench, namespace: &Namespace, connections: usize) -> Result<Holder> {
    let mut command = namespace.command(&bench.load.to_string_lossy());
    command.args(["hold", &connections.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().context("cannot start the load generator")?;
    let stdout = child.stdout.take();
    let holder = Holder { stdin: child.stdin.take(), child };
    // It ends, or says that all of them are there.
    let line = stdout.and_then(|stdout| BufReader::new(stdout).lines().next()?.ok());
    ensure!(line.is_some(), "the load generator cannot hold {connections} connections");
    Ok(holder)
}

/// TCP sockets in a namespace, those in TIME_WAIT included.
fn sockets(namespace: &Namespace) -> Result<u64> {
    let said = command::output(namespace.command("cat").arg("/proc/net/sockstat"))?;
    count(&said).with_context(|| format!("/proc/net/sockstat says: {said}"))
}

fn count(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = line.split_whitespace();
    let mut sum = 0;
    while let (Some(name), Some(number)) = (words.next(), words.next()) {
        if ["inuse", "tw"].contains(&name) {
            sum += number.parse::<u64>().ok()?;
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_in_use_and_in_time_wait_are_counted() {
        let sockstat =
            "sockets: used 9\nTCP: inuse 5 orphan 1 tw 100000 alloc 7 mem 1\nUDP: inuse 3 mem 0\n";
        assert_eq!(count(sockstat), Some(100_005));
        assert_eq!(count("UDP: inuse 3\n"), None);
    }
}
