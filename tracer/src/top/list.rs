//! The list of sockets: which of them it shows, and which line is selected.

use std::sync::Arc;

use ratatui::crossterm::event::KeyCode;

use super::rows::{Group, Grouping, Row, Rows, Selection};
use tracer_model::connection::SocketId;

#[derive(Default)]
pub(super) struct List {
    pub(super) rows: Rows,
    pub(super) selection: Selection,
    pub(super) grouping: Option<Grouping>,
    /// A filter is being typed.
    pub(super) typing: bool,
    /// Index of the selected line.
    pub(super) selected: usize,
    /// Index of the first line shown.
    pub(super) offset: usize,
    /// What sorting took last, nanoseconds.
    pub(super) cost: u64,
    /// Indices of the rows shown.
    pub(super) listed: Vec<u32>,
    pub(super) groups: Vec<Group>,
    height: usize,
    /// The selected socket, once the selection has been moved.
    pinned: Option<(SocketId, u32)>,
}

impl List {
    /// How many lines there are.
    pub(super) fn len(&self) -> usize {
        if self.grouping.is_some() { self.groups.len() } else { self.listed.len() }
    }

    /// The row on a line.
    pub(super) fn row(&self, line: usize) -> Option<&Row> {
        self.rows.get(*self.listed.get(line)? as usize)
    }

    /// The selected socket.
    pub(super) fn chosen(&self) -> Option<(SocketId, u32)> {
        let selected = || self.pinned.or_else(|| self.row(self.selected).map(Row::key));
        self.grouping.is_none().then(selected).flatten()
    }

    pub(super) fn take(&mut self, rows: &Rows) {
        if !Arc::ptr_eq(rows, &self.rows) {
            self.rows = Arc::clone(rows);
            self.arrange();
        }
    }

    /// Filters, sorts and groups; the selected socket or group stays selected.
    fn arrange(&mut self) {
        let begun = tracer_kernel::time::thread_cpu();
        let before = self.groups.get(self.selected).map(|group| group.key.clone());
        let Self { rows, selection, .. } = self;
        self.listed = selection.list(rows);
        let groups = |by| selection.groups(rows, &self.listed, by);
        self.groups = self.grouping.map(groups).unwrap_or_default();
        let line = match self.pinned {
            _ if self.grouping.is_some() => {
                self.groups.iter().position(|group| Some(&group.key) == before.as_ref())
            }
            Some(key) => {
                self.listed.iter().position(|&index| self.rows[index as usize].key() == key)
            }
            None => Some(0),
        };
        self.selected = line.unwrap_or(self.selected);
        self.cost = tracer_kernel::time::thread_cpu().saturating_sub(begun);
        self.keep_in_sight();
    }

    /// Sets how many lines are shown.
    pub(super) fn fit(&mut self, height: usize) {
        self.height = height.max(1);
        self.keep_in_sight();
    }

    fn keep_in_sight(&mut self) {
        let len = self.len();
        self.selected = self.selected.min(len.saturating_sub(1));
        let last = len.saturating_sub(self.height);
        let least = (self.selected + 1).saturating_sub(self.height);
        self.offset = self.offset.clamp(least, self.selected.max(least)).min(last);
    }

    fn go(&mut self, line: usize) {
        self.selected = line.min(self.len().saturating_sub(1));
        self.pinned = None;
        if line > 0 {
            self.pin();
        }
        self.keep_in_sight();
    }

    /// Keeps the selected socket selected, wherever it moves.
    pub(super) fn pin(&mut self) {
        self.pinned = self.chosen();
    }

    /// Selects the line that was clicked; true if it was the selected one already.
    pub(super) fn click(&mut self, line: usize) -> bool {
        let again = self.offset + line == self.selected;
        self.go(self.offset + line);
        again
    }

    pub(super) fn key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Up | KeyCode::Char('k') => return self.go(self.selected.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => return self.go(self.selected + 1),
            KeyCode::PageUp => return self.go(self.selected.saturating_sub(self.height)),
            KeyCode::PageDown => return self.go(self.selected + self.height),
            KeyCode::Home => return self.go(0),
            KeyCode::End | KeyCode::Char('G') => return self.go(usize::MAX),
            KeyCode::Char('s') => self.selection.order = self.selection.order.next(),
            KeyCode::Char('S' | 'r') => self.selection.reversed ^= true,
            KeyCode::Char('g') => self.grouping = Grouping::next(self.grouping),
            KeyCode::Esc => self.back(),
            _ => return,
        }
        self.restart();
    }

    /// One step back: leaves the group, then clears the filter, then ungroups.
    fn back(&mut self) {
        if let Some(key) = self.selection.within.take() {
            self.grouping = Some(key.grouping());
        } else if !self.selection.filter.is_empty() {
            self.selection.filter.clear();
        } else {
            self.grouping = None;
        }
    }

    /// Opens the selected group; false if the list is not grouped.
    pub(super) fn enter(&mut self) -> bool {
        if self.grouping.is_none() {
            return false;
        }
        if let Some(group) = self.groups.get(self.selected) {
            self.selection.within = Some(group.key.clone());
            self.grouping = None;
            self.restart();
        }
        true
    }

    /// Shows all sockets that match a filter.
    pub(super) fn reset(&mut self, filter: String) {
        self.selection = Selection { filter, ..Selection::default() };
        self.grouping = None;
        self.restart();
    }

    /// A key while the filter is typed, which takes effect at once.
    pub(super) fn edit(&mut self, code: KeyCode, control: bool) {
        let filter = &mut self.selection.filter;
        match code {
            KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown => {
                return self.key(code);
            }
            KeyCode::Enter => {
                self.typing = false;
                return;
            }
            KeyCode::Esc => {
                self.typing = false;
                filter.clear();
            }
            KeyCode::Char('u') if control => filter.clear(),
            KeyCode::Char(character) if !control => filter.push(character),
            KeyCode::Backspace => {
                filter.pop();
            }
            _ => return,
        }
        self.restart();
    }

    fn restart(&mut self) {
        self.pinned = None;
        self.selected = 0;
        self.offset = 0;
        self.arrange();
    }
}
