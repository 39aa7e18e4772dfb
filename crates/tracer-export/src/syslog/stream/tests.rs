//! What becomes of messages when connections end. Receivers of other manners are in the live
//! tests.

use std::net::{SocketAddr, TcpListener};

use super::*;

fn open(address: SocketAddr) -> Stream {
    Stream::open(move || TcpStream::connect_timeout(&address, Duration::from_secs(2))).unwrap()
}

/// Until it is taken.
fn push(stream: &mut Stream, message: &[u8]) {
    let taken = |result: &io::Result<()>| match result {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            false
        }
    };
    let tries = std::iter::repeat_with(|| stream.push(message)).take(100);
    assert!(tries.into_iter().any(|result| taken(&result)), "it is never taken");
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[test]
fn what_comes_while_the_receiver_is_away_waits_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut stream = open(address);
    let (mut first, _) = listener.accept().unwrap();
    push(&mut stream, b"one");
    first.read_exact(&mut [0; 5]).unwrap();
    drop((first, listener));
    // Written before the end is seen, or not taken at all.
    let early = std::iter::repeat_with(|| stream.push(b"two")).take(5).any(|taken| taken.is_ok());
    let error = stream.push(b"three").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "nobody is there: {error}");
    let listener = TcpListener::bind(address).unwrap();
    let reader = thread::spawn(move || {
        let (mut second, _) = listener.accept().unwrap();
        let mut text = String::new();
        second.read_to_string(&mut text).unwrap();
        text
    });
    push(&mut stream, b"three");
    assert_eq!(stream.settle(soon()), 0);
    let text = reader.join().unwrap();
    assert_eq!(text, if early { "3 two5 three" } else { "5 three" });
}

/// Its kernel acknowledges them all.
#[test]
fn what_a_receiver_has_not_read_when_it_closes_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = open(listener.local_addr().unwrap());
    let (mut first, _) = listener.accept().unwrap();
    for message in [b"one", b"two", b"six"] {
        push(&mut stream, message);
    }
    first.read_exact(&mut [0; 5]).unwrap();
    while !stream.is_idle() {
        stream.rest().unwrap();
    }
    drop(first);
    let reader = thread::spawn(move || {
        let mut text = String::new();
        // One message at a time, until they are all there.
        while !text.ends_with("3 six") {
            let (mut next, _) = listener.accept().unwrap();
            next.read_to_string(&mut text).unwrap();
        }
        text
    });
    assert_eq!(stream.settle(soon()), 0);
    assert_eq!(reader.join().unwrap(), "3 one3 two3 six");
}

#[test]
fn what_is_acknowledged_and_never_read_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = open(listener.local_addr().unwrap());
    (0..10).for_each(|_| push(&mut stream, b"one"));
    assert_eq!(stream.settle(Instant::now() + Duration::from_millis(300)), 10);
}

/// The RST may come after the stream has been looked at and before something is written.
#[test]
fn a_reset_that_writing_meets_is_no_proof() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut connection = Connection::new(stream).unwrap();
    let mut messages = VecDeque::from([b"3 one".as_slice().into(), b"3 two".as_slice().into()]);
    assert!(connection.exchange(&mut messages, None).is_ok());
    let (peer, _) = listener.accept().unwrap();
    // Both are there, and nobody has read them.
    peer.set_read_timeout(Some(Duration::from_secs(9))).unwrap();
    peer.peek(&mut [0; 10]).unwrap();
    drop(peer);
    messages.push_back(b"3 six".as_slice().into());
    let error = connection.write(&messages, None).unwrap_err();
    let end = Connection::ended_by(error);
    assert!(matches!(end, End::Reset(_)), "{end:?}");
}
