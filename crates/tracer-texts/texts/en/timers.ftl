# The timers of a connection.

retransmission-timer =
    .title = Retransmission timer (RTO)
    .what = Started with each segment that must be acknowledged; when it fires, the segment is sent again
        and the timeout doubles (RFC 6298).
    .linux = A second for a SYN, then from the measured round-trip time: at least 200 ms, at most 120 s.
delayed-ack =
    .title = Delayed ACK
    .what = An acknowledgement waits a little for data to go along with.
    .linux = 40 ms, up to 200 ms; none at the beginning of a connection (quick ACK).
keepalive-timer =
    .title = Keepalive timer
    .what = Asks an idle peer whether it is still there. Off unless the application sets SO_KEEPALIVE.
    .linux = After net.ipv4.tcp_keepalive_time = { $tcp_keepalive_time } s (7200 by default) a probe each
        { $tcp_keepalive_intvl } s (75), { $tcp_keepalive_probes } times (9).
persist-timer =
    .title = Persist timer
    .what = Asks a peer with a closed window whether it has opened, as the segment that opens it may be lost.
    .linux = As often as the retransmission timer; for ever, as long as the peer answers, unless
        TCP_USER_TIMEOUT is set or the socket is an orphan.
time-wait-timer =
    .title = 2 MSL timer
    .what = Ends TIME_WAIT. The maximum segment lifetime is two minutes in RFC 9293.
    .linux = 60 s in all, fixed.
fin-wait2-timer =
    .title = FIN_WAIT2 timer
    .what = Ends FIN_WAIT2 after close(), which RFC 9293 does not know.
    .linux = net.ipv4.tcp_fin_timeout = { $tcp_fin_timeout } s (60 by default).
