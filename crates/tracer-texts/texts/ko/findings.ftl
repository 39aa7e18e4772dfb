# `tracer diagnose`가 찾아내는 문제.

close_wait_leak =
    .title = close_wait_leak: 응용 프로그램이 소켓을 닫지 않는다
    .what = 소켓들이 CLOSE_WAIT에 머물며, 두 번의 스냅숏 사이에 닫지도 보내지도 않았습니다.
    .many = 프로세스와 디스크립터, 원인이 함께 나옵니다. 고칠 수 있는 것은 응용 프로그램뿐입니다.
ephemeral_ports =
    .title = ephemeral_ports: 로컬 포트가 모자란다
    .what = TIME_WAIT를 포함해 한 목적지에 쓸 로컬 포트를 대부분 쓰고 있습니다.
    .linux = net.ipv4.ip_local_port_range = { $ip_local_port_range }(기본값 32768~60999)입니다.
    .many = 연결을 닫지 말고 재사용하세요.
accept_queue_full =
    .title = accept_queue_full: 서버가 accept()를 제때 하지 못한다
    .what = 완성된 연결이 accept()를 기다리고 있어 더 받을 자리가 없습니다. SYN이 버려지고 클라이언트는 1초
        넘게 기다립니다.
    .linux = listen()의 backlog와 net.core.somaxconn = { $somaxconn }(기본값 4096) 가운데 작은 값입니다.
    .many = 더 빨리 accept()하거나 backlog를 늘리세요.
syn_backlog =
    .title = syn_backlog: 반쯤 열린 연결이 너무 많다
    .what = SYN 플러딩처럼 SYN이 응답보다 빨리 옵니다.
    .linux = net.ipv4.tcp_max_syn_backlog = { $tcp_max_syn_backlog }, net.ipv4.tcp_syncookies =
        { $tcp_syncookies }(기본값 1)입니다.
    .many = SYN 쿠키를 켜 두세요. backlog(listen(), somaxconn, tcp_max_syn_backlog)를 늘리면 순간적인 몰림에는
        도움이 되지만 플러딩에는 소용없습니다.
time_wait_overflow =
    .title = time_wait_overflow: TIME_WAIT가 일찍 끝났다
    .what = TIME_WAIT가 너무 많아 커널이 그 뒤의 것을 곧바로 끝냈습니다. 늦은 세그먼트가 다음 연결에 도착할 수
        있습니다.
    .linux = net.ipv4.tcp_max_tw_buckets = { $tcp_max_tw_buckets }입니다.
    .many = 연결을 닫지 말고 재사용하거나 한도를 올리세요.
descriptors =
    .title = descriptors: 프로세스에 디스크립터가 남지 않았다
    .what = accept()와 socket()이 EMFILE로 실패합니다. 누수의 결과일 때가 많습니다.
    .many = 먼저 누수를 찾으세요. 한도(ulimit -n, LimitNOFILE=)를 올리는 것은 미루는 것일 뿐입니다.
stuck_handshake =
    .title = stuck_handshake: 연결 설정이 끝나지 않는다
    .what = 소켓들이 SYN_SENT나 SYN_RECV에 머뭅니다. 한쪽이 응답하지 않거나 응답이 사라집니다.
    .many = SYN_SENT: 주소가 맞는지, 호스트가 켜져 있는지, 방화벽이 버리는지 보세요. SYN_RECV: 클라이언트가 없거나
        응답이 닿지 않습니다.
dead_peer =
    .title = dead_peer: 상대가 더는 응답하지 않는다
    .what = 데이터나 FIN, keepalive 프로브에 응답이 없습니다. 상대나 그곳까지의 경로가 사라졌고, 응용 프로그램은
        아직 모릅니다.
    .linux = net.ipv4.tcp_retries2 = { $tcp_retries2 }번의 타임아웃 뒤(기본값 15) 또는 TCP_USER_TIMEOUT이 지나면
        알게 됩니다.
    .many = 호스트가 아직 응답하는지 알아보세요. keepalive와 TCP_USER_TIMEOUT을 쓰면 응용 프로그램이 더 일찍
        압니다.
peer_not_reading =
    .title = peer_not_reading: 상대가 읽지 않는다
    .what = 상대가 윈도를 닫았습니다. 상대 응용 프로그램이 받은 것을 읽지 않습니다.
    .many = 읽는 쪽이 무엇을 기다리는지 알아보세요. 보내는 쪽이 할 수 있는 일은 포기하는 것뿐입니다.
not_reading =
    .title = not_reading: 서버가 클라이언트가 보낸 것을 읽지 않는다
    .what = 요청이 도착했지만 프로세스의 어느 스레드도 읽거나 기다리지 않습니다. 클라이언트는 응답을 기다립니다.
    .many = 스레드가 어디서 멈췄는지 알아보세요. 다시 등록하지 않은 epoll 디스크립터도 같은 모습입니다.
stuck_state =
    .title = stuck_state: 소켓이 한 상태에 너무 오래 머문다
    .what = 아무것도 움직이지 않고, 정상적인 연결이라면 이미 그 상태를 떠났을 시간입니다. 상대가 자기 쪽을 닫지
        않았거나(FIN_WAIT2) 응답하지 않습니다(SYN_SENT, SYN_RECV, FIN_WAIT1, CLOSING, LAST_ACK).
retransmissions =
    .title = retransmissions: 세그먼트가 가는 길에 유실된다
    .what = 데이터 세그먼트가 도착하지 않아 다시 보냅니다. 그때마다 왕복 시간 하나, 또는 200 ms 이상의 타임아웃이
        들고, TCP는 그때부터 한 번에 더 적게 보냅니다.
    .many = 이 호스트가 버리는지 보고(tc -s qdisc, ip -s link), 아니면 경로를 따라가 보세요(mtr). 꽉 찬 링크도
        세그먼트를 잃습니다.
no_keepalive =
    .title = no_keepalive: 상대가 사라져도 알아채지 못한다
    .what = keepalive도 TCP_USER_TIMEOUT도 없는 유휴 연결은 상대가 사라지면 끝없이 ESTABLISHED로 남습니다.
    .linux = SO_KEEPALIVE를 켜세요. 첫 확인은 net.ipv4.tcp_keepalive_time = { $tcp_keepalive_time }초(기본값 7200)
        뒤입니다.
    .many = 응용 프로그램에서 SO_KEEPALIVE와 TCP_KEEPIDLE, 또는 TCP_USER_TIMEOUT을 설정하세요.
churn =
    .title = churn: 연결을 한 번만 쓰고 버린다
    .what = 프로세스가 한 목적지로 짧은 연결을 많이 엽니다. 시간의 대부분이 연결 설정에 쓰이고, 연결마다
        TIME_WAIT가 남습니다.
    .many = 연결을 닫지 말고 재사용하세요(연결 풀, HTTP keep-alive).
process_ended =
    .title = process_ended: 끝난 프로세스의 연결
    .what = 프로세스가 끝났고, 열어 둔 연결은 커널이 닫았습니다. 읽지 않은 데이터가 없으면 정상 해제, 있으면
        RST입니다. 읽고 아직 응답하지 않은 요청도 클라이언트에게는 실패입니다.
    .many = 끝나기 전에 accept()를 멈추고, 요청에 모두 답하고, shutdown(SHUT_WR) 뒤 끝까지 읽고 close()하세요.
accept_wait =
    .title = accept_wait: 연결이 accept()를 오래 기다린다
    .what = 연결은 완성되었지만 서버 응용 프로그램이 늦게 가져갑니다. 클라이언트는 연결된 줄 알고 기다립니다.
    .many = 더 빨리 accept()하세요. 바쁜 이벤트 루프나 모자란 워커가 원인입니다.
deferred_accept =
    .title = deferred_accept: listener가 데이터를 기다린다
    .what = TCP_DEFER_ACCEPT가 있으면 첫 데이터가 와야 accept()에 넘깁니다. 그때까지 클라이언트는
        ESTABLISHED인데 서버는 SYN_RECV로 보입니다.
    .many = 아무것도 보내지 않는 클라이언트입니다. 기다리거나 TCP_DEFER_ACCEPT 없이 listen하세요.
closed_but_held =
    .title = closed_but_held: 닫았지만 다른 프로세스가 갖고 있다
    .what = 한 프로세스는 디스크립터를 닫았지만 자식이나 다른 프로세스가 소켓을 갖고 있어 FIN이 나가지
        않습니다.
    .many = SOCK_CLOEXEC로 열거나 자식에서 닫으세요.
left_open =
    .title = left_open: 응답했지만 닫지 않았다
    .what = 프로세스가 자신이나 자식이 응답한 연결을 갖고 있으면서 다른 연결의 accept만 기다립니다. FIN이 나가지
        않고, 다음 요청을 읽을 스레드도 없습니다.
    .many = 처리한 연결을 닫으세요. fork() 뒤에 부모는 연결의 사본을, 자식은 리스너를 닫아야 합니다.
self_connect =
    .title = self_connect: 소켓이 자기 자신과 연결되었다
    .what = connect()가 목적지와 같은 포트를 받아, 자기 자신과의 동시 열기로 성공했습니다. 서버의 포트를
        클라이언트가 차지합니다.
    .linux = net.ipv4.ip_local_port_range = { $ip_local_port_range }에 서버의 포트가 들어가지 않게
        하세요(net.ipv4.ip_local_reserved_ports).
    .many = 그 클라이언트를 끝내고, 서버의 포트를 임시 포트 범위에서 빼세요.
connect_failures =
    .title = connect_failures: 연결이 실패하거나 느리다
    .what = 한 목적지로 가는 연결이 거부되거나, 시간이 초과되거나, SYN을 재전송해야 합니다.
    .many = 거부되면 LISTEN하는 프로그램이 없습니다. 시간이 초과되거나 느리면 패킷을 버리는 방화벽이나 가득 찬 accept
        큐가 원인입니다.
listens_elsewhere =
    .title = listens_elsewhere: 서버가 다른 주소에서 listen한다
    .what = 클라이언트가 연결하는 주소에는 아무도 listen하지 않아 호스트가 RST로 답합니다. 서버는 같은 포트의 다른
        주소에서 listen합니다.
    .many = 서버가 모든 주소에서 listen하게 하거나, 클라이언트가 서버의 주소를 쓰게 하세요.
connection_resets =
    .title = connection_resets: 연결이 RST나 타임아웃으로 끝난다
    .what = 한 목적지와의 연결이 닫히지 않고 RST나 타임아웃으로 끝납니다. 누가 왜 보냈는지 함께 나옵니다.
    .many = RST를 보낸 쪽에 원인이 있습니다. 읽지 않은 데이터, 강제 해제, 재시작 가운데 무엇인지 그곳에서 보세요.
keepalive_race =
    .title = keepalive_race: 유휴 타이머와 요청이 엇갈린다
    .what = 서버가 유휴 연결을 닫는 바로 그때 클라이언트가 그 연결로 다음 요청을 보내 RST를 받습니다.
    .many = 클라이언트의 유휴 제한 시간을 서버보다 짧게 하세요.
