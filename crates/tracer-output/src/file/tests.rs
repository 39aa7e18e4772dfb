use std::{
    fs,
    io::Read as _,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use rstest::rstest;

use super::*;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tracer-file-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open_log(directory: &Directory, rotation: Option<Rotation>) -> LogFile {
    LogFile::open(&directory.log(), rotation, Sharing::Shared).unwrap()
}

#[rstest]
#[case("whole\n", "whole\nnew\n")]
#[case("whole\nto", "whole\nto\nnew\n")]
#[case("", "new\n")]
fn what_was_there_stays_and_a_torn_line_is_ended(#[case] before: &str, #[case] after: &str) {
    let directory = Directory::new(&format!("torn{}", before.len()));
    fs::write(directory.log(), before).unwrap();
    let mut file = open_log(&directory, None);
    file.append(b"new\n").unwrap();
    assert_eq!(directory.read("log"), after);
}

fn rotation(size: u64, count: u32, compress: bool) -> Option<Rotation> {
    Some(Rotation { size: Some(size), age: None, keep: Keep { count, compress } })
}

#[test]
fn the_oldest_files_go() {
    let directory = Directory::new("keep");
    let mut file = open_log(&directory, rotation(8, 2, false));
    for line in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
        if file.is_due(line.len() as u64) {
            file.rotate().unwrap();
        }
        file.append(line.as_bytes()).unwrap();
    }
    assert_eq!(directory.names(), ["log", "log.1", "log.2"]);
    assert_eq!(directory.read("log"), "five\n");
    assert_eq!(directory.read("log.1"), "four\n");
    assert_eq!(directory.read("log.2"), "three\n");
}

#[test]
fn files_set_aside_are_compressed() {
    let directory = Directory::new("gzip");
    let mut file = open_log(&directory, rotation(4, 9, true));
    for line in ["one\n", "two\n", "six\n"] {
        if file.is_due(line.len() as u64) {
            file.rotate().unwrap();
            file.compress();
            file.archive.finish();
        }
        file.append(line.as_bytes()).unwrap();
    }
    assert_eq!(directory.names(), ["log", "log.1.gz", "log.2.gz"]);
    let mut text = String::new();
    let compressed = File::open(directory.0.join("log.2.gz")).unwrap();
    flate2::read::GzDecoder::new(compressed).read_to_string(&mut text).unwrap();
    assert_eq!(text, "one\n");
}

#[test]
fn an_old_file_is_set_aside_an_empty_one_never() {
    let directory = Directory::new("age");
    let age = Some(Duration::ZERO);
    let rotation = Rotation { size: None, age, keep: Keep { count: 1, compress: false } };
    let mut file = open_log(&directory, Some(rotation));
    assert!(!file.is_due(100));
    file.append(b"one\n").unwrap();
    assert!(file.is_due(1));
}

#[test]
fn opened_anew_only_where_the_path_leads_elsewhere() {
    let directory = Directory::new("reopen");
    let mut file = open_log(&directory, None);
    file.append(b"one\n").unwrap();
    file.reopen().unwrap();
    file.append(b"two\n").unwrap();
    fs::rename(directory.log(), directory.0.join("aside")).unwrap();
    file.append(b"three\n").unwrap();
    file.reopen().unwrap();
    assert!(file.is_empty());
    file.append(b"four\n").unwrap();
    assert_eq!(directory.read("aside"), "one\ntwo\nthree\n");
    assert_eq!(directory.read("log"), "four\n");
}

#[test]
fn a_full_device_takes_nothing_and_says_so() {
    let mut file = LogFile::open(Path::new("/dev/full"), None, Sharing::Shared).unwrap();
    let unwritten = file.append(b"one\ntwo\n").unwrap_err();
    assert_eq!(unwritten.rest, 8);
    assert_eq!(unwritten.error.kind(), io::ErrorKind::StorageFull);
}

/// All that is in a directory, by name; a directory in it by its name alone.
fn contents(directory: &Directory) -> Vec<(String, String)> {
    let read = |name: String| {
        let text = fs::read_to_string(directory.0.join(&name)).unwrap_or_default();
        (name, text)
    };
    directory.names().into_iter().map(read).collect()
}

/// A log and what was set aside of it before.
fn with_archive(name: &str, count: u32, archived: &[&str]) -> (Directory, LogFile) {
    let directory = Directory::new(name);
    for name in archived {
        fs::write(directory.0.join(name), format!("{name}\n")).unwrap();
    }
    let mut file = open_log(&directory, rotation(4, count, false));
    file.append(b"live\n").unwrap();
    (directory, file)
}

#[rstest]
#[case::a_directory_as_the_first("log.1")]
#[case::a_directory_in_the_middle("log.2")]
#[case::a_directory_as_the_last("log.3")]
#[case::a_directory_among_the_compressed("log.2.gz")]
#[case::a_directory_instead_of_the_new_one("log.new")]
#[case::a_directory_where_the_oldest_goes("log.4")]
fn a_rotation_that_fails_leaves_all_as_it_was(#[case] obstacle: &str) {
    let archived: Vec<&str> =
        ["log.1", "log.2", "log.3"].into_iter().filter(|name| *name != obstacle).collect();
    let (directory, mut file) = with_archive(&format!("fails-{obstacle}"), 3, &archived);
    let obstacle = directory.0.join(obstacle);
    fs::create_dir(&obstacle).unwrap();
    fs::write(obstacle.join("precious"), "").unwrap();
    let before = contents(&directory);
    for _ in 0..3 {
        assert!(file.is_due(1) && file.rotate().is_err());
        assert_eq!(contents(&directory), before);
    }
    file.append(b"on\n").unwrap();
    assert_eq!(directory.read("log"), "live\non\n");
    fs::remove_dir_all(&obstacle).unwrap();
    file.rotate().unwrap();
    file.append(b"new\n").unwrap();
    assert_eq!((&*directory.read("log"), &*directory.read("log.1")), ("new\n", "live\non\n"));
}

/// Killed between two renames it leaves a number free, or one file too many.
#[rstest]
#[case(&["log.1", "log.3", "log.4"], &[("log.1", "live"), ("log.2", "log.1"), ("log.3", "log.3")])]
#[case(&["log.2", "log.3"], &[("log.1", "live"), ("log.2", "log.2"), ("log.3", "log.3")])]
#[case(&["log.1", "log.2", "log.3", "log.4.gz"],
       &[("log.1", "live"), ("log.2", "log.1"), ("log.3", "log.2")])]
fn the_next_rotation_puts_right_what_a_killed_one_has_left(
    #[case] left: &[&str],
    #[case] then: &[(&str, &str)],
) {
    let (directory, mut file) = with_archive(&format!("killed-{}", left.join("-")), 3, left);
    // As it was before it got its place.
    fs::write(directory.0.join("log.new"), "").unwrap();
    file.rotate().unwrap();
    for (name, was) in then {
        assert_eq!(directory.read(name), format!("{was}\n"), "{name}");
    }
    assert_eq!(directory.read("log"), "");
    assert!(!directory.names().contains(&"log.new".to_owned()));
    let is_beyond = |name: &String| name == "log.4.gz";
    assert!(!directory.names().iter().any(is_beyond), "{:?}", directory.names());
}

#[test]
fn the_new_file_is_for_those_alone_whom_the_old_one_was_for() {
    let (directory, mut file) = with_archive("modes", 3, &[]);
    fs::set_permissions(directory.log(), fs::Permissions::from_mode(0o640)).unwrap();
    file.rotate().unwrap();
    assert_eq!(fs::metadata(directory.log()).unwrap().permissions().mode() & 0o777, 0o640);
}

/// Nothing is written through a link that somebody has put there.
#[test]
fn the_new_file_is_no_link() {
    let (directory, mut file) = with_archive("link", 3, &[]);
    symlink("elsewhere", directory.0.join("log.new")).unwrap();
    assert!(file.rotate().is_err());
    assert_eq!(directory.names(), ["log", "log.new"]);
}

#[test]
fn what_somebody_else_has_set_aside_is_not_set_aside_again() {
    let (directory, mut file) = with_archive("elsewhere", 3, &["log.1"]);
    fs::rename(directory.log(), directory.0.join("aside")).unwrap();
    fs::write(directory.log(), "theirs\n").unwrap();
    file.rotate().unwrap();
    file.append(b"ours\n").unwrap();
    assert_eq!(directory.names(), ["aside", "log", "log.1"]);
    assert_eq!(directory.read("log"), "theirs\nours\n");
    assert_eq!(directory.read("log.1"), "log.1\n");
}

#[test]
fn compressing_that_fails_leaves_the_file_and_is_done_later() {
    let (directory, mut file) = with_archive("later", 3, &["log.1"]);
    file.archive = Archive::new(&directory.log(), Some(Keep { count: 3, compress: true }));
    let obstacle = directory.0.join("log.gz.partial");
    fs::create_dir(&obstacle).unwrap();
    file.rotate().unwrap();
    file.compress();
    file.archive.finish();
    assert_eq!(directory.names(), ["log", "log.1", "log.2", "log.gz.partial"]);
    assert_eq!((&*directory.read("log.1"), &*directory.read("log.2")), ("live\n", "log.1\n"));
    // Not before some time has passed.
    file.archive.tend();
    assert!(file.archive.is_ready() && file.is_empty());
    fs::remove_dir(&obstacle).unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    file.archive.tend();
    file.archive.finish();
    assert_eq!(directory.names(), ["log", "log.1.gz", "log.2.gz"]);
}

#[test]
fn what_has_been_deleted_takes_nothing_until_it_is_opened_anew() {
    let directory = Directory::new("deleted");
    let mut file = open_log(&directory, None);
    file.append(b"one\n").unwrap();
    fs::remove_file(directory.log()).unwrap();
    let unwritten = file.append(b"two\nthree\n").unwrap_err();
    assert_eq!(unwritten.rest, 10);
    assert!(unwritten.error.to_string().contains("SIGHUP"), "{}", unwritten.error);
    file.reopen().unwrap();
    file.append(b"four\n").unwrap();
    assert_eq!(directory.read("log"), "four\n");
}

#[test]
fn opening_anew_waits_for_nobody() {
    let directory = Directory::new("pipe");
    let mut file = open_log(&directory, None);
    fs::remove_file(directory.log()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(directory.log()).status().unwrap();
    assert!(made.success());
    assert!(file.reopen().is_err(), "nobody reads it");
    file.append(b"one\n").unwrap_err();
}
