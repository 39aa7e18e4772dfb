//! Programs that the tests and the benchmarks start, and the Debian packages that have them.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

use super::debian;
use crate::process::{self, say};

/// A program and its package.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    package: &'static str,
}

const fn program(name: &'static str, package: &'static str) -> Program {
    Program { name, package }
}

const PROGRAMS: [Program; 15] = [
    program("ip", "iproute2"),
    program("nft", "nftables"),
    program("curl", "curl"),
    program("nginx", "nginx-light"),
    program("python3", "python3-minimal"),
    program("pip3", "python3-pip"),
    program("jq", "jq"),
    program("tcpdump", "tcpdump"),
    program("bpftrace", "bpftrace"),
    program("logrotate", "logrotate"),
    program("rsyslogd", "rsyslog"),
    program("journalctl", "systemd"),
    program("chromium", "chromium"),
    program("tmux", "tmux"),
    program("setcap", "libcap2-bin"),
];

/// What tracer is measured against, and with.
const PEERS: [Program; 7] = [
    program("ip", "iproute2"),
    program("ss", "iproute2"),
    program("tcpstates", "libbpf-tools"),
    program("bpftrace", "bpftrace"),
    program("bpftool", "bpftool"),
    program("nginx", "nginx-light"),
    program("wrk", "wrk"),
];

/// Installs what the benchmarks start, as far as it can be had: the lines of what is missing say
/// so.
pub(crate) fn ensure_peers() {
    for package in missing_packages(&PEERS, is_installed) {
        let installed = if debian::is_available() {
            debian::install(&[package])
        } else {
            Err(anyhow!("this is not Debian"))
        };
        if let Err(error) = installed {
            say(format_args!("measuring without {package}: {error:#}"));
        }
    }
}

/// Installs what machines are made with and is not there.
pub(crate) fn ensure_emulator((name, package): (&'static str, &'static str)) -> Result<()> {
    let wanted = [program(name, package), program("depmod", "kmod")];
    let packages = missing_packages(&wanted, is_installed);
    ensure_packages(&packages, "machines need")
}

/// Installs a compiler for another architecture, with the C library, of which a file is named.
pub(crate) fn ensure_compiler(
    (name, package): (&'static str, &'static str),
    (file, library): (&'static str, &'static str),
) -> Result<()> {
    let mut packages = missing_packages(&[program(name, package)], is_installed);
    packages.extend((!Path::new(file).exists()).then_some(library));
    ensure_packages(&packages, "another architecture takes")
}

fn ensure_packages(packages: &[&str], purpose: &str) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if !debian::is_available() {
        bail!("{purpose} what is not installed; the Debian packages are: {names}");
    }
    debian::install(packages).with_context(|| format!("{purpose} the packages {names}"))
}

/// Installs what the tests start and is not there.
pub(crate) fn ensure() -> Result<()> {
    ensure_packages(&missing_packages(&PROGRAMS, is_installed), "the tests need")?;
    match missing_packages(&PROGRAMS, is_installed).join(" ") {
        still if still.is_empty() => Ok(()),
        still => bail!("installed, but their programs are not on PATH: {still}"),
    }
}

fn is_installed(program: &str) -> bool {
    process::find(program).is_some()
}

fn missing_packages(
    programs: &[Program],
    is_installed: impl Fn(&str) -> bool,
) -> Vec<&'static str> {
    let missing = programs.iter().filter(|program| !is_installed(program.name));
    let mut packages: Vec<_> = missing.map(|program| program.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        let missing = missing_packages(&PROGRAMS, |name| name != "nft" && name != "jq");
        assert_eq!(missing, ["jq", "nftables"]);
        assert!(missing_packages(&PROGRAMS, |_| true).is_empty());
    }

    #[test]
    fn a_package_with_two_missing_programs_is_named_once() {
        let programs = [program("ip", "iproute2"), program("ss", "iproute2")];
        assert_eq!(missing_packages(&programs, |_| false), ["iproute2"]);
    }
}
