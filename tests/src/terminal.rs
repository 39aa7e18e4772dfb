//! A real terminal: the program under test on a screen of tmux, which keys are sent to and whose
//! text is read.

use std::{
    process::{Command, Output},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::tracer::{PATIENCE, program};

/// A screen with a shell; the server of tmux that has it is its own, and ends when dropped.
#[derive(Debug)]
pub struct Terminal {
    socket: String,
}

impl Terminal {
    /// A shell in the network namespace of this process, on a screen of that size.
    pub fn open(columns: u16, rows: u16) -> Self {
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        // The server of one before may still be on its way out.
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        let terminal = Self { socket: format!("tracer-{}-{number}", std::process::id()) };
        let size = [columns.to_string(), rows.to_string()];
        let net = format!("--net=/proc/{}/ns/net", std::process::id());
        let shell = "export LC_ALL=C.UTF-8 PS1='shell> '; exec bash --norc --noprofile";
        let mut begin = vec!["-f", "/dev/null", "new-session", "-d", "-s", "test"];
        begin.extend(["-x", &size[0], "-y", &size[1], "nsenter"]);
        begin.extend([net.as_str(), "bash", "-c", shell]);
        let output = terminal.command(&begin);
        assert!(output.status.success(), "live tests need tmux: {output:?}");
        // What a program gives to the clipboard is kept (OSC 52).
        terminal.command(&["set-option", "-s", "set-clipboard", "on"]);
        terminal.wait_for("a shell", |screen| screen.contains("shell>"));
        terminal
    }

    fn command(&self, arguments: &[&str]) -> Output {
        Command::new("tmux")
            .env_remove("TMUX")
            .args(["-L", &self.socket])
            .args(arguments)
            .output()
            .expect("live tests need the command tmux")
    }

    /// Runs the program under test.
    pub fn run(&self, arguments: &str) {
        self.send(&["-l", &format!("{} {arguments}", program().display())]);
        self.press(&["Enter"]);
    }

    /// Presses keys, by tmux's names.
    pub fn press(&self, keys: &[&str]) {
        self.send(keys);
    }

    fn send(&self, keys: &[&str]) {
        let output = self.command(&[&["send-keys", "-t", "test"], keys].concat());
        assert!(output.status.success(), "{output:?}");
    }

    /// Gives the screen another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        let [columns, rows] = [columns.to_string(), rows.to_string()];
        let arguments = ["resize-window", "-t", "test", "-x", &columns, "-y", &rows];
        let output = self.command(&arguments);
        assert!(output.status.success(), "{output:?}");
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        let output = self.command(&["capture-pane", "-p", "-t", "test"]);
        String::from_utf8(output.stdout).expect("text")
    }

    /// What is on the screen and what has left it at its upper edge.
    pub fn history(&self) -> String {
        let output = self.command(&["capture-pane", "-p", "-S", "-", "-t", "test"]);
        String::from_utf8(output.stdout).expect("text")
    }

    /// The same with the lines that were too long for the screen as they were written.
    pub fn unfolded(&self) -> String {
        let output = self.command(&["capture-pane", "-p", "-J", "-S", "-", "-t", "test"]);
        String::from_utf8(output.stdout).expect("text")
    }

    /// Whether a line was too long for the screen.
    pub fn has_folded(&self) -> bool {
        self.unfolded().trim_end().lines().count() != self.history().trim_end().lines().count()
    }

    /// Checks that a shell has the terminal again, as it was before a program was run.
    #[track_caller]
    pub fn assert_as_before(&self) {
        // What was on the screen before may have been folded by another width.
        self.wait_for("a shell again", |screen| screen.trim_end().ends_with("shell>"));
        assert!(!self.is("alternate_on"), "the alternate screen is still on");
        assert!(!self.is("mouse_any_flag"), "the mouse is still taken");
        assert!(self.is("cursor_flag"), "the cursor is hidden");
        // Raw mode would neither echo nor answer line by line.
        self.press(&[
            "-l",
            "stty -a | grep -o -- '[-]*\\bicanon\\|[-]*\\becho\\b'; echo is $((6*7))",
        ]);
        self.press(&["Enter"]);
        let screen = self.wait_for_words("is 42");
        assert!(!screen.contains("\n-icanon") && !screen.contains("\n-echo"), "{screen}");
    }

    /// The same with its colours and styles, as a terminal is sent them.
    pub fn coloured(&self) -> String {
        let output = self.command(&["capture-pane", "-p", "-e", "-t", "test"]);
        String::from_utf8(output.stdout).expect("text")
    }

    /// What has been given to the clipboard last.
    pub fn clipboard(&self) -> String {
        let output = self.command(&["show-buffer"]);
        String::from_utf8(output.stdout).expect("text")
    }

    /// What tmux knows of the screen, as `alternate_on` or `cursor_flag`.
    pub fn is(&self, what: &str) -> bool {
        let format = format!("#{{{what}}}");
        let output = self.command(&["display-message", "-p", "-t", "test", &format]);
        output.stdout.trim_ascii() == b"1"
    }

    /// Waits until the screen is as it should be; the screen.
    #[track_caller]
    pub fn wait_for(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if holds(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "the screen does not show {what}:\n{screen}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until words are on the screen.
    #[track_caller]
    pub fn wait_for_words(&self, words: &str) -> String {
        self.wait_for(words, |screen| screen.contains(words))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.command(&["kill-server"]);
    }
}
