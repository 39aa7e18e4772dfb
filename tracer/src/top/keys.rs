//! What keys and the mouse do to the state of the screens.

#[cfg(test)]
pub(super) mod tests;

use ratatui::{
    crossterm::event::{
        KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
    },
    layout::{Position, Rect},
};

use super::{
    app::{App, Pane, Tab},
    views,
};
use tracer_event::finding::{Finding, Problem};

/// What has to be done after a key, beside drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Quit,
    /// Gives a text to the terminal's clipboard.
    Copy(String),
}

impl App {
    /// Takes the size of the screen.
    pub(super) fn fit(&mut self, area: Rect) {
        self.area = area;
        self.list.fit(usize::from(views::list_area(self, area).height));
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Effect {
        if key.kind == KeyEventKind::Release {
            return Effect::None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Effect::Quit,
            code if self.list.typing => self.list.edit(code, control),
            KeyCode::Char('q') if self.pane.is_none() => return Effect::Quit,
            KeyCode::Char('c') => return self.copy(),
            code if self.on_any_screen(code) => {}
            code if !self.is_listing() => self.scroll_by(code),
            KeyCode::Enter => self.enter(),
            code => self.list.key(code),
        }
        Effect::None
    }

    /// Whether keys go to the list of sockets.
    fn is_listing(&self) -> bool {
        self.pane.is_none() && self.tab == Tab::Sockets
    }

    /// Keys that work on all screens; true if this was one.
    fn on_any_screen(&mut self, code: KeyCode) -> bool {
        match (code, self.pane) {
            (KeyCode::Char('?' | 'h') | KeyCode::F(1), Some(Pane::Help))
            | (KeyCode::Char('q') | KeyCode::Esc, Some(_)) => self.open(None),
            (KeyCode::Char('?' | 'h') | KeyCode::F(1), _) => self.open(Some(Pane::Help)),
            (KeyCode::Char(digit @ '1'..='5'), _) => {
                self.show(Tab::ALL[digit as usize - '1' as usize]);
            }
            (KeyCode::Tab, _) => self.show(self.tab.beside(1)),
            (KeyCode::BackTab, _) => self.show(self.tab.beside(Tab::ALL.len() - 1)),
            (KeyCode::Char('f' | ' '), _) => self.frozen = !self.frozen,
            (KeyCode::Char('x'), _) if !self.messages.is_empty() => {
                self.messages.remove(0);
            }
            (KeyCode::Char('/'), _) => {
                self.show(Tab::Sockets);
                self.list.typing = true;
            }
            (KeyCode::Enter, None) if self.tab == Tab::Overview => self.show(Tab::Diagnosis),
            (KeyCode::Enter, None) if self.tab == Tab::Diagnosis => self.show_sockets(),
            _ => return false,
        }
        true
    }

    fn show(&mut self, tab: Tab) {
        self.tab = tab;
        self.open(None);
        self.fill_list();
    }

    fn open(&mut self, pane: Option<Pane>) {
        self.pane = pane;
        self.scroll = 0;
    }

    /// Copies the first command of the finding at the top of the screen, then the next one.
    fn copy(&mut self) -> Effect {
        let (commands, index) = &mut self.commands;
        if self.pane == Some(Pane::Command) {
            *index = (*index + 1) % commands.len().max(1);
        } else {
            let first = match self.tab {
                Tab::Diagnosis => views::finding_at(self, self.area, self.scroll),
                _ => 0,
            };
            let findings = &self.ui_snapshot.findings;
            let of = |finding: &Finding| -> Vec<String> {
                finding.remedies().into_iter().filter_map(|remedy| remedy.command).collect()
            };
            let found = findings.iter().skip(first).map(of).find(|some| !some.is_empty());
            let Some(found) = found else {
                let words = self.said("no command to copy: no finding here has one").to_owned();
                self.messages.push(words);
                return Effect::None;
            };
            self.commands = (found, 0);
            self.open(Some(Pane::Command));
        }
        let (commands, index) = &self.commands;
        commands.get(*index).cloned().map_or(Effect::None, Effect::Copy)
    }

    /// Lists the sockets of the finding at the top of the screen.
    fn show_sockets(&mut self) {
        let index = views::finding_at(self, self.area, self.scroll);
        let Some(finding) = self.ui_snapshot.findings.get(index) else { return };
        self.list.reset(filter(finding));
        self.show(Tab::Sockets);
    }

    fn enter(&mut self) {
        if !self.list.enter() {
            self.list.pin();
            self.open(self.list.chosen().map(|_| Pane::Details));
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

    pub(super) fn mouse(&mut self, event: MouseEvent) {
        let step = match event.kind {
            MouseEventKind::ScrollUp => KeyCode::Up,
            MouseEventKind::ScrollDown => KeyCode::Down,
            MouseEventKind::Down(MouseButton::Left) => {
                return self.click(Position::new(event.column, event.row));
            }
            _ => return,
        };
        for _ in 0..3 {
            if self.is_listing() {
                self.list.key(step);
            } else {
                self.scroll_by(step);
            }
        }
    }

    fn click(&mut self, at: Position) {
        if let Some(tab) = views::tab_at(self, self.area, at) {
            return self.show(tab);
        }
        let list = views::list_area(self, self.area);
        if self.is_listing() && list.contains(at) && self.list.click(usize::from(at.y - list.y)) {
            self.enter();
        }
    }
}

/// A filter for the sockets that a finding is about.
fn filter(finding: &Finding) -> String {
    let pid = |pid: u32| format!("[{pid}]");
    match &finding.problem {
        Problem::CloseWaitLeak(leak) => {
            let holder = leak.holders.first().map(|holder| pid(holder.process.pid));
            holder.map_or_else(|| "close_wait".into(), |holder| format!("close_wait {holder}"))
        }
        Problem::AcceptQueueFull(queue) => format!(":{}", queue.listener.local.port),
        Problem::AcceptWait(wait) => format!(":{}", wait.listener.local.port),
        Problem::DeferredAccept(deferred) => format!(":{}", deferred.listener.local.port),
        Problem::ClosedButHeld(held) => {
            held.holders.first().map(|holder| pid(holder.process.pid)).unwrap_or_default()
        }
        Problem::SelfConnect(itself) => format!(":{}", itself.address.port),
        Problem::SynBacklog(_) => "syn_recv".into(),
        Problem::TimeWaitOverflow(_) | Problem::EphemeralPorts(_) => "time_wait".into(),
        Problem::StuckHandshake(stuck) => stuck.state.name().to_ascii_lowercase(),
        problem => problem.processes().first().copied().map(pid).unwrap_or_default(),
    }
}
