//! Control groups as a filter, and what is said of filters that name nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, net::TcpListener};

use tracer_tests::{
    cgroup::Container,
    netns::isolated,
    peer::Peer,
    sockets::{self, End},
    tracer::{self, Tracer, WITH_TRACEFS, command},
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

/// What a command remarks on its arguments; it succeeds.
fn said(prelude: &str, arguments: &[&str]) -> String {
    let output = command(prelude, arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    // On a busy machine there may be other remarks.
    let remarks: Vec<&str> =
        said.lines().filter(|line| line.contains(" tracer::cli::filter: ")).collect();
    remarks.join("\n")
}

#[test]
fn a_control_group_is_asked_for_by_path_and_by_unit() {
    isolated(|namespace| {
        let container = Container::make(3);
        let unit = format!("docker-{}.scope", container.id);
        let path = format!("/{unit}");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let port = address.port().to_string();
        // With its path, with its unit, and with a path that only begins alike.
        let tracers = [&path, &unit, &path[..20]].map(|group| {
            let options = ["--port", &port, "--cgroup", group];
            let mut tracer = command(WITH_TRACEFS, &[&["--format", "json"], &options[..]].concat());
            Tracer::run(&mut tracer)
        });
        let mut inside = Peer::start(PEER, "inside", &["await", &address.to_string()]);
        container.adopt(inside.pid());
        inside.go();
        let end = inside.end();
        let server = sockets::accept(&listener);
        let outside = End::of(&server);
        let listed = |group: &str| tracer::sockets(namespace, &["--cgroup", group]);
        for group in [&path, &unit] {
            let text = listed(group);
            assert!(text.contains("= 1 socket: 1 ESTABLISHED"), "{text}");
        }
        assert!(listed("/").contains("= 3 sockets"), "{}", listed("/"));
        drop(server);
        inside.close();
        let [by_path, by_unit, by_prefix] = tracers;
        for tracer in [by_path, by_unit] {
            tracer.wait_for_step(&end, "LAST_ACK", "CLOSED");
            let trace = tracer.finish();
            assert!(trace.life(&end).steps().len() >= 4);
            for record in trace.records.iter().filter(|record| end.is_told_by(record)) {
                assert_eq!(record.text("/socket/cgroup"), Some(&*path), "{record}");
            }
            assert!(trace.records.iter().all(|record| !outside.is_told_by(record)));
        }
        assert!(by_prefix.so_far().iter().all(|record| !end.is_told_by(record)));
    });
}

#[test]
fn a_filter_that_names_nothing_says_so_at_the_start() {
    isolated(|namespace| {
        let container = Container::make(4);
        let (own, inode) = (std::process::id().to_string(), namespace.inode.to_string());
        let there = ["--pid", &own, "--container", &container.id, "--netns", &inode];
        let nothing = ["--pid", "4194305", "--container", "0123beef", "--cgroup", "/no/such"];
        let trace = ["--duration", "10ms", "--format", "json"];
        let diagnose = ["diagnose", "--for", "10ms"];
        for begin in [&trace[..], &diagnose[..], &["sockets"]] {
            assert_eq!(said("", &[begin, &there[..]].concat()), "");
            let said = said("", &[begin, &nothing[..]].concat());
            let lines: Vec<&str> = said.lines().collect();
            assert_eq!(lines.len(), 3, "{said}");
            for (line, named) in lines.iter().zip(nothing.chunks(2)) {
                assert!(
                    line.contains(named.join(" ").trim_start_matches("--"))
                        && line.contains("there is no"),
                    "{said}"
                );
            }
        }
    });
}

/// The kernel half tells the numbers of the host.
#[test]
fn in_a_pid_namespace_it_is_said_whose_process_ids_are_told() {
    isolated(|namespace| {
        let arguments = ["sockets", namespace.netns];
        assert_eq!(said("", &arguments), "");
        let inner = r#"exec unshare --pid --fork --mount-proc "$0" "$@"; true"#;
        for prelude in [inner, &inner.replace(" --mount-proc", "")] {
            let said = said(prelude, &arguments);
            assert!(said.lines().count() == 1 && said.contains("NSpid"), "{said}");
        }
    });
}

#[test]
fn a_recording_is_filtered_by_control_group_too() {
    let directory = tempfile::tempdir().unwrap();
    let recording = directory.path().join("trace.json");
    fs::write(&recording, include_str!("../../docs/events.jsonl")).unwrap();
    let told = |group: &str| {
        let recording = recording.to_str().unwrap();
        let arguments = ["replay", "--format", "json", "--cgroup", group, recording];
        // That lines of other kinds are passed over is said.
        let output = command("", &arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.matches(r#""kind":"connection""#).count()
    };
    assert_eq!((told("/") > 0, told("/system.slice"), told("nginx.service")), (true, 0, 0));
}
