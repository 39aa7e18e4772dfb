//! `tracer daemon --check`: a configuration commands the privileges, so nobody else may change it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::{chown, symlink},
    path::{Path, PathBuf},
};

use tracer_tests::files::set_mode;
use tracer_tests::tracer::command;

/// What `tracer daemon --check` says of a file, in one line; nothing where it takes it.
fn refusal(path: &Path) -> Option<String> {
    let mut daemon = command("", &["daemon", "--check", "--config", path.to_str().unwrap()]);
    let output = daemon.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = if said.is_empty() { (0, 0) } else { (2, 1) };
    assert_eq!((output.status.code().unwrap(), said.lines().count()), expected, "{said}");
    (!said.is_empty()).then_some(said)
}

/// A way to a configuration, and what the refusal says where others can change what it leads to.
struct Way {
    name: &'static str,
    lay: fn(&Path) -> PathBuf,
    refused: Option<&'static str>,
}

const SOMEBODY: Option<u32> = Some(64_999);

/// `directory/t.toml`, of that mode, in a directory of that mode.
fn lay(directory: &Path, of_directory: u32, of_file: u32) -> PathBuf {
    make(directory, of_directory);
    let file = directory.join("t.toml");
    fs::write(&file, "journald = true\n").unwrap();
    set_mode(&file, of_file);
    file
}

fn make(directory: &Path, mode: u32) {
    fs::create_dir(directory).unwrap();
    set_mode(directory, mode);
}

fn link(target: &Path, link: PathBuf) -> PathBuf {
    symlink(target, &link).unwrap();
    link
}

const WAYS: [Way; 13] = [
    Way { name: "its own", lay: |at| lay(&at.join("d"), 0o755, 0o644), refused: None },
    Way { name: "sticky", lay: |at| lay(&at.join("d"), 0o1777, 0o600), refused: None },
    Way {
        name: "a link",
        lay: |at| link(&lay(&at.join("d"), 0o700, 0o600), at.join("link")),
        refused: None,
    },
    Way {
        name: "others write",
        lay: |at| lay(&at.join("d"), 0o755, 0o646),
        refused: Some("others can write it (mode 0646): chmod go-w "),
    },
    Way {
        name: "the group writes",
        lay: |at| lay(&at.join("d"), 0o755, 0o664),
        refused: Some("others can write it (mode 0664)"),
    },
    Way {
        name: "somebody's",
        lay: |at| {
            let file = lay(&at.join("d"), 0o755, 0o644);
            chown(&file, SOMEBODY, None).unwrap();
            file
        },
        refused: Some("belongs to user 64999"),
    },
    Way {
        name: "a link to it",
        lay: |at| link(&lay(&at.join("d"), 0o755, 0o666), at.join("link")),
        refused: Some("others can write it (mode 0666)"),
    },
    Way {
        name: "replaced",
        lay: |at| lay(&at.join("d"), 0o777, 0o644),
        refused: Some("others can write in "),
    },
    Way {
        name: "in somebody's directory",
        lay: |at| {
            let file = lay(&at.join("d"), 0o755, 0o644);
            chown(at.join("d"), SOMEBODY, None).unwrap();
            file
        },
        refused: Some("/d belongs to user 64999"),
    },
    Way {
        name: "further up",
        lay: |at| {
            make(&at.join("up"), 0o775);
            lay(&at.join("up/d"), 0o755, 0o644)
        },
        refused: Some("/up (mode 0775)"),
    },
    Way {
        name: "a link in a directory of all",
        lay: |at| {
            let file = lay(&at.join("d"), 0o755, 0o644);
            make(&at.join("links"), 0o777);
            link(&file, at.join("links/link"))
        },
        refused: Some("/links (mode 0777)"),
    },
    Way {
        name: "somebody's link in a sticky directory",
        lay: |at| {
            let file = lay(&at.join("d"), 0o755, 0o644);
            make(&at.join("links"), 0o1777);
            let link = link(&file, at.join("links/link"));
            std::os::unix::fs::lchown(&link, SOMEBODY, None).unwrap();
            link
        },
        refused: Some("/links (mode 1777)"),
    },
    Way {
        name: "links through a directory of all",
        lay: |at| {
            make(&at.join("links"), 0o777);
            let inner = link(&lay(&at.join("d"), 0o755, 0o644), at.join("links/inner"));
            link(&inner, at.join("outer"))
        },
        refused: Some("/links (mode 0777)"),
    },
];

/// Whoever writes the configuration commands the privileges.
#[test]
fn a_configuration_that_others_can_change_is_refused() {
    for Way { name, lay, refused } in WAYS {
        let directory = tempfile::tempdir().unwrap();
        let said = refusal(&lay(directory.path()));
        match (refused, &said) {
            (None, None) => {}
            (Some(words), Some(said)) if said.contains(words) => {}
            _ => panic!("{name}: {said:?} instead of {refused:?}"),
        }
    }
}

/// As Kubernetes mounts a ConfigMap: modes of what nobody can write mean nothing.
#[test]
fn on_a_file_system_that_is_read_only_modes_mean_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("volume").display().to_string();
    let script = format!(
        "mkdir {path} && mount -t tmpfs tmpfs {path} && echo journald = true > {path}/t.toml \
         && chmod 666 {path}/t.toml && chmod 777 {path} && mount -o remount,ro {path}"
    );
    let config = format!("{path}/t.toml");
    let output = command(&script, &["daemon", "--check", "--config", &config]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
