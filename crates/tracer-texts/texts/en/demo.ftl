# The scenarios of `tracer demo`: title, what is said before each step, and at the end.

demo-handshake =
    .title = The three-way handshake: SYN, SYN+ACK, ACK
    .connect = The client calls connect(), the server is listening.
    .end = Both ends are ESTABLISHED: each has sent its initial sequence number and knows that the
        other has it. Two segments would not do: the server would not know that its number arrived.

demo-data =
    .title = Data in both directions, each byte numbered and acknowledged
    .connect = The client connects.
    .request = The client sends 7 bytes. Segments with data have no arrow here: no event reports
        them, and their number and size become known with the FIN.
    .response = The server answers with 13 bytes.
    .close = Both close. The numbers of the FINs tell how much was sent before them.
    .end = The FIN of a side has the number of its SYN, plus one, plus the bytes that it has sent.

demo-simultaneous-open =
    .title = Simultaneous open: two SYNs cross
    .syns = Two programs connect to each other at the same moment; neither listens. Both SYNs are
        on their way.
    .cross = The SYNs arrive. Each end answers SYN with SYN+ACK.
    .end = One connection, not two: both were in SYN_SENT, then in SYN_RECV. Applications hardly
        ever do this; RFC 9293 (3.5) demands that it works.

demo-self-connect =
    .title = Self-connect: a socket that is its own peer
    .connect = A client connects to a port of this host on which nobody listens, and has that very
        port itself.
    .end = connect() succeeds. It happens to clients that try again and again to reach a local
        server in the ephemeral port range: then the server cannot start, since its port is taken.

demo-fast-open =
    .title = TCP Fast Open: data in the SYN
    .connect = The client sends its request along with the SYN (MSG_FASTOPEN), and the server
        accepts it before the handshake is complete.
    .end = A round trip is saved. Otherwise a cookie proves the client's address; here the server
        asks for none (net.ipv4.tcp_fastopen).

demo-refused =
    .title = Connection refused: nobody listens
    .connect = The client connects to a port on which nobody listens.
    .end = An RST answers the SYN, and connect() fails at once with ECONNREFUSED.

demo-unreachable =
    .title = Unreachable: a router answers by ICMP
    .connect = The client connects to a host to which the last router knows no way.
    .end = ICMP "host unreachable" arrives, and connect() fails with EHOSTUNREACH.

demo-teardown =
    .title = Handshake, then teardown in four segments: FIN, ACK, FIN, ACK
    .connect = The client connects: the three-way handshake.
    .close = The client's application calls shutdown() for sending: the client is the active closer.
        The server's application has not noticed yet.
    .close-too = Now the server's application calls close().
    .end = The end that closed first keeps TIME_WAIT for a minute, the other one is gone.

demo-teardown-three =
    .title = Teardown in three segments: FIN, FIN+ACK, ACK
    .connect = The client connects.
    .close = The client closes, and the server closes as soon as it reads the end.
    .end = The server's ACK waited for up to 40 ms for something to go along with, and its FIN came
        in time. If it takes longer, the teardown has four segments.

demo-half-close =
    .title = Half-close: data after the FIN
    .connect = The client connects.
    .shutdown = The client has sent all that it has to say: shutdown(SHUT_WR). It still reads.
    .data = The server answers although it has received a FIN: only one direction is closed.
    .close = The server has nothing more to send either.
    .end = This is what the two FINs are for: each ends one direction. A server in CLOSE_WAIT may
        still send.

demo-simultaneous-close =
    .title = Simultaneous close: two FINs cross (CLOSING)
    .connect = The client connects.
    .fins = Both call close() at the same moment. Both FINs are on their way.
    .cross = The FINs arrive, each before the ACK of the other one.
    .end = Both ends were in CLOSING, and both keep TIME_WAIT.

demo-syn-lost =
    .title = The SYN is lost
    .connect = The client connects, and the network loses its SYN.
    .end = The client did not hear anything for a second and sent the same SYN again. To the server
        it is the first one.

demo-syn-ack-lost =
    .title = The SYN+ACK is lost
    .connect = The client connects, and the network loses the server's SYN+ACK.
    .end = The client cannot know which of the two was lost. Both ends have a timer, and both send
        their segment again.

demo-data-lost =
    .title = Data is lost: positive acknowledgement and retransmission
    .connect = The client connects.
    .request = The client sends a request, and the network loses it.
    .close = It has arrived: without an ACK in time the client sent the same bytes again, with the
        same numbers. Now both close.
    .end = TCP never reports a loss to its peer. It acknowledges what has come, and the sender
        repeats what is not acknowledged.

demo-last-ack-lost =
    .title = The last ACK is lost: what TIME_WAIT is for
    .connect = The client connects.
    .close = The client closes; its FIN is acknowledged.
    .lost = The server closes too. The client answers its FIN, but the network loses that last ACK.
    .end = The server sent its FIN again, and the client could answer it only because it was still
        in TIME_WAIT. Without TIME_WAIT the answer would have been an RST, and the server would have
        seen an error on a connection that had closed normally.

demo-late-segment =
    .title = A late segment of an old connection
    .connect = The client connects and sends 7 bytes. The network keeps a copy of them.
    .close = Both close, the server first.
    .late = Now the copy arrives, late, from a connection that is over: the server's end is in
        TIME_WAIT.
    .end = TIME_WAIT took it, threw it away and answered with an ACK (which no event reports). A new
        connection between the same ports might have taken it for its own data: TIME_WAIT keeps them
        apart until all late segments have expired, and random initial numbers make the rest
        unlikely.

demo-rst-unread =
    .title = RST: close() with unread data
    .connect = The client connects.
    .request = The client sends a request, which the server does not read.
    .close = The server closes all the same.
    .end = An RST instead of a FIN: data was lost, and the client must know. To release the
        connection gracefully, read to the end before close().

demo-rst-linger =
    .title = RST: close() with SO_LINGER and a time of 0
    .connect = The client connects, and sets SO_LINGER to 0.
    .close = The client closes.
    .end = An abortive release: no FIN, no TIME_WAIT, and whatever was on the way is lost. It is no
        remedy for too many TIME_WAITs.

demo-rst-after-close =
    .title = RST: data after close()
    .connect = The client connects.
    .close = The client calls close(): it will not read any more either.
    .data = The server, in CLOSE_WAIT, sends data.
    .end = Nobody can read it, so that the answer is RST. With shutdown(SHUT_WR) instead of close()
        the client could have read it (tracer demo half-close).

demo-rst-peer =
    .title = RST: the peer aborts
    .connect = The client connects and waits for an answer.
    .abort = The server's process aborts the connection.
    .end = The client's read() fails with ECONNRESET, "connection reset by peer".

demo-rst-nobody =
    .title = RST: a segment for a connection that is not there
    .segment = A segment with data arrives, of a connection that this host does not know: perhaps it
        has restarted since.
    .end = The answer is RST, by which the other end learns that its connection is gone.

demo-connect-timeout =
    .title = Connect timeout: no answer at all
    .connect = The client connects, with TCP_SYNCNT 1, and the network loses everything.
    .end = After its SYNs have gone unanswered, connect() fails with ETIMEDOUT. By default there are
        six retransmissions (net.ipv4.tcp_syn_retries), which take about two minutes.

demo-read-timeout =
    .title = Read timeout: an application stops waiting
    .connect = The client connects.
    .read = The client waits for an answer for half a second (SO_RCVTIMEO), and none comes.
    .close = read() has failed with EAGAIN. TCP knows nothing of it: the connection is as open as
        before. Now the client closes.
    .end = A read timeout is the application's. What becomes of the connection is its own decision.

demo-keepalive-timeout =
    .title = Keepalive timeout: the peer has vanished
    .connect = The client connects.
    .silence = The network loses everything from now on. The client has keepalive on: a probe each
        second, two of them.
    .end = Nobody answered, and the connection is over: ETIMEDOUT. By default keepalive is off, and
        where it is on, it begins after two hours (net.ipv4.tcp_keepalive_time).

demo-retransmit-timeout =
    .title = Retransmission timeout: nobody acknowledges
    .connect = The client connects.
    .send = The client sends, and the network loses everything. TCP_USER_TIMEOUT is 0.8 s.
    .end = After that time the connection is over: ETIMEDOUT. Without the option it takes 15
        retransmissions (net.ipv4.tcp_retries2), some 15 minutes.

demo-zero-window =
    .title = Zero window: the receiver does not read
    .connect = The client connects.
    .fill = The client sends more than the server's buffer takes; the server does not read.
        TCP_USER_TIMEOUT is 0.8 s.
    .end = The server advertised a window of 0, and the client probed it. Without TCP_USER_TIMEOUT it
        would go on probing for as long as the answers come.

demo-close-wait =
    .title = A CLOSE_WAIT leak: an application that never closes
    .connect = The client connects.
    .close = The client closes.
    .leak = The server's application never calls close().
    .end = CLOSE_WAIT has no timer: only close() ends it, or the end of the process. `tracer
        diagnose` names the process and what it holds.

demo-time-wait =
    .title = TIME_WAIT: the whole wait of 60 seconds
    .connect = The client connects.
    .close = Both close, the client first.
    .wait = The client's end stays in TIME_WAIT for a minute. Ctrl-C if you do not want to wait.
    .end = Addresses and ports are free again. The time cannot be changed: net.ipv4.tcp_fin_timeout
        is about FIN_WAIT2.

demo-time-wait-reuse =
    .title = TIME_WAIT, reused by a new connection
    .connect = The client connects. net.ipv4.tcp_tw_reuse is 1 here.
    .close = Both close, the client first: its end is in TIME_WAIT.
    .again = More than a second later the client connects again, from the same port to the same
        port.
    .end = The kernel took the place of the TIME_WAIT: by the time stamps that the segments carry,
        late ones of the old connection are told from those of the new one.

demo-orphan =
    .title = An orphaned FIN_WAIT2: the peer does not close
    .connect = The client connects. net.ipv4.tcp_fin_timeout is 2 s here.
    .close = The client calls close(): no process holds its socket any more.
    .wait = The server does not close.
    .end = The kernel stopped waiting for the server's FIN. By default it waits for 60 s. With
        shutdown() instead of close() it would have waited for ever.

demo-backlog-full =
    .title = The accept queue is full
    .fill = A listener with a backlog of 0, whose application does not call accept(). One client
        connects: the kernel completes the handshake without the application.
    .one-more = Another client connects.
    .end = The queue takes one more than the backlog. The SYN after that is dropped without a word,
        and the client sends it again. Nothing of it is the network's fault.

demo-syn-cookies =
    .title = SYN cookies: a SYN flood, and one real client
    .flood = Eight SYNs arrive from eight addresses that never answer; the listener has room for four.
    .connect = A real client connects.
    .end = It was served: the queue was full, so the listener kept nothing of it but put what it had
        to remember into the sequence number of its SYN+ACK (net.ipv4.tcp_syncookies).

demo-port-exhaustion =
    .title = Port exhaustion: no local port is left
    .use = Two ephemeral ports (net.ipv4.ip_local_port_range), two connections to the same server.
    .one-more = One more connect() to the same server.
    .end = It failed with EADDRNOTAVAIL, without a segment on the wire. A port may be used again for
        another destination; to the same one it needs to be free, TIME_WAIT included.
