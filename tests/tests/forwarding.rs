//! Which end of a proxy does not close, and that a half-close at work is none of its faults.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{thread, time::Duration};

use serde_json::json;
use tracer_tests::{
    case::python,
    diagnosis::Diagnosis,
    netns::{Namespace, isolated},
    record::listing,
    remedy::succeeds,
    tracer::Tracer,
};

/// A forwarder that passes a FIN on, as proxies do, or waits for both sides.
fn forward(passes_on: bool) -> String {
    let shut = if passes_on { "b.shutdown(1)" } else { "pass" };
    format!(
        "
l = listen('127.0.0.1', 9000); say('listening'); kept = []
def pump(a, b):
    while True:
        data = a.recv(65536)
        if not data: break
        b.sendall(data)
    {shut}
while True:
    a, _ = l.accept(); b = socket.create_connection(('127.0.0.1', 9001)); kept += [a, b]
    for pair in (a, b), (b, a): threading.Thread(target=pump, args=pair, daemon=True).start()"
    )
}

const BACKEND: &str = "
l = listen('127.0.0.1', 9001); say('listening'); kept = []
while True: c, _ = l.accept(); c.recv(100); c.sendall(b'answer'); kept.append(c)";
const CLIENT: &str = "
for i in range(5):
    k = socket.create_connection(('127.0.0.1', 9000)); k.sendall(b'question %d' % i); k.recv(100); k.close()
say('closed'); hold()";

fn forwarded(namespace: &Namespace, passes_on: bool, cause: &str) {
    let tracer = Tracer::start(namespace, &["--linger", "close-wait=1s"]);
    let (backend, _) = python("backend", BACKEND);
    let (proxy, _) = python("proxy", &forward(passes_on));
    let (_client, line) = python("client", CLIENT);
    assert_eq!(line, "closed");
    thread::sleep(Duration::from_millis(1_500));
    let diagnosis = Diagnosis::of(namespace, &[]);
    let leaks = diagnosis.all("close_wait_leak");
    let its =
        leaks.iter().find(|leak| leak.at("/finding/evidence/processes")[0]["pid"] == proxy.pid());
    let its = its.unwrap_or_else(|| panic!("{}", listing(&diagnosis.findings)));
    let evidence = its.at("/finding/evidence");
    assert_eq!((&evidence["cause"], &evidence["sockets"]), (&json!(cause), &json!(5)), "{its}");
    let side = &evidence["other_side"];
    assert_eq!(side["peers"][0]["peer"], json!({ "address": "127.0.0.1", "port": 9001 }), "{its}");
    assert_eq!(side["processes"][0]["pid"], backend.pid(), "{its}");
    let words = its.at("/finding/remedies").to_string();
    assert!(
        words.contains("half-close time-out") && !words.contains("must close() when"),
        "{words}"
    );
    let text = its.text("/finding/text").unwrap();
    assert!(text.contains(&format!("127.0.0.1:9001 (backend[{}])", backend.pid())), "{text}");
    let flag = tracer
        .wait_for("a flag", |one| one.kind() == "linger" && one.at("/process/pid") == proxy.pid());
    assert_eq!(flag.at("/cause/code"), cause, "{flag}");
    succeeds(its, "ss -K");
}

#[test]
fn of_a_proxy_that_passes_the_end_on_the_end_that_does_not_close_is_named() {
    isolated(|namespace| forwarded(namespace, true, "half_close_passed_on"));
}

#[test]
fn a_proxy_that_waits_for_both_sides_has_an_other_side_that_is_open() {
    isolated(|namespace| forwarded(namespace, false, "half_close_not_passed_on"));
}

/// A proxy whose client has closed its half and still gets data.
#[test]
fn a_half_close_at_work_is_well() {
    isolated(|namespace| {
        let (_backend, _) = python(
            "backend",
            "
l = listen('127.0.0.1', 9001); say('listening'); c, _ = l.accept()
while c.recv(100): pass
while True: c.sendall(b'more'); time.sleep(.1)",
        );
        let (_proxy, _) = python("proxy", &forward(true));
        let (_client, _) = python(
            "client",
            "
k = socket.create_connection(('127.0.0.1', 9000)); k.sendall(b'question'); k.shutdown(1); say('half-closed')
while k.recv(100): pass",
        );
        let diagnosis = Diagnosis::of(namespace, &["--for", "4s"]);
        assert!(diagnosis.findings.is_empty(), "{}", listing(&diagnosis.findings));
        assert_eq!(diagnosis.summary.number("/sending"), Some(2), "{}", diagnosis.summary);
    });
}
