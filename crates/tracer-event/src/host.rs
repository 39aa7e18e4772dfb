//! What a snapshot says of the host beside its sockets: the settings and counters of each network
//! namespace, and the processes that hold what is stuck.
//!
//! Only the facts: the kernel side reads them, a diagnosis judges them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::{activity::Activity, container::Cgroup, process::Halt};

/// All facts of one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// By inode number.
    pub namespaces: BTreeMap<u32, NetFacts>,
    /// By process id: only those of interest.
    pub processes: BTreeMap<u32, ProcessFacts>,
    /// Network namespace of the tracer.
    pub home: u32,
    /// Addresses of namespaces, where there are no sockets to show them.
    pub local: BTreeSet<(u32, IpAddr)>,
}

impl Host {
    /// A way into a namespace: a process that is there, one of these if possible. Who holds a socket of
    /// a namespace may be in another one.
    pub fn entry(&self, netns: u32, blamed: Vec<u32>) -> Option<Entry> {
        let is_inside =
            |pid: &u32| self.processes.get(pid).is_some_and(|facts| facts.netns == Some(netns));
        let any = || self.namespaces.get(&netns)?.entry.clone();
        blamed.into_iter().find(is_inside).map(Entry::Process).or_else(any)
    }
}

/// A way into a network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A process or thread that is there.
    Process(u32),
    /// Where it is mounted, as `ip netns` does it.
    Mount(Box<str>),
}

impl Entry {
    /// What a command begins with to run there.
    pub fn command(&self) -> String {
        match self {
            Self::Process(pid) => format!("nsenter -t {pid} -n "),
            // A word to a shell, whatever is in it.
            Self::Mount(path) => format!("nsenter --net='{}' ", path.replace('\'', r"'\''")),
        }
    }
}

/// Settings and counters of a network namespace. What the kernel does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetFacts {
    /// From which connect() and bind(0) choose a local port.
    pub ports: Option<PortRange>,
    /// `tcp_tw_reuse`.
    pub reuse: TimeWaitReuse,
    /// `tcp_max_tw_buckets`: TIME_WAIT sockets that may be at one time.
    pub max_time_wait: Option<u64>,
    /// `tcp_max_syn_backlog`: half-open connections of a listener.
    pub max_syn_backlog: Option<u64>,
    /// `somaxconn`: the largest backlog that listen() grants.
    pub somaxconn: Option<u64>,
    /// `tcp_fin_timeout`, seconds: how long an orphan waits in FIN_WAIT2.
    pub fin_timeout: Option<u64>,
    /// `tcp_mtu_probing`: 0 where the kernel does not try smaller segments when it gets no answer.
    pub mtu_probing: Option<u64>,
    /// When the kernel asks a silent peer and when it gives up.
    pub timeouts: Timeouts,
    /// What has been counted since the namespace was made.
    pub counters: Counters,
    /// A way into it, where it is not the tracer's own.
    pub entry: Option<Entry>,
}

/// Settings of when the kernel asks a silent peer whether it is there, and when it gives up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// `tcp_retries2`: retransmissions of a connection that a process holds.
    pub retries: Option<u64>,
    /// `tcp_orphan_retries`: of one that is closed; 0 for eight.
    pub orphan_retries: Option<u64>,
    /// `tcp_rto_max_ms`: the longest time between two retransmissions; since 6.15.
    pub longest_ms: Option<u64>,
    /// `tcp_keepalive_time`: idle time before the first probe, seconds.
    pub keepalive_time: Option<u64>,
    /// `tcp_keepalive_intvl`: between two probes, seconds.
    pub keepalive_interval: Option<u64>,
    /// `tcp_keepalive_probes`: probes without an answer.
    pub keepalive_probes: Option<u64>,
}

/// When connect() takes over the port of a TIME_WAIT that is older than a second
/// (`tcp_twsk_unique`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeWaitReuse {
    /// Never, or not known.
    #[default]
    Off,
    /// To any address.
    On,
    /// On the loopback interface: the default since 4.19.
    Loopback,
}

impl TimeWaitReuse {
    /// By the setting's number.
    pub fn from_setting(number: u64) -> Self {
        match number {
            1 => Self::On,
            2 => Self::Loopback,
            _ => Self::Off,
        }
    }

    /// Whether it applies to a connection between these.
    pub fn applies(self, local: IpAddr, peer: IpAddr) -> bool {
        match self {
            Self::Off => false,
            Self::On => true,
            Self::Loopback => local.is_loopback() || peer.is_loopback(),
        }
    }
}

/// Counters of `/proc/net/netstat`, by the names of `include/uapi/linux/snmp.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// `ListenOverflows`: connections not taken because an accept queue was full.
    pub listen_overflows: u64,
    /// `ListenDrops`: the same, and those dropped for other reasons.
    pub listen_drops: u64,
    /// `TCPTimeWaitOverflow`: connections that skipped TIME_WAIT for `tcp_max_tw_buckets`.
    pub time_wait_overflow: u64,
    /// `TCPReqQFullDrop`: SYNs dropped because there were too many half-open connections.
    pub syn_drops: u64,
    /// `TCPReqQFullDoCookies`: SYNs answered with a cookie for the same reason.
    pub syn_cookies: u64,
}

impl Counters {
    /// What was counted since an earlier snapshot.
    pub fn since(self, earlier: Self) -> Self {
        let less = u64::saturating_sub;
        Self {
            listen_overflows: less(self.listen_overflows, earlier.listen_overflows),
            listen_drops: less(self.listen_drops, earlier.listen_drops),
            time_wait_overflow: less(self.time_wait_overflow, earlier.time_wait_overflow),
            syn_drops: less(self.syn_drops, earlier.syn_drops),
            syn_cookies: less(self.syn_cookies, earlier.syn_cookies),
        }
    }
}

/// `ip_local_port_range` without `ip_local_reserved_ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// Lowest port.
    pub low: u16,
    /// Highest port.
    pub high: u16,
    /// Reserved ports, first and last of each run, ascending and apart, as the kernel prints them.
    pub reserved: Vec<(u16, u16)>,
}

impl PortRange {
    /// How many ports there are to choose from.
    pub fn size(&self) -> u32 {
        let length = |low: u16, high: u16| (u32::from(high) + 1).saturating_sub(u32::from(low));
        let reserved = self.reserved.iter();
        let reserved = reserved.map(|&(low, high)| length(low.max(self.low), high.min(self.high)));
        reserved.fold(length(self.low, self.high), u32::saturating_sub)
    }

    /// Whether a port may be chosen.
    pub fn contains(&self, port: u16) -> bool {
        (self.low..=self.high).contains(&port)
            && !self.reserved.iter().any(|&(low, high)| (low..=high).contains(&port))
    }
}

/// What `/proc` says of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Its parent.
    pub parent: u32,
    /// Why it cannot run, if so.
    pub halted: Option<Halt>,
    /// The file by which its control group is thawed, if that is frozen.
    pub freezer: Option<Box<str>>,
    /// The leader of its process group has ended: who started it, as a rule.
    pub leaderless: bool,
    /// What its threads do.
    pub activity: Activity,
    /// Path of the program, where it may be looked at: bytes that anybody may choose.
    pub executable: Option<Vec<u8>>,
    /// Inode number of the network namespace that it is in now; its sockets may be of others.
    pub netns: Option<u32>,
    /// Its control group: that of a container, if it is in one.
    pub cgroup: Option<Cgroup>,
    /// The control groups that it is in and that have a CPU quota, by path: periods in which they ran,
    /// and in which they used it up (`cpu.stat`).
    pub quotas: BTreeMap<Box<str>, [u64; 2]>,
    /// Open descriptors.
    pub descriptors: Option<u64>,
    /// The most that it may have (`RLIMIT_NOFILE`); `None` also for no limit.
    pub descriptor_limit: Option<u64>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(32768, 60999, &[], 28232)]
    #[case(40000, 40009, &[], 10)]
    #[case(40000, 40009, &[(40000, 40001), (40009, 50000)], 7)]
    #[case(40000, 40009, &[(1, 39999), (50000, 50000)], 10)]
    #[case(1, 65535, &[(1, 65535)], 0)]
    fn reserved_ports_are_not_to_choose_from(
        #[case] low: u16,
        #[case] high: u16,
        #[case] reserved: &[(u16, u16)],
        #[case] size: u32,
    ) {
        assert_eq!(PortRange { low, high, reserved: reserved.to_vec() }.size(), size);
    }

    proptest! {
        #[test]
        fn the_size_is_the_number_of_ports_contained(
            low in 1u16..300, length in 0u16..200, start in 1u16..300, reserved in 0u16..200,
        ) {
            let reserved = vec![(start, start + reserved)];
            let range = PortRange { low, high: low + length, reserved };
            let contained = (0..=u16::MAX).filter(|port| range.contains(*port)).count();
            prop_assert_eq!(range.size() as usize, contained);
        }
    }
}
