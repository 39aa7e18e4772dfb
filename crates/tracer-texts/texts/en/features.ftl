# What a kernel or privileges may not allow, as the code has it in English: a line each.

features-resets-without-a-socket = resets without a socket
features-socket-cookies = socket cookies
features-programs = programs
features-stacks = stacks
features-other-network-namespaces = other network namespaces
features-other-processes = other processes
features-precedence = precedence
features-containers = containers
features-nothing-is-traced = nothing is traced
features-only-addresses-ports-and-states-are = only addresses, ports and states are known: no cookie, namespace, RTT, sequence numbers, close reason, nor sockets from before
features-events-that-the-kernel-skips-under-l = events that the kernel skips under load are lost, but counted
features-whether-an-rst-or-an-icmp-error-ende = whether an RST or an ICMP error ended a connection is a guess
features-data-after-close-is-reported-as-a-re = data after close is reported as a received reset
features-connections-that-this-host-refuses-a = connections that this host refuses, as nobody listens there, are not shown
features-retransmitted-syns-and-fins-are-not = retransmitted SYNs and FINs are not shown
features-retransmitted-syn-acks-are-not-shown = retransmitted SYN+ACKs are not shown
features-sockets-are-told-apart-by-their-addr = sockets are told apart by their address, which the kernel reuses
features-sockets-that-exist-already-are-not-s = sockets that exist already are not shown
features-descriptors-of-stuck-sockets-are-not = descriptors of stuck sockets are not shown
features-a-process-is-named-after-the-thread = a process is named after the thread that opens or closes a socket, and a process ID that was reused meanwhile is not noticed
features-a-server-s-sockets-are-named-by-thei = a server's sockets are named by their listener, with a `?`, until they are closed or a snapshot shows who holds them
features-while-a-trace-runs-each-system-call = while a trace runs, each system call of the host takes about 10 ns longer, and who accepts by io_uring or in a 32-bit program is not seen
features-of-listeners-with-mptcp-as-services = of listeners with MPTCP, as services in Go have, it is not known who holds their sockets, how old half-open connections are, and which orphans still wait for the peer's FIN
features-program-and-parent-of-processes-that = program and parent of processes that end at once are not known
features-which-code-created-a-socket-is-not-k = which code created a socket is not known (--stacks)
features-sockets-from-before-are-known-in-the = sockets from before are known in the tracer's own namespace only; events come from all
features-programs-descriptors-and-namespaces = programs, descriptors and namespaces of processes with other users or capabilities are not known
features-on-a-busy-host-the-reader-waits-for = on a busy host the reader waits for its turn, and events can be lost meanwhile
features-sockets-are-shown-without-their-cont = sockets are shown without their container
features-outputs-that-create-files-could-writ = outputs that create files could write elsewhere too, and listen on other ports
features-the-kernel-does-not-forbid-tracer-to = the kernel does not forbid tracer to execute programs and to write files
features-a-server-s-sockets-are-named-by-thei-2 = a server's sockets are named by their listener, with a `?`, until they are closed or a snapshot shows who holds them; only the stacks of connect() are known
features-use-a-kernel-with-config-seccomp-fil = use a kernel with CONFIG_SECCOMP_FILTER
features-use-a-kernel-with-fexit-on-x86-64-li = use a kernel with fexit: on x86-64 Linux 5.5, on arm64 6.0, and not hardened
features-run-as-root-or-add-cap-dac-read-sear = run as root, or add CAP_DAC_READ_SEARCH
features-use-a-kernel-with-config-ftrace-sysc = use a kernel with CONFIG_FTRACE_SYSCALLS
features-use-a-kernel-with-config-ftrace-sysc-2 = use a kernel with CONFIG_FTRACE_SYSCALLS and without lockdown=confidentiality
features-use-linux-5-12-or-later = use Linux 5.12 or later
features-use-linux-5-12-or-later-or-lockdown = use Linux 5.12 or later, or lockdown=integrity
features-use-lockdown-integrity = use lockdown=integrity
features-use-a-kernel-with-btf-and-config-per = use a kernel with BTF and CONFIG_PERF_EVENTS
features-mount-the-sys-fs-cgroup-of-the-host = mount the /sys/fs/cgroup of the host
features-mount-t-cgroup2-cgroup2-sys-fs-cgrou = mount -t cgroup2 cgroup2 /sys/fs/cgroup
features-use-linux-6-10-or-later-with-config = use Linux 6.10 or later with CONFIG_SECURITY_LANDLOCK, and `landlock` in lsm=
features-use-linux-5-9-or-later = use Linux 5.9 or later
features-use-linux-6-12-or-later = use Linux 6.12 or later
features-use-a-kernel-that-has-this-tracepoin = use a kernel that has this tracepoint
features-use-a-kernel-with-config-debug-info = use a kernel with CONFIG_DEBUG_INFO_BTF
features-use-linux-5-9-or-later-with-config-d = use Linux 5.9 or later with CONFIG_DEBUG_INFO_BTF, without lockdown=confidentiality
features-run-as-root-or-add-cap-sys-admin = run as root, or add CAP_SYS_ADMIN
features-run-as-root-or-add-cap-sys-ptrace-an = run as root, or add CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH
features-run-as-root-or-add-cap-sys-nice = run as root, or add CAP_SYS_NICE
features-this-kernel-s-landlock-is-older-than = this kernel's Landlock is older than 6.10: ports, or cutting files short, are not confined
features-this-kernel-has-no-landlock-or-it-is = this kernel has no Landlock, or it is not enabled
features-the-classic-tracepoint-is-in-use = the classic tracepoint is in use
features-earlier-events = earlier events
features-what-happened-before-the-first-event = what happened before the first event
features-more-with-recorder-keep-and-memory = more with [recorder] keep and memory
features-run-as-root-or-add-cap-bpf-and-cap-p = run as root, or add CAP_BPF and CAP_PERFMON
