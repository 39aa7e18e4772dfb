//! Output files: rotation, logrotate, a full disk, kill -9. No line is lost uncounted, and none torn.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;
use tracer_tests::{
    load,
    netns::{isolated, run},
    output::{assert_complete, files, lines, read, record},
    sockets::eventually,
    tracer::{command, program},
};

#[test]
fn rotation_under_load_loses_no_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace");
    isolated(|namespace| {
        load::prepare(namespace);
        let options = ["--rotate-size", "512KiB", "--keep", "500", "--compress"];
        let tracer = record("", namespace, &path, &options);
        load::connections(2000);
        tracer.finish();
        let files = files(&path);
        assert!(files.len() > 3, "{files:?}");
        let mut all = Vec::new();
        for file in &files {
            let text = read(file);
            assert!(
                text.starts_with(r#"{"kind":"hello""#),
                "{} cannot be read alone",
                file.display()
            );
            all.extend(lines(&text));
        }
        let compressed =
            files.iter().filter(|file| file.extension().is_some_and(|suffix| suffix == "gz"));
        assert_eq!(compressed.count(), files.len() - 1, "{files:?}");
        assert_complete(&all);
    });
}

#[test]
fn logrotate_under_load_loses_no_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace");
    isolated(|namespace| {
        load::prepare(namespace);
        let tracer = record("", namespace, &path, &[]);
        let configuration = directory.path().join("logrotate.conf");
        let rules = format!(
            "{} {{\n rotate 100\n size 1\n create\n postrotate\n kill -HUP {}\n endscript\n}}\n",
            path.display(),
            tracer.id(),
        );
        fs::write(&configuration, rules).unwrap();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            // logrotate needs no network; connections must be made in this thread's namespace.
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    logrotate(directory.path(), &configuration);
                    thread::sleep(Duration::from_millis(50));
                }
            });
            // As long as it takes logrotate, which is slow beside this load.
            for _ in 0..200 {
                load::connections(500);
                if files(&path).len() > 5 {
                    break;
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        tracer.finish();
        let files: Vec<PathBuf> = files(&path);
        assert!(files.len() > 5, "{files:?}");
        let all: Vec<Value> = files.iter().flat_map(|file| lines(&read(file))).collect();
        assert_complete(&all);
    });
}

fn logrotate(directory: &Path, configuration: &Path) {
    let state = directory.join("state");
    let arguments =
        ["--force", "--state", state.to_str().unwrap(), configuration.to_str().unwrap()];
    run("logrotate", &arguments);
}

#[test]
fn a_file_that_logrotate_cuts_goes_on_at_its_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace");
    isolated(|namespace| {
        load::prepare(namespace);
        let tracer = record("", namespace, &path, &[]);
        let configuration = directory.path().join("logrotate.conf");
        let rules = format!("{} {{\n rotate 9\n size 1\n copytruncate\n}}\n", path.display());
        fs::write(&configuration, rules).unwrap();
        load::connections(100);
        let written = || fs::metadata(&path).unwrap().len();
        eventually("all is written", || {
            let before = written();
            thread::sleep(Duration::from_millis(200));
            before == written()
        });
        logrotate(directory.path(), &configuration);
        load::connections(100);
        tracer.finish();
        let text = read(&path);
        assert!(text.starts_with(r#"{"kind":"hello""#), "{}", &text[..80]);
        let mut all = lines(&text);
        all.extend(lines(&read(&directory.path().join("trace.1"))));
        assert_complete(&all);
    });
}

/// Takes all the room of a file system.
fn fill(path: &Path) {
    let mut file = File::options().append(true).create(true).open(path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0; 1]).is_ok() {}
}

#[test]
fn a_full_disk_is_told_once_and_counted() {
    isolated(|namespace| {
        load::prepare(namespace);
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().to_str().unwrap();
        let prelude = format!("mount -t tmpfs -o size=2M tmpfs {place}");
        let path = directory.path().join("trace");
        let tracer = record(&prelude, namespace, &path, &[]);
        let filler = tracer.inside(directory.path().join("filler").to_str().unwrap());
        let path = tracer.inside(path.to_str().unwrap());
        fill(&filler);
        load::connections(200);
        thread::sleep(Duration::from_millis(500));
        fs::remove_file(&filler).unwrap();
        load::connections(100);
        let has_loss = || read(&path).contains(r#""where":"output""#);
        eventually("the loss is told in its place", || {
            load::connections(1);
            has_loss()
        });
        // Read through the tracer's namespace, which ends with it.
        let kept = File::open(&path).unwrap();
        let (status, errors) = tracer.end(Signal::INT);
        assert_eq!(status.code(), Some(0), "{errors}");
        assert_eq!(errors.matches("cannot write to").count(), 1, "{errors}");
        let all = lines(&std::io::read_to_string(kept).unwrap());
        let summary = all.last().unwrap();
        assert_eq!(summary["complete"], false);
        let lost = summary["lost"]["output"].as_u64().unwrap();
        assert!(lost > 100, "{summary}");
        let told: u64 =
            summary["records"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(all.len() as u64 - 2 + lost, told, "lines are neither written nor counted");
    });
}

#[test]
fn a_trace_whose_end_is_not_written_has_failed() {
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().to_str().unwrap();
        let prelude = format!("mount -t tmpfs -o size=1M tmpfs {place}");
        let tracer = record(&prelude, namespace, &directory.path().join("trace"), &[]);
        fill(&tracer.inside(directory.path().join("filler").to_str().unwrap()));
        // The file's last page may have room for the summary, until shorter lines have taken it.
        for _ in 0..10 {
            load::connections(2);
            thread::sleep(Duration::from_millis(30));
        }
        let (status, errors) = tracer.end(Signal::INT);
        assert_eq!(status.code(), Some(2), "{errors}");
        assert!(errors.contains("the end of the trace could not be written"), "{errors}");
    });
}

#[test]
fn a_full_standard_output_has_failed_as_well() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = command("", &["--duration", "200ms"]).stdout(full).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("could not be written to standard output"), "{errors}");
}

/// One line says where, why and what helps.
#[test]
fn a_full_disk_is_one_line_for_a_short_trace() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let trace = file.path().to_str().unwrap();
    let of = |words: &[&str]| {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(program()).args(words).stdout(full).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {errors}");
        // What a busy machine makes tracer remark, apart.
        let said: Vec<_> = errors.lines().filter(|line| !line.contains(" WARN ")).collect();
        let [line] = said[..] else { panic!("{words:?}: {errors}") };
        assert!(line.starts_with("tracer: the end of the trace could not be "), "{line}");
        assert!(line.contains(": No space left on device; make room there"), "{line}");
    };
    of(&["--format", "json", "--output", "/dev/full", "--duration", "100ms"]);
    of(&["record", "--output", "/dev/full", "--duration", "100ms"]);
    of(&["demo", "handshake"]);
    let loss =
        r#"{"kind":"loss","time":"2026-01-31T12:34:56Z","where":"unseen","count":3,"healed":true}"#;
    fs::write(trace, format!("{loss}\n")).unwrap();
    of(&["replay", trace]);
}

/// The kernel stops between two pages of a write when the process is killed: half a line is ended
/// by the next trace, and said by a replay.
#[test]
fn kill_9_tears_at_most_the_last_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace");
    isolated(|namespace| {
        load::prepare(namespace);
        let mut torn = 0;
        for _ in 0..5 {
            let tracer = record("", namespace, &path, &[]);
            load::connections(150);
            tracer.end(Signal::KILL);
            torn += usize::from(!fs::read_to_string(&path).unwrap().ends_with('\n'));
        }
        // As the kernel may leave it.
        let whole = fs::read_to_string(&path).unwrap();
        let half = whole.trim_end_matches('\n').len() - 7;
        File::options().write(true).open(&path).unwrap().set_len(half as u64).unwrap();
        let replay = command("", &["replay", path.to_str().unwrap(), "--port", "9"]);
        let said = { replay }.output().unwrap();
        let said = String::from_utf8(said.stderr).unwrap();
        assert!(said.contains("in the middle of a line"), "{said}");
        record("", namespace, &path, &[]).finish();
        let text = read(&path);
        let is_json = |line: &str| serde_json::from_str::<Value>(line).is_ok();
        let wrong = text.lines().filter(|line| !is_json(line)).count();
        assert!(text.ends_with('\n') && (1..=torn + 1).contains(&wrong), "{wrong} of {torn} + 1");
        assert_eq!(text.matches(r#"{"kind":"hello""#).count(), 6, "what was there must stay");
        assert_eq!(text.matches(r#"{"kind":"summary""#).count(), 1);
    });
}
