//! The process in which a scenario is played, as seen from inside.
//!
//! It says on standard output, a line each, `namespace INODE`, `step NAME`, and `done` or
//! `failed REASON`. After each line it waits for one on standard input, so that whoever has started
//! it is always ahead. It ends when nobody writes there any more, and with its parent.

use std::io::{self, BufRead as _, Write as _};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::{
    error::{During as _, Result},
    namespace,
    scenario::Scenario,
    sockets::act_as,
    stage::Stage,
};

/// Plays a scenario; returns when nobody looks any more. `confine` is called as soon as it is in its
/// namespace, to give up what is not needed there.
///
/// # Errors
///
/// Where nobody listens. What goes wrong in the scenario is said on standard output.
pub fn serve(scenario: &Scenario, parent: i32, confine: impl FnOnce()) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).during("follow the parent")?;
    // It may have ended before that.
    if getppid().map(Pid::as_raw_pid) != Some(parent) {
        return Ok(());
    }
    // Ctrl-C is for who has started it, and ends it.
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    act_as("demo");
    play(scenario, confine).or_else(|error| say(&format!("failed {error}")))
}

fn play(scenario: &Scenario, confine: impl FnOnce()) -> Result<()> {
    let inode = namespace::enter()?;
    confine();
    say(&format!("namespace {inode}"))?;
    let mut announce = |step: &str| say(&format!("step {step}"));
    let stage = Stage::new(&mut announce);
    (scenario.play)(&stage)?;
    stage.settle();
    // What is kept is open until the trace is over, which is not answered.
    let _ = say("done");
    drop(stage);
    Ok(())
}

/// Says something and waits for the answer.
fn say(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).during("say what comes next")?;
    let read = io::stdin().lock().read_line(&mut String::new()).during("wait for an answer")?;
    if read == 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).during("wait for an answer");
    }
    Ok(())
}
