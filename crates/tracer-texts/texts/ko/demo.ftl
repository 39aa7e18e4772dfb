# `tracer demo` 시나리오: 제목, 각 단계 앞의 설명, 마무리.

demo-handshake =
    .title = 연결 설정: 3-way handshake (SYN, SYN+ACK, ACK)
    .connect = 서버가 LISTEN 중이고, 클라이언트가 connect()를 호출합니다.
    .end = 양쪽 모두 ESTABLISHED입니다. 서로 초기 순서 번호를 보냈고, 상대가 그것을 받았다는 것도
        압니다. 두 번으로는 부족합니다. 서버는 자기 번호가 도착했는지 알 수 없기 때문입니다.

demo-data =
    .title = 양방향 데이터: 모든 바이트에 번호를 매기고 확인 응답한다
    .connect = 클라이언트가 연결합니다.
    .request = 클라이언트가 7바이트를 보냅니다. 데이터 세그먼트는 알려 주는 이벤트가 없어 화살표로
        그리지 않습니다. 번호와 양은 FIN에서 드러납니다.
    .response = 서버가 13바이트로 응답합니다.
    .close = 양쪽이 연결을 닫습니다. FIN의 번호를 보면 그 전에 얼마나 보냈는지 알 수 있습니다.
    .end = FIN의 순서 번호는 자기 SYN의 번호에 1과 그동안 보낸 바이트 수를 더한 값입니다.

demo-simultaneous-open =
    .title = 동시 열기: 두 SYN이 엇갈린다
    .syns = 두 프로그램이 같은 순간에 서로에게 연결합니다. LISTEN 중인 쪽은 없습니다. 두 SYN이 모두
        전송 중입니다.
    .cross = SYN이 도착합니다. 양쪽 모두 상대의 SYN에 SYN+ACK로 응답합니다.
    .end = 연결은 두 개가 아니라 하나입니다. 양쪽 모두 SYN_SENT를 거쳐 SYN_RECV가 되었습니다. 실제
        응용 프로그램에서는 거의 볼 수 없지만, RFC 9293(3.5절)은 이것이 동작해야 한다고 정합니다.

demo-self-connect =
    .title = 자기 연결: 자기 자신이 상대인 소켓
    .connect = 클라이언트가 아무도 LISTEN하지 않는 이 호스트의 포트로 연결하는데, 자기 포트가 바로 그
        포트입니다.
    .end = connect()가 성공합니다. 임시 포트 범위에 있는 로컬 서버에 계속 재접속을 시도하는
        클라이언트에서 생깁니다. 그러면 포트를 빼앗긴 서버는 시작할 수 없습니다.

demo-fast-open =
    .title = TCP Fast Open: SYN에 데이터를 싣는다
    .connect = 클라이언트가 SYN에 요청을 함께 실어 보내고(MSG_FASTOPEN), 서버는 연결 설정이 끝나기 전에
        받아들입니다.
    .end = 왕복 시간을 한 번 아낍니다. 보통은 쿠키로 클라이언트의 주소를 확인하지만, 여기서는 서버가
        쿠키를 요구하지 않습니다(net.ipv4.tcp_fastopen).

demo-refused =
    .title = 연결 거부: LISTEN하는 프로그램이 없다
    .connect = 클라이언트가 아무도 LISTEN하지 않는 포트로 연결합니다.
    .end = SYN에 대한 응답으로 RST가 오고, connect()는 곧바로 ECONNREFUSED로 실패합니다.

demo-unreachable =
    .title = 도달 불가: 라우터가 ICMP로 알린다
    .connect = 마지막 라우터가 경로를 모르는 호스트로 클라이언트가 연결합니다.
    .end = ICMP "host unreachable"이 도착하고, connect()는 EHOSTUNREACH로 실패합니다.

demo-teardown =
    .title = 연결 설정과 4단계 연결 해제: FIN, ACK, FIN, ACK
    .connect = 클라이언트가 연결합니다. 3-way handshake입니다.
    .close = 클라이언트 응용 프로그램이 shutdown()으로 송신을 끝냅니다. 클라이언트가 먼저 닫는 쪽(active
        close)입니다. 서버 응용 프로그램은 아직 모릅니다.
    .close-too = 이제 서버 응용 프로그램이 close()를 호출합니다.
    .end = 먼저 닫은 쪽은 1분 동안 TIME_WAIT에 머물고, 다른 쪽은 사라졌습니다.

demo-teardown-three =
    .title = 3단계 연결 해제: FIN, FIN+ACK, ACK
    .connect = 클라이언트가 연결합니다.
    .close = 클라이언트가 닫고, 서버는 데이터의 끝을 읽자마자 닫습니다.
    .end = 서버의 ACK는 함께 보낼 것을 최대 40ms 기다리는데, 그 안에 FIN이 나왔습니다. 더 오래 걸리면
        연결 해제는 4단계가 됩니다.

demo-half-close =
    .title = 반종료(half-close): FIN 뒤에도 데이터가 온다
    .connect = 클라이언트가 연결합니다.
    .shutdown = 클라이언트는 할 말을 다 했습니다. shutdown(SHUT_WR)을 호출하지만 읽기는 계속합니다.
    .data = 서버는 FIN을 받았지만 응답을 보냅니다. 닫힌 것은 한 방향뿐입니다.
    .close = 서버도 더 보낼 것이 없습니다.
    .end = FIN이 두 개인 까닭이 이것입니다. FIN 하나는 한 방향만 끝냅니다. CLOSE_WAIT인 서버는 아직 보낼
        수 있습니다.

demo-simultaneous-close =
    .title = 동시 닫기: 두 FIN이 엇갈린다 (CLOSING)
    .connect = 클라이언트가 연결합니다.
    .fins = 양쪽이 같은 순간에 close()를 호출합니다. 두 FIN이 모두 전송 중입니다.
    .cross = 각자의 FIN에 대한 ACK보다 상대의 FIN이 먼저 도착합니다.
    .end = 양쪽 모두 CLOSING을 거쳤고, 양쪽 모두 TIME_WAIT에 머뭅니다.

demo-syn-lost =
    .title = SYN 손실
    .connect = 클라이언트가 연결하지만 네트워크에서 SYN이 사라집니다.
    .end = 클라이언트는 1초 동안 응답이 없자 같은 SYN을 다시 보냈습니다. 서버 쪽에서는
        이것이 첫 SYN입니다.

demo-syn-ack-lost =
    .title = SYN+ACK 손실
    .connect = 클라이언트가 연결하지만 네트워크에서 서버의 SYN+ACK가 사라집니다.
    .end = 클라이언트는 둘 중 무엇이 사라졌는지 알 수 없습니다. 양쪽 모두 타이머가 있어 각자의
        세그먼트를 다시 보냅니다.

demo-data-lost =
    .title = 데이터 손실: 긍정 확인 응답과 재전송
    .connect = 클라이언트가 연결합니다.
    .request = 클라이언트가 요청을 보내지만 네트워크에서 사라집니다.
    .close = 요청이 도착했습니다. 제때 ACK가 오지 않자 클라이언트가 같은 바이트를 같은 번호로 다시
        보냈습니다. 이제 양쪽이 닫습니다.
    .end = TCP는 손실을 상대에게 알리지 않습니다. 받은 것을 확인 응답하고, 확인되지 않은 것은 보낸 쪽이
        다시 보냅니다.

demo-last-ack-lost =
    .title = 마지막 ACK 손실: TIME_WAIT가 필요한 까닭
    .connect = 클라이언트가 연결합니다.
    .close = 클라이언트가 닫고, FIN은 확인 응답되었습니다.
    .lost = 서버도 닫습니다. 클라이언트는 그 FIN에 응답하지만, 네트워크에서 그 마지막 ACK가 사라집니다.
    .end = 서버가 FIN을 다시 보냈고, 클라이언트는 아직 TIME_WAIT였기 때문에 응답할 수 있었습니다.
        TIME_WAIT가 없었다면 RST로 응답했을 것이고, 서버는 정상적으로 닫힌 연결에서 오류를 보았을
        것입니다.

demo-late-segment =
    .title = 이전 연결의 늦은 세그먼트
    .connect = 클라이언트가 연결하고 7바이트를 보냅니다. 네트워크에 그 사본이 남습니다.
    .close = 서버가 먼저, 이어서 클라이언트가 닫습니다.
    .late = 이제 이미 끝난 연결의 사본이 뒤늦게 도착합니다. 서버 쪽은 TIME_WAIT입니다.
    .end = TIME_WAIT가 그것을 받아 버리고 ACK로 응답했습니다(이 ACK를 알려 주는 이벤트는 없습니다). 같은
        포트 사이의 새 연결이었다면 자기 데이터로 여겼을 수도 있습니다. TIME_WAIT는 늦은 세그먼트가
        모두 사라질 때까지 두 연결을 떼어 놓고, 무작위 초기 순서 번호가 나머지 가능성을 줄입니다.

demo-rst-unread =
    .title = RST: 읽지 않은 데이터를 두고 close()
    .connect = 클라이언트가 연결합니다.
    .request = 클라이언트가 요청을 보내지만 서버는 읽지 않습니다.
    .close = 서버가 그대로 닫습니다.
    .end = FIN 대신 RST가 나갑니다. 데이터가 버려졌고 클라이언트가 그것을 알아야 하기 때문입니다. 정상
        해제를 하려면 close() 전에 끝까지 읽어야 합니다.

demo-rst-linger =
    .title = RST: SO_LINGER를 0초로 두고 close()
    .connect = 클라이언트가 연결하고 SO_LINGER를 0으로 설정합니다.
    .close = 클라이언트가 닫습니다.
    .end = 강제 해제입니다. FIN도 TIME_WAIT도 없고, 전송 중이던 데이터는 사라집니다. TIME_WAIT가 많을 때
        쓸 해결책이 아닙니다.

demo-rst-after-close =
    .title = RST: close() 뒤에 도착한 데이터
    .connect = 클라이언트가 연결합니다.
    .close = 클라이언트가 close()를 호출합니다. 더는 읽지도 않겠다는 뜻입니다.
    .data = CLOSE_WAIT인 서버가 데이터를 보냅니다.
    .end = 읽을 프로그램이 없으므로 RST로 응답합니다. close() 대신 shutdown(SHUT_WR)이었다면 읽을 수
        있었습니다(tracer demo half-close).

demo-rst-peer =
    .title = RST: 상대가 강제로 끊는다
    .connect = 클라이언트가 연결하고 응답을 기다립니다.
    .abort = 서버 프로세스가 연결을 강제로 끊습니다.
    .end = 클라이언트의 read()가 ECONNRESET("connection reset by peer")으로 실패합니다.

demo-rst-nobody =
    .title = RST: 존재하지 않는 연결의 세그먼트
    .segment = 이 호스트가 모르는 연결의 데이터 세그먼트가 도착합니다. 그사이 호스트가 다시 시작했을
        수도 있습니다.
    .end = RST로 응답합니다. 상대는 이것으로 연결이 사라졌음을 압니다.

demo-connect-timeout =
    .title = 연결 타임아웃: 아무 응답이 없다
    .connect = 클라이언트가 TCP_SYNCNT를 1로 두고 연결하지만, 네트워크에서 모든 것이 사라집니다.
    .end = SYN에 응답이 없으면 connect()는 ETIMEDOUT으로 실패합니다. 기본값은 재전송
        여섯 번(net.ipv4.tcp_syn_retries)으로, 약 2분이 걸립니다.

demo-read-timeout =
    .title = 읽기 타임아웃: 응용 프로그램이 기다림을 그만둔다
    .connect = 클라이언트가 연결합니다.
    .read = 클라이언트가 응답을 0.5초 기다리지만(SO_RCVTIMEO) 아무것도 오지 않습니다.
    .close = read()가 EAGAIN으로 실패했습니다. TCP는 이 일을 모르고, 연결은 그대로 열려 있습니다. 이제
        클라이언트가 닫습니다.
    .end = 읽기 타임아웃은 응용 프로그램의 것입니다. 연결을 어떻게 할지도 응용 프로그램이 정합니다.

demo-keepalive-timeout =
    .title = keepalive 타임아웃: 상대가 사라졌다
    .connect = 클라이언트가 연결합니다.
    .silence = 이제부터 네트워크에서 모든 것이 사라집니다. 클라이언트는 keepalive를 켜서 1초마다 한 번씩,
        두 번 확인합니다.
    .end = 응답이 없어 연결이 ETIMEDOUT으로 끝났습니다. keepalive는 기본으로 꺼져 있고, 켜더라도 두 시간
        뒤에 시작합니다(net.ipv4.tcp_keepalive_time).

demo-retransmit-timeout =
    .title = 재전송 타임아웃: 확인 응답이 오지 않는다
    .connect = 클라이언트가 연결합니다.
    .send = 클라이언트가 보내지만 네트워크에서 모든 것이 사라집니다. TCP_USER_TIMEOUT은 0.8초입니다.
    .end = 그 시간이 지나자 연결이 ETIMEDOUT으로 끝났습니다. 이 옵션이 없으면 재전송
        15번(net.ipv4.tcp_retries2), 약 15분이 걸립니다.

demo-zero-window =
    .title = 제로 윈도: 수신 쪽이 읽지 않는다
    .connect = 클라이언트가 연결합니다.
    .fill = 클라이언트가 서버의 버퍼보다 많이 보내는데 서버는 읽지 않습니다. TCP_USER_TIMEOUT은
        0.8초입니다.
    .end = 서버가 윈도를 0으로 알렸고 클라이언트는 계속 확인했습니다(probe). TCP_USER_TIMEOUT이 없으면
        응답이 오는 한 끝없이 확인합니다.

demo-close-wait =
    .title = CLOSE_WAIT 누수: 닫지 않는 응용 프로그램
    .connect = 클라이언트가 연결합니다.
    .close = 클라이언트가 닫습니다.
    .leak = 서버 응용 프로그램은 close()를 호출하지 않습니다.
    .end = CLOSE_WAIT에는 타이머가 없습니다. close()를 호출하거나 프로세스가 끝나야 사라집니다. `tracer
        diagnose`가 어느 프로세스가 무엇을 갖고 있는지 알려 줍니다.

demo-time-wait =
    .title = TIME_WAIT: 60초를 끝까지 기다린다
    .connect = 클라이언트가 연결합니다.
    .close = 클라이언트가 먼저, 이어서 서버가 닫습니다.
    .wait = 클라이언트 쪽이 1분 동안 TIME_WAIT에 머뭅니다. 기다리지 않으려면 Ctrl-C를 누르세요.
    .end = 주소와 포트를 다시 쓸 수 있습니다. 이 시간은 바꿀 수 없습니다. net.ipv4.tcp_fin_timeout은
        FIN_WAIT2에 관한 설정입니다.

demo-time-wait-reuse =
    .title = TIME_WAIT를 새 연결이 재사용한다
    .connect = 클라이언트가 연결합니다. 여기서는 net.ipv4.tcp_tw_reuse가 1입니다.
    .close = 클라이언트가 먼저, 이어서 서버가 닫습니다. 클라이언트 쪽이 TIME_WAIT입니다.
    .again = 1초 넘게 지나 클라이언트가 같은 포트에서 같은 포트로 다시 연결합니다.
    .end = 새 연결이 TIME_WAIT의 자리를 차지했습니다. 세그먼트에 실린 타임스탬프로 이전 연결의 늦은
        세그먼트와 새 연결의 세그먼트를 구별합니다.

demo-orphan =
    .title = 고아(orphaned) FIN_WAIT2: 상대가 닫지 않는다
    .connect = 클라이언트가 연결합니다. 여기서는 net.ipv4.tcp_fin_timeout이 2초입니다.
    .close = 클라이언트가 close()를 호출합니다. 이제 이 소켓을 가진 프로세스가 없습니다.
    .wait = 서버는 닫지 않습니다.
    .end = 커널이 서버의 FIN을 기다리는 일을 그만두었습니다. 기본값은 60초입니다. close() 대신
        shutdown()이었다면 끝없이 기다렸을 것입니다.

demo-backlog-full =
    .title = accept 큐가 가득 찼다
    .fill = backlog가 0인 listener가 있고 응용 프로그램은 accept()를 호출하지 않습니다. 클라이언트 하나가
        연결합니다. 커널은 응용 프로그램 없이도 연결 설정을 마칩니다.
    .one-more = 클라이언트가 하나 더 연결합니다.
    .end = 큐는 backlog보다 하나 더 받습니다. 그다음 SYN은 말없이 버려지고 클라이언트는 다시 보냅니다.
        네트워크 탓이 아닙니다.

demo-syn-cookies =
    .title = SYN 쿠키: SYN 플러딩과 진짜 클라이언트 하나
    .flood = 응답하지 않을 주소 여덟 곳에서 SYN이 여덟 개 옵니다. listener에는 네 자리가 있습니다.
    .connect = 진짜 클라이언트가 연결합니다.
    .end = 연결되었습니다. 큐가 가득 찼지만 listener는 아무것도 저장하지 않고, 기억할 것을 SYN+ACK의 순서
        번호에 담았습니다(net.ipv4.tcp_syncookies).

demo-port-exhaustion =
    .title = 포트 고갈: 남은 로컬 포트가 없다
    .use = 임시 포트 두 개(net.ipv4.ip_local_port_range)로 같은 서버에 두 번 연결합니다.
    .one-more = 같은 서버에 connect()를 한 번 더 호출합니다.
    .end = 세그먼트 하나 보내지 못하고 EADDRNOTAVAIL로 실패했습니다. 목적지가 다르면 같은 포트를 다시 쓸
        수 있지만, 같은 목적지에는 비어 있는 포트가 필요합니다. TIME_WAIT도 자리를 차지합니다.
