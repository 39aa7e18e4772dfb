//! `tracer exec`: a command, its sockets, and nothing of it changed.

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use tracer_tests::{
    exec::{exec, json, lines, of_kind, said, web_server},
    files::set_mode,
    netns::isolated,
    tracer::program,
};

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
            assert!(about.len() > 2, "{lines:#?}");
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

/// spawn() returns when a short command has all but ended.
#[test]
fn a_short_command_has_its_whole_run_time() {
    isolated(|namespace| {
        for _ in 0..10 {
            let (_, report) = lines(&json(namespace, &[], &["true"]).output().unwrap());
            assert!(report["duration_ns"].as_u64() > Some(100_000), "{report}");
        }
    });
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
    set_mode(directory.path(), 0o755);
    let copy = directory.path().join("id");
    fs::copy("/usr/bin/id", &copy).unwrap();
    set_mode(&copy, 0o4755);
    let mut command = exec(&["--quiet"], &[copy.to_str().unwrap(), "-u"]);
    let output = command.env("SUDO_UID", "65534").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\n");
}
