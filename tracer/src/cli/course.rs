//! `tracer demo --step` without a scenario: one lesson after the other. Each is a process of its
//! own, since a trace gives up for good what the next one needs.

use std::{
    io::{BufRead as _, BufReader, PipeReader, pipe},
    os::fd::AsRawFd as _,
    process::{Child, Command},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{Pid, Signal, kill_process},
};

use super::{console::print, signals};
use crate::demo::{
    keys::{self, Keys},
    presenter::Score,
    quiz::COURSE,
};
use tracer_output::width::wrap;
use tracer_texts::Texts;

/// The width of what is said.
const WIDTH: usize = 78;
/// Between two looks at whether a lesson is over.
const LOOK: Duration = Duration::from_millis(20);

/// Gives all lessons, until somebody does not go on.
///
/// # Errors
///
/// Where no process can be had.
pub(super) fn run(texts: &Texts, options: &[String]) -> anyhow::Result<()> {
    let mut total = Score::default();
    for (number, lesson) in COURSE.iter().enumerate() {
        let following = (number > 0).then(|| "--next-lesson".to_owned());
        let options: Vec<String> = options.iter().cloned().chain(following).collect();
        let Some(score) = give(lesson, &options)? else { return Ok(()) };
        total = Score { right: total.right + score.right, asked: total.asked + score.asked };
        let Some(next) = COURSE.get(number + 1) else { break };
        let title = texts.attribute(&format!("demo-{next}"), "title").unwrap_or_default();
        let words = texts.say_with("step-next", &[("lesson", title)]);
        let keys = texts.say("step-page");
        print(format!("\n{}\n  {keys}\n", wrap(&words, WIDTH).join("\n")).as_bytes())?;
        let _keys = Keys::of_stdin();
        if keys::any_until(signals::is_asked_to_end).is_none_or(|key| key == 'q') {
            return Ok(());
        }
    }
    print(format!("\n{}\n", texts.say_with("step-total", &total.values())).as_bytes())
}

/// Gives a lesson; `None` where it was not played to its end.
fn give(lesson: &str, options: &[String]) -> anyhow::Result<Option<Score>> {
    let (reader, writer) = pipe().context("cannot make a pipe")?;
    // The lesson inherits it.
    fcntl_setfd(&writer, FdFlags::empty()).context("cannot hand on a pipe")?;
    let mut command = Command::new("/proc/self/exe");
    command.args(["demo", lesson, "--step", "--score-to", &writer.as_raw_fd().to_string()]);
    let mut child = command.args(options).spawn().context("cannot start a lesson")?;
    drop(writer);
    let is_well = follow(&mut child)?;
    Ok(read(reader).filter(|_| is_well))
}

/// Waits for it; whoever ends the course ends the lesson.
fn follow(child: &mut Child) -> anyhow::Result<bool> {
    let mut is_ending = false;
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a lesson")? {
            return Ok(status.success() && !is_ending);
        }
        if !is_ending && signals::is_asked_to_end() {
            is_ending = true;
            // It may have ended by itself.
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
        thread::sleep(LOOK);
    }
}

fn read(reader: PipeReader) -> Option<Score> {
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).ok()?;
    Score::parse(&line)
}
