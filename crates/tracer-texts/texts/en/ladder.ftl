# The sentences of the ladder (`--explain`), in the order in which they can come.

ladder-syn = SYN asks for a connection and names the client's initial sequence number: random, so
    that nobody can guess it, and so that late segments of an earlier connection are not mistaken
    for this one's.
ladder-second-syn = A SYN from this side too: both open at once (simultaneous open). Each answers
    the other's, and they become one connection.
ladder-own-syn = The same SYN: connect() was given the port that it connects to, and the socket is
    the peer of itself. To TCP that is a simultaneous open.
ladder-syn-ack = SYN+ACK accepts, with this side's own random initial sequence number.
ladder-syn-ack-numbers = SYN+ACK accepts: seq is this side's own random number, and ack names the
    next byte that it expects. A SYN counts as one byte, hence the +1.
ladder-ack = Now each end knows that the other has its number: the three-way handshake is complete,
    data can flow.
ladder-data = Every byte of data has its own number, counted from the SYN's.
ladder-data-and-fin = The number of a FIN exceeds that of its side's SYN by what was sent.
ladder-fin = FIN: "I have no more to send." It closes one direction only, the other may go on
    (half-close). Like a SYN it counts as one byte and must be acknowledged.
ladder-second-fin = The other direction is closed too.
ladder-released = A graceful release: all data was delivered, in both directions.
ladder-fin-with-ack = The application has closed this end too. Linux delayed its ACK of the first
    FIN by up to 40 ms, so that this FIN carries it.
ladder-ack-of-fin = The FIN has arrived.
ladder-fin-wait2 = FIN_WAIT2: this direction is closed, the other one is still open.
ladder-last-ack = The last ACK: it closes the other end.
ladder-close-wait = CLOSE_WAIT asks the application to close() its end as well: nothing else ends
    this state, and sockets that pile up in it are a leak in the application.
ladder-closing = Both have sent their FIN before the other's arrived (simultaneous close); CLOSING
    waits for the ACK of one's own.
ladder-own-fin = The socket's own FIN has come back to it: a FIN that arrived before the ACK of
    one's own (simultaneous close). CLOSING waits for that ACK.
ladder-time-wait = TIME_WAIT stays with the end that closed first (with both, if they closed at
    once), for 2 MSL, 60 s on Linux: if the last ACK is lost, the FIN is retransmitted and must be
    answered; and late segments must expire before the same ports are used again.
ladder-orphan = Orphaned: no process holds the socket any more. The kernel waits for the peer's FIN,
    for a minute unless tcp_fin_timeout or TCP_LINGER2 says otherwise.
ladder-rst = RST aborts immediately (abortive release): nothing is acknowledged, data in flight is
    lost, and no TIME_WAIT follows.
ladder-refused = Nothing listens on this port, or a firewall says so: the answer is RST, and
    connect() fails with ECONNREFUSED.
ladder-again = No answer in time: the same segment is retransmitted, with the same number.
ladder-same-timeout = The timeout was as long as before: Linux retransmits the first SYNs at equal
    intervals (net.ipv4.tcp_syn_linear_timeouts), then doubles the timeout each time.
ladder-double-timeout = The timeout doubles each time.
ladder-gone = The kernel has released the connection: its addresses and ports are free.
ladder-expires = CLOSED expected at { $time }, in 60 s
ladder-unreachable = A router, or the host itself, answered with the ICMP error that stands here.
    connect() fails at once, with EHOSTUNREACH, ENETUNREACH or ECONNREFUSED.
ladder-connect-timeout = Nobody answered any SYN: the host is down, or a firewall drops them
    silently. connect() fails with ETIMEDOUT, after net.ipv4.tcp_syn_retries retransmissions.
ladder-retransmit-timeout = What was sent was not acknowledged for too long: the peer is dead, or
    the way to it is (dead peer). TCP_USER_TIMEOUT says how long; without it, it takes
    net.ipv4.tcp_retries2 retransmissions, some 15 minutes. The application gets ETIMEDOUT.
ladder-keepalive-timeout = The peer answered none of the keepalive probes: it is dead, or the way to
    it is (dead peer). The application gets ETIMEDOUT.
ladder-zero-window-timeout = The peer acknowledged, but accepted no more data for too long: its
    application does not read. The application here gets ETIMEDOUT.
ladder-fin-wait2-timeout = The peer acknowledged the FIN and never sent its own. The kernel waits for
    net.ipv4.tcp_fin_timeout, or TCP_LINGER2, for a socket that no process holds any more.
ladder-aborted = The application closed the socket before the handshake was complete. If the SYN+ACK
    still comes, it is answered with an RST.
ladder-killed = An administrator ended it (ss -K, SOCK_DESTROY): the application gets ECONNABORTED,
    and an RST tells the peer.
ladder-no-local-port = No segment was sent: all local ports towards this peer are in use. connect()
    fails with EADDRNOTAVAIL.
ladder-disconnected = connect() with AF_UNSPEC dissolves a connection; the socket can be used again.

# Names of what has been explained before.

ladder-name-handshake = (three-way handshake)
ladder-name-simultaneous-open = (simultaneous open)
ladder-name-graceful = (graceful release)
ladder-name-simultaneous-close = (simultaneous close)
ladder-name-orphan = (orphaned)
ladder-name-abortive = (abortive release)
