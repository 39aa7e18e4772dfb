//! The first process of a virtual machine that `cargo xtask vm` boots: mounts what a host has, runs
//! the live tests one after the other, and says on the console how each ended.
//!
//! `/plan` has a line for each test program: `NAME PATH`, and after that words of which one has to
//! be part of a test's name, if any. What is said is JSON, one object a line after [`MARK`], because
//! kernel and firmware write to the same console. It ends by switching the machine off.

use std::{
    collections::BTreeSet,
    env,
    ffi::CStr,
    fs,
    io::{self, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    mount::{MountFlags, mount},
    process::{
        Pid, Resource, Rlimit, Signal, WaitOptions, kill_process_group, setrlimit,
        wait as wait_for_any,
    },
    system::{RebootCommand, reboot},
};
use serde_json::{Value, json};
use tracer_tests::kernel;

/// What a line of ours begins with.
const MARK: &str = "@guest ";
const PLAN: &str = "/plan";
/// What the tests find in their environment.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("HOME", "/root"),
    ("PATH", "/usr/bin:/usr/sbin:/bin:/sbin"),
    ("TERM", "dumb"),
    ("TRACER_BIN", "/usr/bin/tracer"),
    ("TRACER_TEST_SLOWNESS", "5"),
];
/// Open files of a process, as service managers set it; the kernel itself starts with 4096.
const OPEN_FILES: u64 = 1 << 19;
/// How long one test may take: emulated processors are slow.
const LIMIT: Duration = Duration::from_secs(600);
/// How often a test may be tried, unless it takes long.
const ATTEMPTS: u32 = 2;
const LONG: Duration = Duration::from_secs(240);
/// What is kept of a test's words: the last.
const WORDS: usize = 6000;

fn main() {
    if std::process::id() != 1 {
        return run();
    }
    if let Err(error) = prepare() {
        tell(&json!({"broken": error.to_string()}));
    }
    let myself = env::current_exe().unwrap_or_else(|_| "/init".into());
    let mut next = Command::new(myself);
    next.env_clear().envs(ENVIRONMENT);
    match next.spawn() {
        Ok(child) => reap_until_gone(&child),
        Err(error) => tell(&json!({"broken": error.to_string()})),
    }
    tell(&json!({"end": true}));
    // A serial line is slow; what it has not sent yet is lost with the machine.
    thread::sleep(Duration::from_millis(300));
    // Nothing is on a disk. Fails where the machine cannot be switched off: it hangs then, and
    // the host ends it.
    let _ = reboot(RebootCommand::PowerOff);
    loop {
        thread::park();
    }
}

/// Whatever has lost its parent is a child of the first process.
fn reap_until_gone(child: &Child) {
    let child = Pid::from_child(child);
    while let Ok(gone) = wait_for_any(WaitOptions::empty()) {
        if gone.is_some_and(|(pid, _)| pid == child) {
            return;
        }
    }
}

/// What every host has mounted. `tracefs` is not there, as on a host that has just booted.
fn prepare() -> io::Result<()> {
    let none = MountFlags::empty();
    for (kind, target, needed) in [
        ("proc", "/proc", true),
        ("sysfs", "/sys", true),
        ("devtmpfs", "/dev", true),
        ("tmpfs", "/dev/shm", true),
        ("devpts", "/dev/pts", false),
        ("tmpfs", "/run", true),
        ("securityfs", "/sys/kernel/security", false),
    ] {
        // Some are directories of the file system before.
        let _ = fs::create_dir_all(target);
        let mounted = mount(kind, target, kind, none, c"");
        if let (Err(error), true) = (mounted, needed) {
            return Err(io::Error::other(format!("cannot mount {target}: {error}")));
        }
    }
    for &(kind, target, options) in hierarchies(&words_of_the_kernel()) {
        fs::create_dir_all(target)?;
        mount(kind, target, kind, none, options)?;
    }
    let linked = [("/proc/self/fd", "/dev/fd"), ("/proc/self/fd/0", "/dev/stdin")];
    for (target, link) in linked {
        // devtmpfs may have it already.
        let _ = std::os::unix::fs::symlink(target, link);
    }
    // Debian's default is a level of its own, at which perf_event_open() takes CAP_SYS_ADMIN.
    fs::write("/proc/sys/kernel/perf_event_paranoid", "2")?;
    let files = Rlimit { current: Some(20_000), maximum: Some(OPEN_FILES) };
    setrlimit(Resource::Nofile, files)?;
    // Before 5.11 maps are locked memory, of which the kernel starts with 64 KiB for each user.
    setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None })?;
    let up = Command::new("/usr/bin/ip").args(["link", "set", "lo", "up"]).status()?;
    up.success().then_some(()).ok_or_else(|| io::Error::other("lo does not come up"))
}

/// What the machine's setting asks for.
fn words_of_the_kernel() -> String {
    fs::read_to_string("/proc/cmdline").unwrap_or_default()
}

/// Control groups, in the order in which they are mounted: type, place, options. Those of version 1
/// are what systemd mounts, as far as the tests can notice.
fn hierarchies(words: &str) -> &'static [(&'static str, &'static str, &'static CStr)] {
    const FIRST: (&str, &str, &CStr) = ("tmpfs", "/sys/fs/cgroup", c"");
    const NAMED: (&str, &str, &CStr) = ("cgroup", "/sys/fs/cgroup/systemd", c"none,name=systemd");
    const FREEZER: (&str, &str, &CStr) = ("cgroup", "/sys/fs/cgroup/freezer", c"freezer");
    let has = |word| words.split_whitespace().any(|one| one == word);
    if has("guest.cgroup=v1") {
        &[FIRST, NAMED, FREEZER]
    } else if has("guest.cgroup=hybrid") {
        &[FIRST, ("cgroup2", "/sys/fs/cgroup/unified", c""), NAMED, FREEZER]
    } else {
        &[("cgroup2", "/sys/fs/cgroup", c"")]
    }
}

/// What the kernel was asked for by `sysctl.NAME=VALUE` and has not taken.
fn not_taken(words: &str) -> Vec<&str> {
    let is_taken = |word: &&str| {
        let setting = word.strip_prefix("sysctl.").and_then(|word| word.split_once('='));
        setting.is_none_or(|(name, value)| {
            let file = format!("/proc/sys/{}", name.replace('.', "/"));
            fs::read_to_string(file).is_ok_and(|text| text.trim() == value)
        })
    };
    words.split_whitespace().filter(|word| !is_taken(word)).collect()
}

fn run() {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let command_line = words_of_the_kernel();
    for word in not_taken(&command_line) {
        tell(&json!({"broken": format!("the kernel has not taken {word}")}));
    }
    tell(&json!({
        "kernel": release.trim(),
        "command_line": command_line.trim(),
        "lockdown": fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default().trim(),
        "features": features(),
    }));
    let plan = fs::read_to_string(PLAN).unwrap_or_default();
    for line in plan.lines() {
        let mut words = line.split_ascii_whitespace();
        if let (Some(suite), Some(program)) = (words.next(), words.next()) {
            run_suite(suite, program, &words.collect::<Vec<_>>());
        }
    }
}

/// What the program under test says of this kernel.
fn features() -> Value {
    // Under confidentiality tracefs is empty, and unmounting it stops Linux 6.12 (list corruption
    // in tracefs_destroy_inode).
    let script = "grep -qF '[confidentiality]' /sys/kernel/security/lockdown || \
                  mount -t tracefs tracefs /sys/kernel/tracing; \
                  exec \"$TRACER_BIN\" features --format json";
    let output = Command::new("unshare").args(["--mount", "sh", "-c", script]).output();
    let Ok(output) = output else { return Value::Null };
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<Value> = text.lines().flat_map(serde_json::from_str).collect();
    if lines.is_empty() {
        return json!(String::from_utf8_lossy(&output.stderr));
    }
    json!(lines)
}

fn run_suite(suite: &str, program: &str, words: &[&str]) {
    let listed = Command::new(program).args(["--list", "--format", "terse"]).output();
    let text = match &listed {
        Ok(output) => String::from_utf8_lossy(&output.stdout),
        Err(error) => return tell(&json!({"suite": suite, "broken": error.to_string()})),
    };
    let tests: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    let wanted = |test: &&str| words.is_empty() || words.iter().any(|word| test.contains(word));
    let tests: Vec<_> = tests.into_iter().filter(wanted).collect();
    if tests.is_empty() {
        tell(&json!({"suite": suite, "broken": "no such test"}));
    }
    for test in tests {
        tell(&attempted(suite, program, test));
    }
}

/// Runs a test, and once more if it fails: the clocks of an emulated processor leap. What it said
/// the first time is told in any case.
fn attempted(suite: &str, program: &str, test: &str) -> Value {
    let begun = Instant::now();
    let mut complaint = String::new();
    let mut attempts = 0;
    let mut passed = false;
    while !passed
        && attempts < ATTEMPTS
        && begun.elapsed() < LONG
        && !complaint.contains(kernel::LACKS)
    {
        attempts += 1;
        let (success, said) =
            perform(program, test).unwrap_or_else(|error| (false, error.to_string()));
        passed = success;
        if !passed && complaint.is_empty() {
            complaint = said;
        }
    }
    let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    json!({
        "suite": suite,
        "test": test,
        "passed": passed,
        "attempts": attempts,
        "ms": took,
        "said": complaint,
    })
}

/// One test in a process of its own: whether it passed, and what it said. What would harm a host is
/// ignored elsewhere; here is the machine for it.
fn perform(program: &str, test: &str) -> io::Result<(bool, String)> {
    let (mut reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    let options = ["--nocapture", "--test-threads=1", "--include-ignored"];
    command.args(["--exact", test]).args(options).process_group(0);
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // Its copies of the pipe would keep it open.
    drop(command);
    let said = thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = reader.read_to_end(&mut bytes);
        bytes
    });
    let ended = wait(&mut child, LIMIT)?;
    // What it has left behind would hold the pipe open, and disturb the next.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    child.wait()?;
    let said = said.join().unwrap_or_default();
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(WORDS)..]).into_owned();
    Ok(match ended {
        Some(status) => (status.success(), said),
        None => (false, format!("{said}\nnot done within {} s", LIMIT.as_secs())),
    })
}

fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(None)
}

/// One line on the console, in one piece.
fn tell(what: &Value) {
    let line = format!("\n{MARK}{what}\n");
    let mut console = io::stdout().lock();
    // There is nobody else to tell.
    let _ = console.write_all(line.as_bytes()).and_then(|()| console.flush());
}
