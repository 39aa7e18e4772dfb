# Questions of textbooks and interviews.

why-three =
    .title = Why three segments to connect, and not two?
    .what = Each end must learn that the other one has its initial sequence number. The client's is
        acknowledged by the SYN+ACK, the server's by the last ACK. After two segments the server
        would not know whether its own number has arrived, and an old SYN that comes late would open
        a connection that nobody wants. Four would do as well, but the server's ACK and SYN go in
        one segment.
    .linux = Until the last ACK the server's end is a small request in SYN_RECV, not a socket; after
        it accept() returns the connection.

why-random =
    .title = Why is the initial sequence number random?
    .what = Late segments of an earlier connection between the same addresses and ports must not
        fall into the window of the new one, and nobody who cannot see the segments may guess the
        number and forge data or an RST (RFC 6528).
    .linux = A keyed hash of addresses and ports, plus a clock that goes on by one each 64 ns.

why-four =
    .title = Why four segments to close, and when three?
    .what = A connection is two directions, and each is closed by a FIN of its own that is
        acknowledged: FIN, ACK, FIN, ACK. Between the two FINs the application of the other end may
        take its time, and may still send. If it closes at once, its FIN and the ACK go in one
        segment, and there are three.
    .linux = The ACK of a FIN may wait some 40 ms for data or a FIN to go along with.

why-time-wait =
    .title = Why TIME_WAIT, why at that end, and how long?
    .what = The last ACK may be lost. Then the FIN comes again, and somebody must be there to answer
        it; otherwise the answer is RST, and a connection that was closed normally ends with an
        error. Only the end that closed first sends the last ACK, so it waits. And late segments
        must have expired before the same addresses and ports are used again, which takes twice the
        maximum segment lifetime (2 MSL).
    .linux = 60 seconds, fixed when the kernel is built (TCP_TIMEWAIT_LEN). tcp_fin_timeout does not
        change it.

which-end =
    .title = Which end gets CLOSE_WAIT, which one TIME_WAIT?
    .what = The end that closes first (active close) goes through FIN_WAIT1 and FIN_WAIT2 to
        TIME_WAIT. The end that receives the first FIN (passive close) is in CLOSE_WAIT: this is the
        end that waits for its own application to call close(). Notes that put TIME_WAIT there have
        it wrong: TIME_WAIT waits for time to pass, not for an application. Client or server does
        not matter.

what-half-close-is-for =
    .title = What is a half-close for?
    .what = One end says "this is all that I send" and still reads: a client ends its request that
        way without a length in front, the server reads to the end and then answers. shutdown(SHUT_WR)
        does it; close() gives up reading too, and data that comes then is answered with RST.

graceful-and-abrupt =
    .title = Graceful release and abrupt release
    .what = Gracefully, both ends send a FIN and have it acknowledged: all data was delivered.
        Abruptly, one end sends RST: what is on the way or unread is lost, the other end gets an
        error, and there is no TIME_WAIT.
    .linux = close() is abrupt if received data has not been read, or with SO_LINGER and a time of 0.

which-timeout =
    .title = Connection timeout, socket timeout, read timeout
    .what = A connection timeout is the time until the handshake has succeeded. A read timeout (of
        many libraries: socket timeout) is how long one read() waits for the next bytes; it begins
        anew with each read(), so that a whole answer may take longer. The first one ends in TCP:
        SYNs go unanswered. The second one is the application's alone: TCP notices nothing, and the
        connection stays open until the application closes it.

what-a-late-segment-does =
    .title = What would a late segment do?
    .what = A segment may be delayed in the network while its copy arrives and the connection ends.
        If the same addresses and ports then connect again, and its number lies in the window, it
        would be taken for new data. TIME_WAIT, random initial numbers and time stamps (PAWS)
        prevent it.

when-ack-is-set =
    .title = On which segments is ACK set?
    .what = On all but the first, and some RSTs. The SYN that opens a connection has nothing to
        acknowledge, and an RST that answers a segment with an ACK needs none: its number is that
        ACK's. SYN+ACK, data, FIN and the other RSTs carry one. "The ACK" of a
        diagram is a segment that carries nothing else.
