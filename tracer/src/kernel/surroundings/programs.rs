//! Programs and parents of processes: as the kernel half has told them, for those that are gone
//! before anybody looks, and of those that are there.

use std::{fs, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_ebpf::{PATH_DEPTH, PATH_NAME, Program};

use super::{ProcessKey, REMEMBERED, stat_field};
use crate::{event::escape::escape, model::owner::Parent};

/// What has been told, of so many processes at most.
#[derive(Default)]
pub(super) struct Programs(HashMap<ProcessKey, Told, RandomState>);

#[derive(Default)]
struct Told {
    executable: Option<Arc<str>>,
    parent: Option<Arc<Parent>>,
}

impl Programs {
    /// Remembers what is told of a process; what it ran before execve() is forgotten.
    pub(super) fn learn(&mut self, program: &Program) {
        let Program { start_ns, pid, parent, ref parent_comm, ref names } = *program;
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        let name = escape(text(parent_comm)).into();
        let told = Told {
            executable: path(names).map(Into::into),
            parent: (parent != 0).then(|| Arc::new(Parent { pid: parent, name })),
        };
        self.0.insert((pid, start_ns), told);
    }

    /// What a process ran.
    pub(super) fn executable(&self, key: ProcessKey) -> Option<Arc<str>> {
        self.0.get(&key)?.executable.clone()
    }

    /// Who has started it.
    pub(super) fn parent(&self, key: ProcessKey) -> Option<Arc<Parent>> {
        self.0.get(&key)?.parent.clone()
    }
}

/// The parent of a process that is there.
pub(super) fn parent_of(pid: u32) -> Option<Parent> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let pid = stat_field(&stat, 4)?.parse().ok().filter(|&pid| pid != 0)?;
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(Parent { pid, name: escape(name.strip_suffix(b"\n").unwrap_or(&name)).into() })
}

/// Up to its NUL.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or(bytes)
}

/// The components from the root; `…` stands for what was not told. What has no root (a file in
/// memory) has a name alone.
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

    fn told(names: &[&str]) -> Program {
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
            assert_eq!(path(&told(names).names).as_deref(), expected);
        }
    }

    #[test]
    fn what_is_told_of_a_process_is_of_that_one_alone() {
        let mut programs = Programs::default();
        programs.learn(&told(&["sh", "/"]));
        programs.learn(&told(&["nc", "/"]));
        assert_eq!(programs.executable((7, 5)).as_deref(), Some("/nc"));
        let parent = Parent { pid: 3, name: r"ba\x1bsh".into() };
        assert_eq!(programs.parent((7, 5)).as_deref(), Some(&parent));
        assert_eq!(programs.executable((7, 6)), None);
        programs.learn(&Program { pid: 8, parent: 0, ..told(&[]) });
        assert_eq!((programs.executable((8, 5)), programs.parent((8, 5))), (None, None));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let mut programs = Programs::default();
        for pid in 0..=REMEMBERED as u32 {
            programs.learn(&Program { pid, ..told(&["nc", "/"]) });
        }
        assert_eq!(programs.0.len(), 1);
    }
}
