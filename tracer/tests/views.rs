//! Every view as people see it, at the sizes that terminals have, with and without colour.
//!
//! What is shown was recorded by a real trace, with real sockets: `cargo xtask test -- --test readme
//! -- --ignored the_views` records it again. The screens of `tracer top` have tests of their own.
//! `UPDATE_PICTURES=1 cargo test -p tracer --test views` draws pictures into `target/views`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{Read as _, Seek as _},
    sync::{Arc, LazyLock},
};

use jiff::tz::TimeZone;
use rstest::rstest;
use tracer::{
    explain, feature_list,
    features::{Missing, Survey, Tried},
    listing::{self, groups, groups::Grouping},
    replay::{
        Replay,
        decode::{Decoder, Item, OwnedUpdate},
        enricher::Recorded,
        pace::Speed,
        source::Source,
    },
};
use tracer_event::{
    close::Reason,
    diagnosis::Diagnosis,
    enricher::{Context, Unknown},
    finding::Finding,
    header::Mode,
    socket::Socket,
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
    width::columns,
};
use tracer_texts::{
    Language, Texts,
    terms::{self, SETTINGS},
};

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/views.jsonl");

/// Nothing is known of a host.
const ALONE: Context<'_> = Context { clock: WallClock { lead: 0, now: 0 }, enricher: &Unknown };

/// What is on the screen of a terminal of so many columns.
type View = fn(Palette, usize) -> String;

const VIEWS: [(&str, View); 15] = [
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
        written(|out| listing::text(&RECORDED.sockets, ALONE, None, (palette, Some(width)), out))
    }),
    ("sockets-by-process", |palette, width| {
        let grouping = (Grouping::Process, usize::MAX);
        let look = (palette, Some(width));
        written(|out| groups::text(&RECORDED.sockets, grouping, ALONE, None, look, out))
    }),
    ("diagnose", |palette, width| {
        written(|out| report::text(&RECORDED.diagnosis(), palette, Some(width), None, out))
    }),
    ("diagnose-brief", |palette, width| {
        written(|out| report::brief(&RECORDED.diagnosis(), palette, Some(width), None, out))
    }),
    ("diagnose-healthy", |palette, width| {
        let healthy = Diagnosis { findings: Vec::new(), ..RECORDED.diagnosis() };
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

/// What the recording says, as the views that do not replay take it.
static RECORDED: LazyLock<Told> = LazyLock::new(Told::read);

struct Told {
    sockets: Vec<Socket>,
    findings: Vec<Finding>,
    reasons: BTreeSet<String>,
}

impl Told {
    fn read() -> Self {
        let mut decoder = Decoder::new(Arc::new(Recorded::default()));
        let mut told = Self { sockets: Vec::new(), findings: Vec::new(), reasons: BTreeSet::new() };
        let mut latest = BTreeMap::new();
        let mut end = 0;
        for line in fs::read_to_string(RECORDING).unwrap().lines() {
            let Item::Update(update) = decoder.decode(line).unwrap() else { continue };
            end = update.time().max(end);
            match update {
                OwnedUpdate::Transition(step) => {
                    let reason = step.close.map(|close| close.reason);
                    told.reasons.extend(reason.map(|reason| format!("{reason:?}")));
                    latest.insert(step.subject.cookie, step);
                }
                OwnedUpdate::Finding(finding) => told.findings.push(*finding),
                _ => {}
            }
        }
        let open = latest.into_values().filter(|step| step.to != State::Closed);
        told.sockets = open
            .map(|step| Socket {
                time: end,
                state: step.to,
                subject: step.subject,
                age: Some(end - step.time),
                at_least: false,
                idle: Some(end - step.time),
                keepalive: None,
                user_timeout: None,
                holders: step.subject.owner.into_iter().collect(),
                timer: None,
                receive_queue: 1,
                send_queue: 0,
                rtt: Some(34_000),
                orphaned: step.orphaned,
                unaccepted: false,
            })
            .collect();
        told.sockets.sort_by_key(|one| (one.state != State::CloseWait, Reverse(one.age)));
        told
    }

    fn diagnosis(&self) -> Diagnosis {
        let mut states = BTreeMap::new();
        for socket in &self.sockets {
            *states.entry(socket.state).or_default() += 1;
        }
        let mut findings = self.findings.clone();
        findings.sort_by_key(|finding| Reverse(finding.severity));
        Diagnosis {
            findings,
            states,
            namespaces: 1,
            observed: 5_000_000_000,
            sending: 1,
            lost: 0,
            refused: 1,
            ports: Arc::new([]),
        }
    }
}

/// A host on which the first features are missing.
fn survey(missing: usize) -> Survey {
    let reason = "the tracepoint sock/inet_sock_set_state cannot be read: tracefs is not mounted";
    let remedy = Some("mount -t tracefs tracefs /sys/kernel/tracing".to_owned());
    let lack = Missing { reason: reason.into(), remedy };
    let tried = feature::ALL.into_iter().enumerate().map(|(index, feature)| Tried {
        feature,
        missing: (index < missing).then(|| lack.clone()),
    });
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

/// So many lines of each view are kept as they were looked at.
const GOLDEN: usize = 120;

/// Units that belong to the number before them.
const UNITS: [&str; 14] =
    ["ns", "µs", "ms", "s", "min", "h", "d", "B", "KiB", "MiB", "GiB", "%", "byte", "bytes"];

/// Commands are never broken, so that they can be copied.
fn is_command(line: &str) -> bool {
    let line = line.trim_start();
    ["$ ", "to get it:", "setcap "].iter().any(|begin| line.starts_with(begin))
}

/// What is wrong with a view at a width.
fn faults(text: &str, width: usize) -> Vec<String> {
    let mut faults = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let length = columns(line.trim_end());
        if length > width && !is_command(line) {
            faults.push(format!("wider than {width}: {line}"));
        }
        let cut = line.trim_start_matches('…').contains('…');
        if width >= 160 && cut && length + 1 < width {
            faults.push(format!("cut, with {} columns left: {line}", width - length));
        }
        let next = lines.get(index + 1).and_then(|next| next.split_whitespace().next());
        let unit = next.unwrap_or_default().trim_end_matches([',', '.', ';', ':', ')']);
        if line.trim_end().ends_with(|last: char| last.is_ascii_digit()) && UNITS.contains(&unit) {
            faults.push(format!("a number without its unit: {line}"));
        }
    }
    faults
}

#[rstest]
#[case::trace("trace")]
#[case::summary_only("summary-only")]
#[case::problems("problems")]
#[case::ladder("ladder")]
#[case::ladder_explained("ladder-explained")]
#[case::sockets("sockets")]
#[case::sockets_by_process("sockets-by-process")]
#[case::diagnose("diagnose")]
#[case::diagnose_brief("diagnose-brief")]
#[case::diagnose_healthy("diagnose-healthy")]
#[case::features("features")]
#[case::features_missing("features-missing")]
#[case::features_v("features-v")]
#[case::explain("explain")]
#[case::legend("legend")]
fn each_view_fits_each_terminal_with_and_without_colour(#[case] view: &str) {
    for width in [80, 100, 160, 200] {
        draw(view, width);
        let plain = shown(view, Palette::PLAIN, width);
        assert!(!plain.is_empty() && !plain.contains('\x1b'), "{view} at {width}: {plain}");
        assert_eq!(faults(&plain, width), Vec::<String>::new(), "{view} at {width}");
        for palette in [Palette::COLOUR, Palette::SIXTEEN] {
            let coloured = shown(view, palette, width);
            // No colour says anything alone.
            assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain, "{view}");
        }
    }
    let golden: Vec<String> = shown(view, Palette::PLAIN, 80)
        .lines()
        .take(GOLDEN)
        .map(|line| line.trim_end().to_owned())
        .collect();
    insta::assert_snapshot!(format!("{view}-80"), golden.join("\n"));
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

/// A reason stands beside CLOSED whatever the width, and each has its own words.
#[test]
fn at_80_columns_a_state_and_its_reason_survive() {
    assert!(RECORDED.reasons.len() >= 5, "{:?}", RECORDED.reasons);
    assert!(!RECORDED.reasons.contains(&format!("{:?}", Reason::Unknown)));
    let [narrow, wide] = [80, 200].map(|width| shown("trace", Palette::PLAIN, width));
    let endings: BTreeSet<&str> = narrow
        .lines()
        .filter_map(|line| line.split_once(" CLOSED "))
        .map(|(_, words)| words.get(..13).unwrap_or(words))
        .collect();
    assert!(endings.len() >= RECORDED.reasons.len(), "{endings:?}: {:?}", RECORDED.reasons);
    for state in State::ALL {
        // Flags and findings name states too.
        let lines = |text: &str, name: &str| {
            let lines = text.lines().filter(|line| !line.contains(['⚑', '⚠', '=']));
            lines.filter(|line| line.split_whitespace().any(|word| word == name)).count()
        };
        let arrow = format!("→ {} ", state.name());
        let entered = wide.lines().filter(|line| line.contains(&arrow)).count();
        assert!(lines(&narrow, state.name()) >= entered, "{state}: {narrow}");
    }
}

/// What matters most is on the first screen, before any detail.
#[rstest]
#[case("trace", "TIME (UTC)")]
#[case("problems", "TIME (UTC)")]
#[case("sockets", "CLOSE_WAIT")]
#[case("sockets-by-process", "shop-api[")]
#[case("diagnose", "shop-api[")]
#[case("diagnose-brief", "payments[")]
#[case("diagnose-healthy", "no problems found")]
#[case("features", "all ")]
#[case("features-missing", "features missing")]
fn the_headline_is_on_the_first_screen(#[case] view: &str, #[case] words: &str) {
    let text = shown(view, Palette::PLAIN, 80);
    let first: Vec<&str> = text.lines().take(24).collect();
    assert!(first.join("\n").contains(words), "{text}");
    if view == "diagnose" {
        let marks = |text: &str| {
            ["CRITICAL", "WARNING", "INFO"].map(|mark| text.matches(mark).count()).iter().sum()
        };
        let sentences: usize = marks(&first.join("\n"));
        // The details of the first one may have begun.
        assert!(sentences >= RECORDED.findings.len(), "a sentence each, then details: {text}");
    }
}
