# 세그먼트와 플래그(RFC 9293, 3.1), 번호.

syn =
    .title = SYN (synchronize)
    .what = 한 방향을 열고 그 초기 순서 번호를 알립니다. 바이트 하나처럼 번호 하나를 차지합니다.

syn-ack =
    .title = SYN+ACK
    .what = SYN에 대한 서버의 응답입니다. 연결을 받아들이고, 자기 초기 순서 번호를 알리고, 클라이언트의
        번호를 확인 응답합니다.

ack =
    .title = ACK (acknowledgement)
    .what = 확인 응답 번호가 유효하다는 뜻입니다. 연결을 여는 SYN과, ACK가 있는 세그먼트에
        답하는 RST를 뺀 모든 세그먼트에 설정됩니다. 다른 것이 없는
        ACK는 번호를 차지하지 않고, 스스로는 확인 응답되지 않습니다.

fin =
    .title = FIN (finish)
    .what = 보내는 쪽에 더 보낼 데이터가 없습니다. 한 방향을 닫고, 바이트 하나처럼 번호 하나를 차지하며,
        확인 응답되어야 합니다.

rst =
    .title = RST (reset)
    .what = 연결을 즉시 끝내거나, 그런 연결이 없다고 알립니다. 확인 응답되지도 재전송되지도 않습니다.
    .linux = 받은 쪽의 다음 호출이 ECONNRESET으로, SYN에 대한 것이면 ECONNREFUSED로 실패합니다.
    .many = `tracer --problems`가 RST마다 누가 왜 보냈는지 알려 줍니다.

psh =
    .title = PSH (push)
    .what = 수신 쪽은 더 기다리지 말고 데이터를 응용 프로그램에 넘겨야 합니다.
    .linux = write()마다 마지막 세그먼트에 설정됩니다. 수신 쪽은 어차피 모든 데이터를 바로 넘깁니다. 데이터
        세그먼트를 하나씩 알려 주는 이벤트가 없으므로 ladder는 PSH를 그리지 않습니다.

urg =
    .title = URG (urgent)
    .what = 긴급 포인터가 유효하다는 뜻입니다. 데이터의 일부가 나머지를 앞질러야 합니다. RFC 6093은 쓰지
        말라고 권합니다.
    .linux = 한 바이트이며 MSG_OOB로 읽습니다. 알려 주는 이벤트가 없습니다.

sequence-number =
    .title = 순서 번호(sequence number)
    .what = 세그먼트 첫 바이트의 번호로 32비트이며, 초기 순서 번호부터 셉니다. SYN과 FIN도 번호를 하나씩
        차지합니다.

acknowledgement-number =
    .title = 확인 응답 번호(acknowledgement number)
    .what = 수신 쪽이 다음에 받을 바이트의 번호입니다. 그 앞은 모두 도착했습니다. SYN만 받았다면 상대의
        초기 순서 번호에 1을 더한 값입니다.

initial-sequence-number =
    .title = 초기 순서 번호(ISN)
    .what = SYN의 번호입니다. 양쪽이 연결마다 무작위로 고릅니다.

window =
    .title = 윈도(window)
    .what = 확인 응답 번호 뒤로 수신 쪽이 받을 수 있는 바이트 수입니다.
    .linux = 수신 버퍼는 net.ipv4.tcp_rmem = { $tcp_rmem }의 세 번째 값까지 커집니다.
    .many = 오랫동안 윈도가 0이면 수신 쪽 응용 프로그램이 읽지 않는 것입니다.
