//! What a filter names and does not exist when a trace starts: a typing error would otherwise look
//! like a quiet host. It may appear later, so none of it is an error.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use super::{cgroup, mounts, namespaces::Namespaces, process};
use tracer_event::{
    container::{Cgroup, is_named},
    escape::{escape, harmless},
};
use tracer_model::filter::{Condition, Filter, kept};

/// `PROC_PID_INIT_INO`, include/linux/proc_ns.h.
const INITIAL_PIDS: u64 = 0xefff_fffc;

/// One line for each thing that is not there, and one where numbers of processes are others than
/// those that are seen here.
pub fn absent(filter: &Filter) -> Vec<String> {
    let namespaced = fs::metadata("/proc/self/ns/pid").is_ok_and(|one| one.ino() != INITIAL_PIDS);
    let mut lines = Vec::new();
    if namespaced {
        lines.push(
            "process ids, of filters too, are the host's, as tracer runs in a pid namespace: on the \
             host, `grep NSpid /proc/PID/status` shows both"
                .into(),
        );
    } else {
        lines.extend(processes(filter));
        let is_gone = |netns: &u32| Namespaces::new(Some(*netns)).all(&[]).is_empty();
        lines.extend(filter.netns().filter(is_gone).map(|netns| {
            format!("netns {netns}: there is no such namespace now; see lsns -t net")
        }));
    }
    lines.extend(groups(filter));
    lines
}

/// Of processes. In a pid namespace those of the host are not seen, nor the network namespaces that
/// they lead to.
fn processes(filter: &Filter) -> impl Iterator<Item = String> {
    let is_gone = |pid: &&u32| !Path::new("/proc").join(pid.to_string()).exists();
    let conditions = filter.expression().affirmed();
    let pids = conditions.iter().filter_map(|condition| match condition {
        Condition::Pid(pids) => Some(pids.iter().copied()),
        _ => None,
    });
    let pids: Vec<u32> = pids.flatten().filter(|pid| is_gone(&pid)).collect();
    let pids = pids.into_iter().map(|pid| format!("pid {pid}: there is no such process now"));
    let names = conditions.into_iter().filter_map(|condition| match condition {
        Condition::Comm(name) => Some(name),
        _ => None,
    });
    let names = missing(names, |wanted| {
        let named = |process: &Path| fs::read(process.join("comm")).ok();
        let is_it = |name: Vec<u8>| name.strip_suffix(b"\n") == Some(kept(wanted));
        process::all().filter_map(|process| named(&process)).any(is_it)
    });
    let named = |name: &String| {
        let name = escape(name.as_bytes());
        format!("comm {name}: no process has that name now; the kernel keeps 15 bytes of it")
    };
    pids.chain(names.map(named))
}

/// Of containers and control groups.
fn groups(filter: &Filter) -> Vec<String> {
    let conditions = filter.expression().affirmed();
    let containers = conditions.iter().filter_map(|condition| match condition {
        Condition::Container(name) => Some(name),
        _ => None,
    });
    let containers = missing(containers, |wanted| {
        exists(|group| group.container.as_deref().is_some_and(|name| is_named(name, wanted)))
    });
    let containers = containers.map(|name| {
        let name = escape(name.as_bytes());
        format!("container {name}: there is no such container now; it takes an id, or the name of one of LXC or nspawn")
    });
    let cgroups = conditions.iter().filter_map(|condition| match condition {
        Condition::Cgroup(path) => Some(path),
        _ => None,
    });
    let cgroups = missing(cgroups, |wanted| exists(|group| group.is_within(wanted)));
    containers
        .chain(cgroups.map(|name| {
            let name = harmless(name);
            format!("cgroup {name}: there is no such group now; /proc/PID/cgroup has their paths")
        }))
        .collect()
}

fn missing<'a>(
    wanted: impl Iterator<Item = &'a String>,
    exists: impl Fn(&str) -> bool,
) -> impl Iterator<Item = &'a String> {
    wanted.filter(move |one| !exists(one))
}

/// Whether one of the groups that are mounted is such a one, or, where a part is not mounted here,
/// one of a process.
fn exists(is_it: impl Fn(&Cgroup) -> bool) -> bool {
    let root = Cgroup::new("/".into(), None);
    let of = |process: std::path::PathBuf| {
        cgroup::of_process(&fs::read(process.join("cgroup")).ok()?, cgroup::owner_in)
    };
    is_it(&root)
        || cgroup::all(&mounts::read()).any(|group| is_it(&group))
        || process::all().filter_map(of).any(|group| is_it(&group))
}

#[cfg(test)]
mod tests {
    use tracer_model::filter::Expression;

    use super::*;

    fn filter<const N: usize>(conditions: [Condition; N]) -> Filter {
        Expression::all_of(conditions.map(Expression::Is)).into()
    }

    #[test]
    fn what_is_there_is_not_remarked_upon() {
        let own = |path| fs::metadata(path).unwrap().ino() as u32;
        let comm = fs::read_to_string("/proc/self/comm").unwrap();
        let there = filter([
            Condition::Pid(vec![std::process::id()]),
            // The kernel has cut the name of this thread already.
            Condition::Comm(comm.trim_end().into()),
            Condition::Netns(own("/proc/self/ns/net")),
            Condition::Cgroup("/".into()),
        ]);
        assert_eq!(absent(&there), [""; 0]);
        assert_eq!(absent(&Filter::default()), [""; 0]);
    }

    #[test]
    fn what_is_not_there_is_named_each() {
        let filter = filter([
            Condition::Pid(vec![u32::MAX, std::process::id()]),
            Condition::Comm("no\x1bbody".into()),
            Condition::Comm("of 15 bytes at most".into()),
            Condition::Netns(1),
            Condition::Container("0123beef".into()),
            Condition::Cgroup("no-such.service".into()),
            Condition::Cgroup("/no/such".into()),
            Condition::Cgroup("/".into()),
        ]);
        let lines = absent(&filter);
        let begins: Vec<_> = lines.iter().map(|line| line.split_once(':').unwrap().0).collect();
        let expected = [
            "pid 4294967295",
            r"comm no\x1bbody",
            "comm of 15 bytes at most",
            "netns 1",
            "container 0123beef",
            "cgroup no-such.service",
            "cgroup /no/such",
        ];
        assert_eq!(begins, expected);
    }
}
