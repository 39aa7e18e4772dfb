//! Real software: nginx, asked by wrk over a connection for each request.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::figures::{Figures, Unit, alternate};
use super::namespace::Namespace;
use super::table::Row;
use super::throughput::Variant;
use super::tool::{Running, Tool};
use super::{Bench, command};
use crate::process;

const BUDGET: Duration = Duration::from_secs(60);
const MOST_ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const ADDRESS: &str = "127.0.0.1:8080";

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    const WHAT: &str = "requests to nginx, a connection each";
    let ours = Variant::ours(bench).into_iter().map(|variant| variant.tool);
    let all = ours.chain([Tool::tcpstates(), Tool::bpftrace()]);
    let tools: Vec<Option<Tool>> = [None].into_iter().chain(all.map(Some)).collect();
    let rounds = bench.scale.rounds.min(MOST_ROUNDS);
    let samples = alternate(rounds, BUDGET, &tools, |tool| run(bench, tool.as_ref()));
    let all: Vec<Figures> = samples.iter().map(|samples| samples.figures(|rate| *rate)).collect();
    let rows = tools.iter().zip(&all).map(|(tool, figures)| match tool {
        None => Row::new(WHAT, "untraced", Unit::PerSecond, figures),
        Some(tool) => Row::new(WHAT, &tool.label, Unit::PerSecond, figures)
            .compared(figures, &all[0], "untraced"),
    });
    Ok(rows.collect())
}

fn run(bench: &Bench, tool: Option<&Tool>) -> Result<f64> {
    let namespace = Namespace::new()?;
    let nginx = Nginx::start(&namespace, &bench.directory)?;
    let running = tool.map(|tool| trace(bench, tool)).transpose()?;
    let rate = ask(bench, &namespace);
    drop(nginx);
    if let Some(running) = running {
        running.finish()?;
    }
    rate
}

fn trace(bench: &Bench, tool: &Tool) -> Result<Running> {
    let output = bench.directory.join("output");
    let stdout = fs::File::create(&output).context("no file for a tool's output")?;
    let mut running = Running::start(tool, Stdio::from(stdout), &bench.directory)?;
    running.wait_until_attached()?;
    Ok(running)
}

/// Requests a second.
fn ask(bench: &Bench, namespace: &Namespace) -> Result<f64> {
    ensure!(process::find("wrk").is_some(), "wrk is not installed");
    let mut wrk = namespace.command("wrk");
    wrk.args(["--threads", "1", "--connections", "16", "--header", "Connection: close"]);
    wrk.arg("--duration").arg(format!("{}s", bench.scale.asking.as_secs()));
    let said = command::output(wrk.arg(format!("http://{ADDRESS}/")))?;
    requests_per_second(&said).with_context(|| format!("wrk says: {said}"))
}

fn requests_per_second(wrk: &str) -> Option<f64> {
    wrk.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"))?.trim().parse().ok()
}

/// A running nginx; ended, with its worker, when dropped.
pub(crate) struct Nginx {
    master: Child,
}

impl Nginx {
    pub(crate) fn start(namespace: &Namespace, directory: &Path) -> Result<Self> {
        ensure!(process::find("nginx").is_some(), "nginx is not installed");
        let files = directory.join("nginx");
        fs::create_dir_all(&files)?;
        let path = files.join("nginx.conf");
        fs::write(&path, configuration(&files))?;
        let mut command = namespace.command("nginx");
        command.arg("-c").arg(&path).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let nginx = Self { master: command.spawn().context("cannot start nginx")? };
        nginx.wait_until_it_serves(namespace)?;
        Ok(nginx)
    }

    fn wait_until_it_serves(&self, namespace: &Namespace) -> Result<()> {
        let serves = namespace.inside(|| {
            let begun = Instant::now();
            while std::net::TcpStream::connect(ADDRESS).is_err() {
                if begun.elapsed() > PATIENCE {
                    return false;
                }
                thread::sleep(Duration::from_millis(5));
            }
            true
        })?;
        ensure!(serves, "nginx does not serve");
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The worker ends with a master that is asked to, not with one that is killed.
        let _ = kill_process(Pid::from_child(&self.master), Signal::TERM);
        let _ = command::wait(&mut self.master, PATIENCE);
    }
}

fn configuration(files: &Path) -> String {
    let files = files.display();
    format!(
        "daemon off; user root; pid {files}/pid; error_log {files}/errors;\n\
         worker_processes 1; events {{}}\n\
         http {{ access_log off; client_body_temp_path {files}/a; proxy_temp_path {files}/b;\n\
         fastcgi_temp_path {files}/c; uwsgi_temp_path {files}/d; scgi_temp_path {files}/e;\n\
         server {{ listen {ADDRESS} backlog=4096; return 200 served; }} }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_what_wrk_says() {
        let said = "  4 threads\nRequests/sec:  12345.67\nTransfer/sec:      1.23MB\n";
        assert_eq!(requests_per_second(said), Some(12_345.67));
        assert_eq!(requests_per_second("unable to connect\n"), None);
    }
}
