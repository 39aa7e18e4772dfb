# 연결의 타이머.

retransmission-timer =
    .title = 재전송 타이머(RTO)
    .what = 확인 응답이 필요한 세그먼트를 보낼 때 시작합니다. 만료되면 다시 보내고 타임아웃을 두 배로
        늘립니다(RFC 6298).
    .linux = SYN은 1초, 그 뒤에는 측정한 왕복 시간으로 정하며 최소 200ms, 최대 120초입니다.
delayed-ack =
    .title = 지연 ACK(delayed ACK)
    .what = 확인 응답이 함께 보낼 데이터를 잠시 기다립니다.
    .linux = 40ms에서 최대 200ms입니다. 연결 초기에는 기다리지 않습니다(quick ACK).
keepalive-timer =
    .title = keepalive 타이머
    .what = 오가는 것이 없는 상대가 아직 있는지 확인합니다. 응용 프로그램이 SO_KEEPALIVE를 켜지 않으면 꺼져
        있습니다.
    .linux = net.ipv4.tcp_keepalive_time = { $tcp_keepalive_time }초(기본값 7200) 뒤부터
        { $tcp_keepalive_intvl }초(75)마다 { $tcp_keepalive_probes }번(9) 확인합니다.
persist-timer =
    .title = 지속 타이머(persist timer)
    .what = 윈도를 닫은 상대에게 윈도가 열렸는지 묻습니다. 윈도를 여는 세그먼트가 사라질 수 있기 때문입니다.
    .linux = 재전송 타이머와 같은 간격으로, 상대가 응답하는 한 끝없이 계속합니다. TCP_USER_TIMEOUT이 있거나
        소켓을 가진 프로세스가 없으면 끝이 있습니다.
time-wait-timer =
    .title = 2 MSL 타이머
    .what = TIME_WAIT를 끝냅니다. RFC 9293에서 최대 세그먼트 수명(MSL)은 2분입니다.
    .linux = 모두 60초로 고정되어 있습니다.
fin-wait2-timer =
    .title = FIN_WAIT2 타이머
    .what = close() 뒤의 FIN_WAIT2를 끝냅니다. RFC 9293에는 없습니다.
    .linux = net.ipv4.tcp_fin_timeout = { $tcp_fin_timeout }초(기본값 60)입니다.
