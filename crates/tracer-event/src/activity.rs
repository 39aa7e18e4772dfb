//! What a process does at the moment of a snapshot: whether its threads run or wait, and for what.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{endpoint::Endpoint, name, process::Process};

/// What a thread waits for, as far as the function tells in which it sleeps in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitKind {
    /// accept().
    Accept,
    /// Data of a peer: recv(), read().
    Receive,
    /// A peer that answers: connect().
    Connect,
    /// A datagram.
    Datagram,
    /// Room in a pipe: write().
    Pipe,
    /// What is registered with an epoll instance.
    Events,
    /// poll() or select(): of which descriptors cannot be seen.
    Poll,
    /// io_uring: for what cannot be seen.
    Ring,
    /// Time, or a signal.
    Sleep,
    /// Another thread (futex).
    Lock,
    /// The end of a child process.
    Child,
    /// Anything else.
    Other,
}

/// Functions by parts of their names, on Linux 5.10 to 7.2: the names of the innermost ones change,
/// and depend on what the compiler has inlined.
const FUNCTIONS: [(&str, WaitKind); 21] = [
    ("inet_csk_accept", WaitKind::Accept),
    ("inet_csk_wait_for_connect", WaitKind::Accept),
    ("wait_woken", WaitKind::Receive),
    ("sk_wait_data", WaitKind::Receive),
    ("tcp_recvmsg", WaitKind::Receive),
    ("inet_wait_for_connect", WaitKind::Connect),
    ("wait_for_more_packets", WaitKind::Datagram),
    ("pipe_write", WaitKind::Pipe),
    ("ep_poll", WaitKind::Events),
    ("epoll_wait", WaitKind::Events),
    ("poll_schedule_timeout", WaitKind::Poll),
    ("do_sys_poll", WaitKind::Poll),
    ("do_select", WaitKind::Poll),
    ("io_cqring_wait", WaitKind::Ring),
    ("nanosleep", WaitKind::Sleep),
    ("pause", WaitKind::Sleep),
    ("sigsuspend", WaitKind::Sleep),
    ("sigtimedwait", WaitKind::Sleep),
    ("futex", WaitKind::Lock),
    ("do_wait", WaitKind::Child),
    ("kernel_wait4", WaitKind::Child),
];

impl WaitKind {
    /// Of a function, as `/proc/PID/task/TID/wchan` names it.
    pub fn of(function: &str) -> Self {
        let known = FUNCTIONS.iter().find(|(part, _)| function.contains(part));
        known.map_or(Self::Other, |(_, kind)| *kind)
    }
}

/// Threads that wait in one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// The function of the kernel in which they sleep (`wchan`).
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    pub function: Box<str>,
    /// How many threads.
    pub threads: u32,
}

impl Wait {
    /// Whether the kernel says where: that of x86-64 writes `0` for all before 5.16 (`get_wchan`).
    pub fn is_known(&self) -> bool {
        !matches!(&*self.function, "" | "0")
    }
}

/// What a process does, as findings say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Doing {
    /// Processor time between the snapshots, percent of one processor.
    pub cpu_percent: Option<u32>,
    /// Time that its threads were ready and waited for a processor, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_percent: Option<u32>,
    /// What keeps it from a processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<Throttled>,
    /// Threads in uninterruptible sleep, as for a disk.
    pub blocked: u32,
    /// Where its other threads wait, most first.
    pub waits: Vec<Wait>,
    /// Whose data it waits for, or who takes none, where the system calls of its threads show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Awaited>,
}

impl Doing {
    /// Whether it has computed all the time, or was ready to.
    pub fn computes(&self) -> bool {
        const ALL: u32 = 90;
        let ready = self.ready_percent.unwrap_or(0);
        self.blocked == 0 && self.cpu_percent.map(|cpu| cpu.saturating_add(ready)) >= Some(ALL)
    }

    /// Where its threads wait, if it is one place: those that wait for a lock wait for others, or
    /// have nothing to do. Of several places nobody knows which matters.
    pub fn cause(&self) -> Option<&Wait> {
        let kind = |wait: &Wait| WaitKind::of(&wait.function);
        let mut others = self.waits.iter().filter(|wait| kind(wait) != WaitKind::Lock);
        let Some(first) = others.next() else { return self.waits.first() };
        let is_alike = |wait: &Wait| match kind(wait) {
            WaitKind::Other => wait.function == first.function,
            known => known == kind(first),
        };
        others.all(is_alike).then_some(first)
    }
}

/// A CPU quota that a process waits for more than it runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Throttled {
    /// The control group whose quota it is.
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    pub group: Box<str>,
    /// Periods of the quota in which the group ran (`nr_periods`) while observed.
    pub periods: u64,
    /// Of these, how many it used up (`nr_throttled`).
    pub throttled: u64,
}

/// A peer that a process waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Awaited {
    /// To take what is sent: its window is closed. Else to send.
    pub takes_nothing: bool,
    /// Its address.
    pub peer: Endpoint,
    /// Who it is, on this host.
    pub process: Option<Process>,
}

/// What a process does at the moment of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Threads on a processor, or ready for one.
    pub running: u32,
    /// Threads in uninterruptible sleep.
    pub blocked: u32,
    /// Where its other threads wait, most first.
    pub waits: Vec<Wait>,
    /// Threads that read standard input, which no peer writes to unless it is a connection.
    pub reading_input: u32,
    /// Processor time used so far, nanoseconds.
    pub cpu: u64,
    /// Time for which they were ready and waited for a processor, nanoseconds; `None` where that
    /// was not asked.
    pub delayed: Option<u64>,
    /// The descriptors that it waits for, by accept(), recv() or epoll; `None` where that was not
    /// asked, or cannot be seen.
    pub served: Option<BTreeSet<u32>>,
    /// Those of them that are registered only with epoll instances in which no thread waits now.
    pub unattended: BTreeSet<u32>,
    /// The descriptors of connections in whose system calls threads wait, and whether to send.
    pub calls: BTreeMap<u32, bool>,
}

impl Activity {
    /// Whether no thread runs, or waits for a certain descriptor or for other peers: false where that
    /// is not known.
    pub fn ignores(&self, fd: u32) -> bool {
        use WaitKind::{Child, Events, Lock, Sleep};
        self.is_off(fd, &[Child, Events, Lock, Sleep])
    }

    /// Whether no thread runs, or waits for a certain descriptor: those that wait for other peers do
    /// not read it either. False where that is not known.
    pub fn leaves_unread(&self, fd: u32) -> bool {
        use WaitKind::{Accept, Child, Connect, Events, Lock, Receive, Sleep};
        self.is_off(fd, &[Accept, Child, Connect, Events, Lock, Receive, Sleep])
    }

    /// The same at this moment: an event loop may be about to come back.
    pub fn is_elsewhere(&self, fd: u32) -> bool {
        self.attended().leaves_unread(fd)
    }

    /// Whether one thread runs, and no other waits for a certain descriptor or for other peers, as
    /// the idle threads of a pool wait for work. False where that is not known.
    pub fn leaves_to_one(&self, fd: u32) -> bool {
        use WaitKind::{Accept, Child, Events, Lock, Sleep};
        let others = Self { running: 0, ..self.attended() };
        let are_off = || others.is_off(fd, &[Accept, Child, Events, Lock, Sleep]);
        self.running == 1 && self.blocked == 0 && (self.waits.is_empty() || are_off())
    }

    /// The same without what nobody waits for at this moment.
    fn attended(&self) -> Self {
        let served = self.served.as_ref().map(|served| served - &self.unattended);
        Self { served, ..self.clone() }
    }

    /// Whether all threads wait in accept(), so that nobody reads any connection, or would write to
    /// one before another comes. False where that is not known.
    pub fn only_accepts(&self) -> bool {
        self.works(&[WaitKind::Accept]) == Some(0) && !self.waits.is_empty()
    }

    fn is_off(&self, fd: u32, idle: &[WaitKind]) -> bool {
        self.works(idle).is_some_and(|at_work| at_work <= self.reading_input)
            && self.served.as_ref().is_some_and(|served| !served.contains(&fd))
    }

    /// How many threads wait for something else, where none runs.
    fn works(&self, idle: &[WaitKind]) -> Option<u32> {
        let is_at_work = |wait: &&Wait| !idle.contains(&WaitKind::of(&wait.function));
        let is_still = self.running == 0 && self.blocked == 0;
        is_still.then(|| self.waits.iter().filter(is_at_work).map(|wait| wait.threads).sum())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn where_a_thread_waits_may_not_be_known() {
        let known = |function: &str| Wait { function: function.into(), threads: 1 }.is_known();
        assert_eq!(["hrtimer_nanosleep", "0", ""].map(known), [true, false, false]);
        // It may be at work with any of its connections.
        assert!(!activity(&["0"], Some(vec![])).ignores(4));
    }

    fn activity(functions: &[&str], served: Option<Vec<u32>>) -> Activity {
        let waits = functions.iter().map(|&one| Wait { function: one.into(), threads: 1 });
        let served = served.map(|fds| fds.into_iter().collect());
        Activity { waits: waits.collect(), served, ..Activity::default() }
    }

    #[rstest]
    #[case::sleeps(&["hrtimer_nanosleep"], Some(vec![]), true)]
    #[case::waits_for_a_child(&["do_wait", "futex_wait_queue"], Some(vec![]), true)]
    #[case::an_event_loop_without_it(&["ep_poll"], Some(vec![3, 9]), true)]
    #[case::an_event_loop_with_it(&["ep_poll"], Some(vec![4]), false)]
    #[case::not_asked(&["hrtimer_nanosleep"], None, false)]
    #[case::poll_may_be_of_it(&["poll_schedule_timeout.constprop.0"], Some(vec![]), false)]
    #[case::works_with_another_peer(&["wait_woken"], Some(vec![9]), false)]
    #[case::works_with_a_pipe(&["hrtimer_nanosleep", "pipe_read"], Some(vec![]), false)]
    fn who_waits_for_something_else_only_ignores_a_descriptor(
        #[case] functions: &[&str],
        #[case] served: Option<Vec<u32>>,
        #[case] ignores: bool,
    ) {
        assert_eq!(activity(functions, served).ignores(4), ignores);
    }

    #[rstest]
    #[case::serves_another(&["wait_woken", "inet_csk_accept"], Some(vec![3, 9]), true)]
    #[case::reads_it(&["wait_woken"], Some(vec![4]), false)]
    #[case::may_read_any(&["wait_woken"], None, false)]
    #[case::may_poll_it(&["do_sys_poll"], Some(vec![]), false)]
    #[case::works_with_a_disk(&["folio_wait_bit"], Some(vec![]), false)]
    fn who_serves_others_does_not_read(
        #[case] functions: &[&str],
        #[case] served: Option<Vec<u32>>,
        #[case] leaves: bool,
    ) {
        assert_eq!(activity(functions, served).leaves_unread(4), leaves);
    }

    /// As execSync() of node waits in an event loop of its own. It may be back in the other one in a
    /// moment.
    #[test]
    fn an_epoll_instance_in_which_nobody_waits_is_no_reader() {
        let outside = Activity {
            unattended: BTreeSet::from([4]),
            ..activity(&["ep_poll", "futex_wait_queue"], Some(vec![4, 9]))
        };
        assert!(outside.is_elsewhere(4) && !outside.is_elsewhere(9));
        assert!(!outside.leaves_unread(4) && !outside.ignores(4));
    }

    #[rstest]
    #[case::alone(1, &[], None, true)]
    #[case::beside_idle_threads(1, &["futex_do_wait", "hrtimer_nanosleep"], Some(vec![]), true)]
    #[case::beside_another_loop(1, &["ep_poll"], Some(vec![9]), true)]
    #[case::beside_its_loop(1, &["ep_poll"], Some(vec![4]), false)]
    #[case::beside_a_loop_of_anything(1, &["ep_poll"], None, false)]
    #[case::beside_its_reader(1, &["futex_do_wait", "wait_woken"], Some(vec![4]), false)]
    #[case::beside_one_that_works(1, &["futex_do_wait", "pipe_read"], Some(vec![]), false)]
    #[case::beside_one_that_runs(2, &["futex_do_wait"], Some(vec![]), false)]
    #[case::all_wait(0, &["futex_do_wait"], Some(vec![]), false)]
    fn a_thread_that_runs_is_the_only_one_that_could_read(
        #[case] running: u32,
        #[case] functions: &[&str],
        #[case] served: Option<Vec<u32>>,
        #[case] is_only: bool,
    ) {
        let activity = Activity { running, ..activity(functions, served) };
        assert_eq!(activity.leaves_to_one(4), is_only);
        assert!(!Activity { blocked: 1, ..activity }.leaves_to_one(4));
    }

    #[rstest]
    #[case::one_place(&["ep_poll"], Some("ep_poll"))]
    #[case::idle_threads(&["futex_do_wait", "hrtimer_nanosleep"], Some("hrtimer_nanosleep"))]
    #[case::a_lock(&["futex_wait_queue", "futex_do_wait"], Some("futex_wait_queue"))]
    #[case::by_two_names(&["ep_poll", "do_epoll_wait"], Some("ep_poll"))]
    #[case::several(&["wait_woken", "hrtimer_nanosleep"], None)]
    #[case::several_unknown(&["pipe_read", "folio_wait_bit"], None)]
    #[case::none(&[], None)]
    fn idle_threads_do_not_say_what_a_process_waits_for(
        #[case] functions: &[&str],
        #[case] cause: Option<&str>,
    ) {
        let doing = Doing { waits: activity(functions, None).waits, ..Doing::default() };
        assert_eq!(doing.cause().map(|wait| &*wait.function), cause);
    }

    #[rstest]
    #[case::in_all_threads(&["inet_csk_accept", "inet_csk_wait_for_connect"], true)]
    #[case::but_one(&["inet_csk_accept", "futex_wait_queue"], false)]
    #[case::between_two_messages(&["hrtimer_nanosleep"], false)]
    fn who_only_accepts_serves_nobody(#[case] functions: &[&str], #[case] only: bool) {
        assert_eq!(activity(functions, None).only_accepts(), only);
        assert!(!Activity { running: 1, ..activity(functions, None) }.only_accepts());
        assert!(!Activity::default().only_accepts(), "nothing was seen");
    }

    #[test]
    fn who_reads_standard_input_serves_nobody() {
        let reader = Activity { reading_input: 1, ..activity(&["pipe_read"], Some(vec![0])) };
        assert!(reader.ignores(4) && !reader.ignores(0));
        let waits = vec![Wait { function: "pipe_read".into(), threads: 2 }];
        assert!(!Activity { waits, ..reader }.ignores(4), "the other one reads something else");
    }

    #[test]
    fn who_runs_or_is_blocked_may_be_at_work() {
        let idle = activity(&["hrtimer_nanosleep"], Some(vec![]));
        assert!(!Activity { running: 1, ..idle.clone() }.ignores(4));
        assert!(!Activity { blocked: 1, ..idle }.ignores(4));
    }
}
