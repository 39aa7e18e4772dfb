//! The ladder of a real connection: its arrows are the segments on the wire, in their order and
//! with their numbers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, ChildStdout, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};
use tracer_tests::{
    capture::Capture,
    netns::{Namespace, isolated},
    segment::flag::{ACK, FIN, SYN},
    shown::shown,
    sockets::{End, Pair, Path, read_to_end, send},
    tracer::{Tracer, command, wait},
};

/// A tracer with `--format ladder`, attached.
struct Ladder {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Ladder {
    fn start(namespace: &Namespace, options: &[&str]) -> Self {
        let arguments = [&["--format", "ladder", namespace.netns], options].concat();
        let mut child = command("", &arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        // The legend comes when the programs are attached.
        out.read_line(&mut String::new()).unwrap();
        Self { child, out }
    }

    fn finish(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let mut text = String::new();
        self.out.read_to_string(&mut text).unwrap();
        assert!(wait(&mut self.child).success(), "{text}");
        text
    }
}

/// An arrow: whether it goes to the right, and its label.
fn arrows(text: &str) -> Vec<(bool, String)> {
    let arrow = |line: &str| {
        let (_, rest) = line.split_once('│')?;
        let (middle, _) = rest.split_once('│')?;
        let right = middle.ends_with('▶');
        let is_one = right || middle.starts_with('◀');
        let label = middle.trim_matches(|c| "─╌◀▶ ".contains(c));
        is_one.then(|| (right, label.to_owned()))
    };
    text.lines().filter_map(arrow).collect()
}

/// Client first: both directions carry data, and each step has arrived before the next one.
fn life(tracer: &Tracer) -> [End; 2] {
    let Pair { listener: _listener, mut client, mut server } = Pair::over(Path::V4);
    let ends = [&client, &server].map(End::of);
    send(&mut client, &server, b"what?");
    let mut question = [0; 5];
    server.read_exact(&mut question).unwrap();
    send(&mut server, &client, b"an answer");
    let mut answer = [0; 9];
    client.read_exact(&mut answer).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    // The ACK of the FIN has come by itself, after its delay.
    tracer.wait_for_step(&ends[0], "FIN_WAIT1", "FIN_WAIT2");
    drop(server);
    assert_eq!(read_to_end(&mut client), b"");
    tracer.wait_for_step(&ends[1], "LAST_ACK", "CLOSED");
    ends
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn the_arrows_are_the_segments_on_the_wire() {
    shown(|namespace| {
        let capture = Capture::start("lo");
        let tracer = Tracer::start(namespace, &[]);
        let ladder = Ladder::start(namespace, &[]);
        let [client, _] = life(&tracer);
        let text = ladder.finish();
        let trace = tracer.finish();
        let wire: Vec<(bool, String)> = capture
            .finish(Ipv4Addr::LOCALHOST)
            .iter()
            .map(|captured| &captured.segment)
            .filter(|segment| [segment.source, segment.target].contains(&client.local.port()))
            .map(|segment| {
                let number = segment.sequence.wrapping_add(segment.data.len() as u32);
                let (seq, ack) =
                    (format!("seq={number}"), format!("ack={}", segment.acknowledgement));
                let label = match segment.flags & (SYN | FIN | ACK) {
                    SYN => format!("SYN {seq}"),
                    flags if flags == SYN | ACK => format!("SYN+ACK {seq} {ack}"),
                    flags if flags & FIN != 0 => format!("FIN {seq} {ack}"),
                    _ if segment.data.is_empty() => format!("ACK {ack}"),
                    _ => "data".to_owned(),
                };
                (segment.source == client.local.port(), label)
            })
            .collect();
        let arrows = arrows(&text);
        // Data and what acknowledges it have no arrows; all others are in the order of the wire.
        let mut rest = wire.iter();
        for arrow in &arrows {
            assert!(rest.any(|segment| segment == arrow), "{arrow:?} of {text} in {wire:#?}");
        }
        let kinds: Vec<(bool, &str)> = arrows
            .iter()
            .map(|(right, label)| (*right, label.split(' ').next().unwrap_or_default()))
            .collect();
        let opened = [(true, "SYN"), (false, "SYN+ACK"), (true, "ACK")];
        let closed = [(true, "FIN"), (false, "ACK"), (false, "FIN"), (true, "ACK")];
        assert_eq!(kinds, [&opened[..], &closed[..]].concat(), "{text}");
        let isn = |pointer: &str| {
            let told = trace.life(&client);
            let step = told.step("SYN_SENT", "ESTABLISHED");
            step.number(&format!("/tcp/handshake/{pointer}")).unwrap()
        };
        assert_eq!(arrows[0].1, format!("SYN seq={}", isn("local_isn")));
        assert!(arrows[1].1.starts_with(&format!("SYN+ACK seq={} ", isn("peer_isn"))), "{text}");
        assert!(text.contains("data: 5B ▷   ◁ 9B"), "{text}");
        let deduced = text.lines().any(|line| line.contains('│') && line.contains('╌'));
        assert!(!deduced, "both ends are here, nothing has to be deduced: {text}");
    });
}

#[test]
fn relative_numbers_begin_with_zero_and_each_step_is_explained() {
    shown(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let ladder = Ladder::start(namespace, &["--relative-seq", "--explain"]);
        life(&tracer);
        let text = ladder.finish();
        tracer.finish();
        let labels: Vec<String> = arrows(&text).into_iter().map(|(_, label)| label).collect();
        let expected = [
            "SYN seq=0",
            "SYN+ACK seq=0 ack=1",
            "ACK ack=1",
            "FIN seq=6 ack=10",
            "ACK ack=7",
            "FIN seq=10 ack=7",
            "ACK ack=11",
        ];
        assert_eq!(labels, expected, "{text}");
        for word in ["three-way handshake", "half-close", "CLOSE_WAIT asks", "2 MSL", "guess"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    });
}

/// The server's data and the client's answer to it are known from events of both ends.
#[test]
fn data_after_close_is_drawn_before_the_reset_that_answers_it() {
    shown(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let ladder = Ladder::start(namespace, &["--explain"]);
        let Pair { listener: _listener, client, mut server } = Pair::over(Path::V4);
        let ends = [&client, &server].map(End::of);
        drop(client);
        tracer.wait_for_step(&ends[0], "FIN_WAIT1", "FIN_WAIT2");
        server.write_all(b"too late").unwrap();
        tracer.wait_for_step(&ends[1], "CLOSE_WAIT", "CLOSED");
        let text = ladder.finish();
        tracer.finish();
        let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}: {text}"));
        assert!(at("data: ◁ 8B") < at("─ RST ─"), "{text}");
    });
}

/// Of a socket that is connected to itself no sentence is said that is about two.
#[test]
fn a_socket_connected_to_itself_is_explained_as_one() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let ladder = Ladder::start(namespace, &["--explain"]);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        socket.connect(&socket.local_addr().unwrap()).unwrap();
        let end = End::of(&socket);
        drop(socket);
        tracer.wait_for_step(&end, "CLOSING", "TIME_WAIT");
        let text = ladder.finish();
        drop(tracer);
        let middle = text.lines().filter_map(|line| line.split('│').nth(1));
        let words: Vec<&str> = middle.flat_map(str::split_whitespace).collect();
        let words = words.join(" ");
        assert!(words.contains("the socket is the peer of itself"), "{text}");
        assert!(words.contains("own FIN has come back"), "{text}");
        assert!(!words.contains("FIN_WAIT2") && !words.contains("Both have sent"), "{text}");
    });
}
