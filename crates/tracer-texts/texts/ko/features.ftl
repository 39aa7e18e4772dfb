# 커널이나 권한 때문에 쓸 수 없는 것: 줄마다 코드의 영어 한 마디.

features-resets-without-a-socket = 소켓 없는 RST
features-socket-cookies = 소켓 쿠키
features-programs = 프로그램
features-stacks = 스택
features-other-network-namespaces = 다른 네트워크 네임스페이스
features-other-processes = 다른 프로세스
features-precedence = 우선순위
features-containers = 컨테이너
features-nothing-is-traced = 아무것도 추적하지 못함
features-only-addresses-ports-and-states-are = 주소, 포트, 상태만 알 수 있음. 쿠키, 네임스페이스, RTT, 순서 번호, 종료 이유, 전부터 있던 소켓은 알 수 없음
features-events-that-the-kernel-skips-under-l = 부하가 클 때 커널이 건너뛴 이벤트를 잃음. 수는 셈
features-whether-an-rst-or-an-icmp-error-ende = RST와 ICMP 오류 가운데 무엇이 연결을 끝냈는지는 추측임
features-data-after-close-is-reported-as-a-re = 닫은 뒤에 온 데이터가 받은 RST로 보고됨
features-connections-that-this-host-refuses-a = LISTEN하는 프로그램이 없어 이 호스트가 거부한 연결이 보이지 않음
features-retransmitted-syns-and-fins-are-not = SYN과 FIN의 재전송이 보이지 않음
features-retransmitted-syn-acks-are-not-shown = SYN+ACK의 재전송이 보이지 않음
features-sockets-are-told-apart-by-their-addr = 커널이 재사용하는 주소로 소켓을 구별함
features-sockets-that-exist-already-are-not-s = 이미 있던 소켓이 보이지 않음
features-descriptors-of-stuck-sockets-are-not = 한 상태에 머무는 소켓의 디스크립터가 보이지 않음
features-a-process-is-named-after-the-thread = 프로세스가 소켓을 열거나 닫은 스레드의 이름으로 나오고, 그사이 재사용된 프로세스 번호를 알아채지 못함
features-a-server-s-sockets-are-named-by-thei = 서버의 소켓은 닫히거나 디스크립터에서 소유자가 보일 때까지 listener의 이름에 `?`를 붙여 나옴
features-while-a-trace-runs-each-system-call = 추적하는 동안 호스트의 모든 시스템 호출이 10 ns쯤 느려지고, io_uring이나 32비트 프로그램의 accept는 보이지 않음
features-of-listeners-with-mptcp-as-services = Go 서비스처럼 MPTCP를 쓰는 listener의 소켓 소유자, 반쯤 열린 연결의 나이, 상대의 FIN을 기다리는 고아를 알 수 없음
features-program-and-parent-of-processes-that = 곧바로 끝난 프로세스의 프로그램과 부모를 알 수 없음
features-which-code-created-a-socket-is-not-k = 어느 코드가 소켓을 만들었는지 알 수 없음 (--stacks)
features-sockets-from-before-are-known-in-the = 전부터 있던 소켓은 자기 네임스페이스 것만 알 수 있음. 이벤트는 모두 옴
features-programs-descriptors-and-namespaces = 다른 사용자나 다른 권한으로 실행되는 프로세스의 프로그램, 디스크립터, 네임스페이스를 알 수 없음
features-on-a-busy-host-the-reader-waits-for = 바쁜 호스트에서는 읽는 스레드가 차례를 기다리는 동안 이벤트를 잃을 수 있음
features-sockets-are-shown-without-their-cont = 소켓에 컨테이너가 나오지 않음
features-outputs-that-create-files-could-writ = 파일을 만드는 출력이 다른 곳에도 쓰거나 다른 포트에서 LISTEN할 수 있음
features-the-kernel-does-not-forbid-tracer-to = 커널이 tracer의 프로그램 실행과 파일 쓰기를 막지 않음
features-a-server-s-sockets-are-named-by-thei-2 = 서버의 소켓은 닫히거나 디스크립터에서 소유자가 보일 때까지 listener의 이름에 `?`를 붙여 나옴. 스택은 connect()의 것만 알 수 있음
features-use-a-kernel-with-config-seccomp-fil = CONFIG_SECCOMP_FILTER가 있는 커널을 쓸 것
features-use-a-kernel-with-fexit-on-x86-64-li = fexit가 있는 커널을 쓸 것: x86-64는 Linux 5.5, arm64는 6.0부터이며 강화되지 않은 것
features-run-as-root-or-add-cap-dac-read-sear = root로 실행하거나 CAP_DAC_READ_SEARCH를 더할 것
features-use-a-kernel-with-config-ftrace-sysc = CONFIG_FTRACE_SYSCALLS가 있는 커널을 쓸 것
features-use-a-kernel-with-config-ftrace-sysc-2 = CONFIG_FTRACE_SYSCALLS가 있고 lockdown=confidentiality가 아닌 커널을 쓸 것
features-use-linux-5-12-or-later = Linux 5.12 이상을 쓸 것
features-use-linux-5-12-or-later-or-lockdown = Linux 5.12 이상 또는 lockdown=integrity를 쓸 것
features-use-lockdown-integrity = lockdown=integrity를 쓸 것
features-use-a-kernel-with-btf-and-config-per = BTF와 CONFIG_PERF_EVENTS가 있는 커널을 쓸 것
features-mount-the-sys-fs-cgroup-of-the-host = 호스트의 /sys/fs/cgroup을 마운트할 것
features-mount-t-cgroup2-cgroup2-sys-fs-cgrou = mount -t cgroup2 cgroup2 /sys/fs/cgroup
features-use-linux-6-10-or-later-with-config = CONFIG_SECURITY_LANDLOCK이 있는 Linux 6.10 이상을 쓰고 lsm=에 `landlock`을 넣을 것
features-use-linux-5-9-or-later = Linux 5.9 이상을 쓸 것
features-use-linux-6-12-or-later = Linux 6.12 이상을 쓸 것
features-use-a-kernel-that-has-this-tracepoin = 이 트레이스포인트가 있는 커널을 쓸 것
features-use-a-kernel-with-config-debug-info = CONFIG_DEBUG_INFO_BTF가 있는 커널을 쓸 것
features-use-linux-5-9-or-later-with-config-d = CONFIG_DEBUG_INFO_BTF가 있고 lockdown=confidentiality가 아닌 Linux 5.9 이상을 쓸 것
features-run-as-root-or-add-cap-sys-admin = root로 실행하거나 CAP_SYS_ADMIN을 더할 것
features-run-as-root-or-add-cap-sys-ptrace-an = root로 실행하거나 CAP_SYS_PTRACE와 CAP_DAC_READ_SEARCH를 더할 것
features-run-as-root-or-add-cap-sys-nice = root로 실행하거나 CAP_SYS_NICE를 더할 것
features-this-kernel-s-landlock-is-older-than = 이 커널의 Landlock은 6.10보다 오래됨: 포트와 파일 자르기는 제한되지 않음
features-this-kernel-has-no-landlock-or-it-is = 이 커널에 Landlock이 없거나 꺼져 있음
features-the-classic-tracepoint-is-in-use = 고전 트레이스포인트를 쓰고 있음
features-earlier-events = 그 앞의 이벤트
features-what-happened-before-the-first-event = 첫 이벤트 앞에 일어난 일
features-more-with-recorder-keep-and-memory = 설정 파일의 [recorder]에서 keep과 memory를 늘릴 것
features-run-as-root-or-add-cap-bpf-and-cap-p = root로 실행하거나 CAP_BPF와 CAP_PERFMON을 더할 것
