//! Output files when something is in the way: nothing is lost, it is said once, and it goes on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;
use tracer_tests::{
    background::Background,
    files::set_mode,
    load,
    netns::{Namespace, isolated, run},
    output::{assert_complete, files, lines, read, record},
    sockets::eventually,
};

const ROTATION: [&str; 4] = ["--rotate-size", "64KiB", "--keep", "500"];

/// The files by their names, each with its inode and size.
fn archive(path: &Path) -> BTreeMap<PathBuf, (u64, u64)> {
    let status = |file: PathBuf| {
        // It may have just been set aside.
        let status = fs::metadata(&file).ok()?;
        Some((file, (status.ino(), status.size())))
    };
    files(path).into_iter().filter(|file| file != path).filter_map(status).collect()
}

/// A directory of a file system of its own for a tracer, as the tracer sees it.
fn tmpfs(place: &Path, options: &str) -> String {
    format!("mount -t tmpfs -o {options} tmpfs {}", place.display())
}

/// Sets aside, cannot while the fault lasts, and can again.
fn nothing_is_lost(
    options: &str,
    begin: impl FnOnce(&Background, &Path) + Send,
    end: impl FnOnce(&Background, &Path) + Send,
) {
    isolated(|namespace| {
        load::prepare(namespace);
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join("trace");
        let tracer = record(&tmpfs(place.path(), options), namespace, &log, &ROTATION);
        let path = tracer.inside(log.to_str().unwrap());
        load::connections(60);
        eventually("it has been set aside", || archive(&path).len() > 2);
        // What is on its way is written.
        thread::sleep(Duration::from_millis(300));
        begin(&tracer, path.parent().unwrap());
        let before = archive(&path);
        let len = || fs::metadata(&path).unwrap().len();
        for _ in 0..10 {
            load::connections(20);
            thread::sleep(Duration::from_millis(50));
            assert_eq!(archive(&path), before, "it is still in the way");
        }
        eventually("it goes on in the file that there is", || len() > 128 << 10);
        end(&tracer, path.parent().unwrap());
        eventually("it is set aside again", || {
            load::connections(1);
            archive(&path).len() > before.len()
        });
        // All that there is, before the namespace ends with the tracer.
        load::connections(20);
        let copy = tempfile::tempdir().unwrap();
        let kept = fs::File::open(path.parent().unwrap()).unwrap();
        let (status, errors) = tracer.end(Signal::INT);
        assert!(status.success(), "{errors}");
        assert_eq!(errors.matches("cannot set aside").count(), 1, "{errors}");
        assert!(errors.lines().count() <= 3 && errors.contains("after "), "{errors}");
        copy_all(&kept, copy.path());
        let all: Vec<Value> =
            files(&copy.path().join("trace")).iter().flat_map(|file| lines(&read(file))).collect();
        assert_complete(&all);
    });
}

/// Copies what is in a directory that has no path here any more.
fn copy_all(from: &fs::File, to: &Path) {
    use std::os::fd::AsRawFd as _;
    let from = PathBuf::from(format!("/proc/self/fd/{}", from.as_raw_fd()));
    for entry in fs::read_dir(from).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("trace") {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn allow_descriptors(tracer: &Background, count: usize) {
    let pid = tracer.id().to_string();
    run("prlimit", &["--pid", &pid, &format!("--nofile={count}:")]);
}

#[test]
fn without_descriptors_nothing_is_lost() {
    nothing_is_lost(
        "size=512M",
        |tracer, _| allow_descriptors(tracer, 3),
        |tracer, _| allow_descriptors(tracer, 1000),
    );
}

#[test]
fn without_inodes_nothing_is_lost() {
    let filler = |directory: &Path, number: usize| directory.join(format!("filler{number}"));
    nothing_is_lost(
        "size=512M,nr_inodes=200",
        |_, directory| {
            for number in 0..300 {
                if fs::write(filler(directory, number), "").is_err() {
                    return;
                }
            }
            panic!("there are inodes left");
        },
        |_, directory| (0..300).for_each(|number| drop(fs::remove_file(filler(directory, number)))),
    );
}

#[test]
fn in_a_directory_that_is_read_only_nothing_is_lost() {
    let allow = |directory: &Path, mode| {
        set_mode(directory, mode);
    };
    nothing_is_lost(
        "size=512M",
        |_, directory| allow(directory, 0o555),
        |_, directory| allow(directory, 0o755),
    );
}

#[test]
fn with_something_else_in_the_way_nothing_is_lost() {
    nothing_is_lost(
        "size=512M",
        |_, directory| fs::create_dir(directory.join("trace.new")).unwrap(),
        |_, directory| fs::remove_dir(directory.join("trace.new")).unwrap(),
    );
}

#[test]
fn a_file_that_cannot_be_opened_anew_goes_on_and_is_opened_later() {
    isolated(|namespace| {
        load::prepare(namespace);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace");
        let tracer = record("", namespace, &path, &[]);
        let allow = |mode| {
            set_mode(directory.path(), mode);
        };
        load::connections(50);
        fs::rename(&path, directory.path().join("trace.1")).unwrap();
        allow(0o555);
        tracer.signal(Signal::HUP);
        for _ in 0..10 {
            load::connections(10);
            thread::sleep(Duration::from_millis(50));
        }
        assert!(!path.exists());
        allow(0o755);
        eventually("it is opened anew", || {
            load::connections(1);
            path.exists()
        });
        load::connections(20);
        let (status, errors) = tracer.end(Signal::INT);
        assert!(status.success(), "{errors}");
        assert_eq!(errors.matches("cannot open anew").count(), 1, "{errors}");
        let all: Vec<Value> = files(&path).iter().flat_map(|file| lines(&read(file))).collect();
        assert_complete(&all);
    });
}

/// Starts another tracer with the same file; what it says of that.
fn second(namespace: &Namespace, path: &Path, options: &[&str]) -> (Option<i32>, String) {
    let output = ["--output", path.to_str().unwrap(), "--duration", "100ms"];
    let (status, errors) = Background::tracer("", namespace, &[&output, options].concat()).wait();
    (status.code(), errors)
}

#[test]
fn a_file_that_is_set_aside_has_one_writer() {
    isolated(|namespace| {
        load::prepare(namespace);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace");
        let is_refused = |first: &Background, options: &[&str]| {
            let (status, errors) = second(namespace, &path, options);
            assert_eq!(status, Some(2), "{errors}");
            assert_eq!(errors.lines().count(), 1, "{errors}");
            assert!(errors.contains(&format!("process {} writes to it", first.id())), "{errors}");
        };
        let first = record("", namespace, &path, &ROTATION);
        is_refused(&first, &[]);
        is_refused(&first, &ROTATION);
        load::connections(60);
        eventually("it has been set aside", || archive(&path).len() > 2);
        is_refused(&first, &[]);
        first.finish();
        let all: Vec<Value> = files(&path).iter().flat_map(|file| lines(&read(file))).collect();
        assert_eq!(all.iter().filter(|line| line["kind"] == "summary").count(), 1);
        assert_eq!(second(namespace, &path, &ROTATION), (Some(0), String::new()));
        // Those that only append share it, with each other alone.
        let first = record("", namespace, &path, &[]);
        assert_eq!(second(namespace, &path, &[]), (Some(0), String::new()));
        is_refused(&first, &ROTATION);
        first.signal(Signal::HUP);
        is_refused(&first, &ROTATION);
        first.finish();
    });
}

#[test]
fn a_parquet_file_has_one_writer() {
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace");
        let options = ["--format", "parquet", "--output", path.to_str().unwrap()];
        let first = Background::tracer("", namespace, &options);
        eventually("it is attached", || first.is_attached());
        let (status, errors) = second(namespace, &path, &["--format", "parquet"]);
        assert_eq!(status, Some(2), "{errors}");
        assert!(errors.contains(&format!("process {} writes to it", first.id())), "{errors}");
        first.finish();
    });
}
