# Headings, and what the commands say around the texts.

section-questions = Questions
section-flows = Handshake and teardown
section-states = States
section-segments = Segments, flags, numbers
section-reasons = Close reasons
section-findings = Findings
section-timers = Timers

explain-linux = On Linux
explain-here = See it
explain-many = When there are many
explain-rfc = Source
explain-usage = tracer explain TERM explains one of them, tracer demo plays it.
explain-legend = ──▶ the usual way of a client, ┄┄▶ of a server; closing, the end that closes first goes
    down the left side.

end-client = client
end-server = server
ask-sends = Which segment does the { $end } send first?
ask-state = In which state is the { $end } then?
ask-acked = Which number is acknowledged to the { $end }: ack = ?
ask-reason = How does the connection end for the { $end }?
ask-again = Which segment is sent again?
answer-right = Right.
answer-wrong = The kernel did otherwise: { $answer }.
answer-unknown = What the kernel did cannot be told from its events; the question does not count.
answer-other = None of these: { $answer }. The question does not count.
answer-keys = Press 1 to { $count }, q to quit.
step-score = { $right } of { $asked } answers were right.
step-total = In all, { $right } of { $asked } answers were right.
step-page = Any key to go on, q to quit.
step-next = Next lesson: { $lesson }
demo-network = In another terminal: tracer top --netns { $netns }. Ctrl-C ends it.
