# The words of the screens of `sockets`, `top`, `features`, `pair`, `exec` and `diff`, as the code
# has them in English: a line each, word by word.

# Columns.
screen-column-state = STATE
screen-column-age = AGE
screen-column-idle = IDLE
screen-column-local = LOCAL
screen-column-peer = PEER
screen-column-recvq = RECVQ
screen-column-sendq = SENDQ
screen-column-process = PROCESS
screen-column-container = CONTAINER
screen-column-sockets = SOCKETS
screen-column-oldest = OLDEST
screen-column-states = STATES
screen-column-from = FROM
screen-column-to = TO
screen-column-after = AFTER
screen-column-time = TIME
screen-column-time-utc = TIME (UTC)
screen-column-group = GROUP
screen-column-other = OTHER
screen-column-linger = LINGER
screen-column-change = CHANGE

# tracer sockets
screen-the-kernel = (kernel)
screen-not-accepted = (not accepted)
screen-listening = (listening)
screen-no-sockets = no sockets
screen-no-sockets-in-this-network-namespace = no sockets in this network namespace
screen-not-shown = not shown

# tracer features
screen-kernel = kernel
screen-tracing = tracing
screen-capabilities = capabilities
screen-none = none
screen-not-possible = not possible
screen-with-btf-all-that-the-kernel-knows-of-a-sock = with BTF: all that the kernel knows of a socket
screen-by-the-classic-tracepoint-addresses-ports-an = by the classic tracepoint: addresses, ports and states
screen-if-missing = if missing
screen-to-get-it = to get it
screen-yes = yes
screen-no = no
screen-all-that-takes-privileges-at-once = all that takes privileges, at once
screen-the-whole-list = the whole list

# tracer pair
screen-the-answer = the answer
screen-behind = behind
screen-ahead-of = ahead of
screen-all-for-the-others = --all for the others
screen-events-are-missing-so-nothing-is-said-of-wha = events are missing, so nothing is said of what did not arrive there

# tracer exec
screen-still-open = still open
screen-violated = violated
screen-never-accepted = never accepted
screen-created-at = created at
screen-connected-at = connected at
screen-test = test

# tracer diff
screen-incomplete-events-were-lost = incomplete: events were lost
screen-column-changed-beyond-noise = CHANGED BEYOND NOISE
screen-column-not-beyond-noise = NOT BEYOND NOISE
screen-finding-new = finding new
screen-finding-gone = finding gone
screen-only-after = only after
screen-only-before = only before
screen-too-few-to-exclude-chance = too few to exclude chance
screen-nothing = nothing
screen-new = new
screen-connections = connections
screen-lifetimes = lifetimes
screen-lifetime = lifetime
screen-column-time-wait-entered-churn = TIME_WAIT entered (churn)
screen-connections-with-retransmissions = connections with retransmissions
screen-leaked-connections = leaked connections

# tracer top: the frame.
screen-overview = Overview
screen-sockets = Sockets
screen-diagnosis = Diagnosis
screen-states = States
screen-handshakes = Handshakes
screen-frozen = FROZEN
screen-live = live
screen-no-transitions = no transitions
screen-no-events-lost = no events lost
screen-dismiss = dismiss
screen-see = see ?
screen-too-small-needs-80-24 = too small: needs 80×24

# Its keys, at the bottom.
screen-quit = quit
screen-help = help
screen-next = next
screen-type = type
screen-to-filter = to filter
screen-done = done
screen-clear-filter = clear filter
screen-back = back
screen-scroll = scroll
screen-freeze = freeze
screen-copy-command = copy command
screen-copy-again = copy again
top-diagnosis = diagnosis
screen-find = find
screen-show-sockets = show sockets
screen-details = details
screen-filter = filter
screen-sort = sort
screen-group = group

# Its help.
screen-keys = Keys
screen-terms = Terms
screen-not-available-on-this-host = Not available on this host
screen-messages = Messages
screen-choose-a-screen-or-click-on-its-name = choose a screen; or click on its name
screen-or-h = ? or h
screen-show-or-close-this-help = show or close this help
screen-back-from-details-help-and-a-command-elsewhe = back from details, help and a command; elsewhere quit
screen-f-or-space = f or Space
screen-freeze-the-screen-again-to-resume = freeze the screen; again to resume
screen-dismiss-the-message-at-the-bottom = dismiss the message at the bottom
screen-filter-as-you-type-by-state-address-process = filter as you type, by state, address, process[pid] or @container: close_wait nginx 10.0.0.7:443; Esc clears the filter
screen-sort-by-state-age-process-local-or-peer-s-re = sort by state, age, process, local or peer; S reverses the order
screen-group-by-process-peer-container-or-state-ent = group by process, peer, container or state; Enter opens a group
screen-details-of-a-socket-holders-times-timeline-s = details of a socket: holders, times, timeline, segments
screen-copy-the-command-of-a-finding-s-remedy-again = copy the command of a finding's remedy; again: the next one
screen-go-back-one-step-details-group-filter = go back one step: details, group, filter
screen-one-line-pgup-pgdn-home-end-or-the-wheel-mor = one line; PgUp PgDn, Home End or the wheel: more
screen-min = ±/MIN
screen-in-s = IN/S
screen-linger = LINGER, ⚑
screen-sockets-gained-or-lost-over-the-last-minute = sockets gained or lost over the last minute; blank if unknown
screen-sockets-that-entered-this-state-per-second-o = sockets that entered this state per second, over the last 5 s
screen-sockets-in-a-state-for-longer-than-its-linge = sockets in a state for longer than its --linger threshold
screen-the-peer-has-closed-the-local-program-must-c = the peer has closed, the local program must close() too; many: a leak
screen-closed-first-by-this-end-kept-for-60-s-norma = closed first by this end; kept for 60 s. Normal, unless ports run out
screen-this-end-has-closed-the-peer-has-not = this end has closed, the peer has not
screen-no-answer-yet-a-firewall-a-dead-host-or-a-fu = no answer yet: a firewall, a dead host or a full queue
screen-half-open-the-handshake-s-last-ack-has-not-a = half-open: the handshake's last ACK has not arrived
screen-at-least-the-socket-existed-before-the-trace = at least: the socket existed before the trace began

# Its screens.
screen-comparing-two-snapshots-some-seconds-apart = comparing two snapshots, some seconds apart
screen-last-5-minutes = LAST 5 MINUTES
screen-no-sockets-yet = no sockets yet
screen-no-matches = no matches
screen-local = local
screen-age = age
screen-container = container
screen-reversed = reversed
screen-no-process = (no process)
screen-listeners = (listeners)
screen-no-container = (no container)
screen-not-accepted-yet = not accepted yet
screen-loading = loading
screen-timeline = Timeline
screen-segments = Segments
screen-held-by = held by
screen-cause = cause
screen-ids = ids
screen-duration = duration
screen-at-least = at least
screen-no-events-yet-it-existed-before-the-trace-be = no events yet: it existed before the trace began
screen-a-listener-sends-no-segments-of-its-own = a listener sends no segments of its own
screen-connect-to-established = connect() to ESTABLISHED
screen-syn-ack-to-its-ack = SYN+ACK to its ACK
screen-none-so-far = none so far
screen-recv-syn = recv SYN
screen-recv-ack = recv ACK
screen-recv-syn-ack = recv SYN+ACK
screen-recv-fin = recv FIN
screen-no-resets-timeouts-or-refusals-lately = no resets, timeouts or refusals lately
screen-rst-timeout-refusal = RST, timeout, refusal
screen-copied-to-the-terminal-s-clipboard = Copied to the terminal's clipboard
screen-if-it-does-not-arrive-when-you-paste-many-te = If it does not arrive when you paste (many terminals want OSC 52 allowed, tmux set-clipboard on), select it here: until you go back, the mouse is the terminal's.
screen-no-command-to-copy-no-finding-here-has-one = no command to copy: no finding here has one
