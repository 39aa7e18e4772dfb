//! `tracer exec --assert`: what a command must not do on the network.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use serde_json::Value;
use tracer_tests::{
    exec::{exec, json, lines, said, web_server},
    netns::{Namespace, isolated},
    receiver::fetched,
    sockets::free_port,
};

/// Connects to these ports one after the other, as a test suite does; a port of 0 is left out.
const SUITE: &str = r#"
import socket, struct, sys
served, refused = map(int, sys.argv[1:3])
keep = []
for number in range(50):
    client = socket.create_connection(("127.0.0.1", served))
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    while client.recv(100): pass
    if number == 7 and "reset" in sys.argv:
        client = socket.create_connection(("127.0.0.1", served))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
if refused:
    try: socket.create_connection(("127.0.0.1", refused))
    except ConnectionRefusedError: pass
"#;

const ASSERTIONS: &str = "no-resets,no-refused,no-retransmits,no-close-wait,no-open,no-leaks,max-connections=60,reuse=60,handshake-p99=10s";

#[test]
fn what_is_asserted_holds_of_a_clean_suite_and_is_named_where_it_does_not() {
    isolated(|namespace| {
        let (port, closed) = (web_server().to_string(), free_port().to_string());
        let directory = tempfile::tempdir().unwrap();
        let junit = directory.path().join("junit.xml");
        let run = |arguments: &[&str]| {
            let options = ["--quiet", "--assert", ASSERTIONS, "--junit", junit.to_str().unwrap()];
            let words = [&["python3", "-c", SUITE], arguments].concat();
            let output = json(namespace, &options, &words).output().unwrap();
            let (_, report) = lines(&output);
            let violated: Vec<_> = report["assertions"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|one| one["passed"] == false)
                .map(|one| (one["name"].as_str().unwrap().to_owned(), one["violations"][0].clone()))
                .collect();
            (output.status.code(), violated, fs::read_to_string(&junit).unwrap())
        };
        for _ in 0..5 {
            let (status, violated, xml) = run(&[&port, "0"]);
            assert_eq!((status, violated.len()), (Some(0), 0), "{violated:?}");
            assert!(xml.contains(r#"tests="9" failures="0""#), "{xml}");
        }
        let (status, violated, xml) = run(&[&port, &closed, "reset"]);
        assert_eq!((status, violated.len()), (Some(1), 2), "{violated:?}");
        let (names, first): (Vec<_>, Vec<_>) = violated.into_iter().unzip();
        assert_eq!(names, ["no-resets", "no-refused"]);
        assert!(first[0]["message"].as_str().unwrap().contains("SO_LINGER 0"), "{first:?}");
        assert_eq!(first[0]["process"]["name"], "python3");
        assert_eq!(first[1]["network"]["peer"]["port"].to_string(), closed);
        assert!(xml.contains(r#"tests="9" failures="2""#), "{xml}");
    });
}

#[test]
fn a_close_wait_past_its_threshold_is_named_with_process_and_descriptor() {
    isolated(|namespace| {
        let port = web_server().to_string();
        let leak = "import socket, sys, time; c = socket.create_connection(('127.0.0.1', \
                    int(sys.argv[1]))); c.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); time.sleep(3)";
        let options =
            ["--quiet", "--stacks", "--linger", "close-wait=1s", "--assert", "no-close-wait"];
        let output = json(namespace, &options, &["python3", "-c", leak, &port]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let (_, report) = lines(&output);
        let violation = &report["assertions"][0]["violations"][0];
        assert_eq!(violation["process"]["name"], "python3", "{report}");
        assert!(violation["process"]["fd"].as_u64().is_some(), "{report}");
        assert!(violation["message"].as_str().unwrap().contains("; created at "), "{report}");
    });
}

#[test]
fn the_command_s_own_failure_comes_before_what_is_asserted() {
    isolated(|_| {
        let page = format!("http://127.0.0.1:{}/", free_port());
        let options = ["--quiet", "--assert", "no-refused"];
        let output = exec(&options, &["curl", "-s", &page]).output().unwrap();
        assert_eq!(output.status.code(), Some(7));
        let said = said(&output);
        assert!(said.contains("! no-refused violated: 127.0.0.1:"), "{said}");
        let output = exec(&["--assert", "no-leek"], &["true"]).output().unwrap();
        assert_eq!(output.status.code(), Some(125));
    });
}

/// Fifty tests that each open a connection to a server that closes it; test 7 keeps its socket if
/// it is to leak.
const PYTEST: &str = r#"
import os, socket, time, pytest

kept = []

@pytest.mark.parametrize("number", range(50))
def test_request(number):
    client = socket.create_connection(("127.0.0.1", int(os.environ["SERVED"])))
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    while client.recv(100): pass
    if number == 7 and os.environ["LEAK"] == "yes":
        kept.append(client)
    else:
        client.close()
    time.sleep(0.05)
"#;

/// The line of [`PYTEST`] that connects.
const LINE: &str = "test_sockets.py:8";

/// Runs pytest under `--assert no-leaks,reuse=50`; the status and what was found.
fn pytest(namespace: &Namespace, port: &str, leak: &str) -> (Option<i32>, Value) {
    let directory = tempfile::tempdir().unwrap();
    let suite = directory.path().join("test_sockets.py");
    fs::write(&suite, PYTEST).unwrap();
    let words = ["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider"];
    let words = [&words[..], &[suite.to_str().unwrap()]].concat();
    let options =
        ["--quiet", "--stacks", "--linger", "close-wait=1s", "--assert", "no-leaks,reuse=50"];
    let output = json(namespace, &options, &words)
        .env("PYTHONPATH", fetched("pytest"))
        .env("SERVED", port)
        .env("LEAK", leak)
        .output()
        .unwrap();
    let (_, report) = lines(&output);
    assert_eq!(report["exit_code"], 0, "{report}");
    (output.status.code(), report["assertions"].clone())
}

#[test]
fn one_leak_of_fifty_tests_is_found_with_its_line_and_a_clean_suite_has_none() {
    isolated(|namespace| {
        let port = web_server().to_string();
        for _ in 0..3 {
            let (status, assertions) = pytest(namespace, &port, "no");
            assert_eq!(status, Some(0), "{assertions}");
        }
        let (status, assertions) = pytest(namespace, &port, "yes");
        assert_eq!(status, Some(1), "{assertions}");
        let leak = &assertions[0];
        assert_eq!(leak["count"], 1, "{leak}");
        let violation = &leak["violations"][0];
        assert_eq!(violation["network"]["peer"]["port"].to_string(), port, "{leak}");
        assert_eq!(violation["process"]["name"], "python3", "{leak}");
        assert!(violation["process"]["fd"].as_u64().is_some(), "{leak}");
        let message = violation["message"].as_str().unwrap();
        for words in ["CLOSE_WAIT", "; connected at test_request (", LINE, "test_request[7] (call)"]
        {
            assert!(message.contains(words), "{words}: {message}");
        }
    });
}

/// Takes some ten minutes: `cargo xtask test -- --test assertions -- --ignored`.
#[test]
#[ignore = "takes some ten minutes"]
fn a_hundred_clean_runs_raise_no_alarm() {
    isolated(|namespace| {
        let port = web_server().to_string();
        for run in 0..100 {
            let (status, assertions) = pytest(namespace, &port, "no");
            assert_eq!(status, Some(0), "run {run}: {assertions}");
        }
    });
}

/// What a process leaves open when it ends without ado is a leak; `--stacks` names the code.
#[test]
fn what_is_open_at_the_end_of_its_process_is_a_leak() {
    isolated(|namespace| {
        let port = web_server().to_string();
        let leak = "import os, socket, sys; c = socket.create_connection(('127.0.0.1', \
                    int(sys.argv[1]))); d = socket.create_connection(('127.0.0.1', \
                    int(sys.argv[1]))); d.close(); os._exit(0)";
        let options = ["--quiet", "--assert", "no-leaks,reuse=1"];
        let output = json(namespace, &options, &["python3", "-c", leak, &port]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let (_, report) = lines(&output);
        let [leaks, reuse] = [0, 1].map(|index| &report["assertions"][index]);
        assert_eq!(leaks["count"], 1, "{report}");
        let message = leaks["violations"][0]["message"].as_str().unwrap();
        assert!(message.ends_with("open, in ESTABLISHED, when its process ended"), "{message}");
        let message = reuse["violations"][0]["message"].as_str().unwrap();
        assert_eq!(message, format!("2 connections to 127.0.0.1:{port}"));
    });
}
