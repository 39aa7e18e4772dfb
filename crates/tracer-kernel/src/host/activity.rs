//! What a process does: its threads' states, the functions they sleep in, and the descriptors that
//! they wait for. What cannot be read is not known, which is never taken for idleness.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use tracer_event::{
    activity::{Activity, Wait, WaitKind},
    escape::escape,
};

use crate::process::{NANOSECONDS_PER_TICK, Stat, numbered};

/// Threads that are looked at; of a process with more nothing is concluded from what the rest does.
const THREADS: usize = 64;
/// Descriptors among which epoll instances are looked for.
const DESCRIPTORS: usize = 1024;
/// Places that are named.
const WAITS: usize = 8;

/// Whether the first thread of a process waits in accept(): that is read first of servers of which
/// nothing else is suspicious, as most keep connections open that they have answered.
pub(super) fn waits_in_accept(pid: u32) -> bool {
    let function = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    WaitKind::of(&function) == WaitKind::Accept
}

/// What a process does; with the descriptors that it waits for if `descriptors`.
pub(super) fn activity(pid: u32, stat: &Stat, descriptors: bool) -> Activity {
    let directory = format!("/proc/{pid}");
    let mut found = Activity { cpu: stat.cpu_ticks * NANOSECONDS_PER_TICK, ..Activity::default() };
    let mut waits: BTreeMap<String, u32> = BTreeMap::new();
    let mut calls = Calls { served: Some(BTreeSet::new()), epoll: Some(BTreeSet::new()) };
    let tasks = format!("{directory}/task");
    let mut threads = numbered(Path::new(&tasks));
    for thread in threads.by_ref().take(THREADS) {
        if descriptors && let Some(delay) = delayed(&thread) {
            *found.delayed.get_or_insert(0) += delay;
        }
        let stat = fs::read(thread.join("stat")).ok().and_then(|text| Stat::parse(&text));
        match stat.map(|stat| stat.state) {
            Some(b'R') => found.running += 1,
            Some(b'D') => found.blocked += 1,
            Some(_) => {
                let function = fs::read(thread.join("wchan")).unwrap_or_default();
                let function = escape(&function).into_owned();
                let function = match descriptors {
                    true => note_call(&thread, function, &mut calls, &mut found),
                    false => function,
                };
                *waits.entry(function).or_default() += 1;
            }
            // It has just ended.
            None => {}
        }
    }
    let has_more = threads.next().is_some();
    found.waits = places(waits, has_more);
    let served = calls.served.filter(|_| descriptors && !has_more);
    if let Some((served, instances)) = served.and_then(|served| Some((served, epoll(&directory)?)))
    {
        let all: BTreeSet<u32> = instances.values().flatten().copied().collect();
        let attended = calls.epoll.and_then(|by| attended(&instances, by));
        found.unattended = attended.map_or_else(BTreeSet::new, |by| &(&all - &by) - &served);
        found.served = Some(&all | &served);
    }
    found
}

/// What the system calls of threads show; `None` where one cannot be read.
struct Calls {
    /// The descriptors that they wait for in accept() or recv().
    served: Option<BTreeSet<u32>>,
    /// The epoll instances that they wait in.
    epoll: Option<BTreeSet<u32>>,
}

/// For how long a thread was ready and waited for a processor, nanoseconds: the second number.
fn delayed(thread: &Path) -> Option<u64> {
    let text = fs::read_to_string(thread.join("schedstat")).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Where threads wait, most first.
fn places(waits: BTreeMap<String, u32>, has_more: bool) -> Vec<Wait> {
    let mut waits: Vec<Wait> = waits
        .into_iter()
        .map(|(function, threads)| Wait { function: function.into(), threads })
        .collect();
    waits.sort_by_key(|wait| std::cmp::Reverse(wait.threads));
    if has_more || waits.len() > WAITS {
        waits.truncate(WAITS);
        // What the others do is as little known as where the kernel does not say it.
        waits.push(Wait { function: "".into(), threads: 1 });
    }
    waits
}

/// Notes the descriptor that a thread waits for in accept(), recv(), send() or epoll_wait(), and
/// whether it reads standard input: the first argument of its system call (`0 0x4 0x7ffd… `). Where
/// that cannot be read it may be any. Where it lingers in close() it waits for neither.
fn note_call(thread: &Path, function: String, known: &mut Calls, found: &mut Activity) -> String {
    let kind = WaitKind::of(&function);
    let is_socket = matches!(kind, WaitKind::Accept | WaitKind::Receive);
    if !is_socket && kind != WaitKind::Events && !function.contains("pipe_read") {
        return function;
    }
    let text = fs::read_to_string(thread.join("syscall")).unwrap_or_default();
    if calls(&text, &[libc::SYS_close]) {
        return "sk_stream_wait_close".to_owned();
    }
    let fd = first_argument(&text);
    if calls(&text, &[libc::SYS_connect]) {
        // So older kernels call it; it sleeps in `wait_woken` as well.
        found.calls.extend(fd.map(|fd| (fd, false)));
        return "inet_wait_for_connect".to_owned();
    }
    found.reading_input += u32::from(fd == Some(0));
    if let Some(fd) = fd.filter(|_| kind == WaitKind::Receive) {
        found.calls.insert(fd, sends(&text));
    }
    let those = match kind {
        WaitKind::Events => &mut known.epoll,
        _ if is_socket => &mut known.served,
        _ => return function,
    };
    match (those.as_mut(), fd) {
        (Some(those), Some(fd)) => drop(those.insert(fd)),
        _ => *those = None,
    }
    function
}

/// Whether a system call sends: both directions sleep in one function (`wait_woken`).
fn sends(call: &str) -> bool {
    use libc::{SYS_sendfile, SYS_sendmmsg, SYS_sendmsg, SYS_sendto, SYS_write, SYS_writev};
    calls(call, &[SYS_sendfile, SYS_sendmmsg, SYS_sendmsg, SYS_sendto, SYS_write, SYS_writev])
}

fn calls(call: &str, numbers: &[libc::c_long]) -> bool {
    let number = call.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
    number.is_some_and(|number| numbers.contains(&number))
}

fn first_argument(call: &str) -> Option<u32> {
    let word = call.split_ascii_whitespace().nth(1)?;
    u32::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// A process's epoll instances and the descriptors that are registered with each; `None` where there
/// are too many descriptors to look at, one cannot be read, or io_uring is used.
fn epoll(directory: &str) -> Option<BTreeMap<u32, Vec<u32>>> {
    let mut found = BTreeMap::new();
    let open = format!("{directory}/fd");
    let mut descriptors = numbered(Path::new(&open));
    for descriptor in descriptors.by_ref().take(DESCRIPTORS) {
        let target = fs::read_link(&descriptor).ok()?;
        match target.as_os_str().as_encoded_bytes() {
            b"anon_inode:[eventpoll]" => {
                let number = descriptor.file_name()?.to_str()?.to_owned();
                let text = fs::read_to_string(format!("{directory}/fdinfo/{number}")).ok()?;
                found.insert(number.parse().ok()?, registered(&text).collect());
            }
            b"anon_inode:[io_uring]" => return None,
            _ => {}
        }
    }
    descriptors.next().is_none().then_some(found)
}

/// What is registered with these epoll instances, and with those that are registered with them;
/// `None` where one of them is no descriptor of the process, but of a thread alone.
fn attended(instances: &BTreeMap<u32, Vec<u32>>, by: BTreeSet<u32>) -> Option<BTreeSet<u32>> {
    if !by.iter().all(|one| instances.contains_key(one)) {
        return None;
    }
    let mut found = BTreeSet::new();
    let mut open: Vec<u32> = by.into_iter().collect();
    while let Some(registered) = open.pop().map(|one| instances.get(&one)) {
        let new = registered.into_iter().flatten().filter(|fd| found.insert(**fd));
        open.extend(new);
    }
    Some(found)
}

/// `tfd:        5 events:       19 data: …`, a line each. Where nothing but flags is left of the
/// events (EPOLLONESHOT has been told), nobody waits.
fn registered(text: &str) -> impl Iterator<Item = u32> {
    // `EP_PRIVATE_BITS`: EPOLLWAKEUP, EPOLLONESHOT, EPOLLET, EPOLLEXCLUSIVE.
    const FLAGS: u32 = 0xf000_0000;
    let of_line = |line: &str| {
        let mut words = line.strip_prefix("tfd:")?.split_ascii_whitespace();
        let descriptor = words.next()?.parse().ok()?;
        let events = words.nth(1).and_then(|events| u32::from_str_radix(events, 16).ok());
        events.is_none_or(|events| events & !FLAGS != 0).then_some(descriptor)
    };
    text.lines().filter_map(of_line)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0 0x4 0x7ffd2 0x400 0x0 0x0 0x0 0x7ffd 0x7f1", Some(4))]
    #[case("running\n", None)]
    #[case("-1 0x7ffd 0x7f1\n", Some(0x7ffd))]
    #[case("0 0xffffffffffffffff 0x0", None)]
    #[case("", None)]
    fn the_first_argument_is_the_descriptor(#[case] call: &str, #[case] fd: Option<u32>) {
        assert_eq!(first_argument(call), fd);
    }

    #[test]
    fn who_sends_does_not_receive() {
        let call =
            |number: libc::c_long| format!("{number} 0x4 0x7ffd2 0x400 0x0 0x0 0x0 0x7ffd 0x7f1");
        assert!(sends(&call(libc::SYS_sendto)) && sends(&call(libc::SYS_write)));
        assert!(![libc::SYS_recvfrom, libc::SYS_read].map(call).iter().any(|call| sends(call)));
        assert!(!sends("running\n") && !sends(""));
        assert!(
            !sends(&call(libc::SYS_close)) && calls(&call(libc::SYS_close), &[libc::SYS_close])
        );
    }

    #[test]
    fn what_an_epoll_instance_waits_for_is_read() {
        let text = "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1\n\
                    tfd:        5 events:       19 data:                5  pos:0 ino:61 sdev:9\n\
                    tfd:       12 events:       1d data: c  pos:0 ino:61 sdev:9\n\
                    tfd:       13 events: 40000000 data: d  pos:0 ino:62 sdev:9\n\
                    tfd:       14 events: 80002019 data: e  pos:0 ino:63 sdev:9\ntfd: x\n";
        assert_eq!(registered(text).collect::<Vec<_>>(), [5, 12, 14]);
    }

    #[rstest]
    #[case::its_own(&[3], Some(vec![5, 6]))]
    #[case::one_in_another(&[7], Some(vec![4, 8]))]
    #[case::nobody_waits(&[], Some(vec![]))]
    #[case::of_a_thread_alone(&[3, 99], None)]
    fn who_waits_in_an_epoll_instance_waits_for_what_is_registered_there(
        #[case] by: &[u32],
        #[case] expected: Option<Vec<u32>>,
    ) {
        let instances = [(3, vec![5, 6]), (4, vec![8]), (7, vec![4])].into();
        let found = attended(&instances, by.iter().copied().collect());
        assert_eq!(found, expected.map(|fds| fds.into_iter().collect()));
    }

    #[test]
    fn what_is_not_named_is_not_known() {
        let of = |count: u32| (0..count).map(|n| (n.to_string(), 1)).collect();
        assert!(places(of(8), false).iter().all(|one| one.function.parse::<u32>().is_ok()));
        for all in [places(of(9), false), places(of(1), true)] {
            assert_eq!(all.last().map(|one| &*one.function), Some(""));
        }
    }

    #[test]
    fn a_thread_that_sleeps_is_seen_to_sleep() {
        let pid = std::process::id();
        let sleeper = std::thread::spawn(|| std::thread::sleep(std::time::Duration::from_secs(1)));
        std::thread::sleep(std::time::Duration::from_millis(200));
        let seen = activity(pid, &Stat::of(pid).unwrap(), true);
        let sleeps = |wait: &Wait| WaitKind::of(&wait.function) == WaitKind::Sleep;
        assert!(seen.waits.iter().any(sleeps), "{seen:?}");
        assert!(seen.running > 0, "this thread runs: {seen:?}");
        assert!(seen.delayed.is_some());
        sleeper.join().unwrap();
    }
}
