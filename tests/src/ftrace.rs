//! What the kernel's own tracer counts beside the program under test: it runs no BPF program, so
//! nothing is hidden from it.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    net::Ipv4Addr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    str,
};

/// Makes tracefs visible to this command alone, which then waits for its end.
const SCRIPT: &str = "{ grep -q ' /sys/kernel/tracing ' /proc/mounts \
    || mount -t tracefs tracefs /sys/kernel/tracing; } && echo ready && exec cat";
/// Of each processor, KiB: 84 bytes an event.
const BUFFER: &str = "65536";

/// A buffer of ftrace's own with all state changes of TCP sockets; gone when dropped.
#[derive(Debug)]
pub struct Ftrace {
    holder: Child,
    instance: PathBuf,
}

impl Ftrace {
    /// Begins to record what happens at a port, of all namespaces: of what other tests do at the same
    /// time there is more than the buffer holds.
    pub fn start(port: u16) -> Self {
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("live tests need the command unshare (util-linux)");
        let mut ready = [0; 6];
        let said = holder.stdout.take().expect("a pipe").read_exact(&mut ready);
        said.expect("live tests need tracefs");
        let process = std::process::id();
        let name = format!("tracer-test-{process}-{}", holder.id());
        let tracefs = format!("/proc/{}/root/sys/kernel/tracing", holder.id());
        let instance = PathBuf::from(tracefs).join("instances").join(name);
        fs::create_dir(&instance).expect("a buffer of ftrace's own");
        let ftrace = Self { holder, instance };
        ftrace.write("buffer_size_kb", BUFFER);
        let filter = format!("protocol == 6 && (sport == {port} || dport == {port})");
        ftrace.write("events/sock/inet_sock_set_state/filter", &filter);
        ftrace.write("events/sock/inet_sock_set_state/enable", "1");
        ftrace
    }

    fn write(&self, file: &str, value: &str) {
        let path = self.instance.join(file);
        fs::write(&path, value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// The state changes so far of the sockets at one end of which is `address`.
    pub fn changes(&self, address: Ipv4Addr) -> usize {
        self.write("tracing_on", "0");
        self.lost_nothing();
        let ends = [format!("saddr={address} "), format!("daddr={address} ")];
        let trace = File::open(self.instance.join("trace")).expect("ftrace's text");
        let mut trace = BufReader::with_capacity(1 << 20, trace);
        let (mut line, mut count) = (Vec::new(), 0);
        while trace.read_until(b'\n', &mut line).expect("ftrace's text") > 0 {
            let text = str::from_utf8(&line).unwrap_or_default();
            let is_change = word(text, "oldstate=") != word(text, "newstate=");
            count += usize::from(is_change && ends.iter().any(|end| text.contains(end)));
            line.clear();
        }
        count
    }

    fn lost_nothing(&self) {
        for entry in fs::read_dir(self.instance.join("per_cpu")).expect("processors") {
            let stats = fs::read_to_string(entry.expect("a processor").path().join("stats"));
            let stats = stats.expect("what ftrace has counted");
            for lost in ["overrun: ", "commit overrun: ", "dropped events: "] {
                let count = stats.lines().find_map(|line| line.strip_prefix(lost));
                assert_eq!(count, Some("0"), "{lost}: {stats}");
            }
        }
    }
}

impl Drop for Ftrace {
    fn drop(&mut self) {
        // A buffer that a failed test leaves behind takes memory: all is tried.
        let _ = fs::write(self.instance.join("events/enable"), "0");
        let _ = fs::remove_dir(&self.instance);
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

fn word<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_whitespace().next()
}
