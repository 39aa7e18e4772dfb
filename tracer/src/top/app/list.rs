//! The list of sockets: what of it is shown, and where one is in it.

use std::sync::Arc;

use ratatui::crossterm::event::KeyCode;

use crate::{
    model::connection::SocketId,
    sink::surroundings::Surroundings,
    top::rows::{Group, Grouping, Row, Rows, Selection},
};

/// See the module.
pub struct List {
    /// All rows.
    pub rows: Rows,
    /// What of them is shown.
    pub selection: Selection,
    /// By what they are grouped.
    pub grouping: Option<Grouping>,
    /// A filter is being typed.
    pub typing: bool,
    /// Index of the selected line.
    pub selected: usize,
    /// Index of the first line shown.
    pub offset: usize,
    /// What ordering took last, nanoseconds.
    pub cost: u64,
    /// Indices of the rows shown.
    pub listed: Vec<u32>,
    /// The groups shown.
    pub groups: Vec<Group>,
    /// What is known of containers.
    pub surroundings: Arc<dyn Surroundings>,
    height: usize,
    /// The selected socket, once one has moved.
    moved_to: Option<(SocketId, u32)>,
    /// Measures; no clock in tests.
    clock: fn() -> u64,
}

impl List {
    pub(super) fn new(surroundings: Arc<dyn Surroundings>) -> Self {
        Self {
            rows: Rows::default(),
            selection: Selection::default(),
            grouping: None,
            typing: false,
            selected: 0,
            offset: 0,
            cost: 0,
            listed: Vec::new(),
            groups: Vec::new(),
            surroundings,
            height: 1,
            moved_to: None,
            clock: crate::kernel::time::thread_cpu,
        }
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        if self.grouping.is_some() { self.groups.len() } else { self.listed.len() }
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row on a line.
    pub fn row(&self, line: usize) -> Option<&Row> {
        self.rows.get(*self.listed.get(line)? as usize)
    }

    /// The selected socket.
    pub fn chosen(&self) -> Option<(SocketId, u32)> {
        if self.grouping.is_some() {
            return None;
        }
        self.moved_to.or_else(|| self.row(self.selected).map(|row| (row.id, row.ordinal)))
    }

    /// New rows.
    pub(super) fn take(&mut self, rows: &Rows) {
        if !Arc::ptr_eq(rows, &self.rows) {
            self.rows = Arc::clone(rows);
            self.arrange();
        }
    }

    /// Filters, sorts and groups anew; the selected socket stays selected.
    fn arrange(&mut self) {
        let begun = (self.clock)();
        self.listed = self.selection.list(&self.rows, &*self.surroundings);
        let groups = |grouping| {
            self.selection.groups(&self.rows, &self.listed, grouping, &*self.surroundings)
        };
        let before = self.groups.get(self.selected).map(|group| group.key.clone());
        self.groups = self.grouping.map(groups).unwrap_or_default();
        let here = match self.moved_to {
            _ if self.grouping.is_some() => {
                self.groups.iter().position(|group| Some(&group.key) == before.as_ref())
            }
            Some(id) => self.listed.iter().position(|&index| {
                let row = &self.rows[index as usize];
                (row.id, row.ordinal) == id
            }),
            None => Some(0),
        };
        self.selected = here.unwrap_or(self.selected);
        self.cost = (self.clock)().saturating_sub(begun);
        self.keep_in_sight();
    }

    /// So many lines are shown.
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
        self.moved_to = None;
        if self.grouping.is_none() && line > 0 {
            self.moved_to = self.row(self.selected).map(|row| (row.id, row.ordinal));
        }
        self.keep_in_sight();
    }

    /// A line was clicked; whether it was the selected one already.
    pub(super) fn click(&mut self, line: usize) -> bool {
        let again = self.offset + line == self.selected;
        self.go(self.offset + line);
        again
    }

    pub(super) fn key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Up | KeyCode::Char('k') => self.go(self.selected.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.go(self.selected + 1),
            KeyCode::PageUp => self.go(self.selected.saturating_sub(self.height)),
            KeyCode::PageDown => self.go(self.selected + self.height),
            KeyCode::Home => self.go(0),
            KeyCode::End | KeyCode::Char('G') => self.go(usize::MAX),
            KeyCode::Char('s') => self.selection.order = self.selection.order.next(),
            KeyCode::Char('S' | 'r') => self.selection.reversed ^= true,
            KeyCode::Char('g') => self.grouping = Grouping::next(self.grouping),
            KeyCode::Esc => self.back(),
            _ => return,
        }
        if matches!(code, KeyCode::Char('s' | 'S' | 'r' | 'g') | KeyCode::Esc) {
            self.restart();
        }
    }

    /// One step back: out of the group, then the filter away, then the groups.
    fn back(&mut self) {
        if let Some(key) = self.selection.within.take() {
            self.grouping = Some(key.grouping());
        } else if !self.selection.filter.is_empty() {
            self.selection.filter.clear();
        } else {
            self.grouping = None;
        }
    }

    /// From the selected group to its sockets; whether there is one.
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

    /// Everything as at first, but with this filter.
    pub(super) fn reset(&mut self, filter: &str) {
        self.selection = Selection { filter: filter.to_owned(), ..Selection::default() };
        self.grouping = None;
        self.restart();
    }

    /// A key while the filter is typed: it is in force at once.
    pub(super) fn edit(&mut self, code: KeyCode, control: bool) {
        let filter = &mut self.selection.filter;
        match code {
            KeyCode::Enter => {
                self.typing = false;
                return;
            }
            KeyCode::Esc => {
                self.typing = false;
                filter.clear();
            }
            KeyCode::Char('u') if control => filter.clear(),
            KeyCode::Backspace => {
                filter.pop();
            }
            KeyCode::Char(_) if control => return,
            KeyCode::Char(character) => filter.push(character),
            KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown => {
                return self.key(code);
            }
            _ => return,
        }
        self.restart();
    }

    fn restart(&mut self) {
        self.moved_to = None;
        self.selected = 0;
        self.offset = 0;
        self.arrange();
    }

    /// The selected socket stays selected, wherever it moves.
    pub(super) fn pin(&mut self) {
        self.moved_to = self.chosen();
    }
}
