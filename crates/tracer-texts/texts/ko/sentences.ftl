# 발견 사항과 표시의 문장. 영어 문장은 이벤트의 일부이므로 코드에 있다 (crates/tracer-event).

over = 해소: { $sentence }

# 문장의 부분
a-process = 어떤 프로세스
a-peer = 상대
and-more = { $names } 외 { $more }
others-of-name = { $who } 및 같은 이름의 다른 프로세스 { $more }개
at = : { $address }
here = 이 호스트의 { $address }
held-by = { $address }({ $who })
limit = (한도 { $limit }개)
closed-by-parent = 부모 { $who }
connections-of = { $who }의 연결 { $count }개({ $service })
connections-closed-by = { $who } 쪽이 닫은 연결 { $count }개({ $service })
gives-up = . 커널은 { $left } 뒤 포기함
halted-stopped = 정지 상태(SIGSTOP)
halted-traced = 디버거가 잡고 있음(ptrace)
halted-frozen = 동결 상태(cgroup freezer)
which-halted = , { $halt }
first-does = , 그 첫째는 { $does }
left-minute = , 1분 안에 고갈
left-minutes = , { $left }분 뒤 고갈
left-hours = , { $left }시간 뒤 고갈
left-days = , { $left }일 뒤 고갈

# close_wait_leak
close-wait-never-accepted = 연결 { $count }개를 아무도 accept()하지 않음: listener { $listener },
    backlog { $backlog }개 중 { $queue }개. 상대는 이미 닫음
close-wait-listener-gone = 연결 { $count }개를 아무도 accept()하지 않음: listener는 이미 없음
close-wait-halted = { $who }: { $halt }. 상대가 닫은 연결 { $count }개를 갖고 있음
heirs = fork로 물려받은 { $who }도 갖고 있음: 거기서도 닫아야 FIN이 나감
close-wait-inherited = { $who }: 부모 { $parent }에게서 fork로 물려받은 연결 { $count }개를 닫지 않음. 상대도 부모도 이미 닫음
close-wait-unread = { $who }: 연결 { $count }개를 끝까지 읽지 않음. 읽지 않은 데이터 { $unread }바이트, 상대는
    이미 닫음
close-wait-not-yet = { $who }: 연결 { $count }개를 아직 닫지 않음. 상대는 이미 닫음
close-wait-leak = { $who }: 연결 { $count }개 누수. 상대가 닫았는데 close()하지 않음
close-wait-passed-on = { $who }: 중계하는 연결 { $count }개에서 상대의 종료를 전달했으나, { $peers } 쪽이 닫지 않음
close-wait-not-passed-on = { $who }: 중계하는 연결 { $count }개에서 상대의 종료를 반대편 { $peers } 쪽에 전달하지 않음
close-wait-awaits-answer = { $who }: { $peers } 쪽의 응답을 기다리면서, 상대가 닫은 연결 { $count }개를 갖고 있음
close-wait-orphaned = 양쪽이 닫은 연결 { $count }개가 커널에서 기다림. 갖고 있는 프로세스는 없음
close-wait-unseen = 상대가 닫은 연결 { $count }개를 누군가 갖고 있으나, 볼 수 있는 디스크립터가 아님

# ephemeral_ports, no_local_port
ephemeral-ports-destination = { $local }에서 { $peer } 쪽으로: 포트 { $size }개 중 { $busy }개 사용 중{ $left }
ephemeral-ports-address = { $local }: connect() 전에 bind()한 포트, { $size }개 중 { $busy }개 사용 중, 목적지
    { $destinations }곳 합계{ $left }
no-local-port = { $who }: { $peer } 쪽으로 연결할 로컬 포트가 없음({ $times }번)

# accept_queue_full, accept_wait, deferred_accept
accept-queue-full = listener { $listener }: accept 큐가 가득 참, 새 연결을 버림. backlog { $backlog }개 중 { $queue }개
accept-queue-nearly-full = listener { $listener }: accept 큐가 거의 가득 참. backlog { $backlog }개 중 { $queue }개
accept-queue-overflowed = listener { $listener }: accept 큐가 가득 찼었고 새 연결이 버려졌음. backlog
    { $backlog }개 중 { $queue }개
accept-queue-was-full = listener { $listener } 또는 여기의 다른 listener: accept 큐가 가득 찼었음. backlog
    { $backlog }개 중 { $queue }개
accept-wait-nobody = 연결 { $count }개가 기다리는데 아무도 accept()하지 않음: listener { $listener }{ $halt }. backlog
    { $backlog }개 중 { $queue }개, 가장 오래된 것 { $oldest }
accept-wait-slow = 연결 { $count }개가 accept()를 오래 기다림: listener { $listener }{ $halt }. backlog { $backlog }개 중
    { $queue }개, 가장 오래된 것 { $oldest }
deferred-accept = 연결 { $count }개가 최대 { $oldest } 동안 반쯤 열림: 클라이언트의 첫 데이터를
    기다림(TCP_DEFER_ACCEPT), listener { $listener }

# closed_but_held, self_connect, listens_elsewhere
listens-elsewhere = { $address }에 대한 연결 시도 { $count }번이 거부됨: { $who } 쪽은 { $listening }에서만 listen함
refused-clients = { $from } { $who }
closed-but-held = { $who }: { $closer } 쪽이 닫은 연결 { $count }개({ $service })를 아직 갖고 있음{ $serves }. FIN이 나가지
    않아 상대가 기다림, { $idle } 동안 조용함
unless-served = (직접 처리하는 중이 아니라면)
left-open = { $who }: 응답한 연결 { $count }개를 열어 둠, { $service }, accept()만 기다림, 최대 { $idle } 동안 조용함{ $new }
left-open-new = , 관찰 중에 응답한 것 { $new }개
remedy-close-answered = { $who }: 응답을 마친 연결을 close()해야 함. 자식이 연결을 처리하면 부모는 fork() 뒤에 사본을 닫아야 함
self-connected = { $who }: 자기 자신에게 연결됨({ $address }). 서버의 포트를 클라이언트가 차지하여 서버를 시작할 수 없음

# syn_backlog, time_wait_overflow, descriptors, stuck_handshake
syn-backlog-cookies = SYN { $count }개에 쿠키로 응답, 반쯤 열린 연결이 너무 많음{ $at }
syn-backlog-drops = SYN { $count }개를 버림, 반쯤 열린 연결이 너무 많음{ $at }
time-wait-many = TIME_WAIT 소켓 { $count }개{ $limit }
time-wait-skipped = TIME_WAIT 소켓 { $count }개{ $limit }: 연결 { $skipped }개는 TIME_WAIT를 건너뜀
descriptors-used = { $who }: 디스크립터 { $limit }개 중 { $open }개 사용 중{ $left }{ $others }
so-do-others = , 같은 이름의 { $count }개도 그러함
stuck-syn-sent = { $who }: 응답 없음. SYN_SENT인 연결 { $count }개, 목적지 { $service }{ $lost }
stuck-half-open = 반쯤 열린 연결 { $count }개, { $service }: 클라이언트가 응답하지 않음
stuck-half-open-lost = 반쯤 열린 연결 { $count }개, { $service }{ $lost }
lost-syn = : SYN이 이 호스트의 listener에 도달하지 않음
lost-syn-ack = : SYN은 이 호스트의 listener에 도달하지만 SYN+ACK가 클라이언트에 도달하지 않음
lost-ack = : 이 호스트의 클라이언트는 연결되었지만 ACK가 listener에 도달하지 않음
lost-dropped-syn = : 이 호스트의 listener가 SYN을 버림: accept 큐가 가득 참
remedy-full-queue = listener가 accept()를 더 빨리 불러야 함: 필터 없이 tracer diagnose를 실행하면 누구의 것인지, 무엇을 기다리는지 보여 줌

# dead_peer, peer_not_reading, no_keepalive
dead-peer-fin = { $peers }: 응답 없음. FIN이 { $since } 동안 확인 응답을 받지 못함, { $connections }{ $left }
dead-peer-one-way = { $peers }: 보내 오지만 { $acknowledges }. { $bytes }바이트, { $since } 동안, { $connections }{ $left }
acknowledges-nothing = 아무것도 확인 응답하지 않음
remedy-one-way = 상대로 가는 쪽만 유실되고 오는 쪽은 통함: 사이의 방화벽이나 NAT, 한 방향만 지나는 경로를 찾을 것
dead-peer-probes = { $peers }: 응답 없음. keepalive 프로브 { $tries }개에 { $since } 동안 응답 없음,
    { $connections }{ $left }
dead-peer-data = { $peers }: 응답 없음. { $bytes }바이트가 { $since } 동안 확인 응답을 받지 못함,
    { $connections }{ $left }
dead-peer-on-some = { $connections }: { $what }, { $since } 동안. { $peers } 쪽이 다른 연결 { $others }개에서는 응답함{ $left }
fin-unacknowledged = FIN이 확인 응답을 받지 못함
dead-peer-window = { $peers }: 응답 없음. 윈도가 닫혀 있고 프로브 { $tries }개에 { $since } 동안 응답 없음,
    { $connections }{ $left }
probes-unanswered = keepalive 프로브 { $tries }개에 응답 없음
bytes-unacknowledged = { $bytes }바이트가 확인 응답을 받지 못함
peer-not-reading = { $who }: 읽지 않음. 윈도가 { $closed } 동안 닫혀 있음, 보내지 못한 데이터 { $bytes }바이트{ $fin },
    { $connections }
not-reading = { $who }: { $bytes }를 { $waiting } 동안 읽지 않음, 연결 { $count }개, { $service }{ $state }
nobody-waits = 아무도 기다리지 않음: 이 연결들을 읽거나 poll하는 스레드도, 실행 중인 스레드도 없음
fins-waiting = , 그 뒤의 FIN { $fins }개도 나가지 못함
never-noticed = { $who }: 연결 { $count }개에서 상대가 사라져도 알 수 없음, 최대 { $longest } 동안 유휴. keepalive도
    user timeout도 설정되지 않음

# retransmissions
segments-lost = 세그먼트 { $segments }개 중 { $lost }개({ $percent } %)
segments-sent-again = { $lost }가 { $peers } 쪽으로 가다가 유실되어 다시 보냄, { $connections }
none-to-compare = 다른 상대에게 보낸 것이 없어 이 호스트와 경로를 구별할 수 없음
lost-to-others = { $lost }
others-fare-better = { $lost }. 이 호스트의 링크처럼 모두가 함께 쓰는 것은 원인이 아님
others-fare-alike = { $lost }. 이 호스트의 링크처럼 모두가 함께 쓰는 것부터 볼 것
lost-to-peer = { $peer }: { $lost }
sent-twice = 도착했는데도 다시 보낸 것 { $twice }개
remedy-drops-of-queue = 이 호스트가 버리는지 보기: `dropped`가 늘면 큐가 차거나 속도 제한에 걸린 것
remedy-errors-of-interface = 인터페이스의 오류와 drop: 케이블, 드라이버, 꽉 찬 링에서 생김
remedy-where-on-the-way = 아니면 경로 문제임. 상대의 수치와 비교하고 경로를 따라가 볼 것(mtr, 양쪽에서). 꽉 찬 링크도 세그먼트를 잃으며, 대역폭을
    늘리거나 한 번에 덜 보내야 함

# stuck_state
stuck-in-state = { $connections }: { $state } 상태로 최대 { $oldest }, { $cause }
stuck-no-answer = 상대가 응답하지 않음
stuck-peer-open = 상대가 자기 쪽을 닫지 않음
stuck-late-fins = 늦은 FIN이 다시 시작하게 함(마지막 ACK가 도착하지 않음)
stuck-fin = FIN이 확인 응답을 받지 못함
stuck-data = 보낸 것이 확인 응답을 받지 못함

# churn, process_ended
churned = { $who }: { $peer } 쪽으로 초당 연결 { $rate }개를 열어 { $lifetime } 동안 한 번씩만 씀. 재사용하면 시간의
    { $percent } % 절약{ $left }
ended-group = { $group }({ $who } 등 프로세스 { $count }개)
process-ended = { $who } 종료: { $ends }
processes-ended = { $who } 종료: { $ends }
ended-unanswered = 요청에 응답하지 않고 닫힘 { $count }개
ended-normally = 정상 종료 { $count }개
ended-reset = RST { $count }개
ended-unread = 읽지 않은 데이터가 있어 RST { $count }개
ended-unacknowledged = 확인 응답 없이 시간 초과 { $count }개
ended-never-accepted = accept되지 않음 { $count }개
ended-still-closing = 아직 닫는 중 { $count }개
ended-none = 열린 연결 없음

# connect_failures, connection_resets, keepalive_race
connect-slow = { $who }: { $peer } 쪽 핸드셰이크 { $attempts }번 중 { $again }번은 SYN을 다시 보냄, 모두 { $delay }
    지연, { $since } 동안
connect-failures = { $who }: { $peer } 쪽으로 연결하지 못함. 시도 { $attempts }번 중 { $failed }번 실패: { $kinds },
    { $since } 동안
connect-recovered = { $who }: { $peer } 쪽으로 연결하지 못함{ $time }. 시도 { $attempts }번 중 { $failed }번 실패: { $kinds }. { $again } 전부터
    다시 연결됨
connect-failed-once = { $who }: { $peer } 쪽으로 한 번 시도했으나 연결하지 못함: { $kinds }
failed-refused = 거부 { $count }번
failed-unreachable = 도달 불가 { $count }번
failed-timed-out = 시간 초과 { $count }번
failed-given-up = 응답이 없어 포기 { $count }번
connection-resets = { $who }: 연결 { $ended }개 중 { $bad }개가 비정상 종료({ $service }): { $kind }, { $since } 동안
reset-after-fin = 상대가 닫은 뒤에 다시 씀
gave-up = { $time } 동안 응답이 없어 이쪽이 닫음
reset-by-peer = 상대가 RST를 보냄
all-reset = RST로 끊김
all-timed-out = 타임아웃
remedy-reset-after-goodbye = 클라이언트가 응답을 다 받았다면 문제 없음: 그 뒤에 온 것은 TLS close_notify 같은 작별 인사임. 아니라면
    클라이언트의 타임아웃을 응답 시간과 비교할 것
reset-between = 상대가 보내지 않은 RST로 끊김
other-ends-open = 최근 { $count }개의 반대쪽이 아직 열려 있음 { $who }. 거기서는 RST를 보내지 않음
remedy-reset-between = 두 끝 사이의 무엇인가가 RST를 보냄: 패킷 필터(RST로 거부하는 규칙), 로드 밸런서, IPS. 양쪽 네임스페이스에서 규칙을 찾을 것
reset-unread = 읽지 않은 데이터가 있는데 닫아 이쪽이 RST를 보냄
reset-linger = SO_LINGER 0으로 이쪽이 RST를 보냄
reset-after-close = close() 뒤에 데이터가 와서 이쪽이 RST를 보냄
reset-unaccepted = accept() 전에 listener가 닫혀 이쪽이 RST를 보냄
reset-retransmissions = 재전송에 응답이 없어 시간 초과
reset-keepalive = keepalive 프로브에 응답이 없어 시간 초과
reset-window = 상대의 윈도가 0인 채로 시간 초과
reset-aborted = 중단됨
reset-or-timed-out = RST 또는 시간 초과
keepalive-race = { $who }: 요청 { $count }개가 RST를 받음. { $server } 쪽이 { $timer } 동안 유휴인 연결을 닫음,
    { $since } 동안

# tracer sockets
screen-count = 소켓 { $number }개
screen-limited = { $sockets } 더 있음 (--limit)
screen-more-groups = 그룹 { $number }개 더 있음 (--limit)
screen-elsewhere = 다른 네트워크 네임스페이스 { $number }개의 { $sockets }
screen-refused = 들여다볼 수 없는 네트워크 네임스페이스 { $number }개
screen-retransmits = { $time } 뒤 재전송
screen-probes-window = { $time } 뒤 윈도 확인
screen-probes-loss = { $time } 뒤 손실 확인
screen-keepalive = { $time } 뒤 keepalive
screen-ends = { $time } 뒤 끝남
screen-repeats = { $time } 뒤 SYN+ACK 재전송

# tracer features
screen-all = 기능 { $total }개를 모두 쓸 수 있음
screen-some = 기능 { $total }개 중 { $some }개 없음
screen-lacks = { $name } 없음:
screen-unknown = 알 수 없음. 알려면: { $remedy }

# tracer pair
pair-reset = { $from } 쪽이 { $time }에 RST로 연결을 끊음
pair-reset-unheard = { $begun }. { $to } 쪽은 그것을 받지 못함({ $until }까지)
pair-reset-late = { $begun }. { $to } 쪽은 { $late } 뒤, 자기가 보낸 세그먼트의 응답으로 알게 됨
pair-answered = . { $time }에 RST로 응답함
pair-rebooted = { $first } 쪽에 연결이 있는 동안 { $second } 쪽이 { $booted }에 다시 부팅함{ $answered }
pair-unknown = { $second } 쪽에는 그런 연결이 없음: { $time }에 RST로 응답함
pair-rewritten = { $first }, { $second } 사이의 프록시가 순서 번호를 바꿈: 한쪽의 연결을 끝내고 다른 쪽으로 새 연결을 만듦
pair-fin-lost = { $from } 쪽의 FIN이 { $to } 쪽에 도착하지 않음: { $sent }에 보냄{ $again }. { $to } 쪽은
    { $until }까지 { $state }
pair-fin-late = { $from } 쪽의 FIN이 { $to } 쪽에 { $late } 늦게 도착함: { $sent }에 보냄{ $again }
pair-syn-lost = { $first } 쪽이 { $sent }에 보낸 SYN이 { $second } 쪽에서 연결이 되지 않음. 다른 SYN은 도착했으므로,
    가는 길에 사라졌거나 그곳에서 버려짐{ $again }
pair-data-lost = { $from } 쪽을 떠난 것이 도착하지 않음({ $what } { $number }바이트): { $sent }까지 보냄,
    { $missing }에 { $to } 쪽에는 없음
pair-syn-ack-lost = { $second } 쪽을 떠난 응답이 도착하지 않음: SYN+ACK 재전송 { $retransmits }번, 처음은 { $sent }
pair-again = , 재전송 { $retransmits }번
pair-clock = { $second } 쪽 시계는 { $first } 쪽보다 { $difference } { $way } (±{ $within }, 핸드셰이크 { $number }번으로 계산)
pair-clock-unsure = { $second } 쪽 시계는 { $first } 쪽보다 { $difference }쯤 { $way }: 핸드셰이크 { $number }번이 서로 어긋남.
    시계를 새로 맞췄거나 시계가 밀림
pair-counts = 양쪽 기록에 있는 연결 { $both }개, 한쪽에만 있는 끝 { $lone }개, 표시 { $shown }개
pair-left-out = 이벤트 { $left_out }개는 너무 많아 보지 않음. 기록할 때 필터 사용
pair-addresses = ; 주소가 바뀜: { $second } 쪽에서는 { $peer } → { $local }

# tracer exec
exec-exited = { $time } 뒤 종료, 종료 상태 { $code }
exec-killed = { $time } 뒤 시그널 { $number }번으로 끝남
exec-connections = 연결 { $number }개
exec-to = { $peer } 쪽으로 연결 { $number }개
exec-handshake = 핸드셰이크 { $number }번의 p{ $quantile }: { $time }
exec-retransmitted = 재전송된 세그먼트 { $number }개
exec-close-wait = CLOSE_WAIT 상태로 { $age }{ $why }
exec-open = 아직 열려 있음, 상태 { $state }
exec-at-exit = 프로세스가 끝날 때 열려 있었음, 상태 { $state }
exec-after = , { $age } 경과
exec-survivors = 아직 실행 중이지만 더는 추적하지 않음, 프로세스 { $number }개: { $names }
exec-hold = 조건 { $number }개를 모두 지킴
exec-place-to = { $peer } 쪽으로
exec-place-at = { $local }에서 accept

# tracer diff
diff-before = 이전
diff-after = 이후
diff-recording = { $name }: { $time } 동안 연결 { $number }개
diff-to = { $peer } 쪽 연결
diff-few = { $name }: 이전 { $before }개, 이후 { $after }개. { $FEWEST }개 이상 필요
diff-destinations = 연결이 가장 적은 목적지 { $more }곳
diff-verdict = 비교 { $all }건 중 { $changed }건이 의미 있는 변화: 나빠짐 { $worse }, 좋아짐 { $better }. 우연일 확률
    { $LEVEL } 미만(Holm), { $FACTOR }배 이상

# tracer top
top-not-available = ! { $name } 사용할 수 없음({ $reason }): ? 참고
top-copied = { $all }개 중 { $number }번째. c: 다음
top-handshakes = 시작한 뒤 SYN 재전송 { $again }번, 실패 { $lost }번
top-healthy = 발견된 문제 없음({ $time } 동안 관찰)
top-observed = { $time } 동안 관찰. 몇 초마다 다시 확인
top-more-findings = 외 { $more }건: Enter
top-transitions = 전이 { $some }/초
top-lost = 이벤트 { $number }개 잃음
top-first-of = { $all }개 중 첫째
top-open = 열기
top-all-sockets = 소켓 { $all }개
top-some-sockets = 소켓 { $all }개 중 { $listed }개
top-groups = , { $by }별 그룹 { $number }개
top-sorted = , { $by } 순
top-for = { $sign }{ $age } 동안
top-orphaned = 고아: 가진 프로세스 없음. 전에는 { $owner }

# 상태에 머무는 소켓의 표시
linger-raised = ⚑ { $state } 상태에 { $age } 동안 머묾{ $idle }
linger-continues = ⚑ 아직 { $state } 상태, { $age } 동안{ $idle }
linger-cleared = ⚑ { $state } 상태에서 { $age } 뒤 벗어남{ $idle }
linger-idle = (데이터 없이 { $idle })
linger-not-looked-at = 상대는 닫았고 프로세스는 닫지 않음. 디스크립터를 보지 않아 원인은 알 수 없음
linger-closed-first = 이쪽이 먼저 닫아 커널이 60초 동안 유지
linger-peer-not-closed = 상대가 자기 방향을 닫지 않음
linger-no-answer = { $segment }에 응답 없음
linger-no-ack = FIN이 확인 응답을 받지 못함
linger-syn-not-sent = SYN을 보내지 않음: Fast Open이 첫 데이터를 기다림
linger-fin-not-sent = FIN을 보내지 못함: 상대가 그 앞의 데이터를 받지 않음
linger-no-data = 클라이언트의 첫 데이터를 기다림(TCP_DEFER_ACCEPT)
linger-no-room = 클라이언트는 응답했으나 accept 큐에 자리가 없었음
linger-never-accepted = 아무도 accept()하지 않음: listener { $listener }{ $halt }, backlog { $backlog }개 중 { $queue }개
linger-listener-gone = 아무도 accept()하지 않음: listener는 이미 없음
linger-halted = { $who }: { $halt }
linger-inherited = 자식 { $who } 쪽이 갖고 있고, 부모 { $parent } 쪽은 자기 것을 닫음
linger-unread = 읽지 않은 데이터 { $unread }바이트, 갖고 있으면서 닫지 않음
linger-held = 상대가 닫았는데 갖고 있으면서 닫지 않음
linger-passed-on = { $who } 쪽이 종료를 전달했으나 반대편 상대가 닫지 않음
linger-not-passed-on = { $who } 쪽이 중계하고, 반대편은 아직 열려 있음
linger-awaits-answer = { $who } 쪽이 다른 서버의 응답을 기다림
linger-orphaned = 닫혔으나 커널이 남은 것을 더 보내야 함
linger-unseen = 누군가 갖고 있으나, 볼 수 있는 디스크립터가 아님

# 화면의 문장
view-unsent = 그 앞에 보내지 못한 데이터 { $bytes }
view-cost = 그 때문에 { $cost } 지연
view-again = 재전송 { $count }번
view-bytes = 보냄 { $sent }, 받음 { $received }
view-loss = ! { $sign }{ $count }번: { $what }
view-created = { $count }개를 만든 곳:
view-descriptors = fd { $fd } 외 { $more }개
view-many-raised = 소켓 { $count }개가 { $state } 상태에 머묾, 최대 { $longest }
view-many-continue = 소켓 { $count }개가 { $state } 상태에 아직도 머묾, 최대 { $longest }
view-many-cleared = 소켓 { $count }개가 { $state } 상태에서 벗어남, 최대 { $longest } 뒤
view-count = { $what } { $count }
view-second = … 1초에 변화 { $lines }번: 열림 { $opened }
more-processes = 외 { $count }개
view-more = 외 { $more }개
view-quiet = { $quiet } 동안 이벤트 없음
view-tracked = 소켓 { $count }개 추적 중
view-expires = #{ $number } TIME_WAIT, { $left } 뒤 CLOSED
view-to = { $address } 쪽
view-all-ended = 소켓 { $count }개 종료
view-transitions = 전이 { $transitions }번, 연결된 소켓 { $established }개, 머문 소켓 { $stuck }개
view-all-observed = 소켓 { $sockets }개, 네트워크 네임스페이스 { $namespaces }개, { $observed } 동안 관찰
view-sending = CLOSE_WAIT 소켓 { $count }개는 아직 보내는 중: 상대의 반종료이며 누수가 아님
view-lost = 이벤트 { $count }개를 잃음: 실제로는 더 늘었을 수 있음
view-not-judged = 판단하지 않음: { $what }
view-too-long = { $time }보다 오래 걸리는 것, 타임아웃 등 (--for)
view-not-entered = 들어갈 수 없는 네트워크 네임스페이스 { $count }개

# 발견 사항의 근거
namespace-of = { $namespace }, 프로세스 { $pid }의 것
one-of-several = { $address }(함께 쓰는 { $count }개 중 어느 것인지 모름)
some-connections = 연결 { $count }개
some-ports = 포트 { $count }개
some-bytes = { $count }바이트
some-with = 연결 { $count }개, { $service }
states-here = 이 호스트에서 { $states }
states-orphaned = { $states }, 고아 { $orphans }개(커널이 갖고 있음)
in-container = { $who }, 컨테이너 { $id }
who-does = { $who }: { $does }
does-block = 중단할 수 없는 대기 상태로 커널에서 멈춤
does-work = 바쁨(프로세서 하나의 { $percent } %)
does-throttle = CPU 할당량에 걸려 멈춰 있음
does-starve = 실행할 준비가 되어 프로세서를 기다림
does-accept = 다른 소켓의 accept()에서 기다림
does-receive = 상대의 데이터를 기다림
does-send = { $peer } 쪽이 보낸 것을 받기를 기다림
does-receive-of = { $peer } 쪽의 데이터를 기다림
does-connect = connect()에서 기다림
does-connect-to = { $peer } 쪽으로의 connect()가 끝나기를 기다림
does-datagram = 데이터그램(UDP 또는 유닉스 소켓)을 기다림
does-pipe = 가득 찬 파이프에 쓰기를 기다림
does-poll = 다른 이벤트를 기다림
does-sleep = 일정 시간 쉬는 중
does-lock = 락을 기다림
does-wait = 자식 프로세스를 기다림
does-other = { $function }에서 기다림
threads-blocked = 중단할 수 없는 대기 상태의 스레드 { $count }개
ready-for-one = 준비된 채 프로세서를 기다린 시간 { $percent } %
throttled-by = { $group }의 CPU 할당량 때문에 { $periods }개 주기 중 { $throttled }개에서 멈춤
threads-wait = 스레드가 기다리는 곳: { $parts }
of-a-processor = 프로세서 하나의 { $percent } %
one-and-other = { $one }; { $other }
no-growth = 관찰하는 동안 없음
per-minute = 분당 { $rate }
of-limit = 디스크립터 { $limit }개 중 { $open }개 사용 중{ $left }
limit-retries = net.ipv4.tcp_retries2 = { $value }, TCP_USER_TIMEOUT 없음
limit-orphan-retries = net.ipv4.tcp_orphan_retries: 타임아웃이 최댓값에 이르기 전에는 8
limit-probes = keepalive 프로브 { $value }개
from-to = { $least }~{ $most }
times = { $count } × { $what }
dropped = 관찰하는 동안 연결 시도 { $attempts }번을 버림
peers-closed = 그중 { $count }개는 상대가 닫음
has-listened = { $who }: listen()을 호출했으나 그 뒤 닫았거나 끝남
leaderless = 아마도: 프로세스 그룹을 시작한 프로세스가 끝남
siblings = 이 포트의 다른 listener { $others }개(SO_REUSEPORT), 그곳에서 연결 { $waiting }개가 기다림
accepts-none = { $who } 0
uneven = { $names }: 고르지 않음
each-use = 보냄 { $sent }바이트, 받음 { $received }바이트, { $lifetime } 동안 열림
each-handshake = 연결마다 { $each }, 1초 가운데 { $part }
ports-at-rate = 이 속도라면 포트 { $size }개 중 { $waiting }개가 TIME_WAIT{ $left }
no-shortage = , 모자라지 않음
all-in-use = , 있는 것보다 많음
backlog-of = { $backlog }, 리스너의 백로그
fds-of = { $who }의 { $fds }
in-close-wait = CLOSE_WAIT 상태로 { $time }
more-stacks = 그 밖의 스택 { $count }개
made-before = 소켓 { $count }개는 관찰 전에 만들어졌거나 기록되지 않음: 더 오래 관찰할 것 (--for)
one-stack = 스택 하나
this-stack = 이 스택
all-of-stack = 소켓 { $count }개, { $stack }:
some-of-stack = 소켓 { $all }개 중 { $count }개, { $stack }:
and-others = { $peer } 등
has-accepted = { $who }, 이 연결들을 accept한 프로세스
only-listens = { $who }, listener만 갖고 있고 이 연결들은 갖고 있지 않음
times-lost = { $count } × 응답 없음{ $lost }
phase-rejected = SYN에 RST로 응답했으나 이 커널이 보낸 것이 아님: { $listener } 쪽이 LISTEN 중이므로 패킷 필터가 거부함
phase-refused = SYN에 RST로 응답: LISTEN하는 프로그램이 없거나 방화벽이 거부함
phase-icmp = SYN에 ICMP 오류로 응답
phase-timed-out = 커널이 포기할 때까지 모든 SYN에 응답 없음: SYN이나 SYN+ACK가 손실되었거나, 방화벽 또는 가득 찬
    backlog가 버림
phase-given-up = 응용 프로그램이 포기할 때까지 SYN에 응답 없음: SYN이나 SYN+ACK가 손실되었거나, 방화벽 또는 가득 찬
    backlog가 버림
syn-again = 성공한 핸드셰이크 { $all }번 중 { $again }번은 SYN을 재전송, 모두 { $delay } 지연{ $answered }
answers-lost = ; 그중 { $count }번은 SYN+ACK 손실
idle-too = 응답 없는 상대와의 다른 연결 { $all }개: { $parts }
probed = { $count }개는 keepalive 프로브 예정{ $first }
first-in = , 첫 프로브는 { $left } 뒤
never-probed = { $count }개는 SO_KEEPALIVE가 없어 프로브를 보내지 않음
ago = { $time } 전
sent-again = 재전송 { $times }번
no-answer-to = 프로브 { $probes }개에 응답 없음
this-end-first = 이쪽이 먼저: TIME_WAIT { $count }개
ports-reusable = TIME_WAIT인 포트 { $ports }개를 더 쓸 수 있음
new-a-second = 초당 새 연결 { $rate }개
port-of-one = connect()가 고른 포트와 달리, 포트 하나를 두 목적지에 쓸 수 없음
server-closed = 서버가 먼저 닫은 연결 { $connections }개, { $timer } 동안 유휴
used-late = 서버의 FIN { $after } 뒤에 다시 사용
other-peer = 반대편 상대
side-open = { $peers }: { $states }
side-silent = { $peers }: { $time } 동안 응답 없음
side-closed = { $peers }, FIN 보냄: { $states }
at-peers = 이 호스트에 있는 상대 쪽에 { $unread }바이트
kernel-gives-up = 커널은 { $left } 뒤 포기함
kernel-waits = 없음: 상대가 윈도 프로브에 응답하므로 커널이 계속 기다림
kernel-closed = 연결 { $connections }개: 프로세스가 닫지 않은 것을 커널이 닫음
port-of-range = { $port }번 포트는 임시 포트 범위 { $range }에 속함
again-up-to = { $segment } 재전송 최대 { $times }번
no-longer = { $state } 상태는 { $time } 이하

# 발견 사항의 조치
remedy-accept-faster = { $who }: 더 빨리 accept()해야 함. 워커를 늘리거나, 워커가 기다리는 것을 풀어 줄 것
remedy-computes = { $who }: 그 계산이 끝나기 전에는 읽을 수 없음. 무슨 계산인지 찾아(프로파일러, 느린 요청의 로그) 따로 스레드나 프로세스에 맡길 것
remedy-quota = 컨트롤 그룹 { $group }의 CPU 할당량(cpu.max, cgroup v1에서는 cpu.cfs_quota_us, 컨테이너의 CPU 제한)을 늘리거나 덜 쓸 것
remedy-accept = { $who }: accept()를 호출해야 함. 기다리는 것을 풀어 줄 것. 다시 시작하면 큐가 비워짐
remedy-no-descriptor = { $who }: accept()에 쓸 디스크립터가 남지 않음. 그 발견 사항을 볼 것
remedy-inherited-listener = { $who }: listener를 물려받음. 프로세스를 끝내거나 그 안에서 디스크립터를 닫을 것.
    listener는 SOCK_CLOEXEC로 열 것
remedy-where-stuck = { $who }: accept()를 호출하지 않음. 어디서 막혔는지 볼 것(모두 바쁜 워커, 교착 상태, 디스크립터
    부족). 다시 시작하면 큐가 비워짐
remedy-reuseport = SO_REUSEPORT는 accept()하지 않는 listener에도 새 연결을 나누어 줌: accept()하지 않는 워커는
    listener를 닫아야 함
remedy-larger-backlog = backlog를 늘리면(프로그램의 listen(), somaxconn까지) 순간적인 몰림을 견딜 뿐임
remedy-at-limit = 지금 이 한도에 있음
remedy-stacks = 스레드들이 무엇을 기다리는지 보기
remedy-close-on-exec = 연결을 맡지 않은 자식은 fork() 뒤에 디스크립터를 닫거나, exec()가 닫도록 SOCK_CLOEXEC로 열 것(accept4)
remedy-continue = 다시 실행되게 하기
remedy-detach = 잡고 있는 디버거를 떼거나 계속 실행시킬 것
remedy-thaw = 컨트롤 그룹의 동결을 풀 것. 컨테이너는 docker unpause, 유닛은 systemctl thaw, 그 밖에는 그 파일로
remedy-reuse = 연결을 재사용하고(keep-alive, 크기가 정해진 연결 풀) 쓰지 않는 것은 닫을 것: 근본적인 해결책은 이것뿐임
remedy-more-addresses = 포트 범위는 주소 쌍마다 따로임: 출발지나 목적지 주소를 늘리면 도움이 됨
remedy-tw-reuse = connect()가 1초 지난 TIME_WAIT의 포트를 넘겨받게 함. 타임스탬프를 쓰면 안전하며 나가는 연결에만
    해당함
remedy-wider-range = 범위를 넓히기. listener의 포트는 ip_local_reserved_ports로 뺄 것
remedy-not-fin-timeout = 도움이 되지 않음: tcp_fin_timeout(TIME_WAIT는 항상 60초), tcp_tw_recycle(4.12에서 없어짐)
remedy-firewall = 한 호스트 안에서 패킷 필터(iptables 규칙도 보임)가 세그먼트를 버리거나 거부함, 또는 rp_filter나
    qdisc(tc -s qdisc)가 버림: 양쪽 끝의 네임스페이스에서 규칙을 찾을 것
remedy-close = { $who }: read()가 0(파일 끝)을 돌려주면 close()해야 함. 오류 경로에서도 마찬가지이며, 연결 풀은 상대가
    닫은 연결을 버려야 함
remedy-read-to-end = { $who }: read()가 0을 돌려줄 때까지 읽고 close()해야 함. 읽기를 그만두었거나 다른 것을 기다리는
    곳을 찾을 것
remedy-kernel-gives-up = 할 일 없음: 재전송이 시간을 초과하면 커널이 포기함
remedy-unseen = io_uring을 쓰는 프로그램, Unix 소켓으로 전달 중인 디스크립터, NFS 같은 커널 클라이언트를 찾아볼 것
remedy-kill-close-wait = 임시 조치: 이 서비스의 CLOSE_WAIT 연결을 커널에서 모두 끊음(CONFIG_INET_DIAG_DESTROY). 쓰이고
    있는 반종료(상대가 모두 보내고 응답을 기다림)도 끊김. 디스크립터는 열린 채 남고 누수는 이어짐
remedy-not-keepalive-time = 도움이 되지 않음: tcp_fin_timeout은 FIN_WAIT2에만 쓰이고, tcp_keepalive_time은
    SO_KEEPALIVE를 켠 소켓에만 쓰이며 그래도 디스크립터는 열린 채 남음
remedy-not-kill = 도움이 되지 않음: ss -K는 연결을 끊지만 큐의 자리는 그대로 차지함
remedy-shutdown = { $who }: close() 전에 shutdown(SHUT_WR)을 호출하면, 누가 사본을 갖고 있든 FIN이 나감
remedy-see-held = 갖고 있는 디스크립터. 그 프로세스가 끝나면 FIN이 나감
remedy-does-it-listen = 상대 호스트에서: 서비스가 실행 중인지, 그 주소에서 LISTEN하는지 볼 것
remedy-see-icmp = 경로나 중간의 방화벽이 거부함: ICMP 메시지를 볼 것. 그 주소를 가진 이웃이 없으면
    host unreachable은 이 호스트에서 옴(ip neigh)
remedy-diagnose-there = 상대 호스트에서 tracer diagnose를 실행하면 accept 큐가 가득 찼는지 알 수 있음. 그렇지 않다면
    SYN을 버리는 방화벽이나 경로의 손실을 찾을 것
remedy-connecting-now = 지금 연결하고 있는 소켓
remedy-reset-by-server = 원인은 상대에 있음: 그곳에서 tracer를 실행할 것. 다시 시작했거나, 읽지 않은 데이터를 두고
    닫았거나, 중간 장비가 연결을 버렸을 수 있음
remedy-after-fin = 클라이언트나 연결 풀은 read()가 0을 돌려주면(파일 끝) 연결을 버리거나, 서버의 keep-alive 타임아웃보다
    먼저 유휴 연결을 버릴 것
remedy-gave-up = 응답에 걸리는 시간보다 타임아웃이 짧음: 그동안 서버가 무엇을 하는지 볼 것. 그만큼 걸려도 된다면 더 오래 기다릴
    것(nginx의 proxy_read_timeout, haproxy의 timeout server, curl의 --max-time)
remedy-reset-by-client = 응답이 가는 도중에 클라이언트가 끊음: 클라이언트의 타임아웃과 응답에 걸리는 시간을 비교할 것
remedy-reset-unread = 상대가 보낸 것을 읽고 close()하거나, shutdown(SHUT_WR) 뒤 끝까지 읽을 것: RST 때문에 바로 앞서
    보낸 것도 사라질 수 있음
remedy-reset-linger = SO_LINGER 0을 설정하지 말 것: 상대가 확인 응답하지 않은 데이터를 close()가 버림
remedy-reset-after-close = close() 전에 shutdown(SHUT_WR)을 호출하고 파일 끝까지 읽을 것: 상대가 아직 보내고 있음
remedy-reset-unaccepted = listener를 닫기 전에 기다리는 연결을 accept()하거나, listener를 넘겨줄 것
remedy-window = 상대가 받은 것을 읽어야 함
remedy-peer-gone = 상대나 그곳까지의 경로가 사라짐: 그 상대와의 다른 연결이 살아 있는지 볼 것
remedy-is-it-there = 상대가 있는지 확인. 종료 상태 124: 새 연결에도 응답하지 않음. 0이나 1: 상대는 있고, 중간의 방화벽이나
    NAT가 연결을 잊음
remedy-listen-there = 클라이언트가 그 주소로 연결해야 한다면 그 주소나 모든 주소(0.0.0.0, ::)에서도 listen하게 할 것.
    컨테이너의 127.0.0.1은 그 컨테이너 안에서만 통함 다른 서버가 거기서 listen해야 한다면 그 서버가 내려가 있음.
remedy-who-listens = 그 포트에서 listen하는 프로세스
remedy-black-hole = 경로가 꽉 찬 세그먼트를 버리는지 확인(터널 등의 경로 MTU 블랙홀). 커널이 이 연결들에서도 더 작은
    세그먼트를 시도함. 그러면 데이터가 움직이면 그것이 원인임. 더 나은 해결: 경로의 MTU를 낮추거나 ICMP를 통과시킬 것
remedy-forgotten = 상대는 있음: 중간의 방화벽, NAT, 로드 밸런서가 이 연결들을 잊었거나, 같은 주소 뒤의 호스트 중 하나가
    사라짐
remedy-read-or-close = { $who }: 읽거나 닫을 것. 읽기 전에 멈춘 스레드(락, 가득 찬 풀)와 epoll에 다시 등록하지 않은
    디스크립터(EPOLLONESHOT, 오류 경로)를 찾을 것
remedy-child-serves = 연결을 맡은 자식은 read()가 0을 돌려주면(EOF) close()해야 하고, 일하거나 기다리는 동안에도 그것을 확인해야 함(PostgreSQL
    client_connection_check_interval)
remedy-never-answered = 핸드셰이크 뒤의 것은 한 번도 응답받지 못함: 서버의 accept 큐가 가득 찼었거나(그 호스트에서 tracer
    diagnose), 로드 밸런서나 방화벽이 없는 서버를 대신해 응답했거나, 그 뒤에 호스트가 사라짐
remedy-bound-wait = { $who }: 기다리는 시간을 제한할 것. 데이터에는 TCP_USER_TIMEOUT(PostgreSQL tcp_user_timeout,
    haproxy tcp-ut, gRPC keepalive 타임아웃), 유휴 연결에는 SO_KEEPALIVE와 1분 정도의 TCP_KEEPIDLE
remedy-kill-dead = 이 상대와의 연결을 지금 끊음. 프로세스는 오류를 받음(CONFIG_INET_DIAG_DESTROY)
remedy-kill-orphans = 할 일 없음: 커널이 스스로 포기함. 이 명령은 지금 끊음(CONFIG_INET_DIAG_DESTROY)
remedy-kill-unread = 이 상대와의 연결을 지금 끊음. 보내지 못한 데이터는 사라짐(CONFIG_INET_DIAG_DESTROY)
remedy-kill-self = 서버를 시작할 수 있게 이 연결을 끊음(CONFIG_INET_DIAG_DESTROY)
remedy-not-deferred = 클라이언트는 연결된 줄 알지만, 서버는 데이터가 오기 전에는 그 연결을 보지 못함: 서버가 먼저 보내는
    프로토콜에는 TCP_DEFER_ACCEPT를 설정하지 말 것
remedy-who-they-are = 어떤 클라이언트인지 보기
holds-sockets = TCP 소켓 { $sockets }개, 그중 { $idle }개는 10초 동안 데이터 없음, { $most }
remedy-close-idle = { $who } 쪽은 필요 없는 것을 닫을 것: 다 읽은 응답, 연결 풀이나 클라이언트의 쉬는 연결. 모두 쓰고 있으면
    한도를 올릴 것
remedy-stop-leak = 누수를 막을 것: { $who } 쪽에 디스크립터가 되돌아옴
remedy-more-descriptors = 다음 재시작까지 시간 벌기. 하드 한도는 더 낮을 때만 올림
remedy-bind-no-port = bind() 전에 IP_BIND_ADDRESS_NO_PORT를 설정할 것: 포트를 connect()가 골라, 목적지마다 범위 전체를 쓸
    수 있음
remedy-see-close-wait = 대부분 CLOSE_WAIT에 있음: 그 발견 사항을 볼 것
remedy-who-holds = 포트를 쓰고 있는 프로세스
remedy-wait-longer = 서버가 클라이언트보다 연결을 오래 유지해야 함: 클라이언트나 로드 밸런서의 유휴 타임아웃보다 길게
    설정할 것. 설정: { $setting }
its-keepalive = 서버의 keep-alive 타임아웃(node keepAliveTimeout, nginx keepalive_timeout, gunicorn --keep-alive,
    haproxy timeout http-keep-alive)
remedy-drop-earlier = 또는 클라이언트, 연결 풀, 로드 밸런서가 유휴 연결을 { $idle } 전에 버리게 할 것
remedy-retry = 또는 되풀이해도 안전한 요청을 클라이언트가 새 연결에서 한 번 재시도하게 할 것
remedy-set-keepalive = { $who }: SO_KEEPALIVE와 TCP_KEEPIDLE을 설정할 것(PostgreSQL tcp_keepalives_idle, sshd
    ClientAliveInterval, nginx so_keepalive, haproxy clitcpka와 srvtcpka)
remedy-not-only-keepalive-time = 도움이 되지 않음: tcp_keepalive_time은 SO_KEEPALIVE를 켠 소켓에만 쓰이고, 기본값은
    2시간임
idle-timeout-of-proxy = tcp_proxy의 idle_timeout
its-half-close = 반종료 타임아웃(haproxy timeout client-fin과 server-fin, nginx proxy_timeout, envoy idle_timeout,
    socat -t)
remedy-proxy-timeout = { $who }: 양쪽을 끊는 시간을 상대에게 필요한 만큼으로 설정할 것. 설정: { $timeout }
remedy-other-peer = { $who }: 상대가 닫았으면 닫아야 함. 파일 끝을 읽고도 닫지 않았거나 다른 것을 기다림
remedy-must-answer = { $peers } 쪽이 응답해야 함: 무엇을 기다리는지 보기(느린 쿼리, 잠금, 그 서버가 묻는 다른 서버)
remedy-wait-less = { $who }: 클라이언트보다 오래 기다리지 않게 할 것. 응답 타임아웃을 두거나(nginx proxy_read_timeout,
    haproxy timeout server) 클라이언트가 떠나면 끝낼 것(nginx proxy_ignore_client_abort off)
remedy-reader-stack = 읽는 쪽이 읽거나 닫아야 함: 그 첫 스레드가 무엇을 기다리는지 보기
remedy-peer-reads = 상대가 요청한 것을 읽거나 닫아야 함: 읽는 쪽이 멈췄거나, 막혔거나, 너무 느림
remedy-bound-write = { $who }: 쓰기가 기다리는 시간을 제한할 것(SO_SNDTIMEO, nginx send_timeout, haproxy timeout
    client). TCP_USER_TIMEOUT도 여기에 해당함
remedy-drain = 먼저 로드 밸런서에서 빼고, 큐가 빌 때까지 accept()한 다음 listener를 닫을 것. 또는 계속 남는 부모가
    listener를 갖게 할 것(소켓 활성화)
remedy-why-ended = 왜 끝났는지 볼 것: 그 프로세스의 로그, supervisor 로그의 종료 상태, 비정상 종료나 OOM killer가
    있었는지는 커널 로그
remedy-read-before-exit = 스스로 끝난다면: exit() 전에 클라이언트가 보낸 것을 읽거나, 오류로 응답하고 shutdown(SHUT_WR)할 것:
    읽지 않은 데이터가 있으면 커널이 RST를 보내고, 응답이 사라질 수 있음
remedy-finish = 끝나기 전에 받은 요청에 응답할 것: SIGTERM을 받으면 accept()를 멈추고, 열린 요청을 마치고,
    shutdown(SHUT_WR) 뒤 read()가 0을 돌려줄 때까지 읽고 close()
remedy-more-time = 마치기 전에 강제 종료된다면: SIGKILL까지의 시간을 늘릴 것(TimeoutStopSec=,
    terminationGracePeriodSeconds, docker stop -t)
remedy-reserve = connect()는 예약된 포트를 고르지 않음: 서버의 포트를 예약할 것
remedy-compare-names = 재시도하는 클라이언트는 getsockname()과 getpeername()을 비교하여, 자기 자신에게 연결된 소켓을 닫을
    것
answers-on = 다른 연결 { $others }개에는 응답함
remedy-compare-answering = 상대는 살아 있음: accept 큐가 가득 찼거나(그 호스트에서 tracer diagnose), 사이의 방화벽이나 NAT가 연결을 더
    받지 않음. 일반 연결과 비교할 것(종료 상태 124: 그것에도 응답이 없음)
remedy-compare = 상대가 꺼져 있거나 방화벽이 SYN을 버림: 새 연결과 비교할 것(종료 상태 124: 그것에도 응답 없음)
remedy-where-from = SYN 홍수이거나 SYN+ACK가 도착하지 않음: 어디서 오는지 볼 것
remedy-see-timers = 타이머와 함께 보기
remedy-bound-fin = shutdown(SHUT_WR)을 호출한 프로세스는 상대의 종료를 일정 시간만 기다리고(SO_RCVTIMEO) close()할 것:
    닫힌 것은 tcp_fin_timeout 뒤 커널이 끝냄
remedy-who-sends = 누가 보내는지 보기
remedy-more-room = 자리 늘리기: 더 큰 backlog(프로그램의 listen(), somaxconn까지)
remedy-cookies = SYN 홍수 때도 서비스를 계속함
remedy-syn-backlog = SYN 쿠키가 없으면 이것도 반쯤 열린 연결의 수를 제한함
remedy-let-peers-close = TIME_WAIT는 먼저 닫은 쪽, 곧 이쪽에 생김. 상대가 먼저 닫게 할 것
remedy-more-buckets = 한도 올리기. 하나에 약 300바이트
remedy-not-fewer-buckets = 도움이 되지 않음: tcp_fin_timeout, tcp_tw_recycle(4.12에서 없어짐). tcp_max_tw_buckets를
    낮추면 연결이 깨짐

# HTML 보고서의 문장
page-title = { $host }의 TCP
page-title-of-file = { $host }의 TCP ({ $file })
page-only-info = 문제 없음. 참고할 발견 { $count }개: 아래를 보십시오.
page-none-critical = 문제 { $count }개, 심각한 것은 없음: 아래를 보십시오.
page-critical = 문제 { $count }개, 그중 심각 { $critical }개: 아래를 보십시오.
page-sockets = 소켓 { $count }개
page-not-over = { $began }부터, 아직 끝나지 않음
page-not-listed = 그 밖의 발견 사항 { $count }개는 싣지 않았습니다.
page-in-smaller = 더 작은 무리에 { $count }개가 더 있습니다.
page-elsewhere = 싣지 않은 목적지로 간 연결 { $count }개.
page-of = { $size }개 중 { $most }개
page-not-timed = 시간을 재지 못한 소켓 { $count }개.
page-from = { $peer }에서
page-states = 상태마다 동시에 있던 소켓의 최대 수를 { $slice }초 구간으로 보입니다. { $period } 그림마다 눈금이 다르며,
    소켓이 머문 상태는 빨간색입니다. { $before }
page-period = { $begin }(0초)부터 { $end }({ $seconds }초)까지입니다.
view-missing = ! { $feature }: 사용할 수 없음 ({ $reason }). { $lost }
