use std::{fs, path::PathBuf};

use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::RowAccessor as _,
};

use super::*;
use crate::sink::{
    file::Sharing,
    flat::{COLUMNS, Row},
    message::Severity,
};

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tracer-parquet-{name}-{}", std::process::id()))
}

const LINE: &str = r#"{"kind":"transition","time":"2026-01-31T12:34:56.789012345Z",
    "socket":{"cookie":7,"ordinal":1},"tcp":{"from":"CLOSED","to":"SYN_SENT","orphaned":true}}"#;

#[test]
fn a_complete_file_has_all_rows_with_their_types() {
    let path = path("complete");
    let mut parquet = Parquet::begin(LogFile::open(&path, None, Sharing::Alone).unwrap()).unwrap();
    let row = Row::read(LINE.as_bytes()).unwrap();
    for _ in 0..3 {
        let record = Record { row: &row, message: "", severity: Severity::Info };
        parquet.deliver(&record).unwrap();
    }
    parquet.settle().unwrap();
    parquet.deliver(&Record { row: &row, message: "", severity: Severity::Info }).unwrap();
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
