//! What `tracer features` says, with all privileges, with some and with none; and that a trace
//! with the least says the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, process::Command};

use serde_json::Value;
use tracer_tests::{
    kernel,
    netns::isolated,
    sockets::{self, End, Pair, Path},
    stranger::Stranger,
    tracer::{Tracer, WITH_TRACEFS, command, program},
};

const LEAST: &str = "cap_bpf,cap_perfmon";
/// What more privileges would bring.
const PRIVILEGED: [&str; 3] = ["other network namespaces", "other processes", "precedence"];
/// Prelude that takes tracefs away.
const WITHOUT_TRACEFS: &str =
    "{ umount -l /sys/kernel/tracing /sys/kernel/debug 2>/dev/null || true; }";

/// Where it is there, accept() takes no tracefs.
const RETURNS: &str = "fexit";
/// Since Linux 6.12, and why before.
const WITHOUT_SOCKET: (&str, &str) =
    ("resets without a socket", "tcp:tcp_send_reset has no reason here");

/// What was said of each feature, and the exit status.
struct Listed {
    status: Option<i32>,
    features: Vec<Value>,
}

impl Listed {
    fn by(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["kind"], "host", "{text}");
        assert!(lines[1..].iter().all(|line| line["kind"] == "feature"), "{text}");
        Self { status: output.status.code(), features: lines[1..].to_vec() }
    }

    fn of(&self, name: &str) -> &Value {
        self.features.iter().find(|line| line["feature"] == name).unwrap()
    }

    fn missing(&self) -> Vec<&str> {
        let missing = self.features.iter().filter(|line| line["available"] == false);
        missing.map(|line| line["feature"].as_str().unwrap()).collect()
    }

    fn remedy(&self, name: &str) -> &str {
        self.of(name)["remedy"].as_str().unwrap()
    }
}

const JSON: [&str; 3] = ["features", "--format", "json"];

#[test]
fn root_has_all_that_this_kernel_allows() {
    let listed = Listed::by(&mut command(WITH_TRACEFS, &JSON));
    assert_eq!(listed.status, Some(0));
    assert!(listed.features.len() >= 18);
    // The live tests take a kernel that has the rest.
    let (without_socket, reason) = WITHOUT_SOCKET;
    let is_old = listed.of(without_socket)["reason"] == reason;
    let mut others = listed.missing();
    others.retain(|name| !["landlock", RETURNS].contains(name));
    others.retain(|name| !is_old || *name != without_socket);
    assert_eq!(others, [""; 0]);
}

/// As in a rootless container: the kernel asks for capabilities of the initial user namespace.
#[test]
fn in_a_user_namespace_it_is_said_that_root_does_not_count() {
    let inside = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user"]).arg(program()).args(arguments);
        command
    };
    for arguments in [&["trace"][..], &["sockets"], &["diagnose"], &["exec", "--", "true"]] {
        let output = inside(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let begin = "tracer: no permission to load BPF programs from a user namespace";
        assert!(said.starts_with(begin) && said.lines().count() == 1, "{arguments:?}: {said}");
        let status = if arguments[0] == "exec" { 125 } else { 2 };
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
    }
    let listed = Listed::by(&mut inside(&JSON));
    assert_eq!(listed.status, Some(2));
    assert!(listed.remedy("tracing").starts_with("run it on the host itself"));
}

#[test]
fn without_tracefs_the_command_that_mounts_it_helps() {
    let listed = Listed::by(&mut command(WITHOUT_TRACEFS, &JSON));
    assert_eq!(listed.status, Some(0));
    assert_eq!(listed.of("accept")["available"], listed.of(RETURNS)["available"]);
    if listed.of("accept")["available"] == true {
        return;
    }
    let prelude = format!("{WITHOUT_TRACEFS} && {}", listed.remedy("accept"));
    let remedied = Listed::by(&mut command(&prelude, &JSON));
    assert_eq!(remedied.of("accept")["available"], true, "{prelude}");
}

#[test]
fn another_user_with_two_capabilities_can_trace_and_learns_how_to_get_the_rest() {
    let stranger = Stranger::with("features", LEAST);
    let list = || Listed::by(&mut stranger.command(WITH_TRACEFS, &JSON));
    let listed = list();
    assert_eq!(listed.status, Some(0));
    let accept = (listed.of(RETURNS)["available"] == false).then_some("accept");
    for name in accept.iter().chain(&PRIVILEGED) {
        assert!(listed.missing().contains(name), "{name}: {:?}", listed.missing());
        // As it stands there, but for sudo, which root may not have.
        let remedy = listed.remedy(name).strip_prefix("sudo ").unwrap().to_owned();
        assert!(Command::new("sh").args(["-c", &remedy]).status().unwrap().success(), "{remedy}");
        assert_eq!(list().of(name)["available"], true, "{remedy}");
        restore(&stranger);
    }
}

fn restore(stranger: &Stranger) {
    let program = stranger.program();
    let command = Command::new("setcap").arg(format!("{LEAST}=ep")).arg(program).status();
    assert!(command.unwrap().success());
}

#[test]
fn without_any_privilege_the_list_is_printed_with_status_2() {
    let stranger = Stranger::with("nobody", "");
    let listed = Listed::by(&mut stranger.command("true", &JSON));
    assert_eq!(listed.status, Some(2));
    assert!(listed.features.len() >= 18);
    let tracing = listed.of("tracing");
    assert_eq!(tracing["available"], false);
    assert_eq!(tracing["reason"], "CAP_PERFMON and CAP_BPF missing");
    let program = stranger.program();
    let remedy = format!("sudo setcap cap_perfmon,cap_bpf=ep {}", program.display());
    assert_eq!(listed.remedy("tracing"), remedy);
    assert_eq!(listed.of("seccomp")["available"], true);
    let text = stranger.command("true", &["features"]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains(&remedy), "{text}");
}

#[test]
fn two_capabilities_suffice_for_the_own_namespace() {
    let stranger = Stranger::with("least", LEAST);
    isolated(|namespace| {
        let before = Pair::over(Path::V4);
        let options = ["--format", "json", namespace.netns];
        let tracer = Tracer::run(&mut stranger.command(WITHOUT_TRACEFS, &options));
        let ends: [End; 2] = before.ends().into();
        let list = ["sockets", "--format", "json"];
        let listed = stranger.command(WITHOUT_TRACEFS, &list).output().unwrap().stdout;
        let listed: Vec<Value> =
            serde_json::Deserializer::from_slice(&listed).into_iter().map(Result::unwrap).collect();
        for end in &ends {
            let own = listed.iter().find(|socket| socket["socket"]["cookie"] == end.cookie);
            assert_eq!(own.unwrap()["process"]["pid"], std::process::id(), "{end:?}");
        }
        let pair = Pair::over(Path::V6);
        let ends: [End; 2] = pair.ends().into();
        drop(sockets::close_client_first(&tracer, pair));
        // No event reports this: a look does, after all that is not needed has been given up.
        kernel::kill_time_wait(&ends[0]);
        let told = tracer.wait_for_step(&ends[0], "TIME_WAIT", "CLOSED");
        assert_eq!(told.at("/tcp/source"), "snapshot", "{told}");
        let effective = capabilities(tracer.pid());
        let trace = tracer.finish();
        let story = trace.life(&ends[0]).story();
        let client = "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2";
        assert!(story.starts_with(client), "{story}");
        let degraded = trace.hello.at("/degraded").as_array().unwrap();
        let is_old = |one: &&Value| one["reason"] == WITHOUT_SOCKET.1;
        let told = degraded.iter().filter(|one| !is_old(one));
        let told: Vec<_> = told.map(|one| one["feature"].as_str().unwrap()).collect();
        // Without the first, accept() is seen where tracefs is.
        let accept = if told.contains(&RETURNS) { &[RETURNS, "accept"][..] } else { &[] };
        // One namespace was asked for, so that the others are not missed.
        assert_eq!(told, [accept, &["other processes", "precedence"]].concat());
        assert!(effective.iter().all(|set| set & !(1 << 39) == 0), "{effective:x?}");
    });
}

#[test]
fn a_trace_of_all_says_what_it_cannot_look_into() {
    let stranger = Stranger::with("all", LEAST);
    isolated(|namespace| {
        let port = sockets::free_port().to_string();
        let options = ["--format", "json", "--port", &port];
        let trace = Tracer::run(&mut stranger.command(WITHOUT_TRACEFS, &options)).finish();
        let degraded = trace.hello.at("/degraded").as_array().unwrap();
        let told = degraded.iter().find(|one| one["feature"] == PRIVILEGED[0]);
        assert!(told.is_some(), "{}, from {namespace:?}", trace.hello);
        let listed = Listed::by(&mut stranger.command(WITHOUT_TRACEFS, &JSON));
        assert_eq!(listed.of(PRIVILEGED[0])["lost"], told.unwrap()["lost"], "one vocabulary");
    });
}

/// The effective sets of all threads.
fn capabilities(pid: u32) -> Vec<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let status = threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
    let set = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().to_owned();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    status.map(set).collect()
}
