//! All tests: those that wait side by side, the others one after the other.
//!
//! Cargo runs one test program after the other, which left both processors idle for most of a
//! quarter of an hour. But tests that measure times and shares of a processor must have no busy
//! neighbour. So these are run alone, first. Then those that only wait for timers of the kernel
//! are run several at once, and beside them, with what they leave of the processors, the emulated
//! machines.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::{fs, io, thread};

use anyhow::{Context as _, Result, anyhow};

use super::Tests;
use crate::cargo::Cargo;
use crate::messages::{TestProgram, test_programs};
use crate::process::{self, ChildFailed, say};
use crate::{vm, workspace};

/// Live tests that wait for most of their time and measure none of it, the longest
/// first.
const WAITING: [&str; 17] = [
    "remedies",
    "demo",
    "time_wait",
    "stacks",
    "cases",
    "silence",
    "diagnose",
    "otlp",
    "lessons",
    "daemon",
    "examples",
    "connecting",
    "reading",
    "screens",
    "proxies",
    "joins",
    "forwarding",
];
/// The package of the live tests.
const LIVE: &str = "tracer-tests";
/// How many of them at once: each runs [`super::AT_ONCE`] tests.
const SIDE_BY_SIDE: usize = 3;
/// As nice as can be: the machines take what the tests beside them leave.
const NICE: i32 = 19;

/// What did not pass; all of it is reported at the end.
type Failed = Vec<String>;

/// Builds and runs them.
pub(super) fn run(tests: &Tests<'_>) -> Result<()> {
    let programs = test_programs(tests.call().arg("--no-run"))?;
    let (waiting, others) = apart(programs);
    let mut failed = Vec::new();
    for program in &others {
        running(program);
        if !succeeds(program, tests, None)? {
            failed.push(again(program));
        }
    }
    if tests.by_cargo(&["--doc"]).is_err() {
        failed.push("documentation: cargo xtask test -- --doc".to_owned());
    }
    let machines = thread::scope(|scope| {
        let machines = scope.spawn(|| machines(tests.cargo));
        failed.extend(side_by_side(waiting, tests)?);
        machines.join().unwrap_or_else(|_| Err(anyhow!("the machines were lost")))
    });
    conclude(&failed, machines)
}

/// Those of [`WAITING`], in its order, and the others.
fn apart(programs: Vec<TestProgram>) -> (Vec<TestProgram>, Vec<TestProgram>) {
    let place = |program: &TestProgram| {
        let place = WAITING.iter().position(|name| *name == program.name);
        place.filter(|_| program.is_integration && program.package == LIVE)
    };
    let (mut waiting, others): (Vec<_>, Vec<_>) =
        programs.into_iter().partition(|program| place(program).is_some());
    waiting.sort_by_key(place);
    (waiting, others)
}

/// The short run on other kernels.
fn machines(cargo: &Cargo) -> Result<()> {
    // On Linux this is of the calling thread, and what it starts inherits it.
    rustix::process::setpriority_process(None, NICE).context("cannot be nice")?;
    vm::short(cargo)
}

/// Runs several at once; what each of them says stays together.
fn side_by_side(programs: Vec<TestProgram>, tests: &Tests<'_>) -> Result<Failed> {
    let logs = workspace::target()?.join("test-output");
    fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let queue = Mutex::new(programs.into_iter());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let work = || -> Result<Failed> {
        let mut failed = Vec::new();
        while let Some(program) = next() {
            if !heard_out(&program, tests, &logs)? {
                failed.push(again(&program));
            }
        }
        Ok(failed)
    };
    thread::scope(|scope| {
        let lanes = [(); SIDE_BY_SIDE].map(|()| scope.spawn(work));
        let lost = |_| Err(anyhow!("a thread that runs tests was lost"));
        let failed = lanes.map(|lane| lane.join().unwrap_or_else(lost));
        Ok(failed.into_iter().collect::<Result<Vec<_>>>()?.concat())
    })
}

/// Runs one beside others, and shows at its end what it has said.
fn heard_out(program: &TestProgram, tests: &Tests<'_>, logs: &Path) -> Result<bool> {
    say(format_args!("running {} beside others", program.name));
    // A file and no pipe: whatever a test might leave behind would keep that open.
    let log = logs.join(format!("{}.log", program.name));
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let succeeded = succeeds(program, tests, Some(file))?;
    let said = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let mut out = io::stdout().lock();
    running(program);
    out.write_all(&said).context("cannot write")?;
    Ok(succeeded)
}

/// Runs a test program as cargo does; what it says goes to `output`, or to whoever watches.
fn succeeds(program: &TestProgram, tests: &Tests<'_>, output: Option<File>) -> Result<bool> {
    let TestProgram { directory, program, .. } = program;
    let mut command = process::as_root(program);
    command.current_dir(directory).env("CARGO_MANIFEST_DIR", directory).stdin(Stdio::null());
    tests.prepare(&mut command);
    if let Some(file) = output {
        command.stdout(file.try_clone().context("a second descriptor")?).stderr(file);
    }
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    Ok(status.success())
}

/// Says what is run, in cargo's words.
fn running(TestProgram { directory, source, program, .. }: &TestProgram) {
    let source = source.strip_prefix(directory).unwrap_or(source);
    let program = program.strip_prefix(workspace::root()).unwrap_or(program);
    eprintln!("     Running {} ({})", source.display(), program.display());
}

/// What it is, and what runs it again; of the tests in crates, all.
fn again(TestProgram { name, is_integration, package, .. }: &TestProgram) -> String {
    if *is_integration {
        format!("{package}, {name}: cargo xtask test -- --test {name}")
    } else {
        format!("{package}: cargo xtask test -- --lib --bins")
    }
}

fn conclude(failed: &[String], machines: Result<()>) -> Result<()> {
    if failed.is_empty() {
        return machines;
    }
    if let Err(error) = machines {
        say(format_args!("{error:#}"));
    }
    for what in failed {
        say(format_args!("failed: {what}"));
    }
    // Cargo's status where tests fail.
    Err(ChildFailed { status: 101 }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(package: &str, name: &str) -> TestProgram {
        TestProgram {
            name: name.to_owned(),
            is_integration: true,
            package: package.to_owned(),
            directory: "/w".into(),
            source: "/w/tests/a.rs".into(),
            program: "/w/target/a".into(),
        }
    }

    #[test]
    fn what_waits_is_there_and_is_run_from_the_longest_on() {
        for name in WAITING {
            let file = workspace::root().join(format!("tests/tests/{name}.rs"));
            assert!(file.exists(), "{}", file.display());
        }
        let other = [program("tracer", "remedies"), program(LIVE, "load")];
        let (last, first) = (program(LIVE, "demo"), program(LIVE, "remedies"));
        let (waiting, others) = apart([&other[..], &[last.clone(), first.clone()]].concat());
        assert_eq!((waiting, others), (vec![first, last], other.to_vec()));
    }

    #[test]
    fn what_has_failed_is_named_by_what_runs_it_again() {
        let live = "tracer-tests, load: cargo xtask test -- --test load";
        assert_eq!(again(&program(LIVE, "load")), live);
        let unit = TestProgram { is_integration: false, ..program("tracer", "tracer") };
        assert_eq!(again(&unit), "tracer: cargo xtask test -- --lib --bins");
    }

    #[test]
    fn a_failed_test_is_not_hidden_by_machines_that_passed_nor_the_other_way() {
        assert!(conclude(&[], Ok(())).is_ok());
        assert!(conclude(&[], Err(anyhow!("a machine"))).is_err());
        let error = conclude(&["load".to_owned()], Ok(())).unwrap_err();
        assert_eq!(error.downcast_ref::<ChildFailed>().unwrap().status, 101);
    }
}
