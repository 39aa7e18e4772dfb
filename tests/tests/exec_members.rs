//! `tracer exec`: which sockets are the command's, and what the others cost.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::Stdio,
};

use serde_json::Value;
use tracer_tests::{
    exec::{json, lines, of_kind, web_server},
    load,
    netns::isolated,
    sockets::eventually,
    tracer::{read_all, wait},
};

/// Other connections that are opened and closed while the command runs.
const OTHERS: usize = 20_000;
/// The events of one connection, of its process and of its ends, are fewer.
const MOST: u64 = 40;

/// What the programs in the kernel have seen and sent, as `-v` logs it, by kind of record.
fn counted(log: &str) -> Vec<(u64, u64)> {
    let number = |text: &str, word: &str| -> Option<u64> {
        text.split(word).next()?.split_whitespace().next_back()?.parse().ok()
    };
    let lines = log.lines().filter(|line| line.contains(" submitted, "));
    lines.filter_map(|line| number(line, " seen,").zip(number(line, " submitted,"))).collect()
}

#[test]
fn twenty_thousand_other_connections_show_nothing_and_stay_in_the_kernel() {
    isolated(|namespace| {
        load::allow_descriptors();
        load::prepare(namespace);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("trace");
        let connect = "import socket, sys; print('ready', flush=True); sys.stdin.read(); \
                       socket.create_connection(('127.0.0.1', int(sys.argv[1]))).close()";
        let port = web_server().to_string();
        let options = ["-v", "--output", file.to_str().unwrap()];
        let mut child = json(namespace, &options, &["python3", "-c", connect, &port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = read_all(child.stderr.take().unwrap());
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n");
        load::connections(OTHERS);
        drop(child.stdin.take());
        assert!(wait(&mut child).success());
        let log = log.join().unwrap();
        let counted = counted(&log);
        let seen: u64 = counted.iter().map(|(seen, _)| seen).sum();
        let sent: u64 = counted.iter().map(|(_, sent)| sent).sum();
        // Nine or ten changes of state each, of both ends.
        assert!(seen >= 9 * OTHERS as u64, "{log}");
        assert!((4..MOST).contains(&sent), "{sent} records of {seen} events: {log}");
        let trace = fs::read_to_string(&file).unwrap();
        let trace: Vec<Value> =
            trace.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let about: BTreeSet<_> =
            trace.iter().filter_map(|line| line["socket"]["cookie"].as_u64()).collect();
        assert_eq!(about.len(), 1, "{trace:#?}");
        assert_eq!(of_kind(&trace, "connection").len(), 1);
        assert_eq!(trace.last().unwrap()["complete"], true);
    });
}

#[test]
fn a_pool_of_python_processes_is_traced_whole() {
    isolated(|namespace| {
        let port = web_server().to_string();
        let pool = "import multiprocessing, os, socket, sys\n\
                    def work(number):\n\
                    \x20   with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as one:\n\
                    \x20       one.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n\
                    \x20       while one.recv(100): pass\n\
                    \x20   barrier.wait()\n\
                    \x20   return os.getpid()\n\
                    barrier = multiprocessing.Barrier(3)\n\
                    with multiprocessing.get_context('fork').Pool(3) as pool:\n\
                    \x20   print(*pool.map(work, range(12), chunksize=1))\n";
        let output = json(namespace, &["--assert", "no-leaks"], &["python3", "-c", pool, &port])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let (lines, report) = lines(&output);
        let told = String::from_utf8(output.stdout).unwrap();
        let pids: BTreeSet<u64> = told.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        let connections = of_kind(&lines, "connection");
        let owners: BTreeSet<u64> =
            connections.iter().map(|line| line["process"]["pid"].as_u64().unwrap()).collect();
        assert_eq!((connections.len(), owners), (12, pids), "{lines:#?}");
        assert_eq!(report["destinations"][0]["outcomes"]["graceful"], 12, "{report}");
    });
}

/// A socket keeps the control group of who made it: of one that was made elsewhere, the process
/// that holds it decides, as long as it is there.
#[test]
fn what_an_inherited_listener_accepts_is_the_command_s() {
    isolated(|namespace| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("trace");
        let serve = "import socket; s = socket.socket(fileno=0); a, _ = s.accept(); a.recv(1); \
                     a.close(); s.accept()";
        let options = ["--output", file.to_str().unwrap()];
        let mut child = json(namespace, &options, &["python3", "-c", serve])
            .stdin(OwnedFd::from(listener))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Only what happens after its beginning is traced.
        let told = |word: &str| fs::read_to_string(&file).is_ok_and(|text| text.contains(word));
        eventually("the trace", || told(r#""kind":"hello""#));
        drop(TcpStream::connect(address).unwrap());
        eventually("the connection", || told(r#""kind":"connection""#));
        let trace = fs::read_to_string(&file).unwrap();
        let line = trace.lines().find(|line| line.contains(r#""kind":"connection""#)).unwrap();
        let connection: Value = serde_json::from_str(line).unwrap();
        assert_eq!(connection["network"]["local"]["port"], address.port());
        assert_eq!(connection["tcp"]["role"], "server");
        // Lets it end.
        drop(TcpStream::connect(address).unwrap());
        assert!(wait(&mut child).success());
    });
}
