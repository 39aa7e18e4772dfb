# RFC 9293, 3.3.2의 상태.

closed =
    .title = CLOSED
    .what = 연결이 없습니다. 커널에 소켓이 없으면 이 상태입니다.

listen =
    .title = LISTEN
    .what = 서버가 연결을 기다립니다. listener에는 상대가 없고, 연결마다 따로 소켓이 생깁니다.
    .linux = 큐가 둘입니다. 반쯤 열린 연결의 큐와, 완성되었지만 accept()가 아직 가져가지 않은 연결의
        큐입니다. 뒤의 것은 listen()의 인자와 net.core.somaxconn = { $somaxconn }(기본값 4096)으로
        제한됩니다.

syn-sent =
    .title = SYN_SENT
    .what = 클라이언트가 SYN을 보내고 SYN+ACK를 기다립니다.
    .linux = 첫 타임아웃은 1초입니다. net.ipv4.tcp_syn_retries = { $tcp_syn_retries }번 재전송한 뒤
        connect()가 ETIMEDOUT으로 실패합니다.
    .many = 목적지가 SYN을 버리고 있거나(방화벽, 가득 찬 accept 큐) 없습니다.

syn-recv =
    .title = SYN_RECV
    .what = 서버가 SYN에 응답하고 마지막 ACK를 기다립니다(RFC 9293의 SYN-RECEIVED).
    .linux = 소켓이 아니라 작은 요청 구조체이며, net.ipv4.tcp_synack_retries =
        { $tcp_synack_retries }번 재전송합니다.
    .many = SYN 플러딩이거나, 클라이언트가 사라졌거나, 경로에서 ACK가 사라지고 있습니다.

established =
    .title = ESTABLISHED
    .what = 연결이 양방향으로 열려 있습니다.
    .linux = keepalive가 없으면 상대가 사라져도 끝없이 이 상태로 남습니다.
    .many = 연결 풀이거나 누수입니다. 경과 시간과 소켓을 가진 프로세스를 보세요.

fin-wait1 =
    .title = FIN_WAIT1
    .what = 이쪽이 먼저 닫았습니다. FIN이 전송 중이거나, 보내지 못한 데이터 뒤에서 기다립니다.
    .linux = 소켓을 가진 프로세스가 없으면 net.ipv4.tcp_orphan_retries = { $tcp_orphan_retries }번
        재전송한 뒤 포기합니다(0은 8을 뜻합니다).
    .many = 상대가 사라졌거나 윈도를 닫아 두었습니다.

fin-wait2 =
    .title = FIN_WAIT2
    .what = 이쪽의 FIN은 확인되었고, 상대는 아직 닫지 않았습니다.
    .linux = close() 뒤에는 커널이 상대의 FIN을 net.ipv4.tcp_fin_timeout = { $tcp_fin_timeout }초(기본값
        60) 동안 기다립니다. shutdown() 뒤에는 응용 프로그램이 기다리는 만큼 기다립니다.
    .many = 상대가 닫지 않고 있습니다. 상대는 CLOSE_WAIT입니다.

close-wait =
    .title = CLOSE_WAIT
    .what = 상대가 닫았고, 이쪽은 자기 응용 프로그램이 close()를 호출하기를 기다립니다.
    .linux = 타이머가 없습니다. close()를 호출하거나 프로세스가 끝나야 사라집니다.
    .many = 응용 프로그램의 누수입니다. `tracer diagnose`가 프로세스와 디스크립터, 원인을 알려 주고,
        `tracer diagnose --stacks`가 연결을 만든 코드를 알려 줍니다. 커널 설정으로는 해결되지 않습니다.

closing =
    .title = CLOSING
    .what = 상대의 FIN이 도착하기 전에 양쪽이 FIN을 보냈고, 자기 FIN에 대한 ACK가 아직 없습니다.
    .linux = 그 ACK가 사라지지 않는 한 길어야 왕복 시간 한 번 동안 보입니다.

last-ack =
    .title = LAST_ACK
    .what = 나중에 닫는 쪽이 FIN을 보내고 마지막 ACK를 기다립니다.
    .linux = FIN은 FIN_WAIT1에서와 같이 재전송됩니다.
    .many = 상대가 응답하기 전에 사라졌습니다.

time-wait =
    .title = TIME_WAIT
    .what = 먼저 닫은 쪽이 2 MSL 동안 남습니다. 마지막 ACK가 사라졌을 때 다시 온 FIN에 응답하고, 늦은
        세그먼트가 사라질 때까지 기다립니다.
    .linux = 60초로 고정되어 있습니다. 프로세스가 없는 작은 구조체이며, 최대 net.ipv4.tcp_max_tw_buckets =
        { $tcp_max_tw_buckets }개입니다. net.ipv4.tcp_tw_reuse = { $tcp_tw_reuse }(기본값 2: loopback에서만,
        1: 어디서나)이면 이 호스트의 새 연결이 1초 넘은 TIME_WAIT의 포트를 이어받을 수 있습니다.
    .many = 먼저 닫는 쪽에는 정상입니다. 한 목적지가 로컬 포트를 다 쓸 때만 문제가 됩니다(`tracer
        diagnose`). 연결을 닫지 말고 재사용하세요. SO_LINGER 0은 데이터를 잃으므로 해결책이 아닙니다.
