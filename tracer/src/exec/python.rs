//! Which line of Python has connected a socket (`tracer exec --stacks`).
//!
//! The kernel sees the stack of the interpreter, not that of the program, and reading the frames
//! from outside would race with the program that runs on. So CPython itself says it: a
//! `sitecustomize.py` that is put in front of PYTHONPATH has an audit hook, which writes the line and
//! the inode number of the socket to a file. By that number the socket is known here.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Permissions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::PathBuf,
};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::fault::Site;
use tracer_event::escape::escape;

const MODULE: &str = include_str!("sitecustomize.py");
/// The file ends soon after this, bytes: `most` in the module.
const MOST: u64 = 17 << 20;

/// Where Python looks for modules first.
pub const PYTHONPATH: &str = "PYTHONPATH";

/// Code by the inode number of the socket that it has connected.
pub type Code = HashMap<u64, Site, RandomState>;

/// A directory with the module and the file that it writes.
#[derive(Debug)]
pub struct Hook {
    directory: PathBuf,
}

/// Reads what was written.
#[derive(Debug)]
pub struct Notes(File);

impl Hook {
    /// Makes it for a command that runs as this user and group; `None` as tracer itself.
    ///
    /// # Errors
    ///
    /// Where no directory can be made.
    pub fn make(user: Option<(u32, u32)>) -> io::Result<(Self, Notes)> {
        let name = format!("tracer-exec-{}", std::process::id());
        let hook = Self { directory: std::env::temp_dir().join(name) };
        // One that is there already belongs to somebody else.
        fs::DirBuilder::new().mode(0o755).create(&hook.directory)?;
        match hook.fill(user) {
            Ok(notes) => Ok((hook, notes)),
            Err(error) => {
                hook.remove();
                Err(error)
            }
        }
    }

    fn fill(&self, user: Option<(u32, u32)>) -> io::Result<Notes> {
        let make = |path: PathBuf, mode| {
            let mut options = File::options();
            let file = options.read(true).write(true).create_new(true).mode(mode).open(path)?;
            // Whatever the umask is.
            file.set_permissions(Permissions::from_mode(mode))?;
            Ok::<_, io::Error>(file)
        };
        make(self.module(), 0o644)?.write_all(MODULE.as_bytes())?;
        let notes = make(self.file(), 0o600)?;
        if let Some((uid, gid)) = user {
            fchown(&notes, Some(uid), Some(gid))?;
        }
        fs::set_permissions(&self.directory, Permissions::from_mode(0o755))?;
        Ok(Notes(notes))
    }

    fn module(&self) -> PathBuf {
        self.directory.join("sitecustomize.py")
    }

    fn file(&self) -> PathBuf {
        self.directory.join("sites")
    }

    /// The variables that the command gets, where PYTHONPATH is this.
    pub fn environment(&self, path: Option<&OsStr>) -> [(&'static str, OsString); 2] {
        let mut paths = self.directory.clone().into_os_string();
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            paths.push(":");
            paths.push(path);
        }
        [(PYTHONPATH, paths), ("TRACER_SITES", self.file().into_os_string())]
    }

    /// Removes it. What the interpreter has cached of the module goes with it.
    pub fn remove(self) {
        // Fails where somebody else has removed it.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Notes {
    /// What was written so far.
    pub fn read(mut self) -> Code {
        let mut text = Vec::new();
        // What could be read counts.
        let _ = self.0.rewind().and_then(|()| self.0.take(MOST).read_to_end(&mut text));
        parse(&text)
    }
}

/// Lines of an inode number, a test and calls, the last one first, with tabs between.
fn parse(text: &[u8]) -> Code {
    let mut code = Code::default();
    for line in text.split(|&byte| byte == b'\n') {
        let mut fields = line.split(|&byte| byte == b'\t');
        let inode = fields.next().and_then(|number| str::from_utf8(number).ok()?.parse().ok());
        let (Some(inode), Some(test)) = (inode, fields.next()) else { continue };
        let calls: Vec<_> = fields.map(escape).collect();
        let test = escape(test).into_owned();
        code.insert(inode, Site { connected: calls.join(", "), test, ..Site::default() });
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_what_is_none_is_left_out() {
        let text = b"7\ttest_a.py::test_b (call)\tget (/x/a.py:3)\ttest_b (/x/a.py:9)\n\
                     8\t\tmain (b.py:1)\nnothing\n\t\n9\n10\t\tf (\x1b.py:1)\n7x\t\n";
        let code = parse(text);
        assert_eq!(
            code[&7].say(None),
            "; connected at get (/x/a.py:3), test_b (/x/a.py:9); test test_a.py::test_b (call)"
        );
        assert_eq!(code[&8].say(None), "; connected at main (b.py:1)");
        assert!(!code[&10].connected.contains('\x1b') && code.len() == 3, "{code:?}");
    }

    #[test]
    fn the_path_of_the_command_stays() {
        let hook = Hook { directory: "/d".into() };
        let path = |given: Option<&str>| hook.environment(given.map(OsStr::new))[0].1.clone();
        assert_eq!(path(None), "/d");
        assert_eq!(path(Some("")), "/d");
        assert_eq!(path(Some("/a:/b")), "/d:/a:/b");
    }
}
