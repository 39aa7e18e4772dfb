//! The state of the screens.

use std::sync::Arc;

use ratatui::layout::Rect;

use super::{
    list::List,
    theme::Theme,
    ui_snapshot::{UiSnapshot, ViewRequest},
};
use tracer_output::{phrase, stamps::Timestamps};
use tracer_texts::Texts;

/// Which screen is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    #[default]
    Overview,
    Sockets,
    Diagnosis,
    States,
    Handshakes,
}

impl Tab {
    pub(super) const ALL: [Self; 5] =
        [Self::Overview, Self::Sockets, Self::Diagnosis, Self::States, Self::Handshakes];

    pub(super) fn name(self) -> &'static str {
        ["Overview", "Sockets", "Diagnosis", "States", "Handshakes"][self as usize]
    }

    /// The tab `step` places further on.
    pub(super) fn beside(self, step: usize) -> Self {
        Self::ALL[(self as usize + step) % Self::ALL.len()]
    }
}

/// What covers a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Help,
    /// Details of the selected socket.
    Details,
    /// The command that has been copied.
    Command,
}

pub(super) struct App {
    pub(super) ui_snapshot: UiSnapshot,
    pub(super) tab: Tab,
    pub(super) pane: Option<Pane>,
    /// First line shown of a text that is longer than the screen.
    pub(super) scroll: usize,
    pub(super) list: List,
    /// The commands of the finding from which one is copied, and which of them.
    pub(super) commands: (Vec<String>, usize),
    /// The screen is not updated.
    pub(super) frozen: bool,
    /// Messages that have not been dismissed, oldest first.
    pub(super) messages: Vec<String>,
    pub(super) theme: Theme,
    /// In which language people are spoken to.
    pub(super) texts: Arc<Texts>,
    /// Time zone of the times shown.
    pub(super) zone: jiff::tz::TimeZone,
    pub(super) timestamps: Timestamps,
    greeted: bool,
    /// The screen when it was last drawn.
    pub(super) area: Rect,
}

impl App {
    pub(super) fn new(
        ui_snapshot: UiSnapshot,
        (theme, texts): (Theme, Texts),
        zone: jiff::tz::TimeZone,
    ) -> Self {
        Self {
            ui_snapshot,
            tab: Tab::default(),
            pane: None,
            scroll: 0,
            list: List::default(),
            commands: (Vec::new(), 0),
            frozen: false,
            messages: Vec::new(),
            theme,
            texts: Arc::new(texts),
            zone,
            timestamps: Timestamps::Local,
            greeted: false,
            area: Rect::new(0, 0, 80, 24),
        }
    }

    /// The language for what is made of words and figures.
    pub(super) fn texts(&self) -> Option<&Texts> {
        Some(&self.texts)
    }

    /// Words of the code, in the language.
    pub(super) fn said<'a>(&'a self, english: &'a str) -> &'a str {
        self.texts.translated(english)
    }

    /// Takes a new picture, unless frozen.
    pub(super) fn take(&mut self, ui_snapshot: UiSnapshot) {
        if let (false, Some(header)) = (self.greeted, &ui_snapshot.header) {
            let said = |words| self.texts.translated(words);
            // In short: the help has the rest.
            self.messages.extend(header.degraded.iter().map(|degraded| {
                let (name, reason) = (said(&degraded.feature), said(&degraded.reason));
                phrase!(
                    Some(&self.texts),
                    "top-not-available",
                    [name, reason],
                    "! {name} not available ({reason}): see ?"
                )
            }));
            self.greeted = true;
        }
        if !self.frozen {
            self.ui_snapshot = ui_snapshot;
            self.fill_list();
        }
    }

    /// Gives the list the newest sockets while it is shown.
    pub(super) fn fill_list(&mut self) {
        if self.tab == Tab::Sockets {
            self.list.take(&self.ui_snapshot.rows);
        }
    }

    /// What the next picture must have.
    pub(super) fn view_request(&self) -> ViewRequest {
        let listed = self.tab == Tab::Sockets && !self.frozen;
        let chosen = (self.pane == Some(Pane::Details)).then(|| self.list.chosen()).flatten();
        ViewRequest { rows: listed, chosen, cost: self.list.cost }
    }
}
