//! Colours with a meaning.

use anstyle::{AnsiColor, Style};

use crate::model::{close::Reason, state::State, update::Transition};

/// Styles by meaning; all plain where there is no colour.
///
/// Blue and yellow carry the distinctions, which people with red-green blindness can tell apart;
/// what is bad is bold besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// Nothing special.
    pub plain: Style,
    /// Of lesser interest.
    pub dim: Style,
    /// Being set up.
    pub opening: Style,
    /// In use.
    pub open: Style,
    /// Being torn down in order.
    pub closing: Style,
    /// Waits for somebody.
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

    /// The terminal's own sixteen colours, which its user has made readable.
    pub const COLOUR: Self = Self {
        plain: Style::new(),
        dim: Style::new().dimmed(),
        opening: AnsiColor::Cyan.on_default(),
        open: AnsiColor::Green.on_default(),
        closing: AnsiColor::Blue.on_default(),
        warning: AnsiColor::Yellow.on_default(),
        bad: AnsiColor::Red.on_default().bold(),
    };

    /// The style of a transition's new state.
    pub(super) fn of(&self, transition: &Transition) -> Style {
        match transition.to {
            State::SynSent | State::SynRecv | State::Listen => self.opening,
            State::Established => self.open,
            State::FinWait1 | State::FinWait2 | State::LastAck | State::Closing => self.closing,
            State::CloseWait | State::TimeWait => self.warning,
            State::Closed => match transition.close {
                Some(close) if close.reason != Reason::Graceful => self.bad,
                _ => self.dim,
            },
        }
    }
}
