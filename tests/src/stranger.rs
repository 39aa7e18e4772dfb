//! The program under test, run by a user who is not root.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    thread,
};

use crate::{files::set_mode, netns::run, tracer::program};

/// `nobody`.
const USER: &str = "65534";

/// The same as a number.
pub const USER_ID: u32 = 65534;

/// A copy of the program, to which capabilities can be given; removed when dropped.
#[derive(Debug)]
pub struct Stranger {
    directory: PathBuf,
}

impl Stranger {
    /// A copy with these capabilities (`cap_bpf,cap_perfmon`), or none; `name` is the test's own.
    pub fn with(name: &str, capabilities: &str) -> Self {
        let directory = env::temp_dir().join(format!("tracer-{name}-{}", process::id()));
        fs::create_dir(&directory).expect("a directory that is not there");
        let stranger = Self { directory };
        fs::copy(program(), stranger.program()).expect("a copy of the program");
        for path in [&stranger.directory, &stranger.program()] {
            set_mode(path, 0o755);
        }
        if !capabilities.is_empty() {
            let program = stranger.program();
            run("setcap", &[&format!("{capabilities}=ep"), &program.to_string_lossy()]);
        }
        stranger
    }

    /// The copy.
    pub fn program(&self) -> PathBuf {
        self.directory.join("tracer")
    }

    /// A directory that anybody may enter, for the test's own files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The command that runs the copy in the calling thread's network namespace, prepared by shell
    /// commands in a mount namespace of its own.
    pub fn command(&self, prelude: &str, arguments: &[&str]) -> Command {
        let script = format!(r#"{prelude} && exec "$0" "$@""#);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]);
        command.args(["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]);
        command.arg(self.program()).args(arguments).stdin(Stdio::null());
        command
    }

    /// The command that runs the copy as a service manager does for `User=` and
    /// `AmbientCapabilities=` (as `bpf,perfmon`).
    pub fn service(&self, capabilities: &str, arguments: &[&str]) -> Command {
        let capabilities: Vec<String> =
            capabilities.split(',').map(|one| format!("+{one}")).collect();
        let capabilities = capabilities.join(",");
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]);
        command.args(["--inh-caps", &capabilities, "--ambient-caps", &capabilities]);
        command.arg(self.program()).args(arguments).stdin(Stdio::null());
        command
    }
}

/// What a process of the same user, without capabilities, gets of another one: the names of the
/// ways that are open.
pub fn ways_into(pid: u32) -> Vec<String> {
    // Users and capabilities are those of a thread.
    thread::scope(|scope| scope.spawn(|| as_stranger(pid)).join()).expect("it does not panic")
}

fn as_stranger(pid: u32) -> Vec<String> {
    // SAFETY: the calls change what the calling thread alone may do; it ends with them.
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<u32>()), 0);
        assert_eq!(libc::syscall(libc::SYS_setresgid, USER_ID, USER_ID, USER_ID), 0);
        assert_eq!(libc::syscall(libc::SYS_setresuid, USER_ID, USER_ID, USER_ID), 0);
    }
    let directory = format!("/proc/{pid}");
    let mut ways = Vec::new();
    let mut note = |way: String, is_open: bool| ways.extend(is_open.then_some(way));
    note("mem".into(), fs::File::open(format!("{directory}/mem")).is_ok());
    note("fd".into(), fs::read_dir(format!("{directory}/fd")).is_ok());
    note("environ".into(), fs::read(format!("{directory}/environ")).is_ok());
    for thread in fs::read_dir(format!("{directory}/task")).expect("it runs").flatten() {
        let name = thread.file_name().into_string().expect("a number");
        let id: i32 = name.parse().expect("a number");
        // SAFETY: follows a thread, until this one ends; it is not stopped.
        let followed = unsafe { libc::ptrace(libc::PTRACE_SEIZE, id, 0, 0) };
        note(format!("ptrace {name}"), followed == 0);
    }
    ways
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
