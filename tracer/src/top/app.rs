//! The state of the screens, and what keys and the mouse do to it.

mod list;
#[cfg(test)]
pub(in crate::top) mod tests;

use std::sync::Arc;

use ratatui::{
    crossterm::event::{
        KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
    },
    layout::{Position, Rect},
};

pub use self::list::List;
use super::{
    picture::{Picture, Wish},
    theme::Theme,
    views,
};
use crate::{
    model::finding::{Finding, Problem},
    sink::{Degraded, stamps::Timestamps, surroundings::Surroundings},
};

/// Which screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// What is wrong, and the sockets by state.
    #[default]
    Overview,
    /// The list of sockets.
    Sockets,
    /// Findings with evidence and remedies.
    Diagnosis,
    /// The state machine.
    States,
    /// How long handshakes take.
    Handshakes,
}

impl Tab {
    /// All, in order.
    pub const ALL: [Self; 5] =
        [Self::Overview, Self::Sockets, Self::Diagnosis, Self::States, Self::Handshakes];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Sockets => "Sockets",
            Self::Diagnosis => "Diagnosis",
            Self::States => "States",
            Self::Handshakes => "Handshakes",
        }
    }

    fn beside(self, step: usize) -> Self {
        let index = Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0);
        Self::ALL[(index + step) % Self::ALL.len()]
    }
}

/// What follows from a key, beside a new screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// The end.
    Quit,
}

/// What lies over or instead of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// The list of keys.
    Help,
    /// All of the selected socket.
    Details,
}

/// See the module.
pub struct App {
    /// What is known.
    pub picture: Picture,
    /// Which screen is shown.
    pub tab: Tab,
    /// What lies over it.
    pub pane: Option<Pane>,
    /// First line shown of what is longer than the screen.
    pub scroll: usize,
    /// The list of sockets.
    pub list: List,
    /// Nothing new is taken in.
    pub frozen: bool,
    /// Of what must not get lost the oldest unread first.
    pub messages: Vec<String>,
    /// How things are drawn.
    pub theme: Theme,
    /// Time zone of the times shown.
    pub zone: jiff::tz::TimeZone,
    /// Which times are shown.
    pub timestamps: Timestamps,
    greeted: bool,
    /// The screen as it was drawn last.
    area: Rect,
}

impl App {
    /// Before anything is known.
    pub fn new(
        picture: Picture,
        surroundings: Arc<dyn Surroundings>,
        theme: Theme,
        zone: jiff::tz::TimeZone,
    ) -> Self {
        Self {
            picture,
            tab: Tab::default(),
            pane: None,
            scroll: 0,
            list: List::new(surroundings),
            frozen: false,
            messages: Vec::new(),
            theme,
            zone,
            timestamps: Timestamps::Local,
            greeted: false,
            area: Rect::new(0, 0, 80, 24),
        }
    }

    /// The screen will be drawn there.
    pub fn fit(&mut self, area: Rect) {
        self.area = area;
        let height = usize::from(views::list_area(self, area).height);
        self.list.fit(height);
    }

    /// Takes what is new, unless frozen.
    pub fn take(&mut self, picture: Picture) {
        if let (false, Some(hello)) = (self.greeted, &picture.hello) {
            self.messages.extend(hello.degraded.iter().map(in_short));
            self.greeted = true;
        }
        if self.frozen {
            return;
        }
        self.picture = picture;
        if self.tab == Tab::Sockets {
            self.list.take(&self.picture.rows);
        }
    }

    /// What the feed is to copy.
    pub fn wish(&self) -> Wish {
        let listed = self.tab == Tab::Sockets && !self.frozen;
        let chosen = (self.pane == Some(Pane::Details)).then(|| self.list.chosen()).flatten();
        Wish { rows: listed, chosen, cost: self.list.cost }
    }

    /// A key was pressed.
    pub fn key(&mut self, key: KeyEvent) -> Effect {
        if key.kind == KeyEventKind::Release {
            return Effect::None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Effect::Quit,
            _ if self.list.typing => self.list.edit(key.code, control),
            KeyCode::Char('q') if self.pane.is_some() => self.pane = None,
            KeyCode::Char('q') => return Effect::Quit,
            _ if self.anywhere(key.code) => {}
            _ if self.pane.is_some() || self.tab != Tab::Sockets => self.scroll_by(key.code),
            code => self.in_list(code),
        }
        Effect::None
    }

    /// Keys that work on all screens; whether this was one.
    fn anywhere(&mut self, code: KeyCode) -> bool {
        match code {
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => {
                let open = self.pane == Some(Pane::Help);
                self.open(if open { None } else { Some(Pane::Help) });
            }
            KeyCode::Char(digit @ '1'..='5') => {
                self.show(Tab::ALL[digit as usize - '1' as usize]);
            }
            KeyCode::Tab => self.show(self.tab.beside(1)),
            KeyCode::BackTab => self.show(self.tab.beside(Tab::ALL.len() - 1)),
            KeyCode::Char('f' | ' ') => self.frozen = !self.frozen,
            KeyCode::Char('x') if !self.messages.is_empty() => {
                self.messages.remove(0);
            }
            KeyCode::Char('/') => {
                self.show(Tab::Sockets);
                self.list.typing = true;
            }
            KeyCode::Esc if self.pane.is_some() => self.open(None),
            KeyCode::Enter if self.pane.is_none() && self.tab == Tab::Overview => {
                self.show(Tab::Diagnosis);
            }
            KeyCode::Enter if self.pane.is_none() && self.tab == Tab::Diagnosis => self.follow(),
            _ => return false,
        }
        true
    }

    fn show(&mut self, tab: Tab) {
        self.tab = tab;
        self.open(None);
        if tab == Tab::Sockets {
            self.list.take(&self.picture.rows);
        }
    }

    fn open(&mut self, pane: Option<Pane>) {
        self.pane = pane;
        self.scroll = 0;
    }

    /// From the finding on top of the screen to its sockets.
    fn follow(&mut self) {
        let index = views::finding_at(self, self.area, self.scroll);
        let Some(finding) = self.picture.findings.get(index) else { return };
        self.list.reset(&words(finding));
        self.show(Tab::Sockets);
    }

    fn in_list(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => {
                if !self.list.enter() {
                    self.list.pin();
                    self.open(self.list.chosen().map(|_| Pane::Details));
                }
            }
            code => self.list.key(code),
        }
    }

    fn scroll_by(&mut self, code: KeyCode) {
        let page = usize::from(self.area.height.saturating_sub(6)).max(1);
        let last = views::length(self, self.area).saturating_sub(1);
        self.scroll = match code {
            KeyCode::Up | KeyCode::Char('k') => self.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll + 1,
            KeyCode::PageUp => self.scroll.saturating_sub(page),
            KeyCode::PageDown => self.scroll + page,
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => last,
            _ => return,
        }
        .min(last);
    }

    /// The mouse did something.
    pub fn mouse(&mut self, event: MouseEvent) {
        let at = Position::new(event.column, event.row);
        let step = match event.kind {
            MouseEventKind::ScrollUp => KeyCode::Up,
            MouseEventKind::ScrollDown => KeyCode::Down,
            MouseEventKind::Down(MouseButton::Left) => return self.click(at),
            _ => return,
        };
        for _ in 0..3 {
            if self.pane.is_some() || self.tab != Tab::Sockets {
                self.scroll_by(step);
            } else {
                self.list.key(step);
            }
        }
    }

    fn click(&mut self, at: Position) {
        if let Some(tab) = views::tab_at(self, self.area, at) {
            return self.show(tab);
        }
        let list = views::list_area(self, self.area);
        if self.pane.is_none() && self.tab == Tab::Sockets && list.contains(at) {
            let row = usize::from(at.y - list.y);
            if self.list.click(row) {
                self.in_list(KeyCode::Enter);
            }
        }
    }
}

/// What is missing; the help says what is lost, and how to get it.
fn in_short(degraded: &Degraded) -> String {
    format!("! {} not available ({}): see ?", degraded.feature, degraded.reason)
}

/// A filter for the sockets that a finding is about.
fn words(finding: &Finding) -> String {
    let pid = |pid: u32| format!("[{pid}]");
    match &finding.problem {
        Problem::CloseWaitLeak(leak) => {
            let holder = leak.holders.first().map(|holder| pid(holder.process.pid));
            format!("close_wait {}", holder.unwrap_or_default())
        }
        Problem::NoLocalPort(failures) => {
            failures.process.map(|process| pid(process.pid)).unwrap_or_default()
        }
        Problem::AcceptQueueFull(queue) => format!(":{}", queue.listener.local.port),
        Problem::SynBacklog(_) => "syn_recv".into(),
        Problem::TimeWaitOverflow(_) | Problem::EphemeralPorts(_) => "time_wait".into(),
        Problem::Descriptors(out) => pid(out.program.process.pid),
        Problem::StuckHandshake(stuck) => stuck.state.name().to_ascii_lowercase(),
    }
    .trim()
    .to_owned()
}
