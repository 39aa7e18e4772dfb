//! Programs that read log files get every line once, whatever they know a file by.

use std::{collections::BTreeSet, fs, path::Path, thread, time::Duration};

use tracer_tests::{
    background::Background,
    load,
    netns::isolated,
    output::{files, read},
    shipper::{KILOBYTE, RULES, Rule, Shipper},
    sockets::eventually,
};

const FORMATS: [&str; 4] = ["json", "csv", "logfmt", "text"];

/// Reads on until nothing more comes.
fn catch_up(shippers: &mut [Shipper]) {
    let mut before = 0;
    let mut still = 0;
    while still < 4 {
        let read = shippers.iter_mut().map(Shipper::poll).sum();
        still = if read == before { still + 1 } else { 0 };
        before = read;
        thread::sleep(Duration::from_millis(5));
    }
}

/// All lines in the files of that path, but for those in files too small for the reader.
fn written(path: &Path, rule: Rule) -> Vec<String> {
    let texts = files(path).into_iter().map(|file| read(&file));
    let texts = texts.filter(|text| rule != Rule::Kilobyte || text.len() >= KILOBYTE);
    let mut lines: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn every_line_is_read_once_across_rotations() {
    let directory = tempfile::tempdir().unwrap();
    let path = |format: &str| directory.path().join(format);
    isolated(|namespace| {
        load::prepare(namespace);
        let tracers = FORMATS.map(|format| {
            let path = path(format);
            let options = ["--format", format, "--output", path.to_str().unwrap()];
            let rotation = ["--rotate-size", "64KiB", "--keep", "500"];
            Background::tracer("", namespace, &[options, rotation].concat())
        });
        eventually("all are attached", || tracers.iter().all(Background::is_attached));
        let shipper = |format| RULES.map(|rule| Shipper::new(rule, &path(format)));
        let mut shippers: Vec<Shipper> = FORMATS.into_iter().flat_map(shipper).collect();
        // Slower than files are filled: who is behind by more than one misses what it cannot see.
        for _ in 0..60 {
            load::connections(4);
            catch_up(&mut shippers);
        }
        tracers.into_iter().for_each(Background::finish);
        catch_up(&mut shippers);
        let mut shippers = shippers.iter();
        for format in FORMATS {
            assert!(files(&path(format)).len() > 3, "{format}: {:?}", files(&path(format)));
            for (rule, shipper) in RULES.into_iter().zip(&mut shippers) {
                let (written, shipped) = (written(&path(format), rule), shipper.lines());
                let counts = (shipped.len(), written.len());
                assert!(shipped == written, "{format}, {rule:?}: {counts:?}");
            }
        }
    });
}

#[test]
fn no_two_files_begin_with_the_same_line() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|namespace| {
        let mut begins = BTreeSet::new();
        for format in FORMATS {
            let path = directory.path().join(format);
            // One trace after the other, somebody else moving the file away.
            for trace in 0..3 {
                let options = ["--format", format, "--output", path.to_str().unwrap()];
                let tracer = Background::tracer(
                    "",
                    namespace,
                    &[&options[..], &["--duration", "50ms"]].concat(),
                );
                let (status, errors) = tracer.wait();
                assert!(status.success(), "{errors}");
                let text = fs::read_to_string(&path).unwrap();
                assert!(begins.insert(text.lines().next().unwrap().to_owned()), "{format}: {text}");
                fs::rename(&path, directory.path().join(format!("{format}-{trace}"))).unwrap();
            }
        }
    });
}

#[test]
fn a_hello_says_which_file_of_which_host() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace");
    isolated(|namespace| {
        load::prepare(namespace);
        let options = ["--format", "json", "--output", path.to_str().unwrap()];
        let rotation = ["--rotate-size", "64KiB", "--keep", "500"];
        let tracer = Background::tracer("", namespace, &[options, rotation].concat());
        eventually("it is attached", || tracer.is_attached());
        load::connections(100);
        tracer.finish();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let mut sequence = Vec::new();
        for file in files(&path) {
            let first = read(&file).lines().next().unwrap().to_owned();
            let hello: serde_json::Value = serde_json::from_str(&first).unwrap();
            assert_eq!(hello["host"]["boot_id"], boot.trim(), "{hello}");
            assert_eq!(hello["host"]["name"], host.trim(), "{hello}");
            assert!(first.starts_with(r#"{"kind":"hello","time":""#), "{first}");
            assert!(first[..90].contains(r#""file":{"sequence":"#), "{first}");
            sequence.push(hello["file"]["sequence"].as_u64().unwrap());
        }
        sequence.sort_unstable();
        let expected: Vec<u64> = (1..=sequence.len() as u64).collect();
        assert!(sequence == expected && sequence.len() > 3, "{sequence:?}");
    });
}
