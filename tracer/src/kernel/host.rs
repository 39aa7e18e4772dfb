//! Facts of the host beside its sockets, read from `/proc` and the cgroup file system.
//!
//! Settings and counters are those of the calling thread's network namespace: the snapshot's
//! thread reads them while it is in each. What cannot be read stays unknown.

pub(crate) mod parse;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

use self::parse::Status;
use super::{cgroup::owner_in, surroundings::of_process, time};
use crate::model::{
    connection::SocketId,
    host::{Halt, NetFacts, ProcessFacts, TimeWaitReuse},
    state::State,
    table::Snapshot,
};

/// Settings and counters of the namespace that the calling thread is in.
///
/// Not `/proc/net`: that is the namespace of the process's first thread.
pub(super) fn net_facts() -> NetFacts {
    let setting = |name| read(&format!("/proc/sys/net/{name}"));
    let number = |name| setting(name).and_then(|text| text.trim().parse::<u64>().ok());
    let reserved = setting("ipv4/ip_local_reserved_ports").unwrap_or_default();
    NetFacts {
        ports: setting("ipv4/ip_local_port_range")
            .and_then(|range| parse::port_range(&range, &reserved)),
        reuse: number("ipv4/tcp_tw_reuse")
            .map_or_else(Default::default, TimeWaitReuse::from_setting),
        max_time_wait: number("ipv4/tcp_max_tw_buckets"),
        max_syn_backlog: number("ipv4/tcp_max_syn_backlog"),
        somaxconn: number("core/somaxconn"),
        fin_timeout: number("ipv4/tcp_fin_timeout"),
        counters: read("/proc/thread-self/net/netstat")
            .map(|text| parse::counters(&text))
            .unwrap_or_default(),
        process: None,
    }
}

/// Numbers and names of the interfaces with IPv6 addresses, of the same namespace.
pub(super) fn interfaces() -> Vec<(u32, String)> {
    parse::interfaces(&fs::read("/proc/thread-self/net/if_inet6").unwrap_or_default())
}

/// The processes that hold sockets in CLOSE_WAIT, or listeners with connections that wait.
pub(super) fn processes_of(snapshot: &Snapshot) -> BTreeMap<u32, ProcessFacts> {
    let stuck: HashSet<SocketId> = snapshot
        .records
        .iter()
        .filter(|record| match State::from_kernel(record.new_state) {
            Some(State::CloseWait) => true,
            Some(State::Listen) => record.accept_queue > 0,
            _ => false,
        })
        .map(SocketId::of)
        .collect();
    let holders = snapshot.holders.iter().filter(|holder| stuck.contains(&SocketId::held(holder)));
    let mut pids: BTreeMap<u32, (u64, BTreeSet<u32>)> = BTreeMap::new();
    for holder in holders {
        let (start, tids) = pids.entry(holder.pid).or_default();
        *start = holder.start_ns;
        tids.insert(holder.tid);
    }
    let facts = |(pid, (start, tids))| Some((pid, process_facts(pid, start, &tids)?));
    pids.into_iter().filter_map(facts).collect()
}

/// What `/proc` tells of a process that was started at `start_ns` (`CLOCK_BOOTTIME`); `None` where
/// its number has another bearer by now, or another one in this `/proc`'s pid namespace. `tids` are
/// the threads whose descriptor tables count: the limit is of each, so the fullest.
fn process_facts(pid: u32, start_ns: u64, tids: &BTreeSet<u32>) -> Option<ProcessFacts> {
    let directory = format!("/proc/{pid}");
    let Status { state, parent, start_ticks } =
        parse::status(&fs::read(format!("{directory}/stat")).ok()?)?;
    let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    if start_ticks.abs_diff(time::shown_since_boot(start_ns) / tick) > 1 {
        return None;
    }
    let groups = fs::read(format!("{directory}/cgroup")).ok();
    // What freezes is looked for where the file system shows it: names that are no text stay out.
    let text = groups.as_deref().and_then(|lines| str::from_utf8(lines).ok());
    let halted = match state {
        b'T' => Some(Halt::Stopped),
        b't' => Some(Halt::Traced),
        _ => text.is_some_and(is_frozen).then_some(Halt::Frozen),
    };
    Some(ProcessFacts {
        parent,
        halted,
        executable: fs::read_link(format!("{directory}/exe"))
            .ok()
            .map(|path| path.as_os_str().as_bytes().to_vec()),
        netns: fs::metadata(format!("{directory}/ns/net"))
            .ok()
            .and_then(|file| u32::try_from(file.ino()).ok()),
        container: groups
            .as_deref()
            .and_then(|lines| of_process(lines, owner_in))
            .and_then(|group| group.container),
        descriptors: tids
            .iter()
            .filter_map(|tid| count_descriptors(Path::new(&format!("{directory}/task/{tid}/fd"))))
            .max(),
        descriptor_limit: read(&format!("{directory}/limits"))
            .and_then(|text| parse::descriptor_limit(&text)),
    })
}

/// Since 6.2 the directory's size is their number.
fn count_descriptors(directory: &Path) -> Option<u64> {
    match fs::metadata(directory).ok()?.len() {
        0 => Some(fs::read_dir(directory).ok()?.count() as u64),
        count => Some(count),
    }
}

/// Whether the freezer of cgroup v2 or v1 holds a process, by its `/proc/PID/cgroup`.
fn is_frozen(groups: &str) -> bool {
    let (unified, freezer) = parse::cgroups(groups);
    let holds = |path: String, line: &str| read(&path).is_some_and(|text| has_line(&text, line));
    unified.is_some_and(|path| {
        holds(format!("/sys/fs/cgroup{path}/cgroup.events"), "frozen 1")
            || holds(format!("/sys/fs/cgroup/unified{path}/cgroup.events"), "frozen 1")
    }) || freezer
        .is_some_and(|path| holds(format!("/sys/fs/cgroup/freezer{path}/freezer.state"), "FROZEN"))
}

fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|other| other == line)
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
        let stat = fs::read("/proc/self/stat").unwrap();
        let ticks = parse::status(&stat).unwrap().start_ticks;
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        let tids = BTreeSet::from([pid]);
        let own = process_facts(pid, ticks * tick, &tids).unwrap();
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        assert_eq!(own.halted, None);
        assert!(own.descriptors.unwrap() >= 3 && own.netns.is_some());
        let another = process_facts(pid, (ticks + 100) * tick, &tids);
        assert!(another.is_none(), "another bearer of the number");
    }
}
