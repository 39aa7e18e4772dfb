//! The compiler of the eBPF half.
//!
//! rustc has no prebuilt `core` for BPF, so it takes a compiler together with the source of its
//! library. Which of rustup's toolchains that is, is told to tracer's build script, which also
//! allows the unstable flags that this needs.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use super::compiler::Compiler;
use super::route::{self, Condition, Facts, Route};
use super::{debian, rustup};
use crate::cargo::TOOLCHAIN;
use crate::process::{self, say};

/// The user's own toolchain, used where it is complete.
const NIGHTLY: &str = "nightly";
/// The name under which rustup knows a compiler that it did not install itself.
const LINKED: &str = "tracer-ebpf";

/// The way by rustup, as it would be typed.
const BY_RUSTUP: &str = "rustup toolchain install nightly --profile minimal --component rust-src";
/// The same for Debian's packages.
const BY_DEBIAN: &str = "apt-get install rustc-web rust-web-src cargo-web, \
                         then rustup toolchain link tracer-ebpf /usr";

/// A toolchain that can build the eBPF half.
pub(crate) struct Toolchain {
    pub(crate) name: String,
    pub(crate) sysroot: PathBuf,
    pub(crate) compiler: Compiler,
}

/// Finds a usable toolchain, or gets one.
pub(crate) fn ensure() -> Result<Toolchain> {
    if let Some(name) = env::var(TOOLCHAIN).ok().filter(|name| !name.is_empty()) {
        return Toolchain::named(&name)
            .with_context(|| format!("{TOOLCHAIN}={name} cannot be used; unset it, or mend it"));
    }
    for name in [NIGHTLY, LINKED] {
        if let (Condition::Ready, Some(toolchain)) = inspect(name)? {
            return Ok(toolchain);
        }
    }
    if process::find("rustup").is_none() {
        bail!(
            "there is no rustup here, which the eBPF half needs; install it from https://rustup.rs"
        );
    }
    say("looking for a way to a compiler for the eBPF half");
    obtain(&Facts {
        nightly: inspect(NIGHTLY)?.0,
        downloads: rustup::can_download(),
        debian: debian::is_available(),
    })
}

impl Toolchain {
    fn named(name: &str) -> Result<Self> {
        match inspect(name)? {
            (Condition::Ready, Some(toolchain)) => Ok(toolchain),
            (condition, _) => bail!("{}", describe(name, &condition)),
        }
    }
}

fn describe(name: &str, condition: &Condition) -> String {
    match condition {
        Condition::Absent => format!("rustup has no toolchain {name}"),
        Condition::WithoutSource => format!("toolchain {name} has no rust-src"),
        Condition::Unsuitable(why) => format!("toolchain {name} does not suit: {why}"),
        Condition::Ready => format!("toolchain {name} is ready"),
    }
}

/// Looks at files first: only a complete toolchain is worth starting its compiler.
fn inspect(name: &str) -> Result<(Condition, Option<Toolchain>)> {
    let Some(sysroot) = rustup::directory(name).filter(|path| path.join("bin/rustc").exists())
    else {
        return Ok((Condition::Absent, None));
    };
    if !sysroot.join("lib/rustlib/src/rust/library/core").exists() {
        return Ok((Condition::WithoutSource, None));
    }
    let compiler = Compiler::in_sysroot(&sysroot)?;
    if let Some(obstacle) = compiler.obstacle() {
        return Ok((Condition::Unsuitable(obstacle), None));
    }
    Ok((Condition::Ready, Some(Toolchain { name: name.to_owned(), sysroot, compiler })))
}

/// Tries one route after the other, and keeps all their errors.
fn obtain(facts: &Facts) -> Result<Toolchain> {
    let mut failures = Vec::new();
    for route in route::routes(facts) {
        match follow(route, facts) {
            Ok(toolchain) => return Ok(toolchain),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    if let Condition::Unsuitable(_) = facts.nightly {
        failures.push(describe(NIGHTLY, &facts.nightly) + "; `rustup update nightly` may help");
    }
    if !facts.debian {
        failures.push("there is no apt-get here".to_owned());
    }
    bail!(
        "no compiler for the eBPF half:\n  {}\nThere are two ways to one:\n  rustup: {BY_RUSTUP}\n  \
         Debian: {BY_DEBIAN}",
        failures.join("\n  ")
    )
}

fn follow(route: Route, facts: &Facts) -> Result<Toolchain> {
    match route {
        Route::AddSource => {
            say("adding rust-src to the rustup toolchain nightly");
            rustup::add_components(NIGHTLY, facts.downloads)?;
            Toolchain::named(NIGHTLY)
        }
        Route::InstallNightly => {
            say("installing the rustup toolchain nightly with rust-src");
            rustup::install(NIGHTLY, facts.downloads)?;
            Toolchain::named(NIGHTLY)
        }
        Route::Debian => {
            debian::install(&debian::COMPILER)?;
            say(format_args!("linking {} as the rustup toolchain {LINKED}", debian::PREFIX));
            rustup::link(LINKED, debian::PREFIX)?;
            Toolchain::named(LINKED)
        }
    }
}
