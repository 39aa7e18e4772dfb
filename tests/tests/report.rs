//! `tracer report`: one page, whose numbers are those of the connections made, and which a real
//! browser shows.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    net::{Shutdown, TcpStream},
    path::Path,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    kernel,
    netns::{Namespace, isolated},
    page::Page,
    recording::Recorder,
    sockets::{self, Pair, Path as Way, eventually},
    tracer::{command, read_all, refused, wait},
};

/// A report that is being gathered; `-v`, because the log tells when the first look is done.
fn start(namespace: &Namespace, file: &Path) -> Child {
    let file = file.to_str().unwrap();
    let arguments = ["report", "-v", "--duration", "60s", "-o", file, namespace.netns];
    let mut child =
        command("", &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("snapshot of") {
        assert!(log.read_line(&mut told).unwrap() > 0, "the tracer cannot attach: {told}");
    }
    drop(read_all(log));
    child
}

fn finish(mut child: Child) -> String {
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut told = String::new();
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(wait(&mut child).success(), "{told}");
    told
}

/// Sockets by state, as the kernel lists them.
fn states() -> BTreeMap<String, usize> {
    let mut states = BTreeMap::new();
    for socket in kernel::sockets() {
        *states.entry(socket.state.to_string()).or_default() += 1;
    }
    states
}

/// Three connections closed in order at both ends, the client first: TIME_WAIT; and two that nobody takes.
fn three_closed_two_refused() {
    for _ in 0..3 {
        let Pair { listener: _, client, mut server } = Pair::over(Way::V4);
        drop(client);
        sockets::wait_for_end(&mut server);
    }
    for _ in 0..2 {
        let nobody = sockets::loopback(Way::V4, sockets::free_port());
        TcpStream::connect(nobody).unwrap_err();
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn the_page_counts_what_happened_and_a_browser_shows_it() {
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("report.html");
        let before = Pair::over(Way::V4);
        let report = start(namespace, &file);
        three_closed_two_refused();
        let Pair { listener: _, client, mut server } = Pair::over(Way::V4);
        sockets::linger_zero(&client);
        drop(client);
        std::io::Read::read(&mut server, &mut [0]).unwrap_err();
        // The peer has closed, this one does not.
        let kept: Vec<Pair> = (0..2).map(|_| Pair::over(Way::V4)).collect();
        kept.iter().for_each(|pair| pair.client.shutdown(Shutdown::Write).unwrap());
        eventually("all in CLOSE_WAIT", || states().get("CLOSE_WAIT") == Some(&2));
        eventually("all in TIME_WAIT", || states().get("TIME_WAIT") == Some(&3));
        let really = states();
        let told = finish(report);
        assert!(told.starts_with(&format!("{}: ", file.display())), "{told}");

        let page = Page::load(&file, directory.path());
        for (state, count) in &really {
            let row = page.row("states", state).unwrap_or_else(|| panic!("no {state}"));
            assert_eq!(row[3], count.to_string(), "{state} at the end: {row:?}");
        }
        let of_before = page.row("states", "ESTABLISHED").unwrap();
        assert_eq!(of_before[0], "2", "they were there before: {of_before:?}");
        for (reason, count) in [
            ("closed normally", "6"),
            ("refused", "2"),
            ("reset: SO_LINGER 0", "1"),
            ("reset by the peer", "1"),
        ] {
            assert_eq!(page.row("closes", reason).unwrap()[0], count, "{reason}");
        }
        assert_eq!(page.row("handshakes", "Clients").unwrap()[0], "6");
        assert_eq!(page.row("handshakes", "Servers").unwrap()[0], "6");

        assert_eq!(page.cut_at(360), "", "a phone shows all of it");
        let [wide, narrow] = [1280, 420].map(|width| page.picture(width, 2400));
        assert_eq!(wide.size, (1280, 2400));
        assert!(narrow.size.0 <= 500, "{narrow:?}");
        for picture in [wide, narrow] {
            assert!(picture.colours > 20, "blank: {picture:?}");
        }
        drop((before, kept));
    });
}

#[test]
fn a_recording_makes_a_page_of_what_was_recorded() {
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let before = Pair::over(Way::V4);
        let recorder = Recorder::start(namespace, directory.path(), &[]);
        let recording = recorder.path().to_owned();
        three_closed_two_refused();
        // Long enough for a sink to be asked what it has held back.
        thread::sleep(Duration::from_millis(400));
        let kept = Pair::over(Way::V4);
        kept.client.shutdown(Shutdown::Write).unwrap();
        eventually("one in CLOSE_WAIT", || states().get("CLOSE_WAIT") == Some(&1));
        eventually("all in TIME_WAIT", || states().get("TIME_WAIT") == Some(&3));
        recorder.finish();

        let file = directory.path().join("report.html");
        let (from, to) = (recording.to_str().unwrap(), file.to_str().unwrap());
        let output = command("", &["report", from, "-o", to]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let page = Page::load(&file, directory.path());
        for (state, count) in [("TIME_WAIT", "3"), ("CLOSE_WAIT", "1"), ("FIN_WAIT2", "1")] {
            assert_eq!(page.row("states", state).unwrap()[3], count, "{state}");
        }
        // Nothing happened to those that were there before.
        assert_eq!(page.row("states", "ESTABLISHED").unwrap()[3], "0");
        for (reason, count) in [("closed normally", "6"), ("refused", "2")] {
            assert_eq!(page.row("closes", reason).unwrap()[0], count, "{reason}");
        }
        assert_eq!(page.row("handshakes", "Clients").unwrap()[0], "4");
        assert_eq!(page.row("handshakes", "Servers").unwrap()[0], "4");
        drop((before, kept));
    });
}

#[test]
fn a_report_ends_by_itself_even_where_nothing_happens() {
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("report.html");
        let arguments =
            ["report", "--duration", "1s", "-o", file.to_str().unwrap(), namespace.netns];
        let output = command("", &arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let html = std::fs::read_to_string(&file).unwrap();
        assert!(html.contains("There were no connections."), "{html}");
        assert!(html.ends_with("</html>"), "cut off");
    });
}

#[test]
fn mistakes_are_said_in_one_line() {
    for (arguments, words) in [
        (["--output", "/nowhere/report.html"], "/nowhere/report.html (--output)"),
        (["--state", "LISTEN"], "state listen"),
    ] {
        let told = refused(&mut command("", &[&["report"], &arguments[..]].concat()));
        assert!(told.contains(words), "{told}");
    }
}
