# ladder의 설명(`--explain`), 나올 수 있는 순서대로.

ladder-syn = SYN은 연결을 요청하고 클라이언트의 초기 순서 번호를 알립니다. 아무도 추측하지 못하도록, 또 이전
    연결의 늦은 세그먼트와 혼동하지 않도록 무작위로 정합니다.
ladder-second-syn = 이쪽에서도 SYN이 나왔습니다. 양쪽이 동시에 엽니다(동시 열기). 서로의 SYN에 응답하여 하나의
    연결이 됩니다.
ladder-own-syn = 같은 SYN입니다. connect()가 목적지와 같은 포트를 받아 소켓이 자기 자신의 상대가 되었습니다.
    TCP로 보면 동시 열기입니다.
ladder-syn-ack = SYN+ACK는 연결을 받아들이고, 이쪽의 무작위 초기 순서 번호를 알립니다.
ladder-syn-ack-numbers = SYN+ACK는 연결을 받아들입니다. seq는 이쪽의 무작위 번호이고, ack는 다음에 받을 바이트의
    번호입니다. SYN도 한 바이트로 세므로 1을 더합니다.
ladder-ack = 이제 서로 상대가 자기 번호를 받았음을 압니다. 3-way handshake가 끝났고 데이터를 보낼 수 있습니다.
ladder-data = 데이터의 모든 바이트에는 SYN의 번호부터 센 번호가 있습니다.
ladder-data-and-fin = FIN의 번호는 자기 쪽 SYN의 번호보다 보낸 만큼 큽니다.
ladder-fin = FIN: "더 보낼 것이 없습니다." 한 방향만 닫고 다른 방향은 계속될 수 있습니다(반종료). SYN처럼 한
    바이트로 세며 확인 응답되어야 합니다.
ladder-second-fin = 다른 방향도 닫혔습니다.
ladder-released = 정상 해제입니다. 양방향의 모든 데이터가 전달되었습니다.
ladder-fin-with-ack = 이쪽 응용 프로그램도 닫았습니다. Linux가 첫 FIN에 대한 ACK를 최대 40ms 미루었기 때문에 이
    FIN에 함께 실렸습니다.
ladder-ack-of-fin = FIN이 도착했습니다.
ladder-fin-wait2 = FIN_WAIT2: 이 방향은 닫혔고 다른 방향은 아직 열려 있습니다.
ladder-last-ack = 마지막 ACK입니다. 상대 쪽이 닫힙니다.
ladder-close-wait = CLOSE_WAIT에서는 응용 프로그램이 이쪽도 close()해야 합니다. 다른 무엇도 이 상태를 끝내지
    않으며, 이 상태의 소켓이 쌓이면 응용 프로그램에 누수가 있는 것입니다.
ladder-closing = 상대의 FIN이 도착하기 전에 양쪽이 FIN을 보냈습니다(동시 닫기). CLOSING은 자기 FIN에 대한 ACK를
    기다립니다.
ladder-own-fin = 소켓의 FIN이 자기 자신에게 돌아왔습니다. 자기 FIN에 대한 ACK보다 먼저 도착한 FIN이므로 동시
    닫기입니다. CLOSING은 그 ACK를 기다립니다.
ladder-time-wait = TIME_WAIT는 먼저 닫은 쪽(동시에 닫았으면 양쪽)이 2 MSL, Linux에서는 60초 동안 머무는
    상태입니다. 마지막 ACK가 사라지면 FIN이 다시 오고 그것에 응답해야 하며, 같은 포트를 다시 쓰기 전에 늦은
    세그먼트가 사라져야 합니다.
ladder-orphan = 고아 소켓: 이 소켓을 가진 프로세스가 없습니다. 커널이 상대의 FIN을 기다리며, tcp_fin_timeout이나
    TCP_LINGER2로 바꾸지 않았으면 1분입니다.
ladder-rst = RST는 연결을 즉시 끝냅니다(강제 해제). 확인 응답이 없고, 전송 중이던 데이터는 사라지며, TIME_WAIT도
    없습니다.
ladder-refused = 이 포트에서 LISTEN하는 프로그램이 없거나 방화벽이 그렇게 답했습니다. RST로 응답하고 connect()는
    ECONNREFUSED로 실패합니다.
ladder-again = 제때 응답이 없어 같은 세그먼트를 같은 번호로 다시 보냅니다.
ladder-same-timeout = 타임아웃이 앞과 같았습니다. Linux는 처음 몇 번의 SYN을 같은 간격으로
    재전송하고(net.ipv4.tcp_syn_linear_timeouts), 그 뒤에는 타임아웃을 두 배씩 늘립니다.
ladder-double-timeout = 타임아웃은 매번 두 배가 됩니다.
ladder-gone = 커널이 연결을 정리했습니다. 주소와 포트를 다시 쓸 수 있습니다.
ladder-expires = { $time }에 CLOSED 예정, 60초 뒤
ladder-unreachable = 라우터나 호스트가 여기 적힌 ICMP 오류로 응답했습니다. connect()는 EHOSTUNREACH,
    ENETUNREACH 또는 ECONNREFUSED로 바로 실패합니다.
ladder-connect-timeout = 어떤 SYN에도 응답이 없었습니다. 호스트가 꺼져 있거나 방화벽이 말없이 버립니다.
    connect()는 net.ipv4.tcp_syn_retries만큼 재전송한 뒤 ETIMEDOUT으로 실패합니다.
ladder-retransmit-timeout = 보낸 것이 너무 오래 확인 응답되지 않았습니다. 상대가 죽었거나 상대까지의
    경로가 끊겼습니다(dead peer). 기다리는 시간은 TCP_USER_TIMEOUT이 정하고, 없으면
    net.ipv4.tcp_retries2만큼 재전송하는 약 15분입니다. 응용 프로그램은 ETIMEDOUT을 받습니다.
ladder-keepalive-timeout = 상대가 keepalive 프로브에 하나도 응답하지 않았습니다. 상대가 죽었거나 상대까지의
    경로가 끊겼습니다(dead peer). 응용 프로그램은 ETIMEDOUT을 받습니다.
ladder-zero-window-timeout = 상대는 확인 응답했지만 너무 오래 데이터를 더 받지 않았습니다. 상대 응용
    프로그램이 읽지 않습니다. 이쪽 응용 프로그램은 ETIMEDOUT을 받습니다.
ladder-fin-wait2-timeout = 상대는 FIN을 확인 응답했지만 자기 FIN을 보내지 않았습니다. 가진 프로세스가 없는
    소켓을 커널은 net.ipv4.tcp_fin_timeout 또는 TCP_LINGER2만큼 기다립니다.
ladder-aborted = 연결 설정이 끝나기 전에 응용 프로그램이 소켓을 닫았습니다. SYN+ACK가 늦게 오면 RST로
    응답합니다.
ladder-killed = 관리자가 끝냈습니다(ss -K, SOCK_DESTROY). 응용 프로그램은 ECONNABORTED를 받고, RST가
    상대에게 알립니다.
ladder-no-local-port = 세그먼트를 보내지 않았습니다. 이 상대로 가는 로컬 포트가 모두 사용 중입니다.
    connect()는 EADDRNOTAVAIL로 실패합니다.
ladder-disconnected = AF_UNSPEC으로 connect()하면 연결이 해제되고, 소켓을 다시 쓸 수 있습니다.

# 앞에서 설명한 것의 이름.

ladder-name-handshake = (3-way handshake)
ladder-name-simultaneous-open = (동시 열기)
ladder-name-graceful = (정상 해제)
ladder-name-simultaneous-close = (동시 닫기)
ladder-name-orphan = (고아 소켓)
ladder-name-abortive = (강제 해제)
