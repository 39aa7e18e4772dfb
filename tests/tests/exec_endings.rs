//! `tracer exec`: how it ends, for the command, its descendants and their control group.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Child, Command, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    exec::{exec, json, lines, of_kind, web_server},
    netns::isolated,
    sockets::eventually,
    terminal::Terminal,
    tracer::{WITH_TRACEFS, wait},
};

/// Listens in a process that has forked twice and has a session of its own, which outlives the
/// command; the command connects to it.
const DAEMON: &str = r#"
import os, socket, sys, time
ready, say = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2):
            os.dup2(os.open("/dev/null", os.O_RDWR), fd)
        listener = socket.create_server(("127.0.0.1", 0))
        os.write(say, b"%d %d" % (listener.getsockname()[1], os.getpid()))
        one, _ = listener.accept()
        one.recv(1)
        one.close()
        time.sleep(float(sys.argv[1]))
        late = socket.create_connection(listener.getsockname())
        late.close()
        time.sleep(float(sys.argv[2]))
    os._exit(0)
os.wait()
port, pid = map(int, os.read(ready, 64).split())
client = socket.create_connection(("127.0.0.1", port))
client.close()
print(pid, flush=True)
time.sleep(0.3)
"#;

/// The groups that tracers have made and left, wherever cgroup2 is mounted.
fn groups_of(pid: u32) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    let root = line.split(' ').nth(4).unwrap();
    let name = format!("tracer-exec-{pid}");
    let found = Command::new("find").args([root, "-name", &name]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn cgroup(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap()
}

#[test]
fn a_daemon_that_outlives_the_command_is_traced_told_and_left_alone() {
    isolated(|namespace| {
        let child = json(namespace, &[], &["python3", "-c", DAEMON, "60", "60"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let tracer = child.id();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let daemon: u32 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
        let (lines, report) = lines(&output);
        let ends = of_kind(&lines, "connection");
        let pids: Vec<_> = ends.iter().map(|line| line["process"]["pid"].as_u64()).collect();
        assert!(pids.contains(&Some(u64::from(daemon))), "{lines:#?}");
        assert_eq!(ends.len(), 2, "both ends: {lines:#?}");
        assert_eq!(report["destinations"].as_array().unwrap().len(), 2, "{report}");
        assert_eq!(report["open"][0]["tcp"]["state"], "LISTEN", "{report}");
        assert_eq!(report["open"][0]["process"]["pid"], daemon, "{report}");
        assert_eq!(report["survivors"][0]["pid"], daemon, "{report}");
        assert_eq!(groups_of(tracer), Vec::<String>::new());
        assert_eq!(cgroup(daemon), cgroup(std::process::id()));
        let daemon = Pid::from_raw(daemon.cast_signed()).unwrap();
        kill_process(daemon, Signal::KILL).unwrap();
    });
}

#[test]
fn with_wait_the_trace_goes_on_until_the_last_descendant_has_ended() {
    isolated(|namespace| {
        let mut command = json(namespace, &["--wait"], &["python3", "-c", DAEMON, "1", "0"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let (lines, report) = lines(&output);
        // The late one as well, which nobody accepts.
        assert_eq!(of_kind(&lines, "connection").len(), 4, "{lines:#?}");
        assert_eq!(report["survivors"], serde_json::json!([]));
        assert_eq!(report["open"], serde_json::json!([]), "{report}");
    });
}

/// Both ends belong to the command, in a network namespace of its own.
#[test]
fn a_command_in_a_namespace_of_its_own_is_traced() {
    isolated(|_| {
        let talk = "import socket; s = socket.create_server(('127.0.0.1', 0)); \
                    c = socket.create_connection(s.getsockname()); a, _ = s.accept(); \
                    c.close(); a.recv(1); a.close()";
        let script = format!("ip link set lo up && exec python3 -c \"{talk}\"");
        let output = exec(&["--format", "json"], &["unshare", "--net", "sh", "-c", &script])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let (lines, report) = lines(&output);
        assert_eq!(of_kind(&lines, "connection").len(), 2, "{lines:#?}");
        assert_eq!(report["destinations"].as_array().unwrap().len(), 2, "{report}");
    });
}

/// Waits until the command has said that it is ready.
fn ready(child: &mut Child) -> BufReader<std::process::ChildStdout> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    out
}

#[test]
fn signals_reach_the_command() {
    let script = "trap 'echo INT' INT; trap 'echo HUP' HUP; trap 'echo USR1' USR1; \
                  trap 'echo TERM; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut command = exec(&["--quiet"], &["sh", "-c", script]);
    // Who runs the tests in the background, or by nohup, has them ignored, and no shell traps what it
    // has found ignored.
    // SAFETY: signal() may be called between fork() and exec().
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            libc::signal(libc::SIGHUP, libc::SIG_DFL);
            Ok(())
        });
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = ready(&mut child);
    for (signal, name) in
        [(Signal::INT, "INT"), (Signal::HUP, "HUP"), (Signal::USR1, "USR1"), (Signal::TERM, "TERM")]
    {
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), name);
    }
    assert_eq!(wait(&mut child).code(), Some(9));
}

#[test]
fn a_command_that_is_killed_is_told_and_its_group_removed() {
    isolated(|namespace| {
        let port = web_server();
        let hold = format!(
            "import os, signal, socket; c = socket.create_connection(('127.0.0.1', {port})); \
             os.kill(os.getpid(), signal.SIGKILL)"
        );
        let child =
            json(namespace, &[], &["python3", "-c", &hold]).stderr(Stdio::piped()).spawn().unwrap();
        let tracer = child.id();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(9));
        let (lines, report) = lines(&output);
        assert_eq!(of_kind(&lines, "connection").len(), 1, "{lines:#?}");
        assert_eq!((&report["signal"], &report["exit_code"]), (&9.into(), &137.into()));
        assert_eq!(groups_of(tracer), Vec::<String>::new());
    });
}

/// The threads that serve the command keep what SECURITY.md says.
#[test]
fn the_threads_of_a_command_give_up_what_they_do_not_need() {
    let mut child = exec(&["--quiet"], &["sh", "-c", "echo ready; read word"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = ready(&mut child);
    let capabilities = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap().flatten();
        let mut kept: Vec<(String, String)> = tasks
            .map(|task| {
                let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
                let of = |name| status.lines().find_map(|line| line.strip_prefix(name));
                let of = |name| of(name).unwrap_or_default().trim().to_owned();
                (of("Name:"), of("CapEff:"))
            })
            .filter(|(name, _)| ["tracer", "tracer-command", "tracer-signals"].contains(&&**name))
            .collect();
        kept.sort();
        kept
    };
    let expected = [
        ("tracer", "0000000000000000"),
        // CAP_DAC_OVERRIDE, CAP_KILL.
        ("tracer-command", "0000000000000002"),
        ("tracer-signals", "0000000000000020"),
    ];
    let expected = expected.map(|(name, kept)| (name.to_owned(), kept.to_owned()));
    eventually("the privileges that are kept", || capabilities() == expected);
    drop(child.stdin.take());
    drop(out);
    wait(&mut child);
}

#[test]
fn in_a_terminal_both_are_one_job() {
    let terminal = Terminal::open(160, 40);
    terminal.run("exec --quiet -- sh -c 'trap \"echo caught\" INT; read word; echo got $word'");
    eventually("the command", || terminal.screen().contains("read word"));
    thread::sleep(std::time::Duration::from_secs(2));
    terminal.press(&["C-z"]);
    terminal.wait_for_words("Stopped");
    terminal.press(&["f", "g", "Enter"]);
    thread::sleep(std::time::Duration::from_millis(300));
    terminal.press(&["h", "i", "Enter"]);
    let screen = terminal.wait_for_words("= sh exited with status 0");
    assert!(screen.contains("got hi"), "{screen}");
    terminal.run("exec --quiet -- sleep 60; echo status=$?");
    thread::sleep(std::time::Duration::from_secs(2));
    terminal.press(&["C-c"]);
    terminal.wait_for_words("= sleep was ended by signal 2");
}

#[test]
fn without_cgroup2_its_processes_tell_and_it_says_what_that_can_miss() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    let prelude = format!("{WITH_TRACEFS} && umount {}", line.split(' ').nth(4).unwrap());
    // They stay until somebody has looked: what is over before is what may be missing.
    let script = "import os, socket, time\n\
                  s = socket.create_server(('127.0.0.1', 0))\n\
                  if os.fork() == 0:\n\
                  \x20   os.setsid()\n\
                  \x20   if os.fork() == 0:\n\
                  \x20       c = socket.create_connection(s.getsockname())\n\
                  \x20       c.send(b'x')\n\
                  \x20       c.recv(1)\n\
                  \x20   os._exit(0)\n\
                  a, _ = s.accept()\n\
                  a.recv(1)\n\
                  time.sleep(1)\n\
                  a.close()\n\
                  os.wait()\n";
    isolated(|namespace| {
        let inner = format!(r#"{prelude} && exec "$0" "$@""#);
        let traced = json(namespace, &[], &["python3", "-c", script]);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &inner]).arg(traced.get_program());
        let output = command.args(traced.get_args()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let (lines, _) = lines(&output);
        let degraded = lines[0]["degraded"].to_string();
        assert!(degraded.contains("control group of the command"), "{degraded}");
        assert_eq!(of_kind(&lines, "connection").len(), 2, "{lines:#?}");
    });
}

/// A reader that goes away ends the trace, not the command.
#[test]
fn a_command_goes_on_where_nobody_reads_the_trace() {
    let mut child = exec(&["--format", "json"], &["sh", "-c", "echo ready; read word; exit 5"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let mut out = ready(&mut child);
    drop(child.stdin.take());
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(wait(&mut child).code(), Some(5));
}
