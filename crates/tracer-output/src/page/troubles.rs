//! Findings and lingering sockets, each with its beginning, its worst and its end.

use maud::{Markup, html};

use super::{
    groups::{Groups, Tally},
    html::{Frame, words},
    peer::{named, peer},
};
use crate::{
    phrases::{of_finding, of_wording},
    text::{duration, grouped},
};
use tracer_event::{
    endpoint::Endpoint,
    finding::{Finding, Severity, Status},
    linger::LingerCause,
    phrase::Wording,
    state::State,
    update::{Linger, LingerStatus, Update},
};

/// Findings, and groups of lingering sockets, that are listed.
const MOST: usize = 256;

/// A finding from its beginning to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    /// When it was first reported, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) began: u64,
    /// Its worst state, the latest of these.
    pub(super) worst: Finding,
    /// When it was over.
    pub(super) ended: Option<u64>,
    key: String,
}

impl Trouble {
    fn draw(&self, frame: &Frame) -> Markup {
        let Self { began, worst, ended, .. } = self;
        let class = match worst.severity {
            Severity::Critical => "bad",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        let when = match ended {
            Some(ended) => {
                format!("{} {} {}", frame.time(*began), frame.say("to"), frame.time(*ended))
            }
            None => {
                let began = frame.time(*began);
                let english = format_args!("since {began}, not over");
                frame.worded("page-not-over", &[("began", &began)], english)
            }
        };
        let texts = frame.texts.as_ref();
        html! {
            article.(class) {
                h3 { span.badge { (frame.say(worst.severity.name())) } (of_finding(worst, texts)) }
                p.when { (when) }
                dl {
                    @for line in worst.evidence() { div { dt { (frame.say(line.label)) } dd { (of_wording(&line.text, texts)) } } }
                }
                h4 { (frame.say("What to do")) }
                ul {
                    @for remedy in worst.remedies() {
                        li { (of_wording(&remedy.text, texts)) @if let Some(command) = remedy.command { pre { (words(&command)) } } }
                    }
                }
            }
        }
    }
}

/// Sockets that linger for one reason in one process, towards one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lingering {
    /// Number of sockets flagged.
    pub(super) flagged: u64,
    /// Number of those that have left the state since.
    pub(super) left: u64,
    /// Longest time in the state, nanoseconds.
    pub(super) longest: u64,
    /// The true time is at least that.
    pub(super) at_least: bool,
    /// Why, in words.
    pub(super) why: Option<Wording>,
}

impl Tally for Lingering {
    fn rank(&self) -> (u64, u64) {
        (self.flagged, self.longest)
    }

    fn merge(&mut self, other: &Self) {
        self.flagged += other.flagged;
    }
}

/// What lingering sockets are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub(super) state: State,
    /// `comm` and process id.
    pub(super) process: Option<([u8; 16], u32)>,
    pub(super) peer: Endpoint,
    pub(super) cause: &'static str,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles {
    findings: Vec<Trouble>,
    /// Sockets that linger.
    pub(super) lingering: Groups<Group, Lingering, MOST>,
    /// Findings that are not listed.
    pub(super) unlisted: u64,
}

impl Troubles {
    pub(super) fn update(&mut self, update: &Update<'_>) {
        match update {
            Update::Finding(finding) => self.finding(finding),
            Update::Linger(lingers) => lingers.iter().for_each(|linger| self.linger(linger)),
            _ => {}
        }
    }

    /// Findings that go on are as bad as they were found now: they are told again at each tenfold
    /// only.
    pub(super) fn go_on(&mut self, found: &[Finding]) {
        for finding in found {
            let key = finding.key();
            let known = self.findings.iter_mut().find(|known| known.key == key);
            if let Some(known) = known.filter(|known| known.ended.is_none())
                && badness(finding) >= badness(&known.worst)
            {
                known.worst = finding.clone();
            }
        }
    }

    fn finding(&mut self, finding: &Finding) {
        let key = finding.key();
        let ended = (finding.status == Status::Cleared).then_some(finding.time);
        if let Some(known) = self.findings.iter_mut().find(|known| known.key == key) {
            known.ended = ended;
            if ended.is_none() && badness(finding) >= badness(&known.worst) {
                known.worst = finding.clone();
            }
        } else {
            let worst = finding.clone();
            self.findings.push(Trouble { began: finding.time, worst, ended, key });
        }
        if self.findings.len() > MOST {
            self.unlisted += 1;
            let least = self.findings.iter().enumerate().min_by_key(|(_, one)| badness(&one.worst));
            if let Some(index) = least.map(|(index, _)| index) {
                self.findings.remove(index);
            }
        }
    }

    fn linger(&mut self, linger: &Linger) {
        let group = Group {
            state: linger.state,
            process: linger.subject.owner.map(|owner| (owner.process.comm, owner.process.pid)),
            peer: peer(&linger.subject),
            cause: linger.why.as_ref().map_or("", LingerCause::code),
        };
        // A group that is not known any more has made room for others.
        let of = match linger.status {
            LingerStatus::Cleared => self.lingering.get_mut(&group),
            _ => Some(self.lingering.entry(group)),
        };
        let Some(of) = of else { return };
        match linger.status {
            LingerStatus::Raised => of.flagged += 1,
            LingerStatus::Continues => {}
            LingerStatus::Cleared => of.left = (of.left + 1).min(of.flagged),
        }
        if linger.age >= of.longest {
            (of.longest, of.at_least) = (linger.age, linger.at_least);
            of.why = linger.reason().or(of.why.take());
        }
    }

    /// The worst first; of those that are equally bad the one about most sockets.
    pub(super) fn findings(&self) -> Vec<&Trouble> {
        let mut findings: Vec<&Trouble> = self.findings.iter().collect();
        findings.sort_by_key(|known| std::cmp::Reverse(badness(&known.worst)));
        findings
    }

    /// Findings, worst first.
    pub(super) fn findings_section(&self, frame: &Frame) -> Markup {
        let found = self.findings();
        let reading = "The worst first, each as it was at its worst, with its evidence and what to do. \
                       Commands are to be copied; nothing has been changed.";
        frame.section(
            "findings",
            "Problems",
            reading,
            &html! {
                @if found.is_empty() { p.none { (frame.say("No problems were found.")) } }
                @for trouble in found { (trouble.draw(frame)) }
                @if self.unlisted > 0 {
                    p { (not_listed(self.unlisted, frame)) }
                }
            },
        )
    }

    /// Sockets that outlasted the threshold of their state.
    pub(super) fn lingering_section(&self, frame: &Frame) -> Markup {
        let mut groups = self.lingering.sorted();
        groups.sort_by_cached_key(|(Group { state, process, peer, cause }, _)| {
            (*state, *process, named(*peer), *cause)
        });
        let rows: Vec<Vec<String>> =
            groups.into_iter().map(|(group, of)| row(group, of, frame)).collect();
        let columns = ["State", "Sockets", "Still there", "Longest", "Process", "Peer", "Why"];
        let reading = "Sockets that stayed in a state longer than a healthy connection does (--linger \
                       sets the thresholds), and why.";
        frame.section(
            "lingering",
            "Stuck sockets",
            reading,
            &html! {
                (frame.unless(rows.is_empty(), "No socket exceeded the threshold of its state.", || {
                    frame.table(&columns, &rows, 3)
                }))
                @if self.lingering.others.flagged > 0 {
                    p { (in_smaller(self.lingering.others.flagged, frame)) }
                }
            },
        )
    }

    /// States in which sockets linger.
    pub(super) fn states(&self) -> Vec<State> {
        self.lingering.sorted().iter().map(|(group, _)| group.state).collect()
    }

    /// Number of findings of that severity.
    pub(super) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|known| known.worst.severity == severity).count()
    }
}

fn not_listed(findings: u64, frame: &Frame) -> String {
    let number = grouped(findings);
    let english = format_args!("{number} more findings are not listed.");
    frame.worded("page-not-listed", &[("count", &number)], english)
}

fn in_smaller(sockets: u64, frame: &Frame) -> String {
    let number = grouped(sockets);
    let english = format_args!("{number} more in smaller groups.");
    frame.worded("page-in-smaller", &[("count", &number)], english)
}

fn row(group: &Group, of: &Lingering, frame: &Frame) -> Vec<String> {
    let owner = group.process.map(|(comm, pid)| frame.process(&comm, Some(pid)));
    let why = of.why.as_ref().map(|why| of_wording(why, frame.texts.as_ref()).into_owned());
    vec![
        group.state.name().to_owned(),
        grouped(of.flagged),
        grouped(of.flagged - of.left),
        format!("{}{}", if of.at_least { "≥ " } else { "" }, duration(of.longest)),
        owner.unwrap_or_else(|| frame.say("unknown").into()),
        named(group.peer),
        why.unwrap_or_default(),
    ]
}

/// What is worse is greater.
fn badness(finding: &Finding) -> (Severity, u64) {
    (finding.severity, finding.problem.count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_event::{endpoint::Endpoint, fixtures};

    #[test]
    fn those_who_come_first_do_not_hide_what_lingers_most() {
        let mut troubles = Troubles::default();
        let address = |number: u32| std::net::IpAddr::V4((0x0a00_0000 + number).into());
        let mut raise = |number: u32, cookie: u64| {
            let mut linger = fixtures::linger(cookie, State::CloseWait);
            linger.subject.tuple.peer = Endpoint::new(address(number), 80);
            troubles.update(&Update::Linger(&[linger]));
        };
        (0..3 * MOST as u32).for_each(|number| raise(number, u64::from(number)));
        (0..5).for_each(|cookie| raise(1 << 20, 1 << 20 | cookie));
        (0..3 * MOST as u32).for_each(|number| raise(1 << 21 | number, 1 << 21));
        let listed = troubles.lingering.sorted();
        assert_eq!(listed[0].1.flagged, 5);
        assert!(listed.len() <= 2 * MOST);
        let flagged: u64 = listed.iter().map(|(_, group)| group.flagged).sum();
        assert_eq!(flagged + troubles.lingering.others.flagged, 6 * MOST as u64 + 5);
    }

    /// A leak that grows from 96 to 300 is told once.
    #[test]
    fn a_finding_that_grows_is_listed_as_it_was_at_last() {
        let mut troubles = Troubles::default();
        let peer = fixtures::subject(1).tuple.peer;
        let none = |netns, count| {
            let problem = fixtures::no_local_port(peer, count);
            Finding { netns, ..fixtures::finding(1, Severity::Critical, problem) }
        };
        troubles.update(&Update::Finding(&none(1, 96)));
        troubles.go_on(&[none(2, 5), none(1, 300)]);
        troubles.go_on(&[none(1, 299)]);
        let listed = troubles.findings();
        let [one] = listed[..] else { panic!("{}", listed.len()) };
        assert_eq!(one.worst, none(1, 300));
    }

    #[test]
    fn the_worst_finding_is_listed_whenever_it_comes() {
        let mut troubles = Troubles::default();
        let peer = fixtures::subject(1).tuple.peer;
        for number in 0..2 * MOST as u32 {
            let worst = number + 1 == 2 * MOST as u32;
            let severity = if worst { Severity::Critical } else { Severity::Info };
            let finding = fixtures::finding(1, severity, fixtures::no_local_port(peer, 1));
            troubles.update(&Update::Finding(&Finding { netns: number, ..finding }));
        }
        assert_eq!(troubles.findings.len(), MOST);
        assert_eq!(troubles.unlisted, MOST as u64);
        assert_eq!(troubles.findings()[0].worst.severity, Severity::Critical);
    }
}
