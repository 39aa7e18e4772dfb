# 양쪽 사이에 일어나는 일.

handshake =
    .title = 연결 설정: 3-way handshake
    .what = SYN, SYN+ACK, ACK입니다. 양쪽이 초기 순서 번호를 주고받고, 상대가 자기 번호를 받았음을
        확인합니다. 클라이언트는 CLOSED, SYN_SENT, ESTABLISHED를, 서버는 LISTEN, SYN_RECV,
        ESTABLISHED를 거칩니다.
    .linux = 응답 없는 SYN은 { $tcp_syn_retries }번(net.ipv4.tcp_syn_retries, 기본값 6), SYN+ACK는
        { $tcp_synack_retries }번(net.ipv4.tcp_synack_retries, 기본값 5) 재전송합니다.

teardown =
    .title = 연결 해제: 4-way handshake
    .what = FIN, ACK, FIN, ACK입니다. 각 방향을 따로 닫습니다. 먼저 닫는 쪽은 FIN_WAIT1과 FIN_WAIT2를
        거쳐 TIME_WAIT로, 다른 쪽은 CLOSE_WAIT와 LAST_ACK를 거쳐 CLOSED로 갑니다.

half-close =
    .title = 반종료(half-close)
    .what = 한 방향은 FIN으로 닫혔지만 다른 방향으로는 데이터가 계속 갑니다. 양쪽은 FIN_WAIT2와
        CLOSE_WAIT입니다.
    .linux = shutdown(fd, SHUT_WR)로 합니다.

simultaneous-open =
    .title = 동시 열기(simultaneous open)
    .what = 양쪽이 서로에게 연결하여 SYN이 엇갈립니다. 양쪽 모두 SYN_SENT에서 SYN_RECV로 가며, 연결은
        하나입니다.

simultaneous-close =
    .title = 동시 닫기(simultaneous close)
    .what = 상대의 FIN이 도착하기 전에 양쪽이 모두 닫습니다. 양쪽 모두 FIN_WAIT1에서 CLOSING으로 가고,
        양쪽 모두 TIME_WAIT에 머뭅니다.

retransmission =
    .title = 긍정 확인 응답과 재전송
    .what = 수신 쪽은 다음에 받을 바이트의 번호를 확인 응답합니다. 송신 쪽은 확인되지 않은 것을 보관했다가,
        제때 확인 응답이 오지 않거나 중복 ACK 세 개로 빈 곳이 드러나면 같은 번호로 다시 보냅니다.
    .linux = net.ipv4.tcp_retries2 = { $tcp_retries2 }번의 타임아웃 뒤(기본값 15, 약 15분) 또는
        TCP_USER_TIMEOUT이 지나면 연결을 포기합니다.
    .many = 경로에 손실이나 혼잡이 있습니다. `tracer --problems`가 어느 연결인지, `ss -ti`가 그 연결의
        카운터를 보여 줍니다.

fast-open =
    .title = TCP Fast Open
    .what = SYN에 데이터를 싣습니다. 이전 연결에서 받은 쿠키 덕분에 안전하게 받을 수 있고, 왕복 시간을 한
        번 아낍니다(RFC 7413).
    .linux = net.ipv4.tcp_fastopen = { $tcp_fastopen }입니다. 1은 클라이언트(기본값), 2는 서버, 3은 둘 다입니다.

syn-cookies =
    .title = SYN 쿠키
    .what = 반쯤 열린 연결의 큐가 가득 찬 listener는 SYN에 대해 아무것도 저장하지 않습니다. 기억할 것을
        SYN+ACK의 순서 번호에 담아 두었다가 ACK에서 되찾습니다.
    .linux = net.ipv4.tcp_syncookies = { $tcp_syncookies }입니다(기본값 1: 큐가 가득 찼을 때).
