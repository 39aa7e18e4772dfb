//! Program and parent of each process as the programs in the kernel report them: a process may be
//! gone before anybody can look at it.

use std::sync::Arc;

use tracer_wire::{PATH_DEPTH, PATH_NAME, Program};

use super::REMEMBERED;
use crate::{bounded::Bounded, process::ProcessKey};
use tracer_event::{escape::escape, process::Parent};

/// What has been reported.
#[derive(Default)]
pub(super) struct Programs(Bounded<ProcessKey, Reported, REMEMBERED>);

struct Reported {
    executable: Option<Arc<str>>,
    parent: Option<Arc<Parent>>,
}

impl Programs {
    /// Remembers a report; what the process ran before execve() is forgotten.
    pub(super) fn learn(&mut self, program: &Program) {
        let Program { start_ns, pid, parent, ref parent_comm, ref names } = *program;
        let name = escape(text(parent_comm)).into();
        let reported = Reported {
            executable: path(names).map(Into::into),
            parent: (parent != 0).then(|| Arc::new(Parent { pid: parent, name })),
        };
        self.0.insert((pid, start_ns), reported);
    }

    /// What a process ran.
    pub(super) fn executable(&self, key: ProcessKey) -> Option<Arc<str>> {
        self.0.get(&key)?.executable.clone()
    }

    /// Who started it.
    pub(super) fn parent(&self, key: ProcessKey) -> Option<Arc<Parent>> {
        self.0.get(&key)?.parent.clone()
    }
}

/// Up to its NUL.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or(bytes)
}

/// The components from the root; `…` stands for what was not reported. A file in memory has no root
/// but a name.
fn path(names: &[[u8; PATH_NAME]; PATH_DEPTH]) -> Option<String> {
    let names: Vec<&[u8]> =
        names.iter().map(|name| text(name)).take_while(|name| !name.is_empty()).collect();
    let (outer, inner) = names.split_last()?;
    let (begin, inner) = match *outer {
        b"/" => ("", inner),
        _ if names.len() == PATH_DEPTH => ("…", &names[..]),
        name => return Some(escape(name).into_owned()).filter(|_| inner.is_empty()),
    };
    let mut path = String::from(begin);
    for name in inner.iter().rev() {
        path.push('/');
        path.push_str(&escape(name));
        if name.len() == PATH_NAME - 1 {
            path.push('…');
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(names: &[&str]) -> Program {
        let mut program = Program {
            start_ns: 5,
            pid: 7,
            parent: 3,
            parent_comm: *b"ba\x1bsh\0\0\0\0\0\0\0\0\0\0\0",
            names: [[0; PATH_NAME]; PATH_DEPTH],
        };
        for (name, slot) in names.iter().zip(&mut program.names) {
            let length = name.len().min(PATH_NAME - 1);
            slot[..length].copy_from_slice(&name.as_bytes()[..length]);
        }
        program
    }

    #[test]
    fn a_path_is_put_together_from_the_root() {
        let long = "n".repeat(70);
        let cut = format!("/{}…", "n".repeat(63));
        let deep = format!("…{}", "/d".repeat(16));
        for (names, expected) in [
            (&["nc", "bin", "usr", "/"][..], Some("/usr/bin/nc")),
            (&["a\nb", "/"], Some(r"/a\x0ab")),
            (&[&*long, "/"], Some(&*cut)),
            (&["d"; 20], Some(&*deep)),
            (&["memfd:x"], Some("memfd:x")),
            (&["nc", "bin"], None),
            (&[], None),
        ] {
            assert_eq!(path(&reported(names).names).as_deref(), expected);
        }
    }

    #[test]
    fn what_is_reported_of_a_process_is_of_that_one_alone() {
        let mut programs = Programs::default();
        programs.learn(&reported(&["sh", "/"]));
        programs.learn(&reported(&["nc", "/"]));
        assert_eq!(programs.executable((7, 5)).as_deref(), Some("/nc"));
        let parent = Parent { pid: 3, name: r"ba\x1bsh".into() };
        assert_eq!(programs.parent((7, 5)).as_deref(), Some(&parent));
        assert_eq!(programs.executable((7, 6)), None);
        programs.learn(&Program { pid: 8, parent: 0, ..reported(&[]) });
        assert_eq!((programs.executable((8, 5)), programs.parent((8, 5))), (None, None));
    }
}
