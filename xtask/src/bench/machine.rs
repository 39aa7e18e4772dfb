//! What the figures were made with: the machine, its kernel and the tools.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread;

use super::{Bench, accounts, command};

/// Packages whose versions are named.
const PACKAGES: [&str; 6] =
    ["libbpf-tools", "bpftrace", "iproute2", "bpftool", "nginx-light", "wrk"];

/// The machine as lines of Markdown.
pub(crate) fn describe(bench: &Bench) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = model(&read("/proc/cpuinfo")).unwrap_or("unknown").to_owned();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let memory = accounts::kibibytes(&read("/proc/meminfo"), "MemTotal").unwrap_or(0) >> 30;
    let kernel = read("/proc/sys/kernel/osrelease");
    let tracer = command::output(Command::new(&bench.tracer).arg("--version"));
    let mut tools = vec![tracer.unwrap_or_default().trim().to_owned()];
    let versions = versions();
    tools.extend(PACKAGES.map(|package| match versions.get(package) {
        Some(version) => format!("{package} {version}"),
        None => format!("{package}, not a Debian package here"),
    }));
    format!(
        "| | |\n|---|---|\n| processor | {cpu}, {cores} cores |\n| memory | {memory} GiB |\n\
         | kernel | Linux {} ({}) |\n| tools | {} |\n",
        kernel.trim(),
        std::env::consts::ARCH,
        tools.join(", "),
    )
}

fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

fn versions() -> BTreeMap<String, String> {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${Package} ${Version} ${db:Status-Abbrev}\\n"]);
    command::output(&mut query).map(|said| installed(&said)).unwrap_or_default()
}

fn installed(listing: &str) -> BTreeMap<String, String> {
    let package = |line: &str| {
        let mut words = line.split_whitespace();
        let named = (words.next()?.to_owned(), words.next()?.to_owned());
        (words.next()? == "ii").then_some(named)
    };
    listing.lines().filter_map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_as_the_kernel_does() {
        assert_eq!(model("processor\t: 0\nmodel name\t: AMD EPYC\n"), Some("AMD EPYC"));
        assert_eq!(model("processor\t: 0\n"), None);
    }

    #[test]
    fn removed_packages_have_no_version() {
        let listing = "wrk 4.1.0-3+b2 ii \nbpftrace 0.17.0-1 rc \n";
        let expected = BTreeMap::from([("wrk".to_owned(), "4.1.0-3+b2".to_owned())]);
        assert_eq!(installed(listing), expected);
    }
}
