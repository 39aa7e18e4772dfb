# 발견 사항과 표시의 문장. 영어 문장은 이벤트의 일부이므로 코드에 있다 (crates/tracer-event).

over = 해소: { $sentence }

# 문장의 부분
a-process = 어떤 프로세스
a-peer = 상대
and-more = { $names } 외 { $more }
at = : { $address }
here = 이 호스트의 { $address }
held-by = { $address }({ $who })
limit = (한도 { $limit }개)
closed-by = { $who }
closed-by-parent = 부모 { $who }
connections-of = { $who }의 연결 { $count }개({ $service })
connections-closed-by = { $who } 쪽이 닫은 연결 { $count }개({ $service })
gives-up = . 커널은 { $left } 뒤 포기함
halted-stopped = 정지 상태(SIGSTOP)
halted-traced = 디버거가 잡고 있음(ptrace)
halted-frozen = 동결 상태(cgroup freezer)
which-halted = , { $halt }
left-minute = , 1분 안에 고갈
left-minutes = , { $left }분 뒤 고갈
left-hours = , { $left }시간 뒤 고갈
left-days = , { $left }일 뒤 고갈

# close_wait_leak
close-wait-never-accepted = 연결 { $count }개를 아무도 accept()하지 않음: listener { $listener },
    backlog { $backlog }개 중 { $queue }개. 상대는 이미 닫음
close-wait-listener-gone = 연결 { $count }개를 아무도 accept()하지 않음: listener는 이미 없음
close-wait-halted = { $who }: { $halt }. 상대가 닫은 연결 { $count }개를 갖고 있음
close-wait-inherited = { $who }: fork로 물려받은 연결 { $count }개를 닫지 않음. 상대도, 부모 { $parent }도 이미 닫음
close-wait-unread = { $who }: 연결 { $count }개를 끝까지 읽지 않음. 읽지 않은 데이터 { $unread }바이트, 상대는
    이미 닫음
close-wait-not-yet = { $who }: 연결 { $count }개를 아직 닫지 않음. 상대는 이미 닫음
close-wait-leak = { $who }: 연결 { $count }개 누수. 상대가 닫았는데 close()하지 않음
close-wait-passed-on = { $who }: 중계하는 연결 { $count }개에서 상대의 종료를 전달했으나 반대편이 닫지 않음
close-wait-not-passed-on = { $who }: 중계하는 연결 { $count }개에서 상대의 종료를 반대편에 전달하지 않음
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
accept-queue-was-full = listener { $listener } 또는 여기의 다른 listener: accept 큐가 가득 찼었음. backlog
    { $backlog }개 중 { $queue }개
accept-wait-nobody = 연결 { $count }개가 기다리는데 아무도 accept()하지 않음: listener { $listener }{ $halt }. backlog
    { $backlog }개 중 { $queue }개, 가장 오래된 것 { $oldest }
accept-wait-slow = 연결 { $count }개가 accept()를 오래 기다림: listener { $listener }{ $halt }. backlog { $backlog }개 중
    { $queue }개, 가장 오래된 것 { $oldest }
deferred-accept = 연결 { $count }개가 최대 { $oldest } 동안 반쯤 열림: 클라이언트의 첫 데이터를
    기다림(TCP_DEFER_ACCEPT), listener { $listener }

# closed_but_held, self_connect
closed-but-held = { $who }: { $closer } 쪽이 닫은 연결 { $count }개({ $service })를 아직 갖고 있음. FIN이 나가지 않아
    상대가 기다림, { $idle } 동안 조용함
self-connected = { $who }: 자기 자신에게 연결됨({ $address }). 서버의 포트를 클라이언트가 차지하여 서버를 시작할 수 없음

# syn_backlog, time_wait_overflow, descriptors, stuck_handshake
syn-backlog-cookies = SYN { $count }개에 쿠키로 응답, 반쯤 열린 연결이 너무 많음{ $at }
syn-backlog-drops = SYN { $count }개를 버림, 반쯤 열린 연결이 너무 많음{ $at }
time-wait-many = TIME_WAIT 소켓 { $count }개{ $limit }
time-wait-skipped = TIME_WAIT 소켓 { $count }개{ $limit }: 연결 { $skipped }개는 TIME_WAIT를 건너뜀
descriptors-used = { $who }: 디스크립터 { $limit }개 중 { $open }개 사용 중{ $left }
stuck-syn-sent = { $who }: 응답 없음. SYN_SENT인 연결 { $count }개, 목적지 { $service }{ $lost }
stuck-half-open = 반쯤 열린 연결 { $count }개, { $service }: 클라이언트가 응답하지 않음
stuck-half-open-lost = 반쯤 열린 연결 { $count }개, { $service }{ $lost }
lost-syn = : SYN이 이 호스트의 listener에 도달하지 않음
lost-syn-ack = : SYN은 이 호스트의 listener에 도달하지만 SYN+ACK가 클라이언트에 도달하지 않음
lost-ack = : 이 호스트의 클라이언트는 연결되었지만 ACK가 listener에 도달하지 않음

# dead_peer, peer_not_reading, no_keepalive
dead-peer-fin = { $peers }: 응답 없음. FIN이 { $since } 동안 확인 응답을 받지 못함, { $connections }{ $gives-up }
dead-peer-probes = { $peers }: 응답 없음. keepalive 탐침 { $tries }개에 { $since } 동안 응답 없음,
    { $connections }{ $gives-up }
dead-peer-data = { $peers }: 응답 없음. { $bytes }바이트가 { $since } 동안 확인 응답을 받지 못함,
    { $connections }{ $gives-up }
peer-not-reading = { $who }: 읽지 않음. 윈도가 { $closed } 동안 닫혀 있음, 보내지 못한 데이터 { $bytes }바이트{ $fin },
    { $connections }
fins-waiting = , 그 뒤의 FIN { $fins }개도 나가지 못함
never-noticed = { $who }: 연결 { $count }개에서 상대가 사라져도 알 수 없음, 최대 { $longest } 동안 유휴. keepalive도
    user timeout도 설정되지 않음

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
connect-failed-once = { $who }: { $peer } 쪽으로 한 번 시도했으나 연결하지 못함: { $kinds }
failed-refused = 거부 { $count }번
failed-unreachable = 도달 불가 { $count }번
failed-timed-out = 시간 초과 { $count }번
failed-given-up = 응답이 없어 포기 { $count }번
connection-resets = { $who }: 연결 { $ended }개 중 { $bad }개가 비정상 종료({ $service }): { $kind }, { $since } 동안
reset-by-peer = 상대가 RST를 보냄
reset-unread = 읽지 않은 데이터가 있는데 닫아 이쪽이 RST를 보냄
reset-linger = SO_LINGER 0으로 이쪽이 RST를 보냄
reset-after-close = close() 뒤에 데이터가 와서 이쪽이 RST를 보냄
reset-unaccepted = accept() 전에 listener가 닫혀 이쪽이 RST를 보냄
reset-retransmissions = 재전송에 응답이 없어 시간 초과
reset-keepalive = keepalive 탐침에 응답이 없어 시간 초과
reset-window = 상대의 윈도가 0인 채로 시간 초과
reset-aborted = 중단됨
reset-or-timed-out = RST 또는 시간 초과
keepalive-race = { $who }: 요청 { $count }개가 RST를 받음. { $server } 쪽이 { $timer } 동안 유휴인 연결을 닫음,
    { $since } 동안

# 상태에 머무는 소켓의 표시
linger-raised = ⚑ { $state } 상태에 { $age } 동안 머묾{ $idle }
linger-continues = ⚑ { $state } 상태에 아직도 머묾, { $age } 동안{ $idle }
linger-cleared = ⚑ { $state } 상태에서 { $age } 뒤 벗어남{ $idle }
linger-idle = (데이터 없이 { $idle })
linger-not-looked-at = 상대는 닫았고 프로세스는 닫지 않음. 디스크립터를 보지 않아 원인은 알 수 없음
linger-closed-first = 이쪽이 먼저 닫아 커널이 60초 동안 유지
linger-peer-not-closed = 상대가 자기 방향을 닫지 않음
linger-no-answer = { $segment }에 응답 없음
linger-syn-not-sent = SYN을 보내지 않음: Fast Open이 첫 데이터를 기다림
linger-fin-not-sent = FIN을 보내지 못함: 상대가 그 앞의 데이터를 받지 않음
linger-no-data = 클라이언트의 첫 데이터를 기다림(TCP_DEFER_ACCEPT)
linger-no-room = 클라이언트는 응답했으나 accept 큐에 자리가 없었음
linger-never-accepted = 아무도 accept()하지 않음
linger-halted = { $who }: { $halt }
linger-inherited = 자식 { $who } 쪽이 갖고 있고, 부모는 자기 것을 닫음
linger-unread = 읽지 않은 데이터 { $unread }바이트, 갖고 있으면서 닫지 않음
linger-held = 상대가 닫았는데 갖고 있으면서 닫지 않음
linger-passed-on = { $who } 쪽이 종료를 전달했으나 반대편 상대가 닫지 않음
linger-not-passed-on = { $who } 쪽이 중계하고, 반대편은 아직 열려 있음
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
