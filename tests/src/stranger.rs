//! The program under test, run by a user who is not root.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use crate::{netns::run, tracer::program};

/// `nobody`.
const USER: &str = "65534";

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
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its own files");
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
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
