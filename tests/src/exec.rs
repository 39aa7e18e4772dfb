//! Runs `tracer exec` in the network namespace of a test, and reads what it says.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    process::{Command, Output, Stdio},
    thread,
};

use serde_json::Value;

use crate::{netns::Namespace, tracer::program};

const EXPECTED: &str = "a program that runs, text and sockets";

/// With these options and this command, in the network namespace of the test.
pub fn exec(options: &[&str], words: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("exec").args(options).arg("--").args(words).stdin(Stdio::null());
    command
}

/// What happens elsewhere on a busy machine, the kernel leaves out.
pub fn json(namespace: &Namespace, options: &[&str], words: &[&str]) -> Command {
    exec(&[&["--format", "json", namespace.netns], options].concat(), words)
}

/// What is on standard error, without what tracer remarks on a busy machine.
pub fn said(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).expect(EXPECTED);
    text.split_inclusive('\n').filter(|line| !line.contains(" WARN tracer::trace::")).collect()
}

/// The lines on standard error; the last one is the report.
pub fn lines(output: &Output) -> (Vec<Value>, Value) {
    let text = said(output);
    let parsed =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{text}")));
    let mut lines: Vec<Value> = parsed.collect();
    let report = lines.pop().expect(EXPECTED);
    assert_eq!(report["kind"], "exec", "{text}");
    assert_eq!(report["complete"], true, "{text}");
    (lines, report)
}

/// The lines of a kind.
pub fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

/// Answers each request with a short page, as long as the test runs.
pub fn web_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect(EXPECTED);
    let port = listener.local_addr().expect(EXPECTED).port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let request = BufReader::new(stream.try_clone().expect(EXPECTED)).lines();
            request.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            // curl may have been killed.
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\npage\n");
        }
    });
    port
}
