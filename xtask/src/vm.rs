//! `cargo xtask vm`: the live tests on other kernels than this one.
//!
//! Debian's kernels are fetched, each is booted in an emulated machine with the program and the
//! tests in its initial file system, and all that the tests said becomes one table. What a kernel
//! cannot do is what `tracer features` found out there by trying; no version number decides.

mod build;
mod columns;
mod document;
mod initramfs;
mod kernels;
mod machine;
mod python;
mod suites;
mod systemd;
mod table;

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use self::{
    build::Source,
    initramfs::FileSystem,
    kernels::{Flavour, Kernel, Kernels},
    machine::{Machine, Outcome, Report, Setting},
    table::Ran,
};
use crate::architecture::Architecture;
use crate::cargo::Cargo;
use crate::process::say;
use crate::setup::programs;
use crate::workspace;

/// The lines of kernels that are in service, as Debian has them.
const LINES: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7.2"];
/// The line that is also booted in other settings and on another architecture.
const FURTHER: &str = "6.12";
/// Kernels that `cargo xtask test` boots: an old one and a new one.
const SHORT: [&str; 2] = ["6.1", "7.2"];
/// How long that may take, many times what it takes.
const SHORT_LIMIT: Duration = Duration::from_secs(20 * 60);

/// What `cargo xtask vm` takes.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Boot only this line of kernels (6.1); may be given several times. Without it, all of them.
    /// The results become docs/kernels.md.
    #[arg(long, value_name = "LINE", num_args = 1..)]
    kernel: Vec<String>,
    /// Run only this live test (handshake); may be given several times.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    suite: Vec<String>,
    /// Boot it otherwise than usual: locked down, with other control groups, other privileges.
    #[arg(long, value_name = "NAME", value_parser = suites::SETTINGS.map(|setting| setting.name))]
    setting: Option<String>,
    /// Test this program, linked statically, instead of building one for x86-64.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Boot a Debian with systemd instead, and try the packaged service in it; the results become
    /// docs/systemd.md.
    #[arg(long, conflicts_with_all = ["kernel", "suite", "setting", "program", "architecture"])]
    systemd: bool,
    /// Test what `cargo build` makes, without optimisation: it is built in less time.
    #[arg(long, conflicts_with = "program")]
    debug: bool,
    /// One processor whose clock counts instructions: it takes longer, and nothing in it is late,
    /// however busy this host is.
    #[arg(long)]
    steady: bool,
    /// End each machine after so many minutes.
    #[arg(long, default_value = "90")]
    minutes: u64,
    /// Emulate this architecture only; of a kernel that is named, x86_64 unless this says otherwise.
    #[arg(long, value_enum)]
    architecture: Option<Architecture>,
}

/// Boots what was asked for.
pub(crate) fn vm(cargo: &Cargo, options: &Options) -> Result<()> {
    let Options { kernel, suite, setting, architecture, minutes, program, .. } = options;
    let Options { systemd, debug, steady, .. } = options;
    let limit = Duration::from_secs(60 * minutes);
    let otherwise = if *debug { Source::Debug } else { Source::Static };
    let source = program.as_deref().map_or(otherwise, Source::Given);
    if *systemd {
        return systemd::run(cargo, source, limit);
    }
    let unknown = suite.iter().find(|name| !suites::RUN.contains(&name.as_str()));
    if let Some(name) = unknown {
        bail!("--suite {name}: not one of {}", suites::RUN.join(", "));
    }
    let setting = setting.as_deref().and_then(suites::setting);
    let wanted: Vec<Wanted<'_>> = if kernel.is_empty() {
        let is_of = |wanted: &Wanted<'_>| architecture.is_none_or(|one| wanted.architecture == one);
        matrix().into_iter().filter(is_of).collect()
    } else {
        let architecture = architecture.unwrap_or(setting.map_or(Architecture::X86, has_it));
        kernel.iter().map(|line| Wanted { line, setting, architecture }).collect()
    };
    let chosen: Vec<&str> = suites::RUN
        .into_iter()
        .filter(|name| suite.is_empty() || suite.iter().any(|wanted| wanted == name))
        .collect();
    let ran = boot(cargo, &wanted, &chosen, How { source, limit, is_steady: *steady })?;
    // Others are no machines as the document says.
    if !debug && !steady {
        let order: Vec<String> = matrix().iter().map(Wanted::name).collect();
        document::write(&ran, &order, suite.is_empty())?;
    }
    conclude(&ran, &chosen)
}

/// What `cargo xtask test` does: little, on two kernels, with the program that the tests had.
///
/// Where machines cannot be had, this is said, and nothing is tested.
///
/// # Errors
///
/// Where a test fails.
pub(crate) fn short(cargo: &Cargo) -> Result<()> {
    let wanted = SHORT.map(|line| Wanted { line, setting: None, architecture: Architecture::X86 });
    if let Err(error) = obtain(&wanted) {
        say(format_args!("NOT TESTED on Linux {}: {error:#}", SHORT.join(" and ")));
        return Ok(());
    }
    let how = How { source: Source::Tested, limit: SHORT_LIMIT, is_steady: false };
    let ran = boot(cargo, &wanted, &suites::SHORT, how)?;
    conclude(&ran, &suites::SHORT)
}

/// How machines are run.
#[derive(Clone, Copy)]
struct How<'a> {
    /// With which program.
    source: Source<'a>,
    /// For how long at most.
    limit: Duration,
    /// Whether their time is their own.
    is_steady: bool,
}

/// A machine, before its kernel is known.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    line: &'a str,
    setting: Option<&'static Setting>,
    architecture: Architecture,
}

impl Wanted<'_> {
    fn name(&self) -> String {
        machine::name(self.line, self.setting, self.architecture)
    }
}

/// The architecture that a setting is tried on.
fn has_it(setting: &Setting) -> Architecture {
    match setting.flavour {
        Flavour::Cloud => Architecture::X86,
        Flavour::LargePages => Architecture::Arm,
    }
}

fn matrix() -> Vec<Wanted<'static>> {
    let plain = |line| Wanted { line, setting: None, architecture: Architecture::X86 };
    let mut wanted: Vec<_> = LINES.map(plain).into();
    let settings = suites::SETTINGS.iter();
    wanted.extend(settings.map(|setting| Wanted {
        setting: Some(setting),
        architecture: has_it(setting),
        line: FURTHER,
    }));
    wanted.push(Wanted { architecture: Architecture::Arm, ..plain(FURTHER) });
    wanted
}

/// Machines of one architecture, and where their kernels came from.
type Fleet = (Architecture, Kernels, Vec<Machine>);

/// The kernels and the emulators that it takes.
fn obtain(wanted: &[Wanted<'_>]) -> Result<Vec<Fleet>> {
    let mut fleets = Vec::new();
    for architecture in [Architecture::X86, Architecture::Arm] {
        let wanted: Vec<_> =
            wanted.iter().filter(|wanted| wanted.architecture == architecture).collect();
        if wanted.is_empty() {
            continue;
        }
        programs::ensure_emulator(architecture.emulator())?;
        fleets.push(workspace::alone(|| {
            let kernels = Kernels::known(architecture)?;
            let machine = |wanted: &Wanted<'_>| {
                let flavour = wanted.setting.map(|setting| setting.flavour).unwrap_or_default();
                let kernel = kernels.newest(wanted.line, flavour)?;
                Ok(Machine { architecture, kernel, setting: wanted.setting, is_steady: false })
            };
            let machines = wanted.into_iter().map(machine).collect::<Result<_>>()?;
            Ok((architecture, kernels, machines))
        })?);
    }
    Ok(fleets)
}

fn boot(cargo: &Cargo, wanted: &[Wanted<'_>], chosen: &[&str], how: How<'_>) -> Result<Vec<Ran>> {
    let fleets = obtain(wanted)?;
    thread::scope(|scope| {
        let mut running = Vec::new();
        for fleet in &fleets {
            // Those of one architecture run while those of the next are built.
            let berths = equip(cargo, fleet, chosen, how);
            running.push(scope.spawn(move || match berths {
                Ok(berths) => run_all(&berths, how.limit),
                Err(error) => Ok(without(fleet, &error)),
            }));
        }
        let joined = running.into_iter().map(ScopedJoinHandle::join);
        let ran = joined.map(|ran| ran.unwrap_or_else(|_| Err(anyhow!("a machine was lost"))));
        Ok(ran.collect::<Result<Vec<_>>>()?.concat())
    })
}

/// What machines say that nothing could be built for.
fn without((_, _, machines): &Fleet, error: &anyhow::Error) -> Vec<Ran> {
    let broken = Report { broken: vec![format!("{error:#}")], ..Report::default() };
    machines.iter().map(|machine| (machine.clone(), broken.clone())).collect()
}

/// Builds what machines run.
fn equip<'a>(
    cargo: &Cargo,
    (architecture, kernels, machines): &Fleet,
    chosen: &[&'a str],
    how: How<'_>,
) -> Result<Vec<Berth<'a>>> {
    let all: Vec<&str> =
        machines.iter().flat_map(|machine| suites::scope(machine, chosen)).collect();
    let to_build: Vec<_> = chosen.iter().copied().filter(|name| all.contains(name)).collect();
    let built = build::build(cargo, *architecture, &to_build, how.source)?;
    let root = workspace::target()?.join("vm").join(architecture.debian());
    fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
    let files = Arc::new(built.file_system(&root, kernels)?);
    let berth = |machine: &Machine| Berth {
        machine: Machine { is_steady: how.is_steady, ..machine.clone() },
        suites: suites::scope(machine, chosen),
        files: Arc::clone(&files),
        root: root.clone(),
    };
    Ok(machines.iter().map(berth).collect())
}

/// A machine and what it takes to run it.
struct Berth<'a> {
    machine: Machine,
    suites: Vec<&'a str>,
    /// All but the modules.
    files: Arc<FileSystem>,
    /// Where its files go.
    root: PathBuf,
}

/// Runs machines side by side; the order is kept. They wait for timers as often as for a processor.
fn run_all(berths: &[Berth<'_>], limit: Duration) -> Result<Vec<Ran>> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let next = Mutex::new(berths.iter().enumerate());
    let take = || next.lock().ok().and_then(|mut berths| berths.next());
    let work = || {
        std::iter::from_fn(take)
            .map(|(index, berth)| (index, run(berth, limit)))
            .collect::<Vec<_>>()
    };
    let mut ran: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..2 * processors).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    ran.sort_by_key(|(index, _)| *index);
    ensure!(ran.len() == berths.len(), "a machine was not run");
    ran.into_iter().map(|(_, ran)| ran).collect()
}

fn run(Berth { machine, suites, files, root }: &Berth<'_>, limit: Duration) -> Result<Ran> {
    let name = machine.name();
    let file = name.replace(' ', "-");
    let mut files = FileSystem::clone(files);
    let plan = |suite: &&str| format!("{suite} {}\n", build::place_of(suite));
    files.text("/plan", &suites.iter().map(plan).collect::<String>());
    let Kernel { release, modules, .. } = &machine.kernel;
    files.tree(&format!("/lib/modules/{release}"), modules)?;
    let initial = root.join(format!("{file}.cpio"));
    files.write(&initial)?;
    say(format_args!("booting Linux {release} ({name})"));
    let begun = Instant::now();
    let each = |outcome: &Outcome| eprintln!("  {name}: {}", outcome.line());
    let report = machine.run(&initial, &root.join(format!("{file}.log")), limit, &each);
    // Large, and made anew each time.
    let _ = fs::remove_file(&initial);
    let report = report?;
    say(format_args!(
        "{name}: booted in {:.1} s, done in {:.0} s",
        report.booted.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    ));
    Ok((machine.clone(), report))
}

fn conclude(ran: &[Ran], chosen: &[&str]) -> Result<()> {
    let columns: Vec<_> = ran.iter().map(|ran| table::Column::of(ran, "")).collect();
    println!("\n{}", table::matrix(&columns, chosen));
    let failures = table::failures(ran);
    if failures.is_empty() {
        return Ok(());
    }
    bail!("{} failed in a machine:\n\n{}", failures.len(), failures.join("\n\n"))
}
