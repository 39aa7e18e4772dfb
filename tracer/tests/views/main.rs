//! Every view as people see it, at the sizes that terminals have, with and without colour.
//!
//! What is shown was recorded by a real trace, with real sockets: `cargo xtask test -- --test readme
//! -- --ignored the_views` records it again. The screens of `tracer top` have tests of their own.
//! `UPDATE_PICTURES=1 cargo test -p tracer --test views` draws pictures into `target/views`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod sample;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{Read as _, Seek as _},
    sync::Arc,
};

use jiff::tz::TimeZone;
use rstest::rstest;
use tracer::{
    explain, feature_list,
    features::{Missing, Survey, Tried},
    listing::{self, groups, groups::Grouping},
    replay::{Replay, enricher::Recorded, pace::Speed, source::Source},
    sockets::Found,
};
use tracer_event::{
    diagnosis::Diagnosis,
    enricher::{Context, Unknown},
    finding::Finding,
    header::Mode,
    state::State,
    wall_clock::WallClock,
};
use tracer_kernel::feature;
use tracer_model::filter::{Condition, Expression, Filter};
use tracer_output::{
    Format,
    ladder::{Ladder, Style},
    lines::Lines,
    output::Destination,
    problems::Problems,
    report,
    stamps::{Times, Timestamps},
    text::{Palette, Stories, Text, legend},
};
use tracer_texts::{
    Language, Texts,
    terms::{self, SETTINGS},
};

use crate::{
    faults::{cut, faults, wasteful},
    sample::{RECORDING, SAMPLE},
};

/// Nothing is known of a host.
const ALONE: Context<'_> = Context { clock: WallClock { lead: 0, now: 0 }, enricher: &Unknown };

/// What is on the screen of a terminal of so many columns.
type View = fn(Palette, usize) -> String;

const VIEWS: [(&str, View); 18] = [
    ("trace", |palette, width| {
        let text = text(palette, width, Stories::Steps).introduced();
        replayed(Filter::default(), Box::new(text))
    }),
    ("summary-only", |palette, width| {
        replayed(Filter::default(), Box::new(text(palette, width, Stories::Only)))
    }),
    ("problems", |palette, width| {
        let text = text(palette, width, Stories::Steps);
        let problems = Problems::new(text, palette, Stories::Steps);
        replayed(Expression::Is(Condition::Problem).into(), Box::new(problems))
    }),
    ("ladder", |palette, width| ladder(palette, width, false)),
    ("ladder-explained", |palette, width| ladder(palette, width, true)),
    ("sockets", |palette, width| {
        let look = (palette, Some(width));
        let (sockets, elsewhere) = (SAMPLE.sockets.clone(), vec![4_026_532_177; 4_100]);
        let found = Found { sockets, elsewhere, refused: Vec::new() };
        written(|out| {
            listing::text(&found.sockets, ALONE, None, look, out);
            listing::counts(&found, None, None, look, out);
        })
    }),
    ("sockets-by-process", |palette, width| grouped(Grouping::Process, palette, width)),
    ("sockets-by-peer", |palette, width| grouped(Grouping::Peer, palette, width)),
    ("sockets-by-container", |palette, width| grouped(Grouping::Container, palette, width)),
    ("sockets-by-state", |palette, width| grouped(Grouping::State, palette, width)),
    ("diagnose", |palette, width| {
        written(|out| report::text(&SAMPLE.diagnosis(), palette, Some(width), None, out))
    }),
    ("diagnose-brief", |palette, width| {
        written(|out| report::brief(&SAMPLE.diagnosis(), palette, Some(width), None, out))
    }),
    ("diagnose-healthy", |palette, width| {
        let healthy = Diagnosis { findings: Vec::new(), ..SAMPLE.diagnosis() };
        written(|out| report::text(&healthy, palette, Some(width), None, out))
    }),
    ("features", |palette, width| {
        written(|out| feature_list::text(&survey(0), None, (palette, Some(width)), out).unwrap())
    }),
    ("features-missing", |palette, width| {
        written(|out| feature_list::text(&survey(4), None, (palette, Some(width)), out).unwrap())
    }),
    ("features-v", |palette, width| {
        written(|out| feature_list::whole(&survey(4), None, (palette, Some(width)), out).unwrap())
    }),
    ("explain", |_, _| explain::list(&Texts::of(Language::ENGLISH))),
    ("legend", |_, _| {
        let settings: Vec<_> = SETTINGS.iter().map(|(name, _)| (*name, "60".to_owned())).collect();
        let term = terms::find("TIME_WAIT").unwrap();
        legend(None) + "\n" + &explain::term(term, &Texts::of(Language::ENGLISH), &settings)
    }),
];

/// A host on which the first features are missing.
fn survey(missing: usize) -> Survey {
    let reason = "the tracepoint sock/inet_sock_set_state cannot be read: tracefs is not mounted";
    let remedies = [
        "mount -t tracefs tracefs /sys/kernel/tracing",
        "use a kernel with CONFIG_FTRACE_SYSCALLS and without lockdown=confidentiality",
    ];
    let lack = |index: usize| {
        let remedy = Some(remedies[index % 2].to_owned());
        Missing { reason: reason.into(), remedy }
    };
    let tried = feature::ALL
        .into_iter()
        .enumerate()
        .map(|(index, feature)| Tried { feature, missing: (index < missing).then(|| lack(index)) });
    let capabilities = ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"];
    Survey {
        kernel: "6.18.44".into(),
        lockdown: Ok("none".into()),
        capabilities: capabilities.map(str::to_owned).into(),
        mode: Some(Mode::Btf),
        features: tried.collect(),
        all: (missing > 0).then(|| "setcap cap_bpf,cap_perfmon,cap_sys_admin+ep tracer".into()),
    }
}

fn times() -> Times {
    Times::new(Timestamps::Utc, TimeZone::UTC)
}

fn text(palette: Palette, width: usize, stories: Stories) -> Text {
    Text::new(palette, Some(width), times(), stories).without_status()
}

fn ladder(palette: Palette, width: usize, explain: bool) -> String {
    let style = Style { explain, relative: true };
    let texts = Texts::of(Language::ENGLISH);
    let ladder = Ladder::new(style, palette, Some(width), times());
    replayed(Filter::default(), Box::new(ladder.with_texts(texts).without_status()))
}

fn grouped(by: Grouping, palette: Palette, width: usize) -> String {
    let (by, look) = ((by, usize::MAX), (palette, Some(width)));
    written(|out| groups::text(&SAMPLE.sockets, by, ALONE, None, look, out))
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

/// What `tracer replay` writes of the recording.
fn replayed(filter: Filter, format: Box<dyn Format + Send>) -> String {
    let mut file = tempfile::tempfile().unwrap();
    let enricher = Arc::new(Recorded::default());
    let destination = Destination::Stream(file.try_clone().unwrap());
    let lines = Lines::start(format, destination, || ()).unwrap().of_recording();
    let replay = Replay {
        sinks: vec![Box::new(lines)],
        enricher,
        filter,
        speed: Speed::Max,
        stop: Arc::default(),
    };
    replay.run(&mut Source::new(vec![RECORDING.into()])).unwrap();
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

fn shown(view: &str, palette: Palette, width: usize) -> String {
    let (_, show) = VIEWS.iter().find(|(name, _)| *name == view).unwrap();
    show(palette, width)
}

/// So many lines of each view are kept as they were looked at, at these widths.
const LOOKED_AT: [(usize, usize); 2] = [(80, 120), (160, 50)];

#[rstest]
#[case::trace("trace")]
#[case::summary_only("summary-only")]
#[case::problems("problems")]
#[case::ladder("ladder")]
#[case::ladder_explained("ladder-explained")]
#[case::sockets("sockets")]
#[case::sockets_by_process("sockets-by-process")]
#[case::sockets_by_peer("sockets-by-peer")]
#[case::sockets_by_container("sockets-by-container")]
#[case::sockets_by_state("sockets-by-state")]
#[case::diagnose("diagnose")]
#[case::diagnose_brief("diagnose-brief")]
#[case::diagnose_healthy("diagnose-healthy")]
#[case::features("features")]
#[case::features_missing("features-missing")]
#[case::features_v("features-v")]
#[case::explain("explain")]
#[case::legend("legend")]
fn each_view_fits_each_terminal_with_and_without_colour(#[case] view: &str) {
    let whole = shown(view, Palette::PLAIN, 10_000);
    for width in [80, 100, 160, 200] {
        draw(view, width);
        let plain = shown(view, Palette::PLAIN, width);
        assert!(!plain.is_empty() && !plain.contains('\x1b'), "{view} at {width}: {plain}");
        assert_eq!(faults(&plain, width), Vec::<String>::new(), "{view} at {width}");
        let is_live = ["trace", "summary-only", "problems"].contains(&view);
        if is_live && width >= 160 {
            assert_eq!(wasteful(&plain, width), Vec::<&str>::new(), "{view} at {width}");
        } else if !is_live && width >= 200 {
            assert_eq!(cut(&plain, &whole), Vec::<String>::new(), "{view} at {width}: {plain}");
        }
        for palette in [Palette::COLOUR, Palette::SIXTEEN] {
            let coloured = shown(view, palette, width);
            // No colour says anything alone.
            assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain, "{view}");
        }
    }
    for (width, rows) in LOOKED_AT {
        let plain = shown(view, Palette::PLAIN, width);
        let golden: Vec<&str> = plain.lines().take(rows).map(str::trim_end).collect();
        insta::assert_snapshot!(format!("{view}-{width}"), golden.join("\n"));
    }
}

/// Lines without an end are written in one piece where they have no colour, else cell by cell.
#[test]
fn lines_for_a_pipe_are_the_same_with_and_without_colour() {
    for stories in [Stories::Steps, Stories::Only] {
        let lines = |palette| {
            let text = Text::new(palette, None, times(), stories);
            replayed(Filter::default(), Box::new(text))
        };
        let plain = lines(Palette::PLAIN);
        assert!(plain.lines().count() > 20, "{plain}");
        let coloured = lines(Palette::COLOUR);
        assert!(coloured.contains('\x1b'), "{coloured}");
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    }
}

/// The first screen as a picture, to be looked at.
fn draw(view: &str, width: usize) {
    if env::var_os("UPDATE_PICTURES").is_none() {
        return;
    }
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/views");
    fs::create_dir_all(directory).unwrap();
    let rows = if width == 80 { 24 } else { 50 };
    let coloured = shown(view, Palette::COLOUR, width);
    let screen: Vec<&str> = coloured.lines().take(rows).collect();
    let picture = anstyle_svg::Term::new().render_svg(&screen.join("\n"));
    fs::write(format!("{directory}/{view}-{width}.svg"), picture).unwrap();
}

/// What stands behind CLOSED, up to the process.
fn reason(line: &str) -> Option<&str> {
    let (_, words) = line.split_once(" CLOSED ")?;
    let process = words.split_whitespace().find(|word| word.contains('['))?;
    words.split_once(process).map(|(reason, _)| reason.trim())
}

/// A reason stands beside CLOSED whatever the width, and each has its own words.
#[rstest]
fn a_state_and_its_reason_survive(#[values(80, 100)] width: usize) {
    let text = shown("trace", Palette::PLAIN, width);
    // Flags, findings and the summary name states too.
    let is_event = |line: &&str| {
        line.starts_with(|first: char| first.is_ascii_digit())
            && !line.contains(['⚑', '⚠', '✗', '↻'])
    };
    let events: Vec<&str> = text.lines().filter(is_event).collect();
    let reasons: Vec<&str> = events.iter().filter_map(|line| reason(line)).collect();
    assert_eq!(reasons.len(), SAMPLE.closed.len(), "{text}");
    let mut words = BTreeMap::new();
    for (reason, shown) in SAMPLE.closed.iter().zip(reasons) {
        assert_eq!(reason.is_none(), shown.is_empty(), "{reason:?}: {shown:?}");
        let known = words.entry(format!("{reason:?}")).or_insert(shown);
        assert_eq!(*known, shown, "{reason:?}");
    }
    assert!(words.len() >= 7, "{words:?}");
    let own: BTreeSet<&&str> = words.values().collect();
    assert_eq!(own.len(), words.len(), "two reasons look alike: {words:?}");
    for state in State::ALL {
        let of = |line: &&&str| line.split_whitespace().any(|word| word == state.name());
        let entered = SAMPLE.entered.get(&state).copied().unwrap_or(0);
        assert_eq!(events.iter().filter(of).count(), entered, "{state}: {text}");
    }
}

/// A long name gives way to the states of its group.
#[rstest]
fn groups_keep_their_states(
    #[values("process", "peer", "container", "state")] by: &str,
    #[values(70, 80)] width: usize,
) {
    let view = format!("sockets-by-{by}");
    let [narrow, whole] = [width, 10_000].map(|width| shown(&view, Palette::PLAIN, width));
    let lost = cut(&narrow, &whole);
    let is_state = |word: &String| State::ALL.iter().any(|state| word.starts_with(state.name()));
    assert_eq!(lost.iter().find(|word| is_state(word)), None, "{narrow}");
    assert_eq!(faults(&narrow, width), Vec::<String>::new(), "{narrow}");
}

/// What matters most stands in the first lines.
#[rstest]
#[case("sockets", 1, "CLOSE_WAIT ")]
#[case("sockets-by-process", 1, "     10 ")]
#[case("sockets-by-state", 1, "     12 ")]
#[case("diagnose", 0, "CRITICAL  accept queue of listener 127.0.0.1:")]
#[case("diagnose-brief", 0, "CRITICAL  accept queue of listener 127.0.0.1:")]
#[case("diagnose-healthy", 0, "OK        no problems found")]
#[case("features", 0, "all 23 features are available")]
#[case("features-missing", 0, "4 of 23 features missing")]
fn the_headline_comes_first(#[case] view: &str, #[case] line: usize, #[case] words: &str) {
    let text = shown(view, Palette::PLAIN, 80);
    assert!(text.lines().nth(line).unwrap().starts_with(words), "{text}");
}

/// All findings are on the first screen, worst first, before the details of any.
#[test]
fn a_diagnosis_begins_with_a_sentence_for_each_finding() {
    let text = shown("diagnose", Palette::PLAIN, 80);
    let headlines: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
    // One of the 24 lines is the next prompt's.
    assert!(headlines.len() <= 23, "{text}");
    let sentence = |finding: &Finding| {
        let mark = finding.severity.name().to_ascii_uppercase();
        format!("{mark} {}", finding.sentence())
    };
    let expected: Vec<String> = SAMPLE.findings.iter().map(sentence).collect();
    let (shown, expected) = (headlines.join(" "), expected.join(" "));
    assert!(shown.split_whitespace().eq(expected.split_whitespace()), "{shown}\n{expected}");
    assert!(SAMPLE.findings.is_sorted_by_key(|finding| Reverse(finding.severity)));
}

/// The columns are named, and it is said what is watched, before anything happens.
#[rstest]
fn a_trace_says_what_its_lines_mean(#[values("trace", "problems", "summary-only")] view: &str) {
    let text = shown(view, Palette::PLAIN, 80);
    let first: Vec<&str> = text.lines().take(12).collect();
    let titles = first.iter().find(|line| line.starts_with("TIME (UTC) "));
    let titles = titles.unwrap_or_else(|| panic!("{text}"));
    let own = if view == "summary-only" { "CONNECTION" } else { "STATE" };
    assert!(["#", "LOCAL", "PEER", own, "PROCESS"].iter().all(|title| titles.contains(title)));
    let is_introduced = first.iter().any(|line| line.starts_with("Watching the TCP connections"));
    assert_eq!(is_introduced, view == "trace", "{text}");
}
