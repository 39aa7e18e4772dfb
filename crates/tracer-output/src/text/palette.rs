//! Colours by meaning.

use anstyle::{Ansi256Color, AnsiColor, Style};

use tracer_event::{
    close::Reason,
    finding::{Finding, Severity, Status},
    state::State,
    update::{Linger, LingerStatus, Transition},
};

/// Styles by meaning; all plain without colour.
///
/// Blue and magenta carry the distinctions: people with red-green blindness can tell them apart,
/// and unlike yellow both can be read on light and on dark backgrounds. Warnings are underlined as
/// well and errors bold, and each state has its name: no colour says anything alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// Nothing special.
    pub plain: Style,
    /// Less important.
    pub dim: Style,
    /// Being set up.
    pub opening: Style,
    /// In use.
    pub open: Style,
    /// Being closed.
    pub closing: Style,
    /// Needs attention.
    pub warning: Style,
    /// Failed or lost.
    pub bad: Style,
}

impl Palette {
    /// No colour.
    pub const PLAIN: Self = Self {
        plain: Style::new(),
        dim: Style::new(),
        opening: Style::new(),
        open: Style::new(),
        closing: Style::new(),
        warning: Style::new(),
        bad: Style::new(),
    };

    /// The terminal's own colours, which its user can read. Only what is less important has a fixed
    /// one, halfway between black and white: bright black is the background in some themes, and
    /// dimmed text fades on white.
    pub const COLOUR: Self = Self {
        plain: Style::new(),
        dim: Ansi256Color(244).on_default(),
        opening: AnsiColor::Cyan.on_default(),
        open: AnsiColor::Blue.on_default().bold(),
        closing: AnsiColor::Blue.on_default(),
        warning: AnsiColor::Magenta.on_default().underline(),
        bad: AnsiColor::Red.on_default().bold(),
    };

    /// The style of a transition's new state.
    pub(super) fn of(&self, transition: &Transition) -> Style {
        match transition.close {
            Some(close) if transition.to == State::Closed && close.reason != Reason::Graceful => {
                self.bad
            }
            _ => self.of_state(transition.to),
        }
    }

    /// The style of a finding.
    pub fn of_finding(&self, finding: &Finding) -> Style {
        match (finding.status, finding.severity) {
            (Status::Cleared, _) | (_, Severity::Info) => self.dim,
            (_, Severity::Warning) => self.warning,
            (_, Severity::Critical) => self.bad,
        }
    }

    /// The style of a flag on a lingering socket.
    pub(super) fn of_linger(&self, linger: &Linger) -> Style {
        match (linger.status, linger.state) {
            (LingerStatus::Cleared, _) => self.dim,
            (_, State::TimeWait) => self.warning,
            _ => self.bad,
        }
    }

    /// The style of a state.
    pub fn of_state(&self, state: State) -> Style {
        match state {
            State::SynSent | State::SynRecv | State::Listen => self.opening,
            State::Established => self.open,
            State::FinWait1 | State::FinWait2 | State::LastAck | State::Closing => self.closing,
            State::CloseWait | State::TimeWait => self.warning,
            State::Closed => self.dim,
        }
    }
}
