# What happens between two ends.

handshake =
    .title = The three-way handshake
    .what = SYN, SYN+ACK, ACK. Both ends exchange their initial sequence numbers, and each learns
        that the other has its own. CLOSED, SYN_SENT, ESTABLISHED at the client; LISTEN, SYN_RECV,
        ESTABLISHED at the server.
    .linux = An unanswered SYN is retransmitted { $tcp_syn_retries } times (net.ipv4.tcp_syn_retries,
        6 by default), a SYN+ACK { $tcp_synack_retries } times (net.ipv4.tcp_synack_retries, 5 by
        default).

teardown =
    .title = The four-way handshake: teardown
    .what = FIN, ACK, FIN, ACK: each direction is closed by itself. The end that closes first goes
        through FIN_WAIT1 and FIN_WAIT2 to TIME_WAIT, the other one through CLOSE_WAIT and LAST_ACK
        to CLOSED.

half-close =
    .title = Half-close
    .what = One direction is closed by a FIN, the other one still carries data: the ends are in
        FIN_WAIT2 and CLOSE_WAIT.
    .linux = shutdown(fd, SHUT_WR).

simultaneous-open =
    .title = Simultaneous open
    .what = Two ends connect to each other, and their SYNs cross. Both go from SYN_SENT to SYN_RECV,
        and there is one connection.

simultaneous-close =
    .title = Simultaneous close
    .what = Both ends close before the other's FIN arrives. Both go from FIN_WAIT1 to CLOSING, and
        both keep TIME_WAIT.

retransmission =
    .title = Positive acknowledgement and retransmission
    .what = The receiver acknowledges the next byte that it expects. The sender keeps what is not
        acknowledged, and sends it again, with the same numbers, when no acknowledgement comes in
        time or when three duplicates of one show a gap.
    .linux = The connection is given up after net.ipv4.tcp_retries2 = { $tcp_retries2 } timeouts (15 by
        default, some 15 minutes), or after TCP_USER_TIMEOUT.
    .many = Loss or congestion on the way: `tracer --problems` shows which connections, `ss -ti` their
        counters.

fast-open =
    .title = TCP Fast Open
    .what = Data in the SYN, which a cookie from an earlier connection makes safe to take: a round
        trip less (RFC 7413).
    .linux = net.ipv4.tcp_fastopen = { $tcp_fastopen }: 1 for clients (the default), 2 for servers, 3 for both.

syn-cookies =
    .title = SYN cookies
    .what = A listener whose queue of half-open connections is full keeps nothing of a SYN. It puts
        what it has to remember into the sequence number of its SYN+ACK, and finds it in the ACK.
    .linux = net.ipv4.tcp_syncookies = { $tcp_syncookies } (1 by default: when the queue is full).
