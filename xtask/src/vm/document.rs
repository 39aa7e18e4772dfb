//! `docs/kernels.md`, and `docs/systemd.md`.

use std::{fmt::Write as _, fs, process::Command};

use anyhow::{Context as _, Result};

use super::{
    columns, suites,
    table::{Column, Ran},
};
use crate::process::say;
use crate::workspace;

const OPENING: &str = "# Other kernels

Made by `cargo xtask vm`; do not edit. Each column is an emulated machine (QEMU without KVM, two
processors) that has booted Debian's kernel with the static program and the live tests of
`tests/tests/` in its initial file system. What a kernel cannot do was found out there by trying
(`tracer features`), never by its version: a test that needs what is missing is counted apart.
`cargo xtask vm --kernel 6.1` renews one column, with `--suite ends` one of its cells; what has no
result (–) was not run then.
";
const NOT_TRIED: &str = "* kernels of other distributions (5.14 of RHEL 9, 5.15 of Ubuntu 22.04): neither they nor their BTF are in
  Debian's archive, so none was booted, and no BTF read. They differ from kernels of their age in
  configuration, and in what was taken over from newer ones. Each member and each program is looked
  for in the running kernel's own BTF: `tracer features` says there what was found
* IPv6 as a module: none of Debian's kernels has it so. Of IPv6 nothing is read but members of
  `struct sock_common`, which are in the kernel's own BTF also then
* pages of 64 KiB: Debian builds kernels for arm64 with pages of 4 and of 16 KiB
";
const KERNELS: &str = "docs/kernels.md";

const SYSTEMD: &str = "# Under systemd

Made by `cargo xtask vm --systemd`; do not edit. A Debian with systemd has booted in an emulated
machine (QEMU without KVM), and systemd has started the tests of `tests/tests/service.rs` there: each
installs the .deb, does what its name says, and purges it. It is no part of the tests of each change.
";

/// Writes what machines did into the document on kernels; what it has of others stays, and what it
/// has of other scenarios where not all were run (`is_whole`). `order` has the names of all that belong
/// there.
pub(super) fn write(ran: &[Ran], order: &[String], is_whole: bool) -> Result<()> {
    let date = today()?;
    let before = fs::read_to_string(workspace::root().join(KERNELS)).unwrap_or_default();
    let mut known = columns::read(&before);
    // Where nothing could be built or booted, what is known of before is worth more.
    for ran in ran.iter().filter(|(_, report)| !report.outcomes.is_empty()) {
        let new = Column::of(ran, &date);
        let old = known.iter_mut().find(|column| column.name == new.name);
        match (is_whole, old) {
            (true, Some(old)) => *old = new,
            (true, None) => known.push(new),
            (false, old) => match old.and_then(|old| Some((old.renewed(new)?, old))) {
                Some((renewed, old)) => *old = renewed,
                None => say("kept out of docs/kernels.md, which has no results of that kernel"),
            },
        }
    }
    let of = |name: &String| known.iter().find(|column| column.name == *name).cloned();
    let all: Vec<Column> = order.iter().filter_map(of).collect();
    write_to(KERNELS, &text(&all))
}

/// Writes the document on the service.
pub(super) fn write_systemd(ran: &Ran) -> Result<()> {
    let (machine, report) = ran;
    let date = today()?;
    let mut rows = String::new();
    for outcome in &report.outcomes {
        let passed = match (outcome.passed, outcome.attempts) {
            (true, 1) => "passed",
            (true, _) => "passed when tried again",
            (false, _) => "**failed**",
        };
        let test = outcome.test.replace('_', " ");
        let seconds = outcome.milliseconds.div_ceil(1000);
        let _ = writeln!(rows, "| {test} | {passed} | {seconds} s |");
    }
    let text = format!(
        "{SYSTEMD}\nLast run on {date}, on Linux {}: {:.0} s until the first test, {:.0} min in all.\n\n\
         | test | | took |\n|---|---|---|\n{rows}",
        machine.kernel.release,
        report.booted.as_secs_f64(),
        report.took.as_secs_f64() / 60.0,
    );
    write_to("docs/systemd.md", &text)
}

fn today() -> Result<String> {
    let date = Command::new("date").args(["--utc", "+%F"]).output().context("date")?;
    Ok(String::from_utf8_lossy(&date.stdout).trim().to_owned())
}

fn write_to(document: &str, text: &str) -> Result<()> {
    let path = workspace::root().join(document);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    say(format_args!("wrote {}", path.display()));
    Ok(())
}

fn text(all: &[Column]) -> String {
    let (results, left_out) = (columns::text(all), left_out());
    format!(
        "{OPENING}\n{results}\n## Not run in machines\n\n{left_out}\n## Not tried\n\n{NOT_TRIED}"
    )
}

fn left_out() -> String {
    let line = |(name, why): &(&str, &str)| format!("* {name}: {why}\n");
    suites::LEFT_OUT.iter().map(line).collect()
}
