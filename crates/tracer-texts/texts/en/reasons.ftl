# Close reasons, as in `tcp.close.reason`.

graceful =
    .title = graceful: closed normally
    .what = Both ends sent a FIN and had it acknowledged.
reset_received =
    .title = reset_received: reset by the peer
    .what = The peer sent RST: it aborted, had unread data, or knows nothing of the connection.
reset_sent_unread_data =
    .title = reset_sent_unread_data: closed with unread data
    .what = This end called close() while received data had not been read, so that RST was sent instead
        of FIN (RFC 2525, 2.17).
    .many = Read to the end before close(): otherwise the peer may lose even what it has not read yet.
reset_sent_linger0 =
    .title = reset_sent_linger0: SO_LINGER with a time of 0
    .what = This end asked for an abrupt release.
    .many = If it is meant to avoid TIME_WAIT: it loses data. Keep connections open instead.
reset_sent_data_after_close =
    .title = reset_sent_data_after_close: data for a closed socket
    .what = Data arrived after close(), and nobody could read it any more.
    .many = The peer sends more than this end reads: agree on who closes, or use shutdown(SHUT_WR) and
        read to the end.
reset_sent_unaccepted =
    .title = reset_sent_unaccepted: the listener was closed
    .what = The listener was closed before accept() took the connection.
    .many = A server that restarts: stop new connections first, then take those in the queue.
refused =
    .title = refused: nobody listens
    .what = RST answered the SYN; connect() fails with ECONNREFUSED.
    .many = The server is not running, listens on another port or address, or a firewall rejects.
unreachable =
    .title = unreachable: an ICMP message answered
    .what = A router or the host said that the destination cannot be reached; connect() fails with
        EHOSTUNREACH, ENETUNREACH or ECONNREFUSED.
connect_timeout =
    .title = connect_timeout: no answer to the SYN
    .what = All SYNs went unanswered; connect() fails with ETIMEDOUT.
    .linux = net.ipv4.tcp_syn_retries = { $tcp_syn_retries } (6 by default), or TCP_SYNCNT.
    .many = A firewall that drops, a host that is down, an accept queue that is full.
retransmit_timeout =
    .title = retransmit_timeout: nobody acknowledged
    .what = What was sent was never acknowledged; the next call fails with ETIMEDOUT.
    .linux = net.ipv4.tcp_retries2 = { $tcp_retries2 } (15 by default), or TCP_USER_TIMEOUT.
keepalive_timeout =
    .title = keepalive_timeout: probes went unanswered
    .what = The connection was idle, and the peer did not answer keepalive probes.
zero_window_timeout =
    .title = zero_window_timeout: the window stayed closed
    .what = The receiver did not read, and the sender gave up.
    .many = An application that does not read: find out what it waits for.
fin_wait2_timeout =
    .title = fin_wait2_timeout: the peer never closed
    .what = After close() the kernel waited for the peer's FIN in vain.
    .linux = net.ipv4.tcp_fin_timeout = { $tcp_fin_timeout } s (60 by default), or TCP_LINGER2.
aborted_locally =
    .title = aborted_locally: aborted by the application
    .what = The application closed the socket before the connection was made.
killed =
    .title = killed: ended by an administrator
    .what = SOCK_DESTROY, as by `ss -K`, ended the connection.
no_local_port =
    .title = no_local_port: no free local port
    .what = connect() failed with EADDRNOTAVAIL: all ephemeral ports for this destination are in use.
    .linux = net.ipv4.ip_local_port_range = { $ip_local_port_range } (32768 to 60999 by default).
    .many = Keep connections open and use them again; then more ports, addresses or destinations.
disconnected =
    .title = disconnected: connect() with AF_UNSPEC
    .what = The application dissolved the connection to use its socket again.
unknown =
    .title = unknown: the reason is not known
    .what = The end was not seen, only that the socket is gone.
