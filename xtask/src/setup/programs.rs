//! Programs that the tests and the benchmarks start, and the Debian packages that have them.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

use super::debian;
use crate::process::{self, say};
use crate::workspace;

/// A program and its package.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    package: &'static str,
}

const fn program(name: &'static str, package: &'static str) -> Program {
    Program { name, package }
}

const PROGRAMS: [Program; 32] = [
    program("ip", "iproute2"),
    program("nft", "nftables"),
    program("sysctl", "procps"),
    program("curl", "curl"),
    program("nginx", "nginx-light"),
    program("haproxy", "haproxy"),
    program("pgbench", "postgresql"),
    program("node", "nodejs"),
    program("npm", "npm"),
    program("java", "openjdk-17-jre-headless"),
    program("javac", "openjdk-17-jdk-headless"),
    program("jcmd", "openjdk-17-jdk-headless"),
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
    program("dpkg-deb", "dpkg"),
    program("rpmbuild", "rpm"),
    program("rpmlint", "rpmlint"),
    program("debootstrap", "debootstrap"),
    program("lintian", "lintian"),
    program("cpio", "cpio"),
    program("mandoc", "mandoc"),
    program("zsh", "zsh"),
    program("fish", "fish"),
];

/// What forwards TCP in nginx: no program, but a module.
const NGINX_STREAM: (&str, &str) =
    ("/usr/lib/nginx/modules/ngx_stream_module.so", "libnginx-mod-stream");

/// What makes packages.
const PACKAGERS: [Program; 2] = [program("dpkg-deb", "dpkg"), program("rpmbuild", "rpm")];

/// What takes an image for another architecture out of an archive and runs it.
const IMAGES: [Program; 2] =
    [program("skopeo", "skopeo"), program(FOREIGN_PROGRAMS, "qemu-user-static")];
/// Runs programs of an architecture that is not this one's.
const FOREIGN_PROGRAMS: &str =
    if cfg!(target_arch = "aarch64") { "qemu-x86_64-static" } else { "qemu-aarch64-static" };

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

/// The real software of a soak, and what looks at it.
const SOAK: [Program; 6] = [
    program("ip", "iproute2"),
    program("ss", "iproute2"),
    program("bpftool", "bpftool"),
    program("curl", "curl"),
    program("nginx", "nginx-light"),
    program("pgbench", "postgresql"),
];

/// Installs what a soak starts and is not there.
pub(crate) fn ensure_soak() -> Result<()> {
    install(&SOAK, "soaks")
}

/// Installs what tries an image for several architectures and is not there.
pub(crate) fn ensure_images() -> Result<()> {
    install(&IMAGES, "images")
}

/// Installs what the benchmarks start, as far as it can be had: the lines of what is missing say
/// so.
pub(crate) fn ensure_peers() {
    for package in missing_packages(&PEERS, is_installed) {
        let installed = if debian::is_available() {
            workspace::alone(|| debian::install(&[package]))
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
    install(&[program(name, package), program("depmod", "kmod")], "machines")
}

/// Installs a compiler for another architecture, with the C library, of which a file is named.
pub(crate) fn ensure_compiler(
    (name, package): (&'static str, &'static str),
    (file, library): (&'static str, &'static str),
) -> Result<()> {
    let who = "programs for another architecture";
    install(&[program(name, package)], who)?;
    if Path::new(file).exists() { Ok(()) } else { install_packages(&[library], who) }
}

/// Installs what the tests start and is not there.
pub(crate) fn ensure() -> Result<()> {
    install(&PROGRAMS, "the tests")?;
    let (file, package) = NGINX_STREAM;
    if Path::new(file).exists() { Ok(()) } else { install_packages(&[package], "the tests") }
}

/// Installs what makes packages and is not there.
pub(crate) fn ensure_packagers() -> Result<()> {
    install(&PACKAGERS, "packages")
}

fn install(programs: &[Program], who: &str) -> Result<()> {
    let missing = missing_packages(programs, is_installed);
    if missing.is_empty() {
        return Ok(());
    }
    install_packages(&missing, who)?;
    match missing_packages(programs, is_installed).join(" ") {
        still if still.is_empty() => Ok(()),
        still => bail!("installed, but their programs are not on PATH: {still}"),
    }
}

fn install_packages(packages: &[&str], who: &str) -> Result<()> {
    let wanted = packages.join(" ");
    if !debian::is_available() {
        bail!("{who} need what is not installed; the Debian packages are: {wanted}");
    }
    workspace::alone(|| debian::install(packages))
        .with_context(|| format!("{who} need the packages {wanted}"))
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

    /// What every Debian has (`Priority: required`), or a Rust compiler needs (`cc`, binutils);
    /// `daemon` is a command of tracer itself, for clap.
    const EVERYWHERE: [&str; 20] = [
        "bash", "cc", "cp", "daemon", "find", "gzip", "mkfifo", "mount", "nsenter", "objcopy",
        "prlimit", "script", "setpriv", "sh", "sleep", "stty", "tar", "timeout", "true", "unshare",
    ];

    /// Of packages that are named with another program of theirs.
    const BESIDE: [(&str, &str); 5] = [
        ("dpkg", "dpkg-deb"),
        ("ss", "ip"),
        ("systemctl", "journalctl"),
        ("systemd-analyze", "journalctl"),
        ("tc", "ip"),
    ];

    #[test]
    fn whatever_the_tests_start_is_installed_for_them() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let mut directories =
            ["tests", "tracer/src", "crates"].map(|part| format!("{root}/{part}")).to_vec();
        let mut found = Vec::new();
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    directories.push(path.display().to_string());
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    found.extend(started(&std::fs::read_to_string(path).unwrap()));
                }
            }
        }
        assert!(found.iter().any(|name| name == "nft"), "{found:?}");
        found.retain(|name| {
            let name = BESIDE.iter().find(|(one, _)| one == name).map_or(&**name, |(_, with)| with);
            !EVERYWHERE.contains(&name) && !PROGRAMS.iter().any(|program| program.name == name)
        });
        assert_eq!(found, [""; 0], "started by a test, but in none of the packages");
    }

    /// Names of programs in a source: what is fetched or built has a path or a variable.
    fn started(source: &str) -> impl Iterator<Item = String> {
        let calls = ["Command::new(\"", "in_host(\"", " run(\""];
        let names = calls.into_iter().flat_map(|call| source.split(call).skip(1));
        let names = names.filter_map(|rest| rest.split('"').next());
        names.filter(|name| !name.is_empty() && !name.contains(['/', ' '])).map(str::to_owned)
    }

    #[test]
    fn a_package_with_two_missing_programs_is_named_once() {
        let programs = [program("ip", "iproute2"), program("ss", "iproute2")];
        assert_eq!(missing_packages(&programs, |_| false), ["iproute2"]);
    }
}
