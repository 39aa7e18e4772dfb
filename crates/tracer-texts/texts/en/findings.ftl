# What `tracer diagnose` finds.

close_wait_leak =
    .title = close_wait_leak: an application does not close its sockets
    .what = Sockets stay in CLOSE_WAIT: from one snapshot to the next the application neither closes them nor sends.
    .many = The finding names process, descriptors and cause. Only the application can be repaired.
ephemeral_ports =
    .title = ephemeral_ports: local ports run out
    .what = Most local ports for one destination are in use, TIME_WAIT included.
    .linux = net.ipv4.ip_local_port_range = { $ip_local_port_range } (32768 to 60999 by default).
    .many = Keep connections open and use them again.
accept_queue_full =
    .title = accept_queue_full: a server does not accept fast enough
    .what = Complete connections wait for accept(), and there is no room for more: SYNs are dropped, and
        clients wait a second or more.
    .linux = The smaller of the backlog of listen() and net.core.somaxconn = { $somaxconn } (4096 by default).
    .many = Accept faster, or listen with a larger backlog.
syn_backlog =
    .title = syn_backlog: too many half-open connections
    .what = SYNs arrive faster than they are answered, as in a SYN flood.
    .linux = net.ipv4.tcp_max_syn_backlog = { $tcp_max_syn_backlog }, net.ipv4.tcp_syncookies =
        { $tcp_syncookies } (1 by default).
    .many = Leave SYN cookies on. A longer backlog (listen(), somaxconn, tcp_max_syn_backlog) helps against
        bursts, not against a flood.
time_wait_overflow =
    .title = time_wait_overflow: TIME_WAIT cut short
    .what = There were too many TIME_WAITs, and the kernel made further ones end at once: late segments
        may reach the next connection.
    .linux = net.ipv4.tcp_max_tw_buckets = { $tcp_max_tw_buckets }.
    .many = Keep connections open and use them again, or raise the limit.
descriptors =
    .title = descriptors: a process has no descriptors left
    .what = accept() and socket() fail with EMFILE, often as the consequence of a leak.
    .many = Look for the leak first: a higher limit (ulimit -n, LimitNOFILE=) only postpones it.
stuck_handshake =
    .title = stuck_handshake: handshakes do not complete
    .what = Sockets stay in SYN_SENT or SYN_RECV: an end does not answer, or answers are lost.
    .many = SYN_SENT: is the address right, is the host up, does a firewall drop? SYN_RECV: the clients are not
        there, or the answers do not reach them.
dead_peer =
    .title = dead_peer: a peer does not answer any more
    .what = Data, a FIN or keepalive probes stay unanswered: the peer, or the way to it, is gone. The
        application does not know yet.
    .linux = It is told after net.ipv4.tcp_retries2 = { $tcp_retries2 } timeouts (15 by default), or after
        TCP_USER_TIMEOUT.
    .many = Find out whether the host still answers. Keepalive and TCP_USER_TIMEOUT let the application know
        sooner.
peer_not_reading =
    .title = peer_not_reading: a peer does not read
    .what = Peers have closed their windows: their applications do not read what they are sent.
    .many = Find out what the reader waits for; the sender can only give up.
not_reading =
    .title = not_reading: a server does not read what its clients send
    .what = Requests have arrived, and no thread of the process reads them or waits for them: the clients wait
        for answers.
    .many = Find out where its threads are stuck. An epoll registration that was not renewed looks the same.
stuck_state =
    .title = stuck_state: sockets stay in a state for too long
    .what = Nothing moves, and a healthy connection would have left the state: the peer has not closed its
        side (FIN_WAIT2), or does not answer (SYN_SENT, SYN_RECV, FIN_WAIT1, CLOSING, LAST_ACK).
retransmissions =
    .title = retransmissions: segments are lost on the way
    .what = Segments with data do not arrive and are sent again. Each costs a round trip, or a time-out of
        200 ms and more, and TCP sends less at once from then on.
    .many = See whether this host drops them (tc -s qdisc, ip -s link), else go along the path (mtr). A link that
        is full loses segments as well.
no_keepalive =
    .title = no_keepalive: a dead peer would never be noticed
    .what = Idle connections with neither keepalive nor TCP_USER_TIMEOUT stay ESTABLISHED for ever if the
        peer vanishes.
    .linux = SO_KEEPALIVE; the first probe after net.ipv4.tcp_keepalive_time = { $tcp_keepalive_time } s
        (7200 by default).
    .many = Set SO_KEEPALIVE with TCP_KEEPIDLE, or TCP_USER_TIMEOUT, in the application.
churn =
    .title = churn: each connection is used once
    .what = A process opens many short connections to one destination; most of their time is handshake, and
        each leaves a TIME_WAIT.
    .many = Keep connections open and use them again (a pool, HTTP keep-alive).
process_ended =
    .title = process_ended: what became of the connections of a process
    .what = A process has ended, and the kernel has closed what it had left open: gracefully where nothing
        was unread, with RST where something was. What had been read and not answered is lost to the client.
    .many = Before it ends: stop accepting, answer what was requested, shutdown(SHUT_WR), read to the end,
        close().
accept_wait =
    .title = accept_wait: connections wait long for accept()
    .what = Connections are complete, but the server's application takes them late. The client believes
        that it is served, and waits.
    .many = Accept faster: an event loop that is busy, too few workers.
deferred_accept =
    .title = deferred_accept: a listener waits for data
    .what = With TCP_DEFER_ACCEPT a connection is given to accept() with its first data only: until then
        the server shows SYN_RECV though the client is ESTABLISHED.
    .many = Such clients say nothing: wait for them, or listen without TCP_DEFER_ACCEPT.
closed_but_held =
    .title = closed_but_held: closed by one process, held by another
    .what = A process has closed its descriptor, but a child or another process still holds the socket, so
        that no FIN is sent.
    .many = Open sockets with SOCK_CLOEXEC, or close them in the child.
left_open =
    .title = left_open: answered, and not closed
    .what = A process holds connections that it, or a child, has answered, and does nothing but accept others: no
        FIN is sent, and nobody would read another request.
    .many = Close what has been served. After fork() the parent closes its copy, the child the listener.
self_connect =
    .title = self_connect: a socket is connected to itself
    .what = connect() was given the port that it connects to, and succeeded by a simultaneous open with
        itself. The server's port is taken by its client then.
    .linux = net.ipv4.ip_local_port_range = { $ip_local_port_range } should not include ports of servers
        (net.ipv4.ip_local_reserved_ports).
    .many = End that client, and keep the ports of servers out of the ephemeral range.
connect_failures =
    .title = connect_failures: connections fail or are slow
    .what = Connections to a destination are refused, time out, or need retransmitted SYNs.
    .many = Refused: nobody listens. Timed out or slow: a firewall that drops, or a full accept queue.
listens_elsewhere =
    .title = listens_elsewhere: a server listens on another address
    .what = Clients connect to an address on which nobody listens, so that the host answers with RST; a
        server listens on the same port of another address.
    .many = Have the server listen on all addresses, or the clients use the one that it has.
connection_resets =
    .title = connection_resets: connections end by RST or timeout
    .what = Connections with a destination end by RST or by a timeout instead of being closed; the finding
        says by whom and why.
    .many = Whoever sends the RST has the cause: unread data, an abort, a restart. Look there.
keepalive_race =
    .title = keepalive_race: an idle timer meets a request
    .what = A server closes idle connections just when its client sends the next request on one, and the
        client gets an RST.
    .many = Let the client's idle time-out be shorter than the server's.
