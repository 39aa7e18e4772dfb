# 종료 이유(`tcp.close.reason`).

graceful =
    .title = graceful: 정상 해제
    .what = 양쪽이 FIN을 보내고 확인 응답을 받았습니다.
reset_received =
    .title = reset_received: 상대가 RST를 보냈다
    .what = 상대가 RST를 보냈습니다. 강제로 끊었거나, 읽지 않은 데이터가 있었거나, 이 연결을 모릅니다.
reset_sent_unread_data =
    .title = reset_sent_unread_data: 읽지 않은 데이터를 두고 닫았다
    .what = 받은 데이터를 읽지 않고 close()를 호출해서 FIN 대신 RST를 보냈습니다(RFC 2525, 2.17).
    .many = close() 전에 끝까지 읽으세요. 그러지 않으면 상대가 아직 읽지 않은 것까지 잃을 수 있습니다.
reset_sent_linger0 =
    .title = reset_sent_linger0: SO_LINGER 0초
    .what = 이쪽이 강제 해제를 요청했습니다.
    .many = TIME_WAIT를 피하려는 것이라면 데이터를 잃습니다. 연결을 닫지 말고 재사용하세요.
reset_sent_data_after_close =
    .title = reset_sent_data_after_close: 닫힌 소켓에 온 데이터
    .what = close() 뒤에 데이터가 도착했는데 읽을 프로그램이 없었습니다.
    .many = 상대가 이쪽이 읽는 것보다 많이 보냅니다. 누가 닫을지 정하거나, shutdown(SHUT_WR) 뒤 끝까지
        읽으세요.
reset_sent_unaccepted =
    .title = reset_sent_unaccepted: listener가 닫혔다
    .what = accept()가 연결을 가져가기 전에 listener가 닫혔습니다.
    .many = 다시 시작하는 서버입니다. 먼저 새 연결을 막고, 큐에 있는 연결을 처리하세요.
refused =
    .title = refused: LISTEN하는 프로그램이 없다
    .what = SYN에 RST로 응답했습니다. connect()가 ECONNREFUSED로 실패합니다.
    .many = 서버가 실행 중이 아니거나, 다른 포트나 주소를 쓰거나, 방화벽이 거부합니다.
unreachable =
    .title = unreachable: ICMP 메시지가 왔다
    .what = 라우터나 호스트가 목적지에 도달할 수 없다고 알렸습니다. connect()가 EHOSTUNREACH, ENETUNREACH 또는
        ECONNREFUSED로 실패합니다.
connect_timeout =
    .title = connect_timeout: SYN에 응답이 없다
    .what = 모든 SYN에 응답이 없었습니다. connect()가 ETIMEDOUT으로 실패합니다.
    .linux = net.ipv4.tcp_syn_retries = { $tcp_syn_retries }(기본값 6) 또는 TCP_SYNCNT입니다.
    .many = 패킷을 버리는 방화벽, 꺼진 호스트, 가득 찬 accept 큐가 원인입니다.
retransmit_timeout =
    .title = retransmit_timeout: 확인 응답이 없다
    .what = 보낸 것이 끝내 확인되지 않았습니다. 다음 호출이 ETIMEDOUT으로 실패합니다.
    .linux = net.ipv4.tcp_retries2 = { $tcp_retries2 }(기본값 15) 또는 TCP_USER_TIMEOUT입니다.
keepalive_timeout =
    .title = keepalive_timeout: keepalive 프로브에 응답이 없다
    .what = 오가는 것이 없던 연결에서 상대가 keepalive에 응답하지 않았습니다.
zero_window_timeout =
    .title = zero_window_timeout: 윈도가 닫힌 채로 있었다
    .what = 수신 쪽이 읽지 않아 송신 쪽이 포기했습니다.
    .many = 읽지 않는 응용 프로그램이 무엇을 기다리는지 알아보세요.
fin_wait2_timeout =
    .title = fin_wait2_timeout: 상대가 닫지 않았다
    .what = close() 뒤에 커널이 상대의 FIN을 기다렸지만 오지 않았습니다.
    .linux = net.ipv4.tcp_fin_timeout = { $tcp_fin_timeout }초(기본값 60) 또는 TCP_LINGER2입니다.
aborted_locally =
    .title = aborted_locally: 응용 프로그램이 중단했다
    .what = 연결이 만들어지기 전에 응용 프로그램이 소켓을 닫았습니다.
killed =
    .title = killed: 관리자가 끊었다
    .what = `ss -K` 같은 SOCK_DESTROY가 연결을 끝냈습니다.
no_local_port =
    .title = no_local_port: 남은 로컬 포트가 없다
    .what = connect()가 EADDRNOTAVAIL로 실패했습니다. 이 목적지에 쓸 임시 포트를 모두 쓰고 있습니다.
    .linux = net.ipv4.ip_local_port_range = { $ip_local_port_range }(기본값 32768~60999)입니다.
    .many = 연결을 닫지 말고 재사용하세요. 그다음이 포트나 주소, 목적지를 늘리는 것입니다.
disconnected =
    .title = disconnected: AF_UNSPEC으로 connect()
    .what = 응용 프로그램이 소켓을 다시 쓰려고 연결을 해제했습니다.
unknown =
    .title = unknown: 이유를 모른다
    .what = 끝나는 것은 보지 못했고, 소켓이 사라진 것만 압니다.
