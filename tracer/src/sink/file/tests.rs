use std::{fs, io::Read as _};

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

#[rstest]
#[case("whole\n", "whole\nnew\n")]
#[case("whole\nto", "whole\nto\nnew\n")]
#[case("", "new\n")]
fn what_was_there_stays_and_a_torn_line_is_ended(#[case] before: &str, #[case] after: &str) {
    let directory = Directory::new(&format!("torn{}", before.len()));
    fs::write(directory.log(), before).unwrap();
    let mut file = LogFile::open(&directory.log(), None).unwrap();
    file.append(b"new\n").unwrap();
    assert_eq!(directory.read("log"), after);
}

fn rotation(size: u64, count: u32, compress: bool) -> Option<Rotation> {
    Some(Rotation { size: Some(size), age: None, keep: Keep { count, compress } })
}

#[test]
fn the_oldest_files_go() {
    let directory = Directory::new("keep");
    let mut file = LogFile::open(&directory.log(), rotation(8, 2, false)).unwrap();
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
    let mut file = LogFile::open(&directory.log(), rotation(4, 9, true)).unwrap();
    for line in ["one\n", "two\n", "six\n"] {
        if file.is_due(line.len() as u64) {
            file.rotate().unwrap();
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
    let mut file = LogFile::open(&directory.log(), Some(rotation)).unwrap();
    assert!(!file.is_due(100));
    file.append(b"one\n").unwrap();
    assert!(file.is_due(1));
}

#[test]
fn opened_anew_only_where_the_path_leads_elsewhere() {
    let directory = Directory::new("reopen");
    let mut file = LogFile::open(&directory.log(), None).unwrap();
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
    let mut file = LogFile::open(Path::new("/dev/full"), None).unwrap();
    let unwritten = file.append(b"one\ntwo\n").unwrap_err();
    assert_eq!(unwritten.rest, 8);
    assert_eq!(unwritten.error.kind(), io::ErrorKind::StorageFull);
}
