//! `tracer exec`: a command, its sockets, and nothing of it changed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    exec::{exec, json, lines, of_kind, said, web_server},
    netns::isolated,
    sockets::eventually,
    terminal::Terminal,
    tracer::{WITH_TRACEFS, program, wait},
};

/// The groups that tracers have made and left, wherever cgroup2 is mounted.
fn groups_of(pid: u32) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    let root = line.split(' ').nth(4).unwrap();
    let name = format!("tracer-exec-{pid}");
    let found = Command::new("find").args([root, "-name", &name]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn curl_is_traced_from_its_first_segment_to_its_last_and_nothing_else() {
    isolated(|namespace| {
        let port = web_server();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            // Others that do the same.
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    drop(TcpStream::connect(("127.0.0.1", port)));
                }
            });
            let page = format!("http://127.0.0.1:{port}/");
            let output = json(namespace, &[], &["curl", "-s", &page]).output().unwrap();
            over.store(true, Ordering::Relaxed);
            assert_eq!(output.status.code(), Some(0));
            assert_eq!(output.stdout, b"page\n");
            let (lines, report) = lines(&output);
            let steps: Vec<_> = of_kind(&lines, "transition")
                .iter()
                .map(|line| line["tcp"]["to"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(steps[..2], ["SYN_SENT", "ESTABLISHED"], "{lines:#?}");
            assert!(["CLOSED", "TIME_WAIT"].contains(&&**steps.last().unwrap()), "{steps:?}");
            let connections = of_kind(&lines, "connection");
            assert_eq!(connections.len(), 1, "{lines:#?}");
            assert_eq!(connections[0]["process"]["name"], "curl");
            let about: Vec<_> =
                lines.iter().filter_map(|line| line["socket"]["cookie"].as_u64()).collect();
            assert!(about.iter().all(|cookie| *cookie == about[0]), "{lines:#?}");
            let destination = &report["destinations"][0];
            assert_eq!(destination["direction"], "outgoing");
            assert_eq!(destination["port"], port);
            assert_eq!(destination["outcomes"]["graceful"], 1, "{report}");
            assert_eq!(report["handshake"]["count"], 1);
            assert!(report["bytes"]["received"].as_u64() > Some(5), "{report}");
            assert_eq!(
                (&report["open"], &report["survivors"]),
                (&serde_json::json!([]), &serde_json::json!([]))
            );
        });
    });
}

#[test]
fn a_ladder_shows_the_connection_of_the_command() {
    isolated(|_| {
        let page = format!("http://127.0.0.1:{}/", web_server());
        let mut short = Command::new(program());
        short.args(["--format", "ladder", "--", "curl", "-s", &page]).stdin(Stdio::null());
        let output = short.output().unwrap();
        assert!(output.status.success());
        let drawn = said(&output);
        assert_eq!(drawn.matches("━━ #").count(), 1, "{drawn}");
        assert!(drawn.contains("curl[") && drawn.contains("SYN seq="), "{drawn}");
        assert!(drawn.contains("= curl exited with status 0 after "), "{drawn}");
        assert!(drawn.contains(": 1 connection: 1 closed normally"), "{drawn}");
    });
}

#[test]
fn the_status_is_the_command_s_or_as_env_has_it() {
    let status = |words: &[&str]| exec(&["--quiet"], words).output().unwrap();
    assert_eq!(status(&["sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(status(&["true"]).status.code(), Some(0));
    let killed = status(&["sh", "-c", "kill -KILL $$"]);
    assert_eq!(killed.status.signal(), Some(9));
    assert!(
        String::from_utf8_lossy(&killed.stderr).contains("= sh was ended by signal 9 (Killed)")
    );
    let missing = status(&["no-such-command"]);
    assert_eq!(missing.status.code(), Some(127));
    let said = said(&missing);
    assert_eq!(said, "tracer: cannot run \"no-such-command\": No such file or directory\n");
    assert_eq!(status(&["/etc/passwd"]).status.code(), Some(126));
}

#[test]
fn where_tracer_fails_the_command_does_not_run_and_the_status_is_125() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("made");
    let file = file.to_str().unwrap();
    for options in [&["--buffer-size", "3"][..], &["--output", "/no/such/file"], &["--bogus"]] {
        let output = exec(options, &["touch", file]).output().unwrap();
        assert_eq!(output.status.code(), Some(125), "{options:?}");
        let said = said(&output);
        assert!(said.starts_with("tracer: ") && said.lines().count() == 1, "{said}");
        assert!(!Path::new(file).exists(), "{options:?}");
    }
    let output = exec(&[], &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
}

#[test]
fn input_and_output_are_the_command_s_own() {
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(300_000).collect();
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace.json");
    let options = ["--format", "json", "--output", trace.to_str().unwrap()];
    let script = "cat; echo mistake >&2";
    let mut command = exec(&options, &["sh", "-c", script]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let written = bytes.clone();
    let writing = thread::spawn(move || input.write_all(&written));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert_eq!(output.stdout, bytes);
    let said = said(&output);
    assert!(said.starts_with("mistake\n{\"kind\":\"exec\""), "{said}");
    assert_eq!(said.lines().count(), 2);
    let trace = fs::read_to_string(trace).unwrap();
    assert!(trace.lines().last().unwrap().contains(r#""kind":"summary""#), "{trace}");
}

/// Limits, dispositions and mask of signals, directory, and that nothing is confined. Of ignored
/// signals only those up to 16: glibc has two of its own, which posix_spawn() ignores.
#[test]
fn the_command_inherits_what_tracer_was_started_with() {
    let show = "ulimit -n; ulimit -s; ulimit -c; umask; pwd; env | grep -v '^_=' | sort; \
                grep -E '^(Sig(Blk|Ign)|NoNewPrivs|Seccomp|CapEff|CapBnd|Groups):' /proc/self/status | \
                sed 's/^SigIgn:.*\\(....\\)$/SigIgn \\1/'; \
                ls -l /proc/self/fd | grep -cE 'anon_inode|bpf|cgroup' || true";
    let script = "ulimit -n 512; ulimit -s 4096; umask 027; cd /usr; trap '' USR1 HUP; exec \"$@\"";
    let run = |words: &[&str]| {
        let words = [words, &["sh", "-c", show]].concat();
        let output = Command::new("sh")
            .args(["-c", script, "sh"])
            .args(words)
            .env("FOR_ONCE", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let tracer = program();
    let alone = run(&["env"]);
    assert_eq!(run(&[tracer.to_str().unwrap(), "exec", "--quiet", "--"]), alone);
}

#[test]
fn behind_sudo_the_command_runs_as_the_user_who_asked() {
    let show = "id -u; id -g; id -G; env | grep -c ^SUDO_; echo $FOR_ONCE; grep NoNewPrivs /proc/self/status";
    let run = |options: &[&str]| {
        let options = [&["--quiet"], options].concat();
        let mut command = exec(&options, &["sh", "-c", show]);
        command.env("SUDO_UID", "65534").env("SUDO_GID", "65533").env("FOR_ONCE", "once");
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let expected = ["65534", "65533", "65533", "0", "once", "NoNewPrivs:", "0"];
    assert_eq!(words(&run(&[])), expected);
    assert_eq!(words(&run(&["--as-root"]))[0], "0");
}

#[test]
fn a_command_may_execute_what_is_setuid() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = directory.path().join("id");
    fs::copy("/usr/bin/id", &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap();
    let mut command = exec(&["--quiet"], &[copy.to_str().unwrap(), "-u"]);
    let output = command.env("SUDO_UID", "65534").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\n");
}

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
    let mut child =
        exec(&["--quiet"], &["sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
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
        assert_eq!((&report["signal"], &report["status"]), (&9.into(), &137.into()));
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
    let script = "import os, socket\n\
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
