//! How things are drawn on the terminal at hand: colours by meaning, and characters that it has.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

use crate::{
    model::{finding::Severity, state::State},
    sink::text::Palette,
};

/// What a terminal can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    pub(in crate::top) palette: Palette,
    /// There are 256 colours.
    pub(in crate::top) shades: bool,
    /// Characters beyond ASCII.
    pub unicode: bool,
}

/// Why there can be no screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    /// `TERM` says that the terminal can do nothing.
    #[error(
        "tracer top takes a terminal that can move its cursor, but TERM is {0}: set TERM as your \
        terminal's manual says (xterm is understood by nearly all), or use tracer, tracer sockets \
        and tracer diagnose"
    )]
    Dumb(&'static str),
}

impl Theme {
    /// All that there is, for tests and good terminals.
    pub const FULL: Self = Self { palette: Palette::COLOUR, shades: true, unicode: true };

    /// By the environment, which `variable` looks up.
    ///
    /// # Errors
    ///
    /// Where the terminal can do nothing.
    pub fn of(variable: impl Fn(&str) -> Option<String>, colour: bool) -> Result<Self, Unable> {
        let get = |name| variable(name).filter(|value| !value.is_empty());
        let term = get("TERM").ok_or(Unable::Dumb("not set"))?;
        if term == "dumb" {
            return Err(Unable::Dumb("dumb"));
        }
        let old =
            ["vt", "ansi-m", "xterm-mono", "hp", "wy"].iter().any(|old| term.starts_with(old))
                || term.ends_with("-m");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(get).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        Ok(Self {
            palette: if colour && !old { Palette::COLOUR } else { Palette::PLAIN },
            shades: term.contains("256color") || get("COLORTERM").is_some(),
            // The console of Linux has the lines, but not the bars.
            unicode: utf8 && !old && term != "linux",
        })
    }

    fn has_colour(&self) -> bool {
        self.palette != Palette::PLAIN
    }

    fn style(&self, style: anstyle::Style) -> Style {
        let mut drawn = Style::new();
        if let Some(colour) = style.get_fg_color() {
            drawn = match colour {
                anstyle::Color::Ansi(colour) => drawn.fg(named(colour)),
                anstyle::Color::Ansi256(colour) if self.shades => {
                    drawn.fg(Color::Indexed(colour.index()))
                }
                _ => drawn.add_modifier(Modifier::DIM),
            };
        }
        let effects = style.get_effects();
        for (effect, modifier) in [
            (anstyle::Effects::BOLD, Modifier::BOLD),
            (anstyle::Effects::UNDERLINE, Modifier::UNDERLINED),
        ] {
            if effects.contains(effect) {
                drawn = drawn.add_modifier(modifier);
            }
        }
        drawn
    }

    /// Of lesser interest.
    pub fn dim(&self) -> Style {
        self.style(self.palette.dim)
    }

    /// Waits for somebody.
    pub fn warning(&self) -> Style {
        self.style(self.palette.warning)
    }

    /// Failed or lost.
    pub fn bad(&self) -> Style {
        if self.has_colour() { self.style(self.palette.bad) } else { Style::new().bold() }
    }

    /// All is well.
    pub fn good(&self) -> Style {
        self.style(self.palette.open)
    }

    /// Bars and curves.
    pub fn bar(&self) -> Style {
        self.style(self.palette.closing)
    }

    /// Headings.
    pub fn title(&self) -> Style {
        Style::new().bold()
    }

    /// Where one is.
    pub fn selected(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A state.
    pub fn state(&self, state: State) -> Style {
        self.style(self.palette.of_state(state))
    }

    /// How bad it is.
    pub fn severity(&self, severity: Severity) -> Style {
        match severity {
            Severity::Critical => self.bad(),
            Severity::Warning => self.warning().add_modifier(Modifier::BOLD),
            Severity::Info => self.dim(),
        }
    }

    /// Replaces what the terminal does not have.
    pub fn make_plain(&self, area: Rect, buffer: &mut Buffer) {
        if self.unicode {
            return;
        }
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(pair) = buffer.cell((x, y)).and_then(|cell| pair(cell.symbol())) {
                    widen(area, buffer, (x, y), pair);
                }
                let Some(cell) = buffer.cell_mut((x, y)) else { continue };
                if let Some(character) = cell.symbol().chars().next().filter(|c| !c.is_ascii()) {
                    cell.set_char(plain(character));
                }
            }
        }
    }
}

fn named(colour: anstyle::AnsiColor) -> Color {
    use anstyle::AnsiColor as Ansi;
    match colour {
        Ansi::Cyan => Color::Cyan,
        Ansi::Blue => Color::Blue,
        Ansi::Magenta => Color::Magenta,
        Ansi::Red => Color::Red,
        other => Color::Indexed(anstyle::Ansi256Color::from_ansi(other).index()),
    }
}

/// Two characters of ASCII for one whose meaning a single one would change.
fn pair(symbol: &str) -> Option<[char; 2]> {
    match symbol {
        "≥" => Some(['>', '=']),
        "≤" => Some(['<', '=']),
        "±" => Some(['+', '-']),
        _ => None,
    }
}

/// Writes a pair where one character is: into the blank beside it, or else what follows up to the
/// next blank goes on a column later.
fn widen(area: Rect, buffer: &mut Buffer, (x, y): (u16, u16), pair: [char; 2]) {
    let is_blank =
        |buffer: &Buffer, x: u16| buffer.cell((x, y)).is_some_and(|cell| cell.symbol() == " ");
    let aligned = x > area.left() + 1 && is_blank(buffer, x - 1) && is_blank(buffer, x - 2);
    let start = if aligned && !is_blank(buffer, x + 1) { x - 1 } else { x };
    if start == x {
        let rest = x + 1..area.right();
        let end = rest.clone().find(|&x| is_blank(buffer, x)).unwrap_or(area.right() - 1);
        for x in (x + 1..=end).rev().filter(|&at| at > x + 1) {
            if let Some(before) = buffer.cell((x - 1, y)).cloned()
                && let Some(cell) = buffer.cell_mut((x, y))
            {
                *cell = before;
            }
        }
    }
    for (x, character) in (start..area.right()).zip(pair) {
        if let Some(cell) = buffer.cell_mut((x, y)) {
            cell.set_char(character);
        }
    }
}

/// The ASCII character that says most nearly the same.
fn plain(character: char) -> char {
    match character {
        '─' | '╌' | '━' | '–' | '—' | '▄' => '-',
        '│' | '┃' => '|',
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' | '▆' => '+',
        '▶' | '▷' | '→' => '>',
        '◀' | '◁' | '←' => '<',
        '▼' | '↓' => 'v',
        '▲' | '↑' => '^',
        '↔' | '↻' => '~',
        '×' => 'x',
        '•' | '▇' => '*',
        '…' | '·' | '▂' => '.',
        'µ' => 'u',
        '⚑' | '⚠' => '!',
        '▁' => '_',
        '▃' => ':',
        '▅' => '=',
        '█' | '▌' => '#',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("xterm-256color", "C.UTF-8", true, true)]
    #[case("xterm", "de_DE.utf8", true, true)]
    #[case("xterm", "C", true, false)]
    #[case("linux", "C.UTF-8", true, false)]
    #[case("vt100", "C.UTF-8", false, false)]
    fn a_terminal_gets_what_it_can_show(
        #[case] term: &str,
        #[case] locale: &str,
        #[case] colour: bool,
        #[case] unicode: bool,
    ) {
        let variable = |name: &str| match name {
            "TERM" => Some(term.to_owned()),
            "LANG" => Some(locale.to_owned()),
            _ => None,
        };
        let theme = Theme::of(variable, true).unwrap();
        assert_eq!((theme.has_colour(), theme.unicode), (colour, unicode));
        assert!(!Theme::of(variable, false).unwrap().has_colour());
    }

    /// More than is not at least.
    #[rstest]
    #[case("    ≥4.2s  x", "   >=4.2s  x")]
    #[case("oldest ≥ 1m05s", "oldest >=1m05s")]
    #[case("for ≥4.2s  x ", "for >=4.2s x ")]
    #[case("  ±/MIN  IN/S", " +-/MIN  IN/S")]
    #[case("≥9", ">=")]
    fn what_one_character_of_ascii_cannot_say_takes_two(#[case] drawn: &str, #[case] plain: &str) {
        let mut buffer = Buffer::with_lines([drawn]);
        let area = *buffer.area();
        Theme { unicode: false, ..Theme::FULL }.make_plain(area, &mut buffer);
        assert_eq!(buffer, Buffer::with_lines([plain]));
    }

    #[rstest]
    #[case(Some("dumb"))]
    #[case(Some(""))]
    #[case(None)]
    fn a_terminal_that_can_do_nothing_is_refused(#[case] term: Option<&str>) {
        let variable = |name: &str| term.filter(|_| name == "TERM").map(str::to_owned);
        assert!(Theme::of(variable, true).is_err());
    }
}
