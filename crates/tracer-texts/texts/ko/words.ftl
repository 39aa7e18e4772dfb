# 제목과, 명령이 글 둘레에 쓰는 말.

section-questions = 질문
section-flows = 연결 설정과 연결 해제
section-states = 상태
section-segments = 세그먼트, 플래그, 번호
section-reasons = 종료 이유
section-findings = 발견되는 문제
section-timers = 타이머

explain-linux = Linux에서는
explain-here = 직접 보기
explain-many = 많을 때
explain-rfc = 출처
explain-usage = tracer explain TERM: 용어 설명, tracer demo: 실제로 보기.
explain-legend = ──▶ 클라이언트의 보통 경로, ┄┄▶ 서버의 보통 경로. 연결을 해제할 때 먼저 닫는 쪽은 왼쪽으로
    내려갑니다.

end-client = 클라이언트
end-server = 서버
ask-sends = { $end } 쪽이 가장 먼저 보내는 세그먼트는?
ask-state = 그 뒤 { $end } 쪽의 상태는?
ask-acked = { $end } 쪽이 받는 확인 응답 번호는? ack = ?
ask-reason = { $end } 쪽에서 연결은 어떻게 끝나는가?
ask-again = 다시 보내는 세그먼트는?
answer-right = 맞습니다.
answer-wrong = 커널은 다르게 동작했습니다: { $answer }.
answer-unknown = 커널이 어떻게 했는지 이벤트로는 알 수 없습니다. 이 문제는 채점하지 않습니다.
answer-other = 보기에 없습니다: { $answer }. 이 문제는 채점하지 않습니다.
answer-keys = 1부터 { $count } 중 하나를 누르세요. q를 누르면 그만둡니다.
step-score = 문제 { $asked }개 가운데 { $right }개를 맞혔습니다.
step-total = 모두 { $asked }개 가운데 { $right }개를 맞혔습니다.
step-page = 아무 키나 누르면 계속합니다. q를 누르면 그만둡니다.
step-next = 다음 수업: { $lesson }
demo-network = 다른 터미널에서: tracer top --netns { $netns }. Ctrl-C로 끝냅니다.
