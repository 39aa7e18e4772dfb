//! Who holds the subflows of MPTCP connections, and threads that share no table with others.
//!
//! A process holds the MPTCP socket, of which the programs report the first subflow; a later one is
//! known by its inode number, which is the MPTCP socket's (`mptcp_subflow_create_socket`).

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::{Holder, Record, flag, kind};

use tracer_model::connection::SocketId;

/// Names the subflows of `records` in `holders`, and adds what is missing.
pub(super) fn complete(holders: &mut Vec<Holder>, records: &[Record]) {
    let subflows: Vec<&Record> = records
        .iter()
        .filter(|record| record.kind == kind::SOCKET && record.has(flag::MPTCP))
        .collect();
    if subflows.is_empty() {
        return;
    }
    let cookies: HashMap<u64, u64, RandomState> =
        subflows.iter().map(|record| (record.sk, record.cookie)).collect();
    // The kernel gives no cookie to what it knows by address only.
    for holder in holders.iter_mut().filter(|holder| holder.cookie == 0) {
        holder.cookie = cookies.get(&holder.sk).copied().unwrap_or(0);
    }
    let known: HashSet<SocketId, RandomState> = holders.iter().map(SocketId::held).collect();
    let mut by_inode: HashMap<u64, Vec<Holder>, RandomState> = HashMap::default();
    for holder in holders.iter() {
        by_inode.entry(holder.inode).or_default().push(*holder);
    }
    let is_missing =
        |record: &&&Record| record.inode != 0 && !known.contains(&SocketId::of(record));
    for record in subflows.iter().filter(is_missing) {
        let Record { sk, cookie, netns, .. } = **record;
        let of_file = by_inode.get(&record.inode).into_iter().flatten();
        holders.extend(of_file.map(|holder| Holder { sk, cookie, netns, ..*holder }));
    }
}

/// Keeps one of what several threads show of one table: where the first thread of a process has
/// ended, the kernel takes the table that the others share for one of each.
pub(super) fn deduplicate(holders: &mut Vec<Holder>) {
    let mut seen: HashSet<(u32, u32, u64), RandomState> = HashSet::default();
    holders.retain(|holder| {
        holder.tid == holder.pid || seen.insert((holder.pid, holder.fd, holder.sk))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u64 = 1 << 63 | 0x100;
    const SECOND: u64 = 1 << 63 | 0x200;

    fn holder(pid: u32, tid: u32) -> Holder {
        Holder {
            cookie: 0,
            sk: FIRST,
            inode: 77,
            start_ns: 0,
            pid,
            fd: 5,
            netns: 1,
            tid,
            comm: [0; 16],
        }
    }

    fn subflow(sk: u64, cookie: u64, inode: u64) -> Record {
        let (kind, flags) = (kind::SOCKET, flag::MPTCP);
        Record { kind, flags, sk, cookie, inode, netns: 1, ..Record::EMPTY }
    }

    #[test]
    fn who_holds_the_mptcp_socket_holds_all_its_subflows() {
        let mut holders = vec![holder(7, 7)];
        let records = [subflow(FIRST, 1, 77), subflow(SECOND, 2, 77), subflow(3 << 62, 3, 78)];
        complete(&mut holders, &records);
        let of: Vec<(u64, u64)> = holders.iter().map(|one| (one.cookie, one.sk)).collect();
        assert_eq!(of, [(1, FIRST), (2, SECOND)]);
    }

    #[test]
    fn a_table_that_threads_share_without_their_first_is_told_once() {
        let mut holders = vec![holder(7, 8), holder(7, 9), holder(3, 3), holder(3, 4)];
        deduplicate(&mut holders);
        let of: Vec<(u32, u32)> = holders.iter().map(|one| (one.pid, one.tid)).collect();
        assert_eq!(of, [(7, 8), (3, 3), (3, 4)]);
    }
}
