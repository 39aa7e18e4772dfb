//! Facts about the host besides its sockets, read from `/proc` and the cgroup file system.
//!
//! Settings and counters are those of the calling thread's network namespace: the snapshot's
//! thread reads them while it is in each. What cannot be read stays unknown.

mod activity;
pub mod parse;
mod quota;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use super::{
    cgroup::{self, of_process, owner_in},
    process::Stat,
    time,
};
use tracer_event::{
    endpoint::Tuple,
    host::{NetFacts, ProcessFacts, TimeWaitReuse, Timeouts},
    process::Halt,
    state::State,
};
use tracer_model::{connection::SocketId, held, table::Snapshot, unread::is_suspicious};
use tracer_wire::Record;

/// Settings and counters of the namespace that the calling thread is in.
///
/// Not `/proc/net`: that is the namespace of the process's first thread.
pub(super) fn net_facts() -> NetFacts {
    let setting = |name| read(&format!("/proc/sys/net/{name}"));
    let number = |name| setting(name).and_then(|text| text.trim().parse::<u64>().ok());
    let reserved = setting("ipv4/ip_local_reserved_ports").unwrap_or_default();
    let netstat = read("/proc/thread-self/net/netstat");
    let mut counters = netstat.map(|text| parse::counters(&text)).unwrap_or_default();
    if number("ipv4/tcp_syncookies") == Some(2) {
        // Each SYN is answered with one, and counted, however few are half open
        // (`tcp_syn_flood_action`).
        counters.syn_cookies = 0;
    }
    NetFacts {
        ports: setting("ipv4/ip_local_port_range")
            .and_then(|range| parse::port_range(&range, &reserved)),
        reuse: number("ipv4/tcp_tw_reuse")
            .map_or_else(Default::default, TimeWaitReuse::from_setting),
        max_time_wait: number("ipv4/tcp_max_tw_buckets"),
        max_syn_backlog: number("ipv4/tcp_max_syn_backlog"),
        somaxconn: number("core/somaxconn"),
        fin_timeout: number("ipv4/tcp_fin_timeout"),
        mtu_probing: number("ipv4/tcp_mtu_probing"),
        timeouts: Timeouts {
            retries: number("ipv4/tcp_retries2"),
            orphan_retries: number("ipv4/tcp_orphan_retries"),
            longest_ms: number("ipv4/tcp_rto_max_ms"),
            keepalive_time: number("ipv4/tcp_keepalive_time"),
            keepalive_interval: number("ipv4/tcp_keepalive_intvl"),
            keepalive_probes: number("ipv4/tcp_keepalive_probes"),
        },
        counters,
        entry: None,
    }
}

/// Numbers and names of the interfaces with IPv6 addresses, of the same namespace.
pub(super) fn interfaces() -> Vec<(u32, String)> {
    parse::interfaces(&fs::read("/proc/thread-self/net/if_inet6").unwrap_or_default())
}

/// Processes of which it is read what they wait for, which takes some files a descriptor.
const WATCHED: usize = 64;
/// Processes with at least so many sockets of which descriptors are counted, and so many of these.
const MANY: u32 = 32;
const CROWDED: usize = 16;

/// What is to be read of a process.
#[derive(Default)]
struct Asked {
    start_ns: u64,
    /// Threads whose descriptor tables count.
    tids: BTreeSet<u32>,
    /// The descriptors that it waits for.
    served: bool,
}

/// The processes that hold sockets in CLOSE_WAIT, listeners with connections that wait, connections
/// to themselves, what somebody else may be done with, or what is not read; and those with most
/// sockets.
pub(super) fn processes_of(snapshot: &Snapshot) -> BTreeMap<u32, ProcessFacts> {
    let stuck = snapshot.records.iter().filter(|record| is_stuck(record));
    let stuck: HashSet<SocketId> = stuck.map(SocketId::of).collect();
    let ticks = time::ticks();
    let silent = held::silent(&snapshot.records, &snapshot.holders, ticks);
    let left: HashSet<SocketId> = silent.by_listener.into_iter().map(SocketId::of).collect();
    let unread = snapshot.records.iter().filter(|record| is_suspicious(record, ticks));
    let waited_at = snapshot.records.iter().filter(|record| {
        State::from_kernel(record.new_state) == Some(State::Listen) && record.accept_queue > 0
    });
    let held = silent.apart.into_iter().chain(unread).chain(waited_at);
    let held: HashSet<SocketId> = held.map(SocketId::of).collect();
    let crowded = crowded(snapshot);
    let mut pids: BTreeMap<u32, Asked> = BTreeMap::new();
    let mut served: HashSet<u32> = HashSet::new();
    let mut accepts: HashMap<u32, bool> = HashMap::new();
    for holder in &snapshot.holders {
        let id = SocketId::held(holder);
        let pid = holder.pid;
        let is_served = held.contains(&id) && (served.len() < WATCHED || served.contains(&pid));
        let is_left = left.contains(&id)
            && *accepts.entry(pid).or_insert_with(|| activity::waits_in_accept(pid));
        if is_served {
            served.insert(pid);
        }
        if stuck.contains(&id) || is_served || is_left || crowded.contains(&pid) {
            let asked = pids.entry(pid).or_default();
            asked.start_ns = holder.start_ns;
            asked.tids.insert(holder.tid);
            asked.served |= is_served;
        }
    }
    let facts = |(pid, asked)| Some((pid, process_facts(pid, &asked)?));
    pids.into_iter().filter_map(facts).collect()
}

fn is_stuck(record: &Record) -> bool {
    match State::from_kernel(record.new_state) {
        // Closed by one side only: whoever holds it may be to blame.
        Some(State::CloseWait | State::FinWait1 | State::FinWait2 | State::Closing) => true,
        Some(State::Listen) => record.accept_queue > 0,
        Some(State::Established) => is_of_itself(record),
        _ => false,
    }
}

/// The processes with most sockets, whose descriptors may run out.
fn crowded(snapshot: &Snapshot) -> HashSet<u32> {
    let mut counts: HashMap<u32, u32> = HashMap::new();
    for holder in &snapshot.holders {
        *counts.entry(holder.pid).or_default() += 1;
    }
    let mut counts: Vec<(u32, u32)> =
        counts.into_iter().filter(|(_, count)| *count >= MANY).collect();
    counts.sort_unstable_by_key(|(pid, count)| (Reverse(*count), *pid));
    counts.into_iter().take(CROWDED).map(|(pid, _)| pid).collect()
}

/// What `/proc` says of a process that was started at the time asked for (`CLOCK_BOOTTIME`); `None`
/// where another process has its pid by now, or has it in this `/proc`'s pid namespace. The limit of
/// descriptors is of each table, so the fullest counts.
fn process_facts(pid: u32, asked: &Asked) -> Option<ProcessFacts> {
    let Asked { start_ns, tids, served } = asked;
    let directory = format!("/proc/{pid}");
    let stat = Stat::of(pid).filter(|stat| stat.started_at(*start_ns))?;
    let Stat { state, parent, group, .. } = stat;
    let groups = fs::read(format!("{directory}/cgroup")).unwrap_or_default();
    let freezer = freezer(&groups);
    let halted = match state {
        b'T' => Some(Halt::Stopped),
        b't' => Some(Halt::Traced),
        _ => freezer.is_some().then_some(Halt::Frozen),
    };
    let executable = fs::read_link(format!("{directory}/exe")).ok();
    let netns = fs::metadata(format!("{directory}/ns/net")).ok();
    let descriptors = |tid| count_descriptors(Path::new(&format!("{directory}/task/{tid}/fd")));
    Some(ProcessFacts {
        parent,
        halted,
        freezer: freezer.and_then(|file| file.to_str().map(Into::into)),
        leaderless: group != 0 && !Path::new(&format!("/proc/{group}")).exists(),
        activity: activity::activity(pid, &stat, *served),
        executable: executable.map(|path| path.as_os_str().as_bytes().to_vec()),
        netns: netns.and_then(|file| u32::try_from(file.ino()).ok()),
        cgroup: of_process(&groups, owner_in),
        quotas: if *served { quota::quotas(&groups) } else { BTreeMap::new() },
        descriptors: tids.iter().filter_map(descriptors).max(),
        descriptor_limit: read(&format!("{directory}/limits"))
            .and_then(|text| parse::descriptor_limit(&text)),
    })
}

/// Whether a connection is of a socket with itself.
fn is_of_itself(record: &Record) -> bool {
    let Tuple { local, peer, .. } = Tuple::of(record);
    local == peer
}

/// Since 6.2 the directory's size is their number.
fn count_descriptors(directory: &Path) -> Option<u64> {
    match fs::metadata(directory).ok()?.len() {
        0 => Some(fs::read_dir(directory).ok()?.count() as u64),
        count => Some(count),
    }
}

/// The file by which a process is thawed that the freezer of cgroup v2 or v1 holds, by its
/// `/proc/PID/cgroup`: that of the group which is frozen, with all below it.
fn freezer(groups: &[u8]) -> Option<PathBuf> {
    let frozen = |(root, controller, [state, frozen, own, file]): (&str, &[u8], [&str; 4])| {
        let inner = cgroup::mounted(groups, controller)?;
        let says = |group: &Path, file, what| {
            let text = fs::read_to_string(Path::new(root).join(group).join(file));
            text.is_ok_and(|text| text.lines().any(|line| line == what))
        };
        let by = || inner.ancestors().find(|group| says(group, own, "1")).unwrap_or(inner);
        says(inner, state, frozen).then(|| Path::new(root).join(by()).join(file))
    };
    const NEW: [&str; 4] = ["cgroup.events", "frozen 1", "cgroup.freeze", "cgroup.freeze"];
    const OLD: [&str; 4] = ["freezer.state", "FROZEN", "freezer.self_freezing", "freezer.state"];
    let hierarchies: [(&str, &[u8], [&str; 4]); 3] = [
        ("/sys/fs/cgroup", b"", NEW),
        ("/sys/fs/cgroup/unified", b"", NEW),
        ("/sys/fs/cgroup/freezer", b"freezer", OLD),
    ];
    hierarchies.into_iter().find_map(frozen)
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_and_its_namespace_can_be_read() {
        let facts = net_facts();
        assert!(facts.ports.unwrap().size() > 0);
        assert!(facts.somaxconn.unwrap() > 0);
        let pid = std::process::id();
        let ticks = Stat::of(pid).unwrap().start_ticks;
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        let asked = |start_ns| Asked { start_ns, tids: BTreeSet::from([pid]), served: true };
        let own = process_facts(pid, &asked(ticks * tick)).unwrap();
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        assert_eq!(own.halted, None);
        assert!(own.descriptors.unwrap() >= 3 && own.netns.is_some());
        let another = process_facts(pid, &asked((ticks + 100) * tick));
        assert!(another.is_none(), "another process with the pid");
    }
}
