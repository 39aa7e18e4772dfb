//! Answers, a key each: of a terminal without a line discipline in between, or of a file.

use std::{io, time::Duration};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

/// Between two looks at whether somebody asks for the end.
const LOOK: Duration = Duration::from_millis(50);

/// A terminal that gives each key at once; as it was when dropped.
#[derive(Debug)]
pub struct Keys(Option<Termios>);

impl Keys {
    /// Standard input, where it is a terminal.
    pub fn of_stdin() -> Self {
        let stdin = io::stdin();
        let before = isatty(&stdin).then(|| tcgetattr(&stdin).ok()).flatten();
        if let Some(mut modes) = before.clone() {
            // Ctrl-C stays a signal.
            modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            // What does not work costs a press of Enter.
            let _ = tcsetattr(&stdin, OptionalActions::Now, &modes);
        }
        Self(before)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// The next key that is no space; `None` at the end.
pub fn next() -> Option<char> {
    loop {
        let mut byte = [0];
        // Nothing is read ahead: who comes after this process goes on where it ended.
        match rustix::io::read(rustix::stdio::stdin(), &mut byte) {
            Ok(1) if byte[0].is_ascii_whitespace() => {}
            Ok(1) => return Some(char::from(byte[0])),
            Err(rustix::io::Errno::INTR) => {}
            _ => return None,
        }
    }
}

/// The next key of any kind; `None` at the end.
pub fn any() -> Option<char> {
    let mut byte = [0];
    match rustix::io::read(rustix::stdio::stdin(), &mut byte) {
        Ok(1) => Some(char::from(byte[0])),
        _ => None,
    }
}

/// The same; `None` also once somebody asks for the end, which is looked for in between.
pub fn any_until(is_asked_to_end: impl Fn() -> bool) -> Option<char> {
    let stdin = io::stdin();
    let look = Timespec::try_from(LOOK).ok()?;
    while !is_asked_to_end() {
        let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut polled, Some(&look)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return any(),
            Err(_) => return None,
        }
    }
    None
}
