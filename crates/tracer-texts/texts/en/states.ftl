# The states of RFC 9293, 3.3.2.

closed =
    .title = CLOSED
    .what = There is no connection. Where the kernel has no socket, the state is this one.

listen =
    .title = LISTEN
    .what = A server waits for connections. A listener has no peer: each connection gets a socket of
        its own.
    .linux = Two queues: half-open connections, and complete ones that accept() has not taken yet. The
        latter is limited by listen() and by net.core.somaxconn = { $somaxconn } (4096 by default).

syn-sent =
    .title = SYN_SENT
    .what = The client has sent its SYN and waits for the SYN+ACK.
    .linux = The first timeout is a second; after net.ipv4.tcp_syn_retries = { $tcp_syn_retries }
        retransmissions connect() fails with ETIMEDOUT.
    .many = The destination drops SYNs (a firewall, a full accept queue) or is not there.

syn-recv =
    .title = SYN_RECV
    .what = The server has answered a SYN and waits for the last ACK (SYN-RECEIVED in RFC 9293).
    .linux = A small request, not a socket; retransmitted net.ipv4.tcp_synack_retries =
        { $tcp_synack_retries } times.
    .many = A SYN flood, clients that vanish, or ACKs that are lost on the way.

established =
    .title = ESTABLISHED
    .what = The connection is open in both directions.
    .linux = Without keepalive it stays so for ever, even if the peer has vanished.
    .many = A pool, or a leak: look at their age and at who holds them.

fin-wait1 =
    .title = FIN_WAIT1
    .what = This end has closed first. Its FIN is on its way, or waits behind unsent data.
    .linux = If no process holds the socket any more, it is given up after net.ipv4.tcp_orphan_retries
        = { $tcp_orphan_retries } retransmissions (0 means 8).
    .many = Peers that have vanished, or whose window is closed.

fin-wait2 =
    .title = FIN_WAIT2
    .what = The FIN of this end has been acknowledged; the peer has not closed yet.
    .linux = After close() the kernel waits for the peer's FIN for net.ipv4.tcp_fin_timeout =
        { $tcp_fin_timeout } s (60 by default). After shutdown() it waits for as long as the
        application does.
    .many = Peers that do not close: they are in CLOSE_WAIT.

close-wait =
    .title = CLOSE_WAIT
    .what = The peer has closed, and this end waits for its own application to call close().
    .linux = There is no timer: only close(), or the end of the process, ends it.
    .many = A leak in the application. `tracer diagnose` names the process, the descriptors and the
        cause; `tracer diagnose --stacks` the code that created the connections. No setting of the
        kernel helps.

closing =
    .title = CLOSING
    .what = Both ends have sent a FIN before the other's arrived; the ACK of one's own is missing.
    .linux = Seen for a round trip at most, unless that ACK is lost.

last-ack =
    .title = LAST_ACK
    .what = The end that closes second has sent its FIN and waits for the last ACK.
    .linux = The FIN is retransmitted as in FIN_WAIT1.
    .many = Peers that vanished before they could answer.

time-wait =
    .title = TIME_WAIT
    .what = The end that closed first stays for 2 MSL: to answer the FIN again if the last ACK was
        lost, and until late segments have expired.
    .linux = 60 s, fixed. A small structure without a process. At most net.ipv4.tcp_max_tw_buckets =
        { $tcp_max_tw_buckets } of them. net.ipv4.tcp_tw_reuse = { $tcp_tw_reuse } (2 by default: over
        loopback only; 1: everywhere) lets a new connection of this host take over the ports of one
        that is older than a second.
    .many = Normal for the end that closes first. It is a problem only where one destination uses up
        the local ports (`tracer diagnose`): keep connections open and use them again. Not
        SO_LINGER 0, which loses data.
