use std::fs::File;

use rstest::rstest;
use tracer_event::{summary::Summary, wall_clock::WallClock};

use super::{Recording, settings::Settings};
use crate::Sink as _;

#[rstest]
#[case::full(
    "/dev/full",
    Some("No space left on device; make room there, or write to another place")
)]
#[case::taken("/dev/null", None)]
fn an_end_that_is_not_in_the_file_is_told(#[case] path: &str, #[case] told: Option<&str>) {
    let file = File::options().write(true).open(path).unwrap();
    let recording = Recording::start(file, path.into(), false, || ()).unwrap();
    let ending = recording.ending();
    Box::new(recording).finish(&Summary::default(), WallClock::default().into());
    assert_eq!(ending().as_deref(), told);
}

#[rstest]
#[case("", "10m 67108864 10 Some(Critical) None None []")]
#[case("keep=30s,memory=8MiB,files=2,finding=off", "30s 8388608 2 None None None []")]
#[case(
    "ports=80%, descriptors=95,process=a,b*",
    "10m 67108864 10 Some(Critical) Some(0.8) Some(0.95) [\"a\", \"b*\"]"
)]
fn settings_are_read(#[case] text: &str, #[case] expected: &str) {
    let Settings { keep, memory, files, finding, ports, descriptors, process, directory: _ } =
        text.parse().unwrap();
    let keep = humantime::format_duration(keep);
    let read = format!("{keep} {memory} {files} {finding:?} {ports:?} {descriptors:?} {process:?}");
    assert_eq!(read, expected);
}

#[rstest]
#[case("keep", "\"keep\" is not of the form KEY=VALUE, such as keep=10m")]
#[case("keep=0s", "keep: not a time such as 30s or 10m")]
#[case("memory=1", "memory: not a size from 1MiB, such as 64MiB")]
#[case("files=0", "files: not a number from 1")]
#[case("finding=bad", "finding: not info, warning, critical or off")]
#[case("ports=200%", "ports: not a share from 1% to 100%")]
#[case("directory=", "directory: is empty")]
#[case(
    "kept=1",
    "kept: no such key: they are keep, memory, directory, files, finding, ports, descriptors, process"
)]
fn other_settings_are_refused(#[case] text: &str, #[case] error: &str) {
    assert_eq!(text.parse::<Settings>(), Err(error.into()));
}
