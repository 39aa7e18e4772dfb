//! `cargo xtask fuzz`: libFuzzer on the readers of bytes that others choose (`tracer/fuzz`).
//!
//! The same functions are tried with fewer bytes by properties, in every run of the tests. What is
//! found here becomes a case there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::cargo::Cargo;
use crate::process::{self, say};
use crate::workspace;

/// The targets, each a function of `tracer::fuzz_entry`.
const TARGETS: [&str; 10] = [
    "btf",
    "format_file",
    "proc",
    "records",
    "recording",
    "anonymized",
    "packed",
    "pair",
    "configuration",
    "filter",
];

#[derive(Args)]
pub(crate) struct Options {
    /// Only this one.
    #[arg(value_parser = TARGETS)]
    target: Option<String>,
    /// How long each of them is tried.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: u32,
}

/// Builds and runs them, one after the other; ends at the first that fails.
pub(crate) fn run(cargo: &Cargo, options: &Options) -> Result<()> {
    let program = ensure()?;
    let directory = workspace::root().join("tracer/fuzz");
    for target in
        TARGETS.into_iter().filter(|one| options.target.as_deref().is_none_or(|t| t == *one))
    {
        say(format_args!("fuzzing {target}"));
        let corpus = directory.join("corpus").join(target);
        plant(target, &corpus)?;
        // The code is safe Rust but for a few lines: without a sanitizer it is twice as fast.
        let arguments = ["fuzz", "run", "--sanitizer", "none", "--fuzz-dir", "tracer/fuzz", target];
        let mut command = cargo.program(&program, &arguments);
        command.arg("--").arg(format!("-max_total_time={}", 60 * options.minutes));
        command.args(["-rss_limit_mb=1024", "-timeout=10", "-max_len=20000", "-verbosity=0"]);
        command.args(["-print_final_stats=1"]);
        // The instrumentation is an unstable option of every compiler.
        process::show(command.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}

/// cargo-fuzz, in a directory of xtask's own.
fn ensure() -> Result<PathBuf> {
    if let Some(program) = process::find("cargo-fuzz") {
        return Ok(program);
    }
    let root = workspace::cache()?.join("fuzz");
    let program = root.join("bin/cargo-fuzz");
    if !program.exists() {
        say("installing cargo-fuzz (once)");
        let mut install = crate::cargo::plain();
        install.args(["install", "cargo-fuzz", "--locked", "--quiet", "--root"]).arg(&root);
        process::silently(&mut install, None).context("fuzzing needs cargo-fuzz")?;
    }
    Ok(program)
}

/// What is real, to begin with.
fn plant(target: &str, corpus: &Path) -> Result<()> {
    fs::create_dir_all(corpus).with_context(|| format!("cannot create {}", corpus.display()))?;
    let root = workspace::root();
    let seeds: Vec<Vec<u8>> = match target {
        "proc" => ["stat", "mountinfo", "cgroup", "maps", "limits", "net/netstat"]
            .iter()
            .filter_map(|name| fs::read(format!("/proc/self/{name}")).ok())
            .collect(),
        "recording" | "anonymized" | "packed" | "pair" => {
            let document = fs::read_to_string(root.join("docs/events.md"))?;
            let samples = document.lines().filter(|line| line.starts_with(r#"{"kind""#));
            samples.map(|line| format!("{line}\n").into_bytes()).collect()
        }
        "configuration" => vec![fs::read(root.join("deploy/systemd/tracer.toml"))?],
        "filter" => fs::read_to_string(root.join("docs/filters.md"))?
            .split('`')
            .map(|text| text.as_bytes().to_vec())
            .collect(),
        "format_file" => {
            let event = "/sys/kernel/tracing/events/sock/inet_sock_set_state/format";
            fs::read(event).into_iter().collect()
        }
        "btf" => vec![smallest_btf()],
        // Any bytes of that length are records.
        _ => vec![vec![1; 4096]],
    };
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(corpus.join(format!("seed-{number}")), seed)?;
    }
    Ok(())
}

/// `struct sock { int; }`, as `Documentation/bpf/btf.rst` has it.
fn smallest_btf() -> Vec<u8> {
    const WORDS: [u32; 15] = [24, 0, 40, 40, 9, 0, 1 << 24, 4, 32, 1, 4 << 24 | 1, 4, 6, 1, 0];
    let header = [0x9f, 0xeb, 1, 0].into_iter();
    let words = WORDS.iter().flat_map(|word| word.to_le_bytes());
    header.chain(words).chain(*b"\0sock\0ab\0").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_is_there() {
        let manifest =
            fs::read_to_string(workspace::root().join("tracer/fuzz/Cargo.toml")).unwrap();
        for target in TARGETS {
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
            assert!(workspace::root().join(format!("tracer/fuzz/targets/{target}.rs")).exists());
        }
    }
}
