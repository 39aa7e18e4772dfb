//! The process that plays a scenario: this program once more, in a network namespace of its own.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, bail};
use tracer_lab::scenario::Scenario;

/// The hidden command that plays.
pub const COMMAND: &str = "lab";

/// What the process says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// It is in this network namespace.
    Namespace(u32),
    /// This step is next.
    Step(String),
    /// All is over; what is open stays so until [`Player`] is dropped.
    Done,
    /// It cannot go on.
    Failed(String),
}

/// A process that plays; with it goes all that it has made.
#[derive(Debug)]
pub struct Player(Child);

/// Its ends of the conversation.
#[derive(Debug)]
pub struct Talk {
    out: BufReader<ChildStdout>,
    answers: ChildStdin,
}

impl Player {
    /// Starts it. It waits in its namespace for the first answer.
    ///
    /// # Errors
    ///
    /// Where no process can be had.
    pub fn start(scenario: &Scenario) -> anyhow::Result<(Self, Talk)> {
        let mut command = Command::new("/proc/self/exe");
        command.args([COMMAND, scenario.name, &std::process::id().to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start a process")?;
        let (out, answers) = (child.stdout.take(), child.stdin.take());
        let player = Self(child);
        let (Some(out), Some(answers)) = (out, answers) else { bail!("a process without pipes") };
        Ok((player, Talk { out: BufReader::new(out), answers }))
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Talk {
    /// What it says next.
    ///
    /// # Errors
    ///
    /// Where it has ended.
    pub fn listen(&mut self) -> anyhow::Result<Said> {
        let mut line = String::new();
        self.out.read_line(&mut line).context("cannot read from the process that plays")?;
        let line = line.trim_end();
        Ok(match line.split_once(' ').unwrap_or((line, "")) {
            ("namespace", inode) => Said::Namespace(inode.parse()?),
            ("step", name) => Said::Step(name.to_owned()),
            ("done", "") => Said::Done,
            ("failed", reason) => Said::Failed(reason.to_owned()),
            ("", "") => bail!("the process that plays has ended"),
            _ => bail!("the process that plays says {line:?}"),
        })
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// Where it has ended.
    pub fn go_on(&mut self) -> anyhow::Result<()> {
        self.answers.write_all(b"\n").context("the process that plays has ended")
    }
}
