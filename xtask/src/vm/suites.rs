//! Which live tests are run in a machine, what they need there, and which are left out and why.

use super::kernels::Flavour;
use super::machine::{Machine, Setting};

/// Test programs (`tests/tests/`) that are run, in this order: the quick ones first.
pub(super) const RUN: [&str; 34] = [
    "handshake",
    "half_close",
    "aborts",
    "connections",
    "ends",
    "features",
    "classic",
    "processes",
    "filters",
    "security",
    "lingering",
    "mptcp",
    "findings",
    "halted",
    "causes",
    "ports",
    "owners",
    "programs",
    "groups",
    "diagnose",
    "accepting",
    "connecting",
    "drain",
    "exec",
    "namespaces",
    "wire",
    "sent",
    "refusals",
    "before",
    "time_wait",
    "healing",
    "lifecycles",
    "demo",
    // A machine that does not wake up again has done all the others.
    "clocks",
];

/// Those that are not, and why.
pub(super) const LEFT_OUT: &[(&str, &str)] = &[
    ("agreement", "wants bpftrace, which is larger than all the rest"),
    ("assertions", "wants curl and Python; the kernel has no part in it"),
    ("both_ends", "wants cables between namespaces and a link of TUN devices"),
    ("cases", "wants Python and cables between namespaces"),
    ("command", "options and exit statuses; the kernel has no part in it"),
    ("completions", "wants names of namespaces; the kernel has no part in it"),
    ("daemon", "configuration and service manager; the kernel has no part in it"),
    ("deploy", "wants kubectl; the kernel has no part in it"),
    ("diff", "wants Python; the kernel has no part in it"),
    ("destinations", "wants journald, rsyslog and Python; the kernel has no part in it"),
    ("endings", "outputs and exit statuses; the kernel has no part in it"),
    ("examples", "wants all that the examples name; the kernel has no part in it"),
    ("exec_endings", "wants tmux; what it needs of the kernel is in exec"),
    ("exec_members", "wants Python, and a load that an emulated processor cannot make"),
    ("false_alarms", "wants Python, nginx and PostgreSQL"),
    ("expressions", "wants names of services and of namespaces; what it needs is in filters"),
    ("faults", "wants cgroups and processes by the thousand; what it needs is in other suites"),
    ("files", "outputs and their rotation; the kernel has no part in it"),
    ("forwarding", "wants Python; the kernel has no part in it"),
    ("joins", "wants Python; the kernel has no part in it"),
    ("korean", "words; the kernel has no part in it"),
    ("ladder", "a format; the kernel has no part in it"),
    ("latency", "measures time, which an emulated processor has another of"),
    ("lessons", "wants tmux; what is played is in demo"),
    ("limits", "wants the host's control groups"),
    ("load", "wants a load that an emulated processor cannot make"),
    ("otlp", "wants an OpenTelemetry receiver; the kernel has no part in it"),
    ("image", "wants an image for another architecture; the kernel has no part in it"),
    ("packages", "wants a whole Debian; the kernel has no part in it"),
    ("pairs", "wants cables between namespaces and NAT, which kernels have as modules"),
    ("paths", "wants Python, cables between namespaces and a link of TUN devices"),
    ("pods", "wants an OpenTelemetry receiver and kubectl; the kernel has no part in it"),
    ("prometheus", "wants Prometheus; the kernel has no part in it"),
    ("proxies", "wants Python, haproxy and nginx; what it needs of the kernel is in other suites"),
    ("reading", "what it needs of the kernel is in accepting"),
    ("readme", "wants nginx, tmux, Python; its samples are of one kernel"),
    ("records", "options; the kernel has no part in it"),
    ("recordings", "a format; the kernel has no part in it"),
    ("remedies", "commands of other programs, which it wants"),
    ("replay", "wants tmux; the kernel has no part in it"),
    ("report", "a format; the kernel has no part in it"),
    ("rotation", "outputs and their rotation; the kernel has no part in it"),
    ("runtimes", "wants node and Java"),
    ("service", "wants a Debian with systemd: `cargo xtask vm --systemd`"),
    ("hardening", "units and documents; the kernel has no part in it"),
    ("shipping", "who reads outputs; the kernel has no part in it"),
    ("silence", "wants Python, cables between namespaces and a link of TUN devices"),
    ("shown", "whether tests try again; the kernel has no part in it"),
    ("stacks", "wants a C compiler and debug information"),
    ("screens", "wants tmux"),
    ("top", "wants tmux and a browser's fonts; the kernel has no part in it"),
    ("trusted", "configuration; the kernel has no part in it"),
    ("volume", "measures; the kernel has no part in it"),
    ("web", "wants Prometheus; the kernel has no part in it"),
];

/// What `cargo xtask test` runs on older and newer kernels: the path of a connection, what
/// was there before, and what this kernel allows.
pub(super) const SHORT: [&str; 4] = ["handshake", "half_close", "aborts", "processes"];

/// Machines that differ from ordinary ones, and what is run in them.
pub(super) const SETTINGS: [Setting; 8] = [
    // Whatever the kernel may refuse then.
    Setting {
        name: "integrity",
        words: "lockdown=integrity",
        flavour: Flavour::Cloud,
        suites: &[
            "handshake",
            "half_close",
            "aborts",
            "before",
            "processes",
            "classic",
            "features",
        ],
    },
    // But for what mounts tracefs: it is empty then, and unmounting it stops Linux 6.12 (list
    // corruption in `tracefs_destroy_inode`).
    Setting {
        name: "confidentiality",
        words: "lockdown=confidentiality",
        flavour: Flavour::Cloud,
        suites: &["handshake", "half_close", "aborts", "before", "processes"],
    },
    // As hosts had it before systemd 247, and may have it since.
    Setting {
        name: "cgroup v1",
        words: "guest.cgroup=v1",
        flavour: Flavour::Cloud,
        suites: GROUPS,
    },
    Setting {
        name: "cgroup hybrid",
        words: "guest.cgroup=hybrid",
        flavour: Flavour::Cloud,
        suites: GROUPS,
    },
    // Debian's default is 2.
    Setting {
        name: "unprivileged BPF 0",
        words: "sysctl.kernel.unprivileged_bpf_disabled=0",
        flavour: Flavour::Cloud,
        suites: PRIVILEGES,
    },
    Setting {
        name: "unprivileged BPF 1",
        words: "sysctl.kernel.unprivileged_bpf_disabled=1",
        flavour: Flavour::Cloud,
        suites: PRIVILEGES,
    },
    // The kernel's own default, said aloud.
    Setting {
        name: "MPTCP",
        words: "sysctl.net.mptcp.enabled=1",
        flavour: Flavour::Cloud,
        suites: &["handshake", "aborts", "mptcp", "processes", "diagnose"],
    },
    // All that is mapped, and all that is measured in pages.
    Setting { name: "16K pages", words: "", flavour: Flavour::LargePages, suites: &RUN },
];
const GROUPS: &[&str] = &["handshake", "features", "processes", "halted", "programs", "groups"];
const PRIVILEGES: &[&str] = &["handshake", "features", "processes", "security"];

/// The setting of this name.
pub(super) fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// What is run in a machine of what was chosen.
pub(super) fn scope<'a>(machine: &Machine, chosen: &[&'a str]) -> Vec<&'a str> {
    let fits = |name: &&&str| machine.setting.is_none_or(|setting| setting.suites.contains(name));
    chosen.iter().filter(fits).copied().collect()
}

/// Programs that the tests start.
pub(super) const PROGRAMS: [&str; 39] = [
    "cat",
    "chmod",
    "chown",
    "cp",
    "curl",
    "dd",
    "env",
    "false",
    "grep",
    "gzip",
    "head",
    "id",
    "ip",
    "kmod",
    "logrotate",
    "ls",
    "mkdir",
    "mount",
    "nft",
    "nginx",
    "nsenter",
    "rm",
    "sed",
    "seq",
    "setcap",
    "setpriv",
    "sh",
    "sleep",
    "ss",
    "stat",
    "sysctl",
    "tail",
    "tc",
    "tcpdump",
    "timeout",
    "touch",
    "true",
    "umount",
    "unshare",
];

/// A test that cannot pass where a kernel lacks something.
pub(super) struct Need {
    pub(super) suite: &'static str,
    /// Part of its name.
    pub(super) test: &'static str,
    /// As `tracer features` calls it.
    pub(super) feature: &'static str,
}

/// What fails for want of what, tried at run time: where the feature is there, they have to pass.
pub(super) const NEEDS: [Need; 5] = [
    Need { suite: "features", test: "root_has_all", feature: "containers" },
    Need { suite: "features", test: "root_has_all", feature: COOKIES },
    // They know sockets again by them.
    Need { suite: "before", test: "a_crowd_lingers", feature: COOKIES },
    Need { suite: "time_wait", test: "a_client_that_connects_again", feature: COOKIES },
    Need { suite: "healing", test: "too_small_a_buffer", feature: COOKIES },
];
const COOKIES: &str = "socket cookies";

/// The feature that a test needs and that is missing.
pub(super) fn missing<'a>(suite: &str, test: &str, lacking: &[&'a str]) -> Option<&'a str> {
    let mut needs = NEEDS.iter().filter(|need| need.suite == suite && test.contains(need.test));
    needs.find_map(|need| lacking.iter().copied().find(|one| *one == need.feature))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;
    use crate::workspace;

    #[test]
    fn every_live_test_is_run_or_left_out_with_a_reason() {
        let files = fs::read_dir(workspace::root().join("tests/tests")).unwrap().flatten();
        let there: BTreeSet<String> = files
            .map(|file| file.file_name().to_string_lossy().trim_end_matches(".rs").to_owned())
            .collect();
        let known =
            RUN.into_iter().chain(LEFT_OUT.iter().map(|(name, _)| *name)).map(str::to_owned);
        assert_eq!(known.collect::<BTreeSet<_>>(), there);
        assert_eq!(RUN.len() + LEFT_OUT.len(), there.len(), "a test is named twice");
        let of_settings = SETTINGS.iter().flat_map(|setting| setting.suites);
        assert!(SHORT.iter().chain(of_settings).all(|name| RUN.contains(name)));
    }
}
