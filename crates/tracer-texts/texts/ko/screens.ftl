# sockets, top, features, pair, exec, diff 화면의 말: 줄마다 코드의 영어 한 마디.

# 열 이름
screen-column-state = 상태
screen-column-age = 경과
screen-column-idle = 유휴
screen-column-local = 로컬
screen-column-peer = 상대
screen-column-recvq = 수신 큐
screen-column-sendq = 송신 큐
screen-column-process = 프로세스
screen-column-container = 컨테이너
screen-column-sockets = 소켓
screen-column-oldest = 최장
screen-column-states = 상태
screen-column-from = 이전 상태
screen-column-to = 새 상태
screen-column-after = 경과
screen-column-time = 시각
screen-column-time-utc = 시각 (UTC)
screen-column-group = 그룹
screen-column-other = 기타
screen-column-linger = 머묾
screen-column-change = 변화

# tracer sockets
screen-the-kernel = (커널)
screen-not-accepted = (accept 안 됨)
screen-listening = (연결 대기)
screen-no-sockets = 소켓 없음
screen-no-sockets-in-this-network-namespace = 이 네트워크 네임스페이스에는 소켓 없음
screen-not-shown = 표시하지 않음

# tracer features
screen-kernel = 커널
screen-tracing = 추적
screen-capabilities = 권한
screen-none = 없음
screen-not-possible = 불가능
screen-with-btf-all-that-the-kernel-knows-of-a-sock = BTF 사용: 커널이 소켓에 대해 아는 모든 것
screen-by-the-classic-tracepoint-addresses-ports-an = 기존 tracepoint 사용: 주소, 포트, 상태만
screen-if-missing = 없으면
screen-to-get-it = 얻으려면
screen-yes = 있음
screen-no = 없음
screen-all-that-takes-privileges-at-once = 권한이 필요한 것을 한 번에
screen-the-whole-list = 전체 목록

# tracer pair
screen-the-answer = 응답
screen-behind = 느림
screen-ahead-of = 빠름
screen-all-for-the-others = 나머지는 --all
screen-events-are-missing-so-nothing-is-said-of-wha = 빠진 이벤트가 있어, 그곳에 도착하지 않은 것은 판단하지 않음

# tracer exec
screen-still-open = 아직 열려 있음
screen-violated = 위반
screen-never-accepted = accept되지 않음
screen-created-at = 만든 곳
screen-connected-at = 연결한 곳
screen-test = 테스트

# tracer diff
screen-incomplete-events-were-lost = 불완전: 이벤트를 잃음
screen-column-changed-beyond-noise = 의미 있는 변화
screen-column-not-beyond-noise = 우연과 구별되지 않음
screen-finding-new = 새로 발견
screen-finding-gone = 사라진 발견
screen-only-after = 이후에만
screen-only-before = 이전에만
screen-too-few-to-exclude-chance = 우연을 배제하기에 너무 적음
screen-nothing = 없음
screen-new = 새로 생김
screen-connections = 연결
screen-lifetimes = 연결 수명
screen-lifetime = 연결 수명
screen-column-time-wait-entered-churn = TIME_WAIT 진입 (잦은 재연결)
screen-connections-with-retransmissions = 재전송이 있는 연결
screen-leaked-connections = 누수된 연결

# tracer top: 틀.
screen-overview = 개요
screen-sockets = 소켓
screen-diagnosis = 진단
screen-states = 상태
screen-handshakes = 핸드셰이크
screen-frozen = 정지됨
screen-live = 실시간
screen-no-transitions = 전이 없음
screen-no-events-lost = 잃은 이벤트 없음
screen-dismiss = 지우기
screen-see = ? 참고
screen-too-small-needs-80-24 = 화면이 작음: 80×24 필요

# 맨 아래의 키.
screen-quit = 종료
screen-help = 도움말
screen-next = 다음
screen-type = 입력
screen-to-filter = 필터
screen-done = 완료
screen-clear-filter = 필터 해제
screen-back = 뒤로
screen-scroll = 스크롤
screen-freeze = 정지
screen-copy-command = 명령 복사
screen-copy-again = 다시 복사
top-diagnosis = 진단
screen-find = 찾기
screen-show-sockets = 소켓 보기
screen-details = 자세히
screen-filter = 필터
screen-sort = 정렬
screen-group = 그룹

# 도움말.
screen-keys = 키
screen-terms = 용어
screen-not-available-on-this-host = 이 호스트에서 쓸 수 없는 기능
screen-messages = 메시지
screen-choose-a-screen-or-click-on-its-name = 화면 선택. 이름을 클릭해도 됨
screen-or-h = ?, h
screen-show-or-close-this-help = 이 도움말 열기, 닫기
screen-back-from-details-help-and-a-command-elsewhe = 자세히, 도움말, 명령에서 뒤로. 다른 화면에서는 종료
screen-f-or-space = f, Space
screen-freeze-the-screen-again-to-resume = 화면 정지. 다시 누르면 계속
screen-dismiss-the-message-at-the-bottom = 맨 아래 메시지 지우기
screen-filter-as-you-type-by-state-address-process = 입력하는 대로 거름. 상태, 주소, 프로세스[pid], @컨테이너: close_wait nginx 10.0.0.7:443. Esc는 필터 해제
screen-sort-by-state-age-process-local-or-peer-s-re = 상태, 경과, 프로세스, 로컬, 상대 순으로 정렬. S는 거꾸로
screen-group-by-process-peer-container-or-state-ent = 프로세스, 상대, 컨테이너, 상태로 묶기. Enter는 그룹 열기
screen-details-of-a-socket-holders-times-timeline-s = 소켓 자세히: 갖고 있는 프로세스, 시간, 일어난 일, 세그먼트
screen-copy-the-command-of-a-finding-s-remedy-again = 문제를 조치할 명령 복사. 다시 누르면 다음 명령
screen-go-back-one-step-details-group-filter = 한 단계 뒤로: 자세히, 그룹, 필터
screen-one-line-pgup-pgdn-home-end-or-the-wheel-mor = 한 줄씩. PgUp PgDn, Home End, 휠: 더 많이
screen-min = ±/분
screen-in-s = 진입/초
screen-linger = 머묾, ⚑
screen-sockets-gained-or-lost-over-the-last-minute = 지난 1분 동안 늘거나 준 소켓. 모르면 빈칸
screen-sockets-that-entered-this-state-per-second-o = 이 상태로 들어온 소켓, 최근 5초의 초당 평균
screen-sockets-in-a-state-for-longer-than-its-linge = 한 상태에 --linger 시간보다 오래 머무는 소켓
screen-the-peer-has-closed-the-local-program-must-c = 상대가 닫음. 이쪽 프로그램도 close()해야 함. 많으면 누수
screen-closed-first-by-this-end-kept-for-60-s-norma = 이쪽이 먼저 닫음. 60초 유지. 포트가 모자라지 않으면 정상
screen-this-end-has-closed-the-peer-has-not = 이쪽은 닫았고 상대는 닫지 않음
screen-no-answer-yet-a-firewall-a-dead-host-or-a-fu = 아직 응답 없음: 방화벽, 죽은 호스트, 가득 찬 큐
screen-half-open-the-handshake-s-last-ack-has-not-a = 반쯤 열림: 핸드셰이크의 마지막 ACK가 오지 않음
screen-at-least-the-socket-existed-before-the-trace = 이상: 추적을 시작하기 전부터 있던 소켓

# 화면.
screen-comparing-two-snapshots-some-seconds-apart = 몇 초 간격으로 스냅숏 두 개를 비교하는 중
screen-last-5-minutes = 최근 5분
screen-no-sockets-yet = 아직 소켓 없음
screen-no-matches = 맞는 소켓 없음
screen-local = 로컬
screen-age = 경과
screen-container = 컨테이너
screen-reversed = 거꾸로
screen-no-process = (프로세스 없음)
screen-listeners = (연결 대기)
screen-no-container = (컨테이너 없음)
screen-not-accepted-yet = 아직 accept 안 됨
screen-loading = 불러오는 중
screen-timeline = 일어난 일
screen-segments = 세그먼트
screen-held-by = 보유
screen-cause = 원인
screen-ids = 식별자
screen-duration = 걸린 시간
screen-at-least = 이상
screen-no-events-yet-it-existed-before-the-trace-be = 아직 이벤트 없음: 추적을 시작하기 전부터 있던 소켓
screen-a-listener-sends-no-segments-of-its-own = listener는 스스로 세그먼트를 보내지 않음
screen-connect-to-established = connect()부터 ESTABLISHED까지
screen-syn-ack-to-its-ack = SYN+ACK부터 그 ACK까지
screen-none-so-far = 아직 없음
screen-recv-syn = SYN 받음
screen-recv-ack = ACK 받음
screen-recv-syn-ack = SYN+ACK 받음
screen-recv-fin = FIN 받음
screen-no-resets-timeouts-or-refusals-lately = 최근 RST, 시간 초과, 거부 없음
screen-rst-timeout-refusal = RST, 시간 초과, 거부
screen-copied-to-the-terminal-s-clipboard = 터미널의 클립보드로 복사함
screen-if-it-does-not-arrive-when-you-paste-many-te = 붙여 넣어지지 않으면(OSC 52를 허용해야 하는 터미널이 많고, tmux는 set-clipboard on) 여기서 선택하세요. 뒤로 갈 때까지 마우스는 터미널이 받습니다.
screen-no-command-to-copy-no-finding-here-has-one = 복사할 명령 없음: 여기 나온 문제에는 명령이 없음
