//! Files: compressed, cut, damaged, of another version.

use std::{
    io::Write as _,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use rstest::rstest;

use super::{
    super::{Outcome, Replay, enricher::Recorded, pace::Speed, source::Source},
    CLOCK, written,
};
use tracer_event::{
    endpoint::Endpoint,
    enricher::{Context, Unknown},
    finding::{Finding, NoLocalPort, Problem, Severity, Status},
    header::Header,
    process::Process,
    summary::Summary,
    update::Update,
    wall_clock::WallClock,
};
use tracer_model::filter::Filter;
use tracer_output::{
    Format as _, Sink,
    json::{Json, schema::VERSION},
};

/// A sink that keeps JSON.
struct Kept {
    json: Json,
    out: Arc<Mutex<Vec<u8>>>,
}

impl Sink for Kept {
    fn header(&mut self, header: &Header, clock: WallClock) {
        self.json.header(header, clock, &mut self.out.lock().unwrap());
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>) {
        self.json.update(update, context, &mut self.out.lock().unwrap());
    }

    fn finish(mut self: Box<Self>, summary: &Summary, context: Context<'_>) {
        self.json.summary(summary, context, &mut self.out.lock().unwrap());
    }
}

/// What is reported of files, and how it went.
fn told(files: Vec<PathBuf>, filter: Filter) -> (String, Result<Outcome, String>) {
    let out = Arc::<Mutex<Vec<u8>>>::default();
    let enricher = Arc::<Recorded>::default();
    let json = Json::default();
    let replay = Replay {
        sinks: vec![Box::new(Kept { json, out: Arc::clone(&out) })],
        enricher,
        filter,
        speed: Speed::Max,
        stop: Arc::default(),
    };
    let outcome = replay.run(&mut Source::new(files)).map_err(|error| error.to_string());
    let text = String::from_utf8(out.lock().unwrap().clone()).unwrap();
    (text, outcome)
}

fn loss(second: u32) -> String {
    format!(
        r#"{{"kind":"loss","time":"2026-01-31T12:34:{second:02}.000000000Z","where":"unseen","count":3,"healed":true}}"#
    )
}

/// A recording of two losses.
fn recording() -> String {
    let mut json = Json::default();
    let mut header = Vec::new();
    json.header(&super::any::header(), CLOCK, &mut header);
    let mut summary = Vec::new();
    let counted = Summary { reader_lag_ns: 77, complete: true, ..Summary::default() };
    json.summary(&counted, CLOCK.into(), &mut summary);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    format!("{}{}\n{}\n{}", text(header), loss(1), loss(2), text(summary))
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn gzip(text: &str) -> Vec<u8> {
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    file.write_all(text.as_bytes()).unwrap();
    file.finish().unwrap()
}

#[test]
fn compressed_and_divided_recordings_are_told_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let whole = recording();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let zstd = zstd::encode_all(lines[0].as_bytes(), 1).unwrap();
    let files = vec![
        write(directory.path(), "a.2.zst", &zstd),
        write(directory.path(), "a.1.gz", &gzip(lines[1])),
        write(directory.path(), "a", (lines[2].to_owned() + lines[3]).as_bytes()),
    ];
    let (again, outcome) = told(files, Filter::default());
    assert_eq!(again, whole);
    assert_eq!(outcome, Ok(Outcome::default()));
}

#[test]
fn a_recording_that_was_killed_is_told_up_to_the_cut() {
    let directory = tempfile::tempdir().unwrap();
    let whole = recording();
    let cut = whole.find(r#""where"#).unwrap() + 100;
    let file = write(directory.path(), "cut", &whole.as_bytes()[..cut]);
    let (again, outcome) = told(vec![file.clone()], Filter::default());
    let outcome = outcome.unwrap();
    assert_eq!(outcome.cut, [format!("{}, line 3", file.display())]);
    assert!(outcome.unfinished);
    assert!(again.starts_with(&whole[..whole.find("\n").unwrap()]));
    assert!(again.ends_with("\"complete\":false}\n"), "{again}");
    // Compressed, and the end of the compression missing.
    let mut half = gzip(&whole);
    half.truncate(half.len() - 12);
    let file = write(directory.path(), "half.gz", &half);
    let (again, outcome) = told(vec![file], Filter::default());
    assert!(outcome.unwrap().unfinished);
    assert!(again.lines().count() >= 2, "{again}");
}

#[rstest]
#[case::no_json("hello\n", "line 1: damaged, or not written by tracer (column 1)")]
#[case::no_object("[1]\n", "line 1: damaged, or not written")]
#[case::no_kind("{\"a\":1}\n", "line 1: the field `kind` is missing")]
#[case::binary("\u{0}\u{1}\n", "line 1: damaged, or not written")]
#[case::field_missing(
    "{\"kind\":\"loss\",\"time\":\"2026-01-31T12:34:56Z\"}\n",
    "line 1: damaged, or not written by tracer (column 45)"
)]
#[case::no_time(
    "\n{\"kind\":\"loss\",\"time\":\"now\",\"where\":\"unseen\",\"count\":1,\"healed\":true}\n",
    "line 2: a time is none as"
)]
#[case::newer(
    "{\"kind\":\"hello\",\"time\":\"2026-01-31T12:34:56Z\",\"schema\":\"3.0\"}\n",
    "line 1: the recording has schema 3.0, and this tracer reads 2.0"
)]
#[case::before_the_names_changed(
    "{\"kind\":\"hello\",\"time\":\"2026-01-31T12:34:56Z\",\"schema\":\"1.1\"}\n",
    "line 1: the recording has schema 1.1, and this tracer reads 2.0"
)]
#[case::older("{\"kind\":\"hello\",\"time\":\"2026-01-31T12:34:56Z\"}\n", "schema older than 1.0")]
fn what_is_no_recording_is_an_error_of_one_line(#[case] text: &str, #[case] error: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "bad", text.as_bytes());
    let (_, outcome) = told(vec![file.clone()], Filter::default());
    let message = outcome.unwrap_err();
    assert!(message.contains(error), "{message}");
    assert!(
        message.starts_with(&file.display().to_string()) && !message.contains('\n'),
        "{message}"
    );
}

#[rstest]
#[case::empty(b"", ": no trace begins in it")]
#[case::cut(b"{\"kind\":\"hel", ", line 1: truncated before a trace begins")]
// A list begins.
#[case::cut_packed(b"\x89tracer\x03\0\x09\0\0\0\x0b\0", ", line 1: truncated before")]
#[case::damaged(b"\x89tracer\x03\0\x01\0\0\0\x0c", ", line 1: the recording is damaged")]
fn a_file_in_which_no_trace_begins_is_named(#[case] bytes: &[u8], #[case] error: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "bad", bytes);
    let message = told(vec![file.clone()], Filter::default()).1.unwrap_err();
    assert!(message.starts_with(&format!("{}{error}", file.display())), "{message}");
}

#[test]
fn what_is_wrong_is_quoted_harmlessly_and_briefly() {
    let directory = tempfile::tempdir().unwrap();
    let evil = "\\u001b[2J".repeat(1_000);
    let line = format!("{}\n", loss(1).replace("unseen", &evil));
    let file = write(directory.path(), "evil", line.as_bytes());
    let message = told(vec![file], Filter::default()).1.unwrap_err();
    assert!(message.len() < 1_000 && !message.contains('\x1b'), "{message}");
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let directory = tempfile::tempdir().unwrap();
    let endless = zstd::encode_all(&*vec![b'a'; 64 << 20], 1).unwrap();
    let file = write(directory.path(), "endless", &endless);
    let message = told(vec![file], Filter::default()).1.unwrap_err();
    assert!(message.ends_with("line 1: longer than 16 MiB"), "{message}");
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let whole = recording();
    let newer = whole
        .replace(&format!(r#""schema":"{VERSION}""#), r#""schema":"2.70""#)
        .replace(r#""count":3"#, r#""count":3,"since":"boot""#)
        + "{\"kind\":\"weather\",\"sun\":true}\n"
        + &loss(5).replace("unseen", "thunder")
        + "\n";
    let file = write(directory.path(), "newer", newer.as_bytes());
    let (again, outcome) = told(vec![file], Filter::default());
    assert_eq!(again, whole);
    assert_eq!(outcome, Ok(Outcome { passed: 2, ..Outcome::default() }));
    // Of our own version it is a mistake.
    let file = write(directory.path(), "ours", loss(5).replace("unseen", "thunder").as_bytes());
    let message = told(vec![file], Filter::default()).1.unwrap_err();
    assert!(message.contains("ours, line 1: "), "{message}");
}

#[test]
fn several_recordings_have_one_beginning_and_one_end() {
    let directory = tempfile::tempdir().unwrap();
    let whole = recording();
    let file = write(directory.path(), "a", whole.as_bytes());
    let (again, outcome) = told(vec![file.clone(), file], Filter::default());
    assert_eq!(outcome, Ok(Outcome::default()));
    let kinds = |kind: &str| again.matches(&format!("{{\"kind\":\"{kind}\"")).count();
    assert_eq!((kinds("hello"), kinds("loss"), kinds("summary")), (1, 4, 1));
    assert!(again.contains(r#""loss":4,"#) && again.contains(r#""reader_lag_ns":77"#), "{again}");
}

/// What comes without an end, again and again; nothing comes where it is empty.
#[rstest]
#[case::nothing(b"")]
#[case::empty_lines(b"\n\n\n\n\n\n\n\n")]
#[case::empty_lines_packed(&packed(&[b'\n'; 1 << 20]))]
#[case::empty_files_packed(&packed(b""))]
#[case::other_kinds(b"{\"kind\":\"x\"}\n")]
#[case::a_line(b"xxxxxxxx")]
fn a_replay_stops_when_it_is_asked_to(#[case] content: &[u8]) {
    let (read, mut write) = std::io::pipe().unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", read.as_raw_fd()));
    let endless = content.repeat(1 + (1 << 16) / content.len().max(1));
    let silent = if endless.is_empty() {
        Some(write)
    } else {
        // Until nobody reads any more.
        thread::spawn(move || while write.write_all(&endless).is_ok() {});
        None
    };
    let stop = Arc::<AtomicBool>::default();
    let replay = Replay {
        sinks: vec![Box::new(Kept { json: Json::default(), out: Arc::default() })],
        enricher: Arc::default(),
        filter: Filter::default(),
        speed: Speed::Max,
        stop: Arc::clone(&stop),
    };
    let (sender, done) = mpsc::channel();
    thread::spawn(move || {
        let outcome = replay.run(&mut Source::new(vec![path]));
        drop(read);
        sender.send(outcome.map(|outcome| outcome.cut))
    });
    thread::sleep(Duration::from_millis(50));
    stop.store(true, Ordering::Relaxed);
    let outcome = done.recv_timeout(Duration::from_secs(20)).expect("it stops");
    drop(silent);
    // Sixteen megabytes of one line are a mistake, if they have come by then.
    assert!(outcome.as_ref().map_or_else(|_| content == b"xxxxxxxx", Vec::is_empty), "{outcome:?}");
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// The next trace into the same file has ended the half line that `kill -9` had left.
#[test]
fn a_trace_that_was_killed_is_followed_by_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let whole = recording();
    let cut = whole.find(r#""where"#).unwrap() + 10;
    let both = format!("{}\n{whole}", &whole[..cut]);
    let file = write(directory.path(), "both", both.as_bytes());
    let place = format!("{}, line 2", file.display());
    let (told, outcome) = told(vec![file], Filter::default());
    assert_eq!(outcome.unwrap().cut, [place]);
    assert!(told.contains(r#""complete":false"#), "{told}");
    assert!(told.contains(r#""where""#), "{told}");
}

/// What is half a line in the middle of a trace is damage.
#[test]
fn half_a_line_that_no_trace_follows_is_a_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let whole = recording();
    let lines: Vec<&str> = whole.lines().collect();
    let half = &lines[1][..lines[1].len() / 2];
    for rest in [lines[2], ""] {
        let damaged = format!("{}\n{half}\n{rest}\n", lines[0]);
        let file = write(directory.path(), "damaged", damaged.as_bytes());
        let (_, outcome) = told(vec![file], Filter::default());
        assert!(outcome.unwrap_err().to_string().contains("line 2: "));
    }
}

/// With a filter the summary is made anew, and has to know that it has seen all of it.
#[test]
fn the_files_of_one_trace_are_one_trace() {
    let directory = tempfile::tempdir().unwrap();
    let whole = recording();
    let lines: Vec<&str> = whole.lines().collect();
    let again = lines[0].replace(r#""sequence":3"#, r#""sequence":4"#);
    let first = write(directory.path(), "a.1", format!("{}\n{}\n", lines[0], lines[1]).as_bytes());
    let rest = format!("{again}\n{}\n{}\n", lines[2], lines[3]);
    let second = write(directory.path(), "a", rest.as_bytes());
    let filter = "problem".parse().unwrap();
    let (told, _) = told(vec![first, second], filter);
    assert!(told.contains(r#""loss":2,"#) && told.contains(r#""complete":true"#), "{told}");
    assert_eq!(told.matches(r#"{"kind":"hello""#).count(), 1);
}

/// As they were before `hello` said which file of which host it begins.
#[test]
fn a_recording_without_host_and_file_is_told_without() {
    let directory = tempfile::tempdir().unwrap();
    let whole = recording();
    let (begin, rest) = whole.split_once(r#""file":{"#).unwrap();
    let (_, rest) = rest.split_once(r#""version""#).unwrap();
    let old = format!("{begin}\"version\"{rest}");
    let file = write(directory.path(), "old", old.as_bytes());
    assert_eq!(told(vec![file], Filter::default()), (old, Ok(Outcome::default())));
}

#[test]
fn findings_about_other_sockets_are_left_out_as_their_events_are() {
    let finding = |pid: u32, port: u16| Finding {
        time: CLOCK.now,
        severity: Severity::Warning,
        status: Status::Raised,
        netns: 7,
        entry: None,
        problem: Problem::NoLocalPort(NoLocalPort {
            process: Some(Process { pid, comm: [b'a'; 16], start_ns: 0 }),
            others: 0,
            peer: Endpoint::new([10, 0, 0, 2].into(), port),
            count: 3,
            size: None,
        }),
    };
    let (http, database) = (finding(900, 80), finding(77, 5432));
    let updates = [Update::Finding(&http), Update::Finding(&database)];
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "a", written(&updates, &Unknown).as_bytes());
    for filter in ["port 80", "pid 900", "port 80 and not port 443"] {
        let (told, outcome) = told(vec![file.clone()], filter.parse().unwrap());
        assert!(outcome.is_ok(), "{outcome:?}");
        assert!(told.contains("10.0.0.2:80") && !told.contains("10.0.0.2:5432"), "{told}");
    }
}
