//! The screens as text and as pictures, at several sizes, of one scene.

mod scene;

use anstyle::Effects;
use ratatui::{
    buffer::{Buffer, Cell},
    layout::Rect,
    style::{Color, Modifier, Style},
    text::Span,
};
use rstest::rstest;

use super::{
    paint::{self, Align, Column},
    *,
};
use crate::top::{theme::Theme, ui_snapshot::UiSnapshot};
pub(in crate::top) use scene::{row, ui_snapshot};
use tracer_event::state::State;
use tracer_output::width::columns;
use tracer_texts::{Language, Texts, untranslated::english};

pub(in crate::top) fn app(theme: Theme) -> App {
    app_in(Language::ENGLISH, theme)
}

fn app_in(language: Language, theme: Theme) -> App {
    let zone = jiff::tz::TimeZone::UTC;
    let appearance = (theme, Texts::of(language));
    let mut app = App::new(UiSnapshot::default(), appearance, zone);
    app.take(ui_snapshot());
    app
}

fn show(app: &mut App, columns: u16, rows: u16) -> String {
    app.fit(Rect::new(0, 0, columns, rows));
    show_again(app, columns, rows)
}

/// As it is, on a screen of that size.
pub(in crate::top) fn show_again(app: &App, columns: u16, rows: u16) -> String {
    text(&drawn(app, columns, rows))
}

fn drawn(app: &App, columns: u16, rows: u16) -> Buffer {
    let area = Rect::new(0, 0, columns, rows);
    let mut buffer = Buffer::empty(area);
    draw(app, area, &mut buffer);
    buffer
}

fn text(buffer: &Buffer) -> String {
    let rows = buffer.content().chunks(usize::from(buffer.area.width));
    let lines = rows.map(|row| {
        let mut shown = String::new();
        for (column, cell) in row.iter().enumerate() {
            // A syllable of Hangul has the place of two.
            if columns(&shown) <= column {
                shown.push_str(cell.symbol());
            }
        }
        shown
    });
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Each screen, and the keys that lead to it.
const SCREENS: [(&str, &str); 9] = [
    ("overview", ""),
    ("sockets", "2"),
    ("groups", "2g"),
    ("details", "2\n"),
    ("diagnosis", "3"),
    ("states", "4"),
    ("handshakes", "5"),
    ("help", "?"),
    ("command", "c"),
];

#[rstest]
fn every_screen_is_as_it_was_looked_at(
    #[values((80, 24), (100, 30), (160, 50), (200, 60))] (columns, rows): (u16, u16),
) {
    for (screen, keys) in SCREENS {
        let shown = text(&screen_of(keys, Theme::FULL, columns, rows));
        insta::assert_snapshot!(format!("{screen}-{columns}x{rows}"), shown);
        // No colour says anything alone.
        let plain = screen_of(keys, Theme::MONOCHROME, columns, rows);
        assert_eq!(text(&plain), shown);
        let is_plain = |cell: &Cell| cell.fg == Color::Reset && cell.bg == Color::Reset;
        assert!(plain.content().iter().all(is_plain), "{screen}");
    }
}

/// The same in Korean: nothing of it is in English, and nothing is cut that is not cut in English.
#[test]
fn every_screen_is_in_korean() {
    for (screen, keys) in SCREENS {
        let mut app = app_in(Language::named("ko").unwrap(), Theme::FULL);
        app.fit(Rect::new(0, 0, 80, 24));
        crate::top::keys::tests::press(&mut app, keys);
        let shown = show_again(&app, 80, 24);
        insta::assert_snapshot!(format!("{screen}-ko"), shown);
        // Why something is missing is said as the kernel says it.
        let stray = english(&shown, &["curl", "hoarder", "nginx", "read", "mounted", "not"]);
        assert!(stray.is_empty(), "{stray:?}: {shown}");
    }
}

/// As pictures, in the colours of a terminal with 256 of them.
#[test]
fn every_screen_has_the_colours_that_were_looked_at() {
    for (screen, keys) in SCREENS {
        let ansi = ansi(&screen_of(keys, Theme::FULL, 100, 30));
        let picture = anstyle_svg::Term::new().render_svg(&ansi);
        insta::assert_binary_snapshot!(&format!("{screen}.svg"), picture.into_bytes());
    }
}

/// The screen that keys lead to.
fn screen_of(keys: &str, theme: Theme, columns: u16, rows: u16) -> Buffer {
    let mut app = app(theme);
    app.fit(Rect::new(0, 0, columns, rows));
    crate::top::keys::tests::press(&mut app, keys);
    drawn(&app, columns, rows)
}

/// What a terminal is sent: a style for each run of cells.
fn ansi(buffer: &Buffer) -> String {
    let style = |cell: &Cell| {
        let colour = |color| match color {
            Color::Indexed(index) => Some(anstyle::Ansi256Color(index).into()),
            _ => None,
        };
        let has = |one, effect| if cell.modifier.contains(one) { effect } else { Effects::new() };
        let effects = has(Modifier::BOLD, Effects::BOLD)
            | has(Modifier::UNDERLINED, Effects::UNDERLINE)
            | has(Modifier::REVERSED, Effects::INVERT);
        anstyle::Style::new().fg_color(colour(cell.fg)).effects(effects)
    };
    let mut text = String::new();
    for row in buffer.content().chunks(usize::from(buffer.area.width)) {
        for run in row.chunk_by(|one, other| style(one) == style(other)) {
            let words: String = run.iter().map(Cell::symbol).collect();
            let style = style(&run[0]);
            text.push_str(&format!("{style}{words}{style:#}"));
        }
        text.push('\n');
    }
    text
}

/// Nothing that a newcomer needs is cut on a terminal of the usual size.
#[rstest]
fn at_80_columns_no_word_of_the_help_and_the_footers_is_cut(
    #[values("", "2", "2g", "2\n", "2/x\n", "3", "3c", "4", "5", "?")] keys: &str,
    #[values("en", "ko")] language: Language,
) {
    let mut app = app_in(language, Theme::FULL);
    app.messages.push("! a message that is much longer than the screen is wide ".repeat(3));
    let area = Rect::new(0, 0, 80, 24);
    app.fit(area);
    crate::top::keys::tests::press(&mut app, keys);
    for line in lines(&app, frame::body(&app, area)) {
        let shown: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
        assert!(columns(shown.trim_end()) <= 80, "{shown}");
    }
    // On a screen that is wider, the same words come, and perhaps more.
    let [narrow, wide] = [80, 120]
        .map(|columns| show_again(&app, columns, 24).lines().last().unwrap_or_default().to_owned());
    assert!(wide.starts_with(&narrow), "{narrow}");
    let next = wide[narrow.len()..].chars().next();
    assert!(next.is_none_or(|next| next == ' '), "{narrow}");
}

#[test]
fn the_first_screen_says_who_leaks_since_when_and_what_to_do() {
    let screen = show(&mut app(Theme::FULL), 80, 24);
    for words in ["hoarder[812] leaks 412 connections", "CLOSE_WAIT", "remedy", "oldest"] {
        assert!(screen.contains(words), "{words}: {screen}");
    }
}

#[rstest]
fn without_unicode_all_is_ascii(#[values("", "2", "2\n", "3", "4", "5", "?")] keys: &str) {
    let mut app = app(Theme::ASCII);
    crate::top::keys::tests::press(&mut app, keys);
    let screen = show(&mut app, 100, 60);
    assert!(screen.is_ascii(), "{screen}");
    let meant =
        ["? help", "see ?", "? or h"].iter().fold(screen, |text, one| text.replace(one, ""));
    assert!(!meant.contains('?'), "no likeness for a character: {meant}");
}

#[rstest]
fn any_size_is_survived(
    #[values("", "2", "2g", "2\n", "3", "4", "5", "?")] keys: &str,
    #[values((1, 1), (39, 9), (40, 10), (79, 23), (100, 12), (60, 100), (500, 3))]
    (columns, rows): (u16, u16),
) {
    let mut app = app(Theme::FULL);
    crate::top::keys::tests::press(&mut app, keys);
    let screen = show(&mut app, columns, rows);
    assert_eq!(screen.lines().count(), usize::from(rows));
}

#[test]
fn a_process_keeps_its_number_and_an_endpoint_its_port() {
    let shown = [
        ("was half_closed_proxy[98765]", Align::Process),
        ("[2001:db8:85a3::8a2e:370:7334]:65535", Align::Endpoint),
    ]
    .map(|(text, align)| {
        let cell = (text.to_owned(), Style::new());
        paint::row(Span::raw(""), &[Column("", 21, align)], [cell]).to_string()
    });
    assert_eq!(shown, ["was half_clos…[98765]", "[2001:d…0:7334]:65535"]);
}

#[test]
fn numbers_are_never_cut_to_smaller_ones() {
    let mut app = app(Theme::FULL);
    for row in &mut app.ui_snapshot.rates {
        row.fill(12_345.0);
    }
    app.ui_snapshot.counts = [1_234_567; State::COUNT];
    crate::top::keys::tests::press(&mut app, "4");
    let screen = show(&mut app, 80, 24);
    let numbers = screen.lines().skip(2).take(18).flat_map(|line| {
        line.split(|c: char| !c.is_ascii_digit() && c != ',').filter(|word| word.contains(','))
    });
    for number in numbers {
        assert!(["12,345", "1,234,567"].contains(&number), "{number}: {screen}");
    }
}
