//! Each "sent" and "received" in the words on a transition is a segment on the wire by then; what
//! is said not to be sent is not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};
use tracer_tests::{
    capture::{Capture, Captured},
    netns::{Namespace, isolated, run},
    options::set_tcp,
    record::Record,
    segment::flag::{ACK, FIN, RST, SYN},
    sockets::{End, Pair, Path, eventually, read_to_end, send, wait_for_end},
    tracer::{Trace, Tracer, program},
};

const MILLISECOND: i64 = 1_000_000;
/// From the event to the segment that the kernel sends in the same call; the ACK that it holds back
/// comes after 40 ms at the earliest (`TCP_DELACK_MIN`).
const AT_ONCE: i64 = 30 * MILLISECOND;
/// A segment has its time stamp before the event that it causes.
const BEFORE: i64 = MILLISECOND;
/// What is queued waits for so long, as the test has it.
const WAIT: Duration = Duration::from_millis(300);

/// The words on each transition, in order: those that the text view has.
fn words(trace: &Trace) -> Vec<String> {
    let mut replay = Command::new(program())
        .args(["replay", "-", "--format", "text"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = replay.stdin.take().unwrap();
    writeln!(input, "{}", trace.hello).unwrap();
    for record in trace.records.iter().filter(|record| record.is_transition()) {
        writeln!(input, "{record}").unwrap();
    }
    writeln!(input, "{}", trace.summary).unwrap();
    drop(input);
    let output = replay.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let is_step = |line: &&str| line.matches(" → ").count() > 0 && line.contains(':');
    text.lines().filter(is_step).map(str::to_owned).collect()
}

/// Whether a segment of a kind went from one port to the other, no later than `latest` after the
/// event.
fn went(captured: &[Captured], about: &Record, sent: bool, kind: &str, latest: i64) -> bool {
    let [local, peer] = [about.local().unwrap().port(), about.peer().unwrap().port()];
    let [source, target] = if sent { [local, peer] } else { [peer, local] };
    let fin = captured.iter().map(|captured| &captured.segment).find(|segment| {
        segment.flags & FIN != 0 && [segment.source, segment.target] == [target, source]
    });
    let acknowledges_fin =
        |number: u32| fin.is_some_and(|fin| number == fin.sequence.wrapping_add(fin.length()));
    captured.iter().any(|captured| {
        let segment = &captured.segment;
        let is_kind = match kind {
            "SYN" => segment.is(SYN),
            "SYN+ACK" => segment.is(SYN | ACK),
            "FIN" => segment.flags & FIN != 0,
            "RST" => segment.flags & RST != 0,
            "ACK" if fin.is_some() && about.at("/tcp/to") == "TIME_WAIT" => {
                acknowledges_fin(segment.acknowledgement)
            }
            "ACK" => segment.flags & ACK != 0,
            "ACK of FIN" => acknowledges_fin(segment.acknowledgement),
            kind => panic!("a segment that the test does not know: {kind}"),
        };
        is_kind
            && [segment.source, segment.target] == [source, target]
            && captured.time.since(about.moment()) <= latest
    })
}

/// What the words on a transition claim is on the wire; how much they claim.
fn is_on_the_wire(captured: &[Captured], about: &Record, line: &str) -> usize {
    let (_, words) = line.split_once(about.text("/tcp/to").unwrap()).unwrap();
    let words = words.split(':').next().unwrap();
    let mut claims = 0;
    for claim in words.split(',').map(|claim| claim.trim_end().trim_start()) {
        // What stands before is the time in the state before.
        let claim = claim.trim_start_matches(|c: char| !c.is_ascii_uppercase());
        let claim = claim.split(" (").next().unwrap();
        let holds = if let Some(kind) = claim.strip_suffix(" sent") {
            went(captured, about, true, kind, AT_ONCE)
        } else if let Some(kind) = claim.strip_suffix(" received") {
            went(captured, about, false, kind, BEFORE)
        } else {
            continue;
        };
        assert!(holds, "{claim:?} is not on the wire: {line}\n{about}\n{captured:#?}");
        claims += 1;
    }
    claims
}

/// Traces what `live` does over `lo`: what it returns, and the transitions with their words.
fn observed<T: Send>(
    live: impl FnOnce(&Namespace, &Tracer) -> T + Send,
) -> (T, Vec<(Record, String)>) {
    isolated(|namespace| {
        let capture = Capture::start("lo");
        let tracer = Tracer::start(namespace, &[]);
        let lived = live(namespace, &tracer);
        let captured = capture.finish(Ipv4Addr::LOCALHOST);
        let trace = tracer.finish();
        let steps: Vec<Record> = trace.transitions().cloned().collect();
        let words = words(&trace);
        assert_eq!(words.len(), steps.len(), "{words:#?}");
        let told: Vec<(Record, String)> = steps.into_iter().zip(words).collect();
        let claims: usize =
            told.iter().map(|(step, line)| is_on_the_wire(&captured, step, line)).sum();
        assert!(claims > 3, "{told:#?}");
        let unsent = told.iter().filter(|(step, _)| step.at("/tcp/sent") == false);
        for (step, line) in unsent {
            let kind = if step.at("/tcp/to") == "SYN_SENT" { "SYN" } else { "FIN" };
            assert!(line.contains("not sent") || line.contains("no SYN sent"), "{line}");
            assert!(!went(&captured, step, true, kind, AT_ONCE), "{line}\n{captured:#?}");
        }
        (lived, told)
    })
}

/// Of one step: what `tcp.sent` and the words say.
#[track_caller]
fn step<'a>(told: &'a [(Record, String)], end: &End, from: &str, to: &str) -> &'a (Record, String) {
    let is_it =
        |(record, _): &&(Record, String)| end.is_told_by(record) && record.is_step(from, to);
    told.iter().find(is_it).unwrap_or_else(|| panic!("no {from} → {to} in {told:#?}"))
}

#[test]
fn a_normal_close_claims_no_ack_that_is_held_back() {
    let ([client, server], told) = observed(|_, tracer| {
        let Pair { listener: _listener, mut client, mut server } = Pair::over(Path::V4);
        let [of_client, of_server] = [End::of(&client), End::of(&server)];
        send(&mut client, &server, b"what?");
        client.shutdown(Shutdown::Write).unwrap();
        wait_for_end(&mut server);
        thread::sleep(WAIT);
        drop(server);
        assert_eq!(read_to_end(&mut client), b"");
        tracer.wait_for_step(&of_server, "LAST_ACK", "CLOSED");
        tracer.wait_for_step(&of_client, "FIN_WAIT2", "TIME_WAIT");
        [of_client, of_server]
    });
    let (_, line) = step(&told, &server, "ESTABLISHED", "CLOSE_WAIT");
    assert!(line.trim_end().ends_with("FIN received"), "{line}");
    for (end, from, to) in
        [(client, "ESTABLISHED", "FIN_WAIT1"), (server, "CLOSE_WAIT", "LAST_ACK")]
    {
        let (record, line) = step(&told, &end, from, to);
        assert_eq!(record.at("/tcp/sent"), true, "{record}");
        assert!(line.trim_end().ends_with("FIN sent"), "{line}");
    }
}

/// A server that has answered more than its client reads, and closes: the client, and which end
/// that was. Buffers are small so that a capture takes all of it.
fn unread_answer() -> (TcpStream, End) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    client.set_recv_buffer_size(16_384).unwrap();
    client.connect(&listener.local_addr().unwrap().into()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let end = End::of(&server);
    SockRef::from(&server).set_send_buffer_size(65_536).unwrap();
    server.set_write_timeout(Some(WAIT)).unwrap();
    server.write_all(&vec![b'x'; 1_000_000]).expect_err("nobody reads");
    (client.into(), end)
}

/// A server answers more than its client reads, and closes; later the client reads.
#[test]
fn a_fin_behind_a_closed_window_is_queued_until_the_peer_reads() {
    let (end, told) = observed(|_, tracer| {
        let (mut client, end) = unread_answer();
        thread::sleep(WAIT);
        client.read_to_end(&mut Vec::new()).unwrap();
        tracer.wait_for_step(&end, "FIN_WAIT1", "FIN_WAIT2");
        end
    });
    let (record, line) = step(&told, &end, "ESTABLISHED", "FIN_WAIT1");
    assert_eq!(record.at("/tcp/sent"), false, "{record}");
    assert!(line.contains("FIN queued, not sent yet: ") && line.contains("unsent"), "{line}");
    let unsent = record.number("/tcp/sequence/write_seq").unwrap() as u32;
    let unsent = unsent.wrapping_sub(record.number("/tcp/sequence/snd_nxt").unwrap() as u32);
    assert!(unsent > 0, "{record}");
}

/// Data is lost until the congestion window is one segment, which is under way: since Linux 6.10 the
/// FIN waits as well (`tcp_cwnd_test`).
#[test]
fn a_fin_behind_lost_data_is_said_to_be_sent_where_it_is() {
    let (end, told) = observed(|_, tracer| {
        let Pair { listener: _listener, mut client, mut server } = Pair::over(Path::V4);
        let end = End::of(&client);
        send(&mut client, &server, b"arrives");
        server.read_exact(&mut [0; 7]).unwrap();
        let port = server.local_addr().unwrap().port();
        let hook = "type filter hook input priority 0;";
        let rule = format!("tcp dport {port} drop");
        run("nft", &[&format!("table ip lossy {{\n chain in {{\n {hook}\n {rule}\n }}\n}}")]);
        client.write_all(b"is lost").unwrap();
        thread::sleep(3 * WAIT);
        drop(client);
        thread::sleep(WAIT);
        run("nft", &["delete table ip lossy"]);
        assert_eq!(read_to_end(&mut server), b"is lost");
        drop(server);
        tracer.wait_for_step(&end, "FIN_WAIT1", "FIN_WAIT2");
        end
    });
    let (record, line) = step(&told, &end, "ESTABLISHED", "FIN_WAIT1");
    let waits = line.contains("FIN queued, not sent yet");
    assert_eq!(record.at("/tcp/sent") == false, waits, "{line}");
}

/// Small data that waits for more (TCP_CORK) goes out together with the FIN.
#[test]
fn a_fin_takes_along_what_only_waited_for_more() {
    let (end, told) = observed(|_, tracer| {
        let Pair { listener: _listener, mut client, mut server } = Pair::over(Path::V4);
        let end = End::of(&client);
        set_tcp(&client, libc::TCP_CORK, 1);
        client.write_all(b"waits").unwrap();
        drop(client);
        assert_eq!(read_to_end(&mut server), b"waits");
        drop(server);
        tracer.wait_for_step(&end, "FIN_WAIT1", "FIN_WAIT2");
        end
    });
    let (record, line) = step(&told, &end, "ESTABLISHED", "FIN_WAIT1");
    assert_eq!(record.at("/tcp/sent"), true, "{record}");
    assert!(line.contains("FIN sent"), "{line}");
}

/// TCP_FASTOPEN_CONNECT: the SYN waits for the first data.
#[test]
fn a_syn_that_waits_for_data_is_not_said_to_be_sent() {
    let (end, told) = observed(|namespace, tracer| {
        // Client, without a cookie.
        namespace.set("net/ipv4/tcp_fastopen", "5");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        set_tcp(&client, libc::TCP_FASTOPEN_CONNECT, 1);
        client.connect(&listener.local_addr().unwrap().into()).unwrap();
        thread::sleep(WAIT);
        let mut client = TcpStream::from(client);
        client.write_all(b"first").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let end = End::of(&client);
        server.read_exact(&mut [0; 5]).unwrap();
        tracer.wait_for_step(&end, "SYN_SENT", "ESTABLISHED");
        end
    });
    let (record, line) = step(&told, &end, "CLOSED", "SYN_SENT");
    assert_eq!(record.at("/tcp/sent"), false, "{record}");
    assert!(line.contains("no SYN sent yet"), "{line}");
}

/// A client in interactive mode holds back the ACK that ends its handshake.
#[test]
fn a_handshake_claims_no_ack_that_is_held_back() {
    observed(|_, tracer| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        set_tcp(&client, libc::TCP_QUICKACK, 0);
        client.connect(&address.into()).unwrap();
        let end = End::of(&client);
        let (server, _) = listener.accept().unwrap();
        drop(client);
        drop(server);
        tracer.wait_for_step(&end, "SYN_SENT", "ESTABLISHED");
    });
}

/// What keeps a FIN here is said with the flag: not that the peer does not answer.
#[test]
fn a_flag_blames_no_peer_for_a_fin_that_was_not_sent() {
    isolated(|namespace| {
        let options = ["--linger", "fin-wait1=1s"];
        let tracer = Tracer::start(namespace, &options);
        let (mut client, end) = unread_answer();
        let flag =
            tracer.wait_for("a flag", |record| record.kind() == "linger" && end.is_told_by(record));
        assert_eq!(flag.at("/tcp/state"), "FIN_WAIT1", "{flag}");
        assert_eq!(flag.at("/cause/code"), "not_sent", "{flag}");
        assert_eq!(flag.at("/cause/segment"), "FIN", "{flag}");
        // Once the peer has read, there is nothing to say.
        client.read_to_end(&mut Vec::new()).unwrap();
        eventually("the FIN is acknowledged", || {
            let acknowledged = |record: &Record| record.is_step("FIN_WAIT1", "FIN_WAIT2");
            tracer.so_far().iter().any(|record| end.is_told_by(record) && acknowledged(record))
        });
        tracer.finish();
    });
}
