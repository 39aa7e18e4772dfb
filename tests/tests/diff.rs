//! `tracer diff`: two recordings of real commands.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Output,
    thread,
};

use serde_json::Value;
use tracer_tests::{exec::json, netns::Namespace, netns::isolated, tracer::command};

/// Sixty requests, over one connection or over one each.
const CLIENT: &str = r#"
import http.client, sys, time
keep = sys.argv[2] == "keep"
connection = None
for number in range(60):
    connection = connection or http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
    connection.request("GET", "/")
    connection.getresponse().read()
    if not keep:
        connection.close()
        connection = None
    time.sleep(0.01)
if connection: connection.close()
"#;

/// Answers requests until the client closes.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = |mut stream: TcpStream| {
        for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
            if line.is_empty() {
                let page = format!("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{:500}", "page");
                // The client may have been killed.
                let _ = stream.write_all(page.as_bytes());
            }
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    port
}

fn record(namespace: &Namespace, file: &Path, port: u16, keep: &str) {
    let output = ["--output", file.to_str().unwrap()];
    let words = ["python3", "-c", CLIENT, &port.to_string(), keep];
    let output = json(namespace, &output, &words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn diff(files: [&Path; 2], options: &[&str]) -> Output {
    let files = files.map(|file| file.to_str().unwrap());
    command("", &[&["diff"], &files[..], options].concat()).output().unwrap()
}

/// What changed beyond noise: metric, verdict and sign.
fn changes(files: [&Path; 2]) -> Vec<(String, String, bool)> {
    let output = diff(files, &["--format", "json"]);
    assert!(output.status.success(), "{output:?}");
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = object["comparisons"].as_array().unwrap().iter();
    let changed = rows.filter(|row| row["beyond_noise"] == true);
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let change = |row: &Value| {
        (word(&row["metric"]), word(&row["verdict"]), row["change"].as_f64().unwrap() > 0.0)
    };
    changed.map(change).collect()
}

#[test]
fn keep_alive_is_seen_and_its_loss_is_a_regression() {
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let (kept, closed, again) = (file("kept"), file("closed"), file("again"));
        let port = server();
        record(namespace, &closed, port, "close");
        record(namespace, &kept, port, "keep");
        record(namespace, &again, port, "close");
        let expected = |verdict: &str, grows| {
            [("connections", "neither"), ("churn", verdict), ("destination", "neither")]
                .map(|(metric, verdict)| (metric.to_owned(), verdict.to_owned(), grows))
        };
        assert_eq!(changes([&kept, &closed]), expected("worse", true));
        assert_eq!(changes([&closed, &kept]), expected("better", false));
        assert_eq!(changes([&closed, &closed]), []);
        let fails = ["--fail-on", "regression"];
        let output = diff([&kept, &closed], &fails);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let golden: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with("! ") || line.starts_with("  "))
            .map(|line| line.split_whitespace().take_while(|word| !word.contains("/s")))
            .map(|words| words.collect::<Vec<_>>().join(" "))
            .collect();
        let destination = format!("connections to 127.0.0.1:{port}");
        let expected = [
            "CHANGED BEYOND NOISE BEFORE AFTER CHANGE P",
            "connections",
            "! TIME_WAIT entered (churn)",
            &destination,
        ];
        assert_eq!(golden[..expected.len()], expected, "{text}");
        for files in [[&closed, &kept], [&closed, &again], [&again, &closed]] {
            let output = diff(files.map(|file| &**file), &fails);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
    });
}

#[test]
fn what_is_no_recording_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let (empty, missing) = (directory.path().join("empty"), directory.path().join("missing"));
    fs::write(&empty, "").unwrap();
    for (file, words) in [(&empty, "no trace begins in it"), (&missing, "No such file")] {
        let output = diff([&empty, file], &[]);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        let is_one_line = said.lines().count() == 1;
        assert!(is_one_line && (said.contains(words) || file == &missing), "{said}");
    }
}
