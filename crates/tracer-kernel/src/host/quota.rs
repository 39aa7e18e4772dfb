//! CPU quotas of the control groups that a process is in, and how often they were used up.

use std::{collections::BTreeMap, fs, os::unix::ffi::OsStrExt as _, path::Path};

use crate::cgroup;
use tracer_event::escape::escape;

/// Groups that are looked at, from that of the process upwards.
const DEPTH: usize = 16;

/// By path: periods in which a group ran, and in which it used up its quota, from the
/// `/proc/PID/cgroup` of a process. Each group that it is in may have one.
pub(super) fn quotas(groups: &[u8]) -> BTreeMap<Box<str>, [u64; 2]> {
    let hierarchies: [(&str, &[u8]); 2] = [("/sys/fs/cgroup/cpu", b"cpu"), ("/sys/fs/cgroup", b"")];
    let in_hierarchy = |(root, controller)| {
        let group = cgroup::mounted(groups, controller)?;
        Some(group.ancestors().take(DEPTH).filter_map(move |one| quota(root, one)))
    };
    hierarchies.into_iter().filter_map(in_hierarchy).flatten().collect()
}

fn quota(root: &str, group: &Path) -> Option<(Box<str>, [u64; 2])> {
    let text = fs::read_to_string(Path::new(root).join(group).join("cpu.stat")).ok()?;
    let name = Path::new("/").join(group);
    Some((escape(name.as_os_str().as_bytes()).into(), parse(&text)?))
}

/// `nr_periods` and `nr_throttled` of `cpu.stat`, if there has been a quota.
fn parse(text: &str) -> Option<[u64; 2]> {
    let number = |name| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    };
    Some([number("nr_periods").filter(|periods| *periods > 0)?, number("nr_throttled")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_groups_with_a_quota_count() {
        let old = "nr_periods 31\nnr_throttled 29\nthrottled_time 2779867277\n";
        let new = "usage_usec 7\nnr_periods 31\nnr_throttled 29\nthrottled_usec 2779867\n";
        assert_eq!([old, new].map(parse), [Some([31, 29]); 2]);
        assert_eq!(parse("nr_periods 0\nnr_throttled 0\n"), None);
        assert_eq!(parse("usage_usec 7\n"), None, "the root of cgroup v2");
    }

    #[test]
    fn groups_that_are_not_mounted_here_have_none() {
        assert!(quotas(b"0::/../../elsewhere\n4:cpu:/../x\n").is_empty());
        assert!(quotas(b"").is_empty());
    }
}
