//! The command `tracer demo`: plays a scenario of TCP and shows it.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    os::fd::{BorrowedFd, RawFd},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum as _};

use super::{
    candidates,
    console::{ColorArgument, print},
    course,
    format::{FormatArguments, Occasion, TraceFormat},
    language::LanguageArgument,
    live::{Live, Setting},
    sinks::{ending, standard_output},
};
use crate::demo::{
    desk::{Noted, Shared},
    keys::Keys,
    player::{Player, Said},
    presenter::{Presenter, Score},
};
use rustix::{termios::tcgetwinsize, thread::CapabilitySet};
use tracer_kernel::{preflight, privileges};
use tracer_lab::scenario::{self, Scenario};
use tracer_model::{
    filter::{Condition, Filter},
    linger::Thresholds,
};
use tracer_output::{lines::Lines, output::Destination, width};
use tracer_texts::Texts;

/// What is played without a name: handshake and teardown.
const FIRST: &str = "teardown";
/// What playing takes in a namespace of its own: to give addresses and parameters, to bind sockets
/// to a device and to port 80; the node of the TUN device may have to be made.
const PLAYS: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::MKNOD);
/// Lines of a screen that are left for what is said at its end.
const MARGIN: usize = 5;
/// When a socket is flagged: nobody wants to wait for half a minute.
const LINGER: &str = "close-wait=1s,time-wait=off,fin-wait1=off,fin-wait2=off";

/// What to play.
#[derive(Args, Debug)]
#[command(
    after_help = "Needs root: a scenario is played with real sockets in a network namespace of its \
    own, which ends with it. Nothing leaves this host."
)]
pub(super) struct DemoArguments {
    /// The scenario, by its name in --list [default: teardown]
    #[arg(value_name = "SCENARIO", add = candidates::scenarios())]
    scenario: Option<String>,
    /// List the scenarios and what each shows
    #[arg(long)]
    list: bool,
    /// Output format: ladder, text or json
    #[arg(long, value_enum, default_value_t = TraceFormat::Ladder, value_name = "FORMAT")]
    format: TraceFormat,
    /// Show sequence numbers as they are, not relative to the initial ones
    #[arg(long)]
    absolute_seq: bool,
    /// Leave the last state as it is until Ctrl-C, to look at it from another terminal
    #[arg(long)]
    live: bool,
    /// Ask before each step what comes next: a course of ten lessons, or the scenario
    #[arg(long, conflicts_with = "live")]
    step: bool,
    /// Take the answers of --step from FILE, a character each
    #[arg(long, value_name = "FILE", requires = "step")]
    answers: Option<PathBuf>,
    /// Where a lesson of the course says its score
    #[arg(long, hide = true, value_name = "DESCRIPTOR", requires = "step")]
    score_to: Option<RawFd>,
    /// A lesson after another one
    #[arg(long, hide = true, requires = "step")]
    next_lesson: bool,
    #[command(flatten)]
    language: LanguageArgument,
    #[command(flatten)]
    color: ColorArgument,
}

/// What the process that plays is given.
#[derive(Args, Debug)]
pub(super) struct LabArguments {
    scenario: String,
    parent: i32,
}

/// Plays a scenario and shows it.
///
/// # Errors
///
/// One line that says what is wrong or missing.
pub(super) fn run(arguments: &DemoArguments) -> anyhow::Result<()> {
    let texts = arguments.language.texts();
    if arguments.list {
        return print(list(&texts).as_bytes());
    }
    ensure!(
        matches!(arguments.format, TraceFormat::Ladder | TraceFormat::Text | TraceFormat::Json),
        "--format: ladder, text or json"
    );
    ensure!(
        !arguments.step || arguments.format != TraceFormat::Json,
        "--step asks people, and --format json is for machines: use only one of them"
    );
    let scenario = arguments.scenario.as_deref();
    let scenario = find(scenario.unwrap_or(FIRST))?;
    preflight::privileges()?;
    if let Some(path) = &arguments.answers {
        let file = File::open(path)
            .with_context(|| format!("cannot read the answers {} (--answers)", path.display()))?;
        rustix::stdio::dup2_stdin(file).context("cannot read the answers (--answers)")?;
    }
    if arguments.step && arguments.scenario.is_none() {
        return course::run(&texts, &arguments.handed_on(&texts));
    }
    let _keys = arguments.step.then(Keys::of_stdin);
    let score = arguments.score_to.map(Handed::of).transpose()?;
    let presenter = arguments.trace(scenario, texts)?;
    match (score, presenter) {
        (Some(score), Some(presenter)) if presenter.is_complete => score.hand_on(presenter.score),
        _ => Ok(()),
    }
}

/// Where the score of a lesson is handed on to.
struct Handed(File);

impl Handed {
    /// A descriptor that this process has inherited for it.
    fn of(descriptor: RawFd) -> anyhow::Result<Self> {
        ensure!(descriptor > 2, "--score-to: a descriptor of the course's");
        // SAFETY: whoever gives the option has made the descriptor for this process alone.
        let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let own = borrowed.try_clone_to_owned().context("--score-to: no such descriptor")?;
        Ok(Self(own.into()))
    }

    fn hand_on(mut self, score: Score) -> anyhow::Result<()> {
        self.0.write_all(score.line().as_bytes()).context("the course has ended")
    }
}

/// Who has led through a scenario, and how that went.
type Presented = (Presenter, anyhow::Result<()>);

/// Leads through the scenario, in a thread of its own; the trace ends with it.
fn present(
    mut presenter: Presenter,
    stays: bool,
    setting: &Setting,
    presented: Arc<Mutex<Option<Presented>>>,
) -> anyhow::Result<()> {
    let end = Arc::clone(&setting.end);
    let lead = move || {
        let result = presenter.present();
        let stays = stays && result.is_ok();
        // With the presenter: the process that plays waits as long as somebody may answer.
        let mut place = presented.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some((presenter, result));
        if !stays {
            end.notify_one();
        }
    };
    thread::Builder::new()
        .name("tracer-demo".into())
        .spawn(lead)
        .context("cannot start a thread")?;
    Ok(())
}

impl DemoArguments {
    /// Plays a scenario and traces it; who has led through it, unless a signal ended it before.
    fn trace(
        &self,
        scenario: &'static Scenario,
        texts: Texts,
    ) -> anyhow::Result<Option<Presenter>> {
        let destination = standard_output()?;
        let (player, mut talk) = Player::start(scenario)?;
        let netns = match talk.listen()? {
            Said::Namespace(inode) => inode,
            Said::Failed(reason) => bail!("{reason}; tracer demo needs root"),
            said => bail!("the process that plays says {said:?}"),
        };
        let filter = Filter::from(Condition::Netns(netns));
        let thresholds = LINGER.parse::<Thresholds>().map_err(anyhow::Error::msg)?;
        let mut live = Live::new(filter, thresholds, None);
        live.request.retransmitted_data = true;
        let desk = Shared::default();
        if let Some(rows) = self.rows() {
            desk.limit_page(rows.saturating_sub(MARGIN));
        }
        let presented = Arc::<Mutex<Option<Presented>>>::default();
        let farewell = || texts.say_with("demo-network", &[("netns", netns.to_string())]);
        let farewell = self.live.then(farewell);
        let presenter =
            Presenter::new(scenario, texts, desk.clone(), talk).asking(self.step).staying(farewell);
        let mut written = None;
        let traced = live.run(|setting| {
            let lines = self.lines(setting, desk, destination)?;
            written = Some(ending(&lines, None));
            present(presenter, self.live, setting, Arc::clone(&presented))?;
            Ok(vec![Box::new(lines)])
        });
        // What has ended by itself: a signal may have come before.
        let presented = presented.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It ends now, whatever it was doing.
        drop(player);
        traced?;
        written.map_or(Ok(()), |written| written())?;
        presented.map(|(presenter, result)| result.map(|()| presenter)).transpose()
    }

    /// Lines of the screen in front of which somebody turns pages.
    fn rows(&self) -> Option<usize> {
        let sits_there = self.step && self.answers.is_none() && io::stdin().is_terminal();
        let size = tcgetwinsize(io::stdout()).ok().filter(|_| sits_there)?;
        Some(size.ws_row.into()).filter(|rows| *rows > MARGIN)
    }

    /// The options that each lesson of a course has too.
    fn handed_on(&self, texts: &Texts) -> Vec<String> {
        let format = self.format.to_possible_value();
        let format = format.map_or_else(String::new, |value| value.get_name().to_owned());
        let mut options =
            vec![format!("--lang={}", texts.language()), format!("--format={format}")];
        options.extend(self.absolute_seq.then(|| "--absolute-seq".to_owned()));
        options
    }

    fn lines(
        &self,
        setting: &Setting,
        desk: Shared,
        destination: Destination,
    ) -> anyhow::Result<Lines> {
        let shown =
            FormatArguments::of_demo(self.format, !self.absolute_seq, self.language, self.color);
        let format = shown.format(Some(io::stdout()), Occasion::Recording)?;
        let noted = Noted::new(format, desk, self.format == TraceFormat::Json);
        let noted = noted.without(self.next_lesson, self.step);
        let closed = Arc::clone(&setting.closed);
        let lines = Lines::start(Box::new(noted), destination, move || closed.notify_one());
        lines.context("cannot start the writing thread")
    }
}

fn find(name: &str) -> anyhow::Result<&'static Scenario> {
    let names = || scenario::all().map(|scenario| scenario.name).collect::<Vec<_>>().join(", ");
    scenario::find(name).with_context(|| format!("no scenario {name:?}: there are {}", names()))
}

/// Each scenario and what it shows.
fn list(texts: &Texts) -> String {
    let longest = scenario::all().map(|scenario| scenario.name.len()).max().unwrap_or_default();
    let line = |scenario: &Scenario| {
        let title = texts.attribute(&format!("demo-{}", scenario.name), "title");
        format!("{}  {}\n", width::padded(scenario.name, longest), title.unwrap_or_default())
    };
    scenario::all().map(line).collect()
}

/// Plays; started by `tracer demo`, which says what was wrong where nobody listens any more.
///
/// # Errors
///
/// Where there is no such scenario.
pub(super) fn play(arguments: &LabArguments) -> anyhow::Result<()> {
    let scenario = find(&arguments.scenario)?;
    let confine = || privileges::keep_only(PLAYS);
    let _ = tracer_lab::process::serve(scenario, arguments.parent, confine);
    Ok(())
}
