//! A ring buffer that is far too small: what it loses is said, and what is known soon after is
//! the truth all the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use tracer_tests::{
    kernel, load,
    loaded::{Loaded, smallest_buffer},
    netns::{Namespace, isolated},
    sockets::{self, Path, wait_for_end},
};

const CONNECTIONS: usize = 3_000;
/// Sockets in each of the states that last.
const FEW: usize = 50;

/// Sockets that outlive a load.
struct Left {
    _listeners: Vec<TcpListener>,
    _streams: Vec<TcpStream>,
}

/// Opens sockets, leaves them in the states that last, and closes as many others.
fn leave() -> Left {
    let mut left = Left { _listeners: Vec::new(), _streams: Vec::new() };
    for index in 0..FEW {
        let path = if index % 2 == 0 { Path::V4 } else { Path::V6 };
        let listener = sockets::listen(path);
        let established = sockets::connect(&listener, path);
        let (half_closed, mut close_wait) = sockets::connect(&listener, path);
        half_closed.shutdown(Shutdown::Write).unwrap();
        wait_for_end(&mut close_wait);
        let (orphan, mut abandoned) = sockets::connect(&listener, path);
        drop(orphan);
        wait_for_end(&mut abandoned);
        drop(sockets::listen(path));
        left._listeners.push(listener);
        left._streams.extend([established.0, established.1, half_closed, close_wait, abandoned]);
        thread::sleep(Duration::from_millis(2));
    }
    left
}

/// What is left of a burst during which nearly everything is lost.
fn burst(namespace: &Namespace) -> Left {
    load::prepare(namespace);
    // What the first look finds was there before.
    thread::sleep(Duration::from_millis(500));
    thread::scope(|scope| {
        scope.spawn(|| load::connections(CONNECTIONS));
        leave()
    })
}

#[test]
fn what_too_small_a_buffer_loses_is_told_and_healed() {
    let directory = tempfile::tempdir().unwrap();

    isolated(|namespace| {
        let options = [&*smallest_buffer()];
        let (loaded, _left) =
            Loaded::by(namespace, directory.path(), &options, || burst(namespace));
        let counts = kernel::count(&loaded.kernel);
        let expected = [
            ("LISTEN", FEW),
            ("ESTABLISHED", 2 * FEW),
            // Half-closed and orphaned.
            ("FIN_WAIT2", 2 * FEW),
            ("CLOSE_WAIT", 2 * FEW),
        ];
        for (state, count) in expected {
            assert_eq!(counts.get(state), Some(&count), "the test needs other sockets: {counts:?}");
        }
        assert!(counts["TIME_WAIT"] > CONNECTIONS / 2, "{counts:?}");
        loaded.agrees_but_for(0);
        is_told(&loaded);
    });
}

/// Each loss is told when it is noticed, and the last line sums up.
fn is_told(loaded: &Loaded) {
    let summary = loaded.recording.summary();
    println!("{summary}");
    assert_eq!(summary.at("/complete"), false, "{summary}");
    let others = loaded.recording.others();
    // What is counted where it was lost is not counted again when it is found out.
    for (place, healed, is_lost) in [("ring_buffer", false, true), ("unseen", true, false)] {
        let losses = others.iter().filter(|record| record.at("/where") == place);
        let mut told = 0;
        for loss in losses {
            assert_eq!(loss.kind(), "loss", "{loss}");
            assert_eq!(loss.at("/healed"), healed, "{loss}");
            told += loss.number("/count").unwrap();
        }
        assert_eq!(summary.number(&format!("/lost/{place}")), Some(told), "{summary}");
        assert!(told > 0 || !is_lost, "nothing lost: {place}: {summary}");
    }
    let seen = summary.number("/transitions/tracepoint").unwrap();
    let lost = summary.number("/lost/ring_buffer").unwrap();
    // Each connection changes its state ten times; what was lost may have been a retransmission.
    let least = 10 * CONNECTIONS as u64;
    assert!(seen + lost >= least * 199 / 200, "{seen} seen, {lost} lost: {summary}");
}
