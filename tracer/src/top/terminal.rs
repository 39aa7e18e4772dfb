//! Takes the terminal over for a while, and restores it whatever happens.

use std::{
    io::{self, Stdout, Write as _},
    panic,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        event::{DisableMouseCapture, EnableMouseCapture},
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};

use super::messages;

/// The terminal has been taken over.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, taken over until this is dropped.
pub(super) struct Taken {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
    /// It reports what the mouse does.
    mouse: bool,
}

impl Taken {
    /// Sets raw mode, the alternate screen and mouse reports.
    ///
    /// # Errors
    ///
    /// If standard output is no terminal that can be set up.
    pub(super) fn new() -> io::Result<Self> {
        give_back_on_panic();
        TAKEN.store(true, Ordering::SeqCst);
        messages::divert();
        let terminal = enable_raw_mode()
            .and_then(|()| execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture))
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        terminal.map(|terminal| Self { terminal, mouse: true }).inspect_err(|_| give_back())
    }
}

impl Taken {
    /// Takes the mouse, or leaves it to the terminal, which selects text with it.
    ///
    /// # Errors
    ///
    /// If the terminal fails.
    pub(super) fn take_mouse(&mut self, take: bool) -> io::Result<()> {
        match (self.mouse, take) {
            (false, true) => execute!(io::stdout(), EnableMouseCapture)?,
            (true, false) => execute!(io::stdout(), DisableMouseCapture)?,
            _ => {}
        }
        self.mouse = take;
        Ok(())
    }

    /// Gives a text to the terminal's clipboard (xterm's OSC 52). A terminal that does not take it
    /// says nothing.
    ///
    /// # Errors
    ///
    /// If the terminal fails.
    pub(super) fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        write!(out, "\x1b]52;c;{}\x07", BASE64_STANDARD.encode(text))?;
        out.flush()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Restores the terminal if it has been taken over.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // The terminal may be gone.
        let _ = execute!(io::stdout(), DisableMouseCapture, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        messages::release();
    }
}

/// Restores the terminal before the message of a panic is written.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    #[ignore = "takes a terminal over and panics: started by the test below, in one of its own"]
    fn panics_while_the_terminal_is_taken() {
        let _taken = Taken::new().unwrap();
        panic!("as it happens");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_and_can_be_read() {
        let program = env::current_exe().unwrap();
        let name = "top::terminal::tests::panics_while_the_terminal_is_taken";
        let run = format!("'{}' --exact --ignored --nocapture {name}; stty -a", program.display());
        // Of bsdutils: runs a command in a new terminal.
        let mut script = Command::new("script");
        let script = script.args(["-qec", &run, "/dev/null"]).stdin(Stdio::null());
        let shown = String::from_utf8(script.output().unwrap().stdout).unwrap();
        let (taken, after) = shown.split_once("\x1b[?1049l").expect("it leaves the other screen");
        assert!(taken.contains("\x1b[?1049h"), "{shown}");
        assert!(after.contains("as it happens"), "{shown}");
        for mode in ["icanon", "echo", "opost"] {
            assert!(after.split_whitespace().any(|word| word == mode), "{mode} in {after}");
        }
    }
}
