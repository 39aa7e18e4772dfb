//! Colours by meaning, and characters, as far as the terminal has them.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Style},
};

use tracer_event::{finding::Severity, state::State};
use tracer_output::text::Palette;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    palette: Palette,
    /// It has characters beyond ASCII.
    unicode: bool,
}

/// `TERM` says that the terminal cannot show a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "tracer top needs a terminal that can move its cursor, but TERM is {0}: set TERM as your \
    terminal's manual says (xterm is understood by nearly all), or use tracer, tracer sockets and \
    tracer diagnose"
)]
pub struct Unable(&'static str);

impl Theme {
    /// A terminal that has everything.
    #[cfg(test)]
    pub(super) const FULL: Self = Self { palette: Palette::COLOUR, unicode: true };
    /// A terminal that has colours, but only ASCII.
    #[cfg(test)]
    pub(super) const ASCII: Self = Self { unicode: false, ..Self::FULL };

    /// A terminal without colours.
    #[cfg(test)]
    pub(super) const MONOCHROME: Self = Self { palette: Palette::PLAIN, ..Self::FULL };

    /// From the environment, which `variable` looks up, with the colours that are wanted.
    ///
    /// # Errors
    ///
    /// If the terminal cannot show a screen.
    pub fn of(variable: impl Fn(&str) -> Option<String>, palette: Palette) -> Result<Self, Unable> {
        let get = |name| variable(name).filter(|value| !value.is_empty());
        let term = get("TERM").ok_or(Unable("not set"))?;
        if term == "dumb" {
            return Err(Unable("dumb"));
        }
        let old =
            ["vt", "ansi-m", "xterm-mono", "hp", "wy"].iter().any(|old| term.starts_with(old))
                || term.ends_with("-m");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(get).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        Ok(Self {
            palette: if old { Palette::PLAIN } else { palette },
            // The Linux console has the lines, but not the bars.
            unicode: utf8 && !old && term != "linux",
        })
    }

    /// Whether it has more than ASCII.
    pub fn is_unicode(self) -> bool {
        self.unicode
    }

    /// Less important.
    pub(super) fn dim(&self) -> Style {
        drawn(self.palette.dim)
    }

    /// Needs attention.
    pub(super) fn warning(&self) -> Style {
        drawn(self.palette.warning)
    }

    /// Failed or lost.
    pub(super) fn bad(&self) -> Style {
        let plain = self.palette == Palette::PLAIN;
        if plain { self.title() } else { drawn(self.palette.bad) }
    }

    pub(super) fn good(&self) -> Style {
        drawn(self.palette.open)
    }

    /// Bars and curves.
    pub(super) fn bar(&self) -> Style {
        drawn(self.palette.closing)
    }

    pub(super) fn title(&self) -> Style {
        Style::new().bold()
    }

    pub(super) fn selected(&self) -> Style {
        Style::new().reversed()
    }

    pub(super) fn state(&self, state: State) -> Style {
        drawn(self.palette.of_state(state))
    }

    /// The box of a state: underlined, its border would be two lines.
    pub(super) fn frame(&self, state: State) -> Style {
        self.state(state).not_underlined()
    }

    pub(super) fn severity(&self, severity: Severity) -> Style {
        match severity {
            Severity::Critical => self.bad(),
            Severity::Warning => self.warning().bold(),
            Severity::Info => self.dim(),
        }
    }

    /// Replaces characters that the terminal does not have.
    pub(super) fn make_plain(&self, area: Rect, buffer: &mut Buffer) {
        if self.unicode {
            return;
        }
        for position in area.positions() {
            let character = buffer[position].symbol().chars().next();
            let Some(character) = character.filter(|character| !character.is_ascii()) else {
                continue;
            };
            match *plain(character).as_bytes() {
                [first, second] => {
                    widen(area, buffer, (position.x, position.y), [first, second].map(char::from));
                }
                [one] => _ = buffer[position].set_char(char::from(one)),
                _ => {}
            }
        }
    }
}

/// A style as ratatui has it.
fn drawn(style: anstyle::Style) -> Style {
    use anstyle::{Ansi256Color, Color as Ansi, Effects, RgbColor};
    let mut drawn = match style.get_fg_color() {
        None => Style::new(),
        Some(Ansi::Ansi(colour)) => {
            Style::new().fg(Color::Indexed(Ansi256Color::from_ansi(colour).index()))
        }
        Some(Ansi::Ansi256(colour)) => Style::new().fg(Color::Indexed(colour.index())),
        Some(Ansi::Rgb(RgbColor(r, g, b))) => Style::new().fg(Color::Rgb(r, g, b)),
    };
    if style.get_effects().contains(Effects::BOLD) {
        drawn = drawn.bold();
    }
    if style.get_effects().contains(Effects::UNDERLINE) {
        drawn = drawn.underlined();
    }
    drawn
}

/// Writes two characters in place of one: into the blank beside it, or else by moving what follows
/// up to the next blank a column on.
fn widen(area: Rect, buffer: &mut Buffer, (x, y): (u16, u16), pair: [char; 2]) {
    let is_blank = |x: u16| buffer.cell((x, y)).is_some_and(|cell| cell.symbol() == " ");
    let aligned = x > area.left() + 1 && is_blank(x - 1) && is_blank(x - 2);
    let start = if aligned && !is_blank(x + 1) { x - 1 } else { x };
    if start == x {
        let end = (x + 1..area.right()).find(|&x| is_blank(x)).unwrap_or(area.right() - 1);
        for x in (x + 2..=end).rev() {
            buffer[(x, y)] = buffer[(x - 1, y)].clone();
        }
    }
    for (x, character) in (start..area.right()).zip(pair) {
        buffer[(x, y)].set_char(character);
    }
}

/// The ASCII that looks most like a character; two where a single one would say something else.
fn plain(character: char) -> &'static str {
    match character {
        '≥' => ">=",
        '≤' => "<=",
        '±' => "+-",
        '─' | '╌' | '━' | '–' | '—' | '▄' => "-",
        '│' | '┃' => "|",
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' | '▆' => "+",
        '▶' | '▷' | '→' => ">",
        '◀' | '◁' | '←' => "<",
        '▼' | '↓' => "v",
        '▲' | '↑' => "^",
        '↔' | '↻' => "~",
        '×' => "x",
        '•' | '▇' => "*",
        '…' | '·' | '▂' => ".",
        'µ' => "u",
        '⚑' | '⚠' => "!",
        '▁' => "_",
        '▃' => ":",
        '▅' => "=",
        '█' | '▌' => "#",
        _ => "?",
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
        let theme = Theme::of(variable, Palette::COLOUR).unwrap();
        assert_eq!((theme.palette != Palette::PLAIN, theme.unicode), (colour, unicode));
        assert!(Theme::of(variable, Palette::PLAIN).unwrap().palette == Palette::PLAIN);
    }

    /// `>` alone would say something else than `≥`.
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
        assert!(Theme::of(variable, Palette::COLOUR).is_err());
    }
}
