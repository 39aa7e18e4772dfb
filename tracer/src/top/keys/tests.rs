//! What keys and the mouse do.

use std::sync::Arc;

use ratatui::crossterm::event::KeyEvent;
use rstest::rstest;

use super::*;
use crate::top::{
    list::List,
    rows::{Grouping, Order},
    theme::Theme,
    views::tests::{app, row, ui_snapshot},
};
use tracer_event::state::State;

/// Presses keys one after the other; `\n` is Enter, `\x1b` Esc, `^` up and `v` down.
pub(in crate::top) fn press(app: &mut App, keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            '↑' => KeyCode::Up,
            '↓' => KeyCode::Down,
            '⇟' => KeyCode::PageDown,
            '⇲' => KeyCode::End,
            '⌫' => KeyCode::Backspace,
            key => KeyCode::Char(key),
        };
        assert_ne!(app.key(KeyEvent::from(code)), Effect::Quit, "{key}");
    }
}

fn fresh() -> App {
    let mut app = app(Theme::FULL);
    app.fit(Rect::new(0, 0, 80, 24));
    app
}

#[rstest]
#[case("2", Tab::Sockets)]
#[case("\t\t", Tab::Diagnosis)]
#[case("5\t", Tab::Overview)]
#[case("\n", Tab::Diagnosis)]
#[case("/", Tab::Sockets)]
fn keys_lead_to_screens(#[case] keys: &str, #[case] tab: Tab) {
    let mut app = fresh();
    press(&mut app, keys);
    assert_eq!(app.tab, tab);
}

#[test]
fn q_closes_what_lies_over_and_then_quits() {
    let mut app = fresh();
    press(&mut app, "?q");
    assert_eq!(app.pane, None);
    assert_eq!(app.key(KeyEvent::from(KeyCode::Char('q'))), Effect::Quit);
    press(&mut app, "/q");
    assert_eq!(app.list.selection.filter, "q", "typed, not pressed");
    let quit = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(app.key(quit), Effect::Quit);
}

#[test]
fn a_filter_is_in_force_as_it_is_typed() {
    let mut app = fresh();
    press(&mut app, "/");
    for (typed, left) in [("T", 41), ("IME", 4), ("_wait", 4), (" 60002", 1)] {
        press(&mut app, typed);
        assert_eq!(app.list.len(), left, "{}", app.list.selection.filter);
    }
    press(&mut app, "⌫⌫⌫⌫⌫\n");
    assert_eq!((app.list.len(), app.list.typing), (4, false));
    press(&mut app, "\x1b");
    assert_eq!(app.list.len(), 41);
}

#[test]
fn what_waits_for_somebody_comes_first_and_the_oldest_of_it() {
    let mut app = fresh();
    press(&mut app, "2");
    let first = app.list.row(0).unwrap();
    assert_eq!((first.state, first.subject.tuple.peer.port), (State::CloseWait, 40_001));
    press(&mut app, "s");
    assert_eq!(app.list.selection.order, Order::Age);
    assert_eq!(app.list.row(0).unwrap().state, State::Listen);
    press(&mut app, "S");
    assert_eq!(app.list.row(0).unwrap().state, State::TimeWait);
}

#[test]
fn groups_open_and_close_again() {
    let mut app = fresh();
    press(&mut app, "2gggg");
    assert_eq!(app.list.grouping, Some(Grouping::State));
    assert_eq!(app.list.len(), 4);
    press(&mut app, "\n");
    assert_eq!((app.list.grouping, app.list.len()), (None, 30));
    assert!((0..30).all(|line| app.list.row(line).unwrap().state == State::CloseWait));
    press(&mut app, "\x1b");
    assert_eq!(app.list.grouping, Some(Grouping::State));
    press(&mut app, "\x1b");
    assert_eq!((app.list.grouping, app.list.len()), (None, 41));
}

#[test]
fn the_selected_socket_stays_selected_when_others_come_before_it() {
    let mut app = fresh();
    press(&mut app, "2↓↓↓");
    let before = app.list.chosen();
    let mut next = ui_snapshot();
    let mut rows = next.rows.to_vec();
    rows.insert(0, row(State::CloseWait, 39_999, 999));
    next.rows = Arc::new(rows);
    app.take(next);
    assert_eq!((app.list.chosen(), app.list.selected), (before, 4));
    press(&mut app, "\n");
    assert_eq!(app.view_request().chosen, before);
}

#[test]
fn the_selection_is_always_in_sight() {
    let mut app = fresh();
    press(&mut app, "2");
    for keys in ["⇲", "↑↑", "⇟", "gg", "/30\n"] {
        press(&mut app, keys);
        let List { selected, offset, .. } = app.list;
        let height = usize::from(views::list_area(&app, app.area).height);
        assert!((offset..offset + height).contains(&selected), "{keys}: {offset} {selected}");
        assert!(selected < app.list.len().max(1));
    }
}

#[test]
fn frozen_nothing_moves_until_it_goes_on() {
    let mut app = fresh();
    press(&mut app, "2f");
    let mut next = ui_snapshot();
    next.rows = Arc::default();
    app.take(next.clone());
    assert_eq!(app.list.len(), 41);
    assert!(!app.view_request().rows);
    press(&mut app, "f");
    app.take(next);
    assert_eq!(app.list.len(), 0);
}

#[test]
fn rows_are_asked_for_only_while_they_are_shown() {
    let mut app = fresh();
    assert_eq!((app.view_request().rows, app.view_request().chosen), (false, None));
    press(&mut app, "2");
    assert!(app.view_request().rows);
    press(&mut app, "\n");
    assert!(app.view_request().chosen.is_some());
    press(&mut app, "\x1b3");
    assert_eq!((app.view_request().rows, app.view_request().chosen), (false, None));
}

#[test]
fn a_finding_leads_to_its_sockets() {
    let mut app = fresh();
    press(&mut app, "3\n");
    assert_eq!(app.tab, Tab::Sockets);
    assert_eq!(app.list.selection.filter, "close_wait [812]");
    assert_eq!(app.list.len(), 30);
}

#[test]
fn a_command_is_copied_and_shown_alone_and_the_next_one_after_it() {
    let mut app = fresh();
    let copy = |app: &mut App| app.key(KeyEvent::from(KeyCode::Char('c')));
    let Effect::Copy(command) = copy(&mut app) else { panic!("nothing copied") };
    assert!(command.starts_with("ss -K"), "{command}");
    assert_eq!(app.pane, Some(Pane::Command));
    assert_eq!(copy(&mut app), Effect::Copy(command.clone()), "the only one");
    app.commands.0.push("second".into());
    assert_eq!(copy(&mut app), Effect::Copy("second".into()));
    press(&mut app, "q");
    assert_eq!((app.pane, copy(&mut app)), (None, Effect::Copy(command)));
}

#[test]
fn without_a_command_nothing_is_copied_and_that_is_said() {
    let mut app = fresh();
    app.ui_snapshot.findings = Arc::default();
    press(&mut app, "3");
    assert_eq!(app.key(KeyEvent::from(KeyCode::Char('c'))), Effect::None);
    assert_eq!(app.pane, None);
    assert!(app.messages.iter().any(|message| message.contains("no command")));
}

#[test]
fn q_goes_back_from_details_as_the_help_says() {
    let mut app = fresh();
    press(&mut app, "2\nq");
    assert_eq!((app.pane, app.tab), (None, Tab::Sockets));
}

#[test]
fn a_low_screen_scrolls_the_states_to_their_end() {
    let mut app = fresh();
    app.fit(Rect::new(0, 0, 80, 14));
    press(&mut app, "4");
    let last = |app: &App| views::tests::show_again(app, 80, 14);
    assert!(!last(&app).contains("LAST_ACK"));
    press(&mut app, "⇲");
    assert!(last(&app).contains("LAST_ACK") && last(&app).contains("CLOSED ▼"));
    app.fit(Rect::new(0, 0, 80, 40));
    press(&mut app, "⇲");
    assert_eq!(app.scroll, 0, "all of it is shown");
}

#[test]
fn what_is_missing_is_said_until_it_is_put_away() {
    let mut app = fresh();
    assert!(app.messages[0].contains("accept not available"), "{:?}", app.messages);
    press(&mut app, "x");
    assert!(app.messages.is_empty());
    app.take(ui_snapshot());
    assert!(app.messages.is_empty());
}

#[test]
fn the_mouse_opens_tabs_and_selects_rows() {
    let mut app = fresh();
    let click = |app: &mut App, column, row| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        app.mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
    };
    click(&mut app, 26, 0);
    assert_eq!(app.tab, Tab::Sockets);
    click(&mut app, 5, 6);
    assert_eq!(app.list.selected, 2);
    click(&mut app, 5, 6);
    assert_eq!(app.pane, Some(Pane::Details));
}
