use std::{fs, path::PathBuf};

use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::RowAccessor as _,
};

use super::*;
use crate::{
    file::{Keep, Rotation, Sharing},
    flat::{COLUMNS, Row},
    flatten::Memory,
    message::{Message, Severity},
};

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tracer-parquet-{name}-{}", std::process::id()))
}

const LINE: &str = r#"{"kind":"transition","time":"2026-01-31T12:34:56.789012345Z",
    "socket":{"cookie":7,"ordinal":1},"tcp":{"from":"CLOSED","to":"SYN_SENT","orphaned":true}}"#;

fn record() -> Record {
    let line: serde_json::Value = serde_json::from_str(LINE).unwrap();
    let row = Row::of(&line, &mut Memory::default()).unwrap();
    Record { row, message: Message { text: String::new(), severity: Severity::Info } }
}

#[test]
fn a_complete_file_has_all_rows_with_their_types() {
    let path = path("complete");
    let mut parquet = Parquet::begin(LogFile::open(&path, None, Sharing::Alone).unwrap()).unwrap();
    for _ in 0..3 {
        parquet.deliver(&mut record()).unwrap();
    }
    parquet.settle().unwrap();
    parquet.deliver(&mut record()).unwrap();
    parquet.finish().unwrap();
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 2);
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4);
    let at = |name| COLUMNS.iter().position(|column| column.name == name).unwrap();
    assert_eq!(rows[3].get_string(at("tcp_to")).unwrap(), "SYN_SENT");
    assert_eq!(rows[3].get_string(at("tcp_state")).unwrap(), "SYN_SENT");
    assert_eq!(rows[3].get_long(at("socket_cookie")).unwrap(), 7);
    assert!(rows[3].get_bool(at("tcp_orphaned")).unwrap());
    assert!(rows[3].get_string(at("process_name")).is_err(), "it has none");
    fs::remove_file(&path).unwrap();
}

#[test]
fn nothing_is_appended_to_a_file_that_is_there() {
    let path = path("there");
    fs::write(&path, "PAR1").unwrap();
    let refused = Parquet::begin(LogFile::open(&path, None, Sharing::Alone).unwrap());
    assert!(refused.is_err_and(|error| error.to_string().contains("--rotate-size")));
    assert_eq!(fs::read_to_string(&path).unwrap(), "PAR1");
    fs::remove_file(&path).unwrap();
}

fn rows(path: &std::path::Path) -> usize {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    reader.get_row_iter(None).unwrap().map(Result::unwrap).count()
}

/// One that is set aside as soon as there is something in it, in a directory of its own.
fn rotating() -> (tempfile::TempDir, PathBuf, Parquet) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace");
    let keep = Keep { count: 5, compress: false };
    let rotation = Rotation { size: Some(1), age: None, keep };
    let file = LogFile::open(&path, Some(rotation), Sharing::Alone).unwrap();
    (directory, path, Parquet::begin(file).unwrap())
}

fn deliver(parquet: &mut Parquet) {
    parquet.deliver(&mut record()).unwrap();
}

#[test]
fn a_file_that_cannot_be_set_aside_goes_on_and_is_whole() {
    let (directory, path, mut parquet) = rotating();
    let obstacle = directory.path().join("trace.new");
    fs::create_dir(&obstacle).unwrap();
    for _ in 0..3 {
        deliver(&mut parquet);
        parquet.settle().unwrap();
    }
    assert!(!directory.path().join("trace.1").exists());
    fs::remove_dir(&obstacle).unwrap();
    parquet.file.hurry();
    parquet.settle().unwrap();
    deliver(&mut parquet);
    parquet.finish().unwrap();
    assert_eq!((rows(&directory.path().join("trace.1")), rows(&path)), (3, 1));
}

/// Two tables in one file would be none: the second one begins elsewhere than it says.
#[test]
fn a_file_that_cannot_be_opened_anew_goes_on_and_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace");
    let file = LogFile::open(&path, None, Sharing::Alone).unwrap();
    let mut parquet = Parquet::begin(file).unwrap();
    deliver(&mut parquet);
    let aside = directory.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    fs::write(&path, "somebody else's").unwrap();
    assert!(parquet.reopen().is_err());
    deliver(&mut parquet);
    fs::remove_file(&path).unwrap();
    parquet.reopen().unwrap();
    deliver(&mut parquet);
    parquet.finish().unwrap();
    assert_eq!((rows(&aside), rows(&path)), (2, 1));
}
