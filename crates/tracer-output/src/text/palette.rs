//! Colours by meaning.

use anstyle::{Ansi256Color, AnsiColor, Style};

use tracer_event::{
    close::Reason,
    finding::{Finding, Severity, Status},
    state::State,
    update::{Linger, LingerStatus, Transition},
};

/// Styles by meaning; all plain without colour.
///
/// Blue and magenta carry the distinctions: people with red-green blindness can tell them apart.
/// All colours can be read on light and on dark backgrounds (a test computes it). Warnings are underlined as
/// well and errors bold, and each state has its name: no colour says anything alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// Nothing special.
    pub plain: Style,
    /// Less important.
    pub dim: Style,
    /// Being set up.
    pub opening: Style,
    /// In use.
    pub open: Style,
    /// Being closed.
    pub closing: Style,
    /// Needs attention.
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

    /// Whether it is that: all others have a colour for what is in use.
    pub(super) fn is_plain(&self) -> bool {
        self.open.is_plain()
    }

    /// For terminals of 256 colours: fixed ones, halfway between black and white, so that they can
    /// be read on both, whatever the theme makes of its own (blue on black is hard to read in
    /// many).
    pub const COLOUR: Self = Self {
        plain: Style::new(),
        dim: Ansi256Color(243).on_default(),
        opening: Ansi256Color(30).on_default(),
        open: Ansi256Color(63).on_default().bold(),
        closing: Ansi256Color(63).on_default(),
        warning: Ansi256Color(164).on_default().underline(),
        bad: Ansi256Color(160).on_default().bold(),
    };

    /// For terminals of 16 colours: those of their own that can be read on black and on white.
    /// Cyan and green cannot on white, nor blue on black; bright black is the background in some
    /// themes, and dimmed text fades on white.
    pub const SIXTEEN: Self = Self {
        plain: Style::new(),
        dim: Style::new(),
        opening: Style::new(),
        open: AnsiColor::BrightBlue.on_default().bold(),
        closing: AnsiColor::BrightBlue.on_default(),
        warning: AnsiColor::Magenta.on_default().underline(),
        bad: AnsiColor::BrightRed.on_default().bold(),
    };

    /// The colours that a terminal has, as the environment, which `variable` looks up, says; one
    /// that says nothing has 256.
    pub fn of_terminal(variable: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name| variable(name).filter(|value| !value.is_empty());
        let many = |term: String| ["256", "direct"].iter().any(|word| term.contains(word));
        match get("COLORTERM") {
            None if !get("TERM").is_none_or(many) => Self::SIXTEEN,
            _ => Self::COLOUR,
        }
    }

    /// The style of a transition's new state.
    pub(super) fn of(&self, transition: &Transition) -> Style {
        match transition.close {
            Some(close) if transition.to == State::Closed && close.reason != Reason::Graceful => {
                self.bad
            }
            _ => self.of_state(transition.to),
        }
    }

    /// The style of a finding.
    pub fn of_finding(&self, finding: &Finding) -> Style {
        match (finding.status, finding.severity) {
            (Status::Cleared, _) | (_, Severity::Info) => self.dim,
            (_, Severity::Warning) => self.warning,
            (_, Severity::Critical) => self.bad,
        }
    }

    /// The style of a flag on a lingering socket.
    pub(super) fn of_linger(&self, linger: &Linger) -> Style {
        match (linger.status, linger.state) {
            (LingerStatus::Cleared, _) => self.dim,
            (_, State::TimeWait) => self.warning,
            _ => self.bad,
        }
    }

    /// The style of a state.
    pub fn of_state(&self, state: State) -> Style {
        match state {
            State::SynSent | State::SynRecv | State::Listen => self.opening,
            State::Established => self.open,
            State::FinWait1 | State::FinWait2 | State::LastAck | State::Closing => self.closing,
            State::CloseWait | State::TimeWait => self.warning,
            State::Closed => self.dim,
        }
    }
}

#[cfg(test)]
mod tests {
    use anstyle::{Color, RgbColor};
    use rstest::rstest;

    use super::*;

    /// Of large text; for text of any size WCAG 2 asks for 4.5, which one grey alone has on both.
    const LEAST: f64 = 3.0;

    /// The 16 colours of xterm and of VGA (the console, Windows): red, green, blue.
    const XTERM: [u32; 16] = [
        0x00_0000, 0xcd_0000, 0x00_cd00, 0xcd_cd00, 0x00_00ee, 0xcd_00cd, 0x00_cdcd, 0xe5_e5e5,
        0x7f_7f7f, 0xff_0000, 0x00_ff00, 0xff_ff00, 0x5c_5cff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
    ];
    const VGA: [u32; 16] = [
        0x00_0000, 0xaa_0000, 0x00_aa00, 0xaa_5500, 0x00_00aa, 0xaa_00aa, 0x00_aaaa, 0xaa_aaaa,
        0x55_5555, 0xff_5555, 0x55_ff55, 0xff_ff55, 0x55_55ff, 0xff_55ff, 0x55_ffff, 0xff_ffff,
    ];

    fn rgb(color: Color, sixteen: &[u32; 16]) -> RgbColor {
        let of = |index: u8| {
            let [_, r, g, b] = sixteen[usize::from(index)].to_be_bytes();
            RgbColor(r, g, b)
        };
        let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
        match color {
            Color::Ansi(one) => of(Ansi256Color::from_ansi(one).index()),
            Color::Ansi256(Ansi256Color(index @ 0..16)) => of(index),
            Color::Ansi256(Ansi256Color(index @ 16..232)) => {
                let cube = index - 16;
                RgbColor(level(cube / 36), level(cube / 6 % 6), level(cube % 6))
            }
            Color::Ansi256(Ansi256Color(index)) => {
                let grey = 8 + 10 * (index - 232);
                RgbColor(grey, grey, grey)
            }
            Color::Rgb(rgb) => rgb,
        }
    }

    /// Relative luminance, as WCAG 2 defines it.
    fn luminance(RgbColor(r, g, b): RgbColor) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.039_28 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    fn contrast(one: RgbColor, other: RgbColor) -> f64 {
        let [one, other] = [one, other].map(|colour| luminance(colour) + 0.05);
        one.max(other) / one.min(other)
    }

    #[test]
    fn contrasts_are_those_of_the_standard() {
        let (black, white) = (RgbColor(0, 0, 0), RgbColor(255, 255, 255));
        assert!((contrast(black, white) - 21.0).abs() < 0.001);
        // The grey that is known for it.
        assert!((contrast(white, RgbColor(0x76, 0x76, 0x76)) - 4.54).abs() < 0.01);
        let blue = rgb(Color::Ansi(AnsiColor::Blue), &XTERM);
        assert!(contrast(black, blue) < LEAST, "what this test is about");
    }

    #[rstest]
    fn every_colour_is_readable_on_black_and_on_white(
        #[values((Palette::COLOUR, 3.8), (Palette::SIXTEEN, LEAST))] (palette, least): (
            Palette,
            f64,
        ),
        #[values(XTERM, VGA)] sixteen: [u32; 16],
        #[values(RgbColor(0, 0, 0), RgbColor(255, 255, 255))] background: RgbColor,
    ) {
        let Palette { plain, dim, opening, open, closing, warning, bad } = palette;
        for style in [plain, dim, opening, open, closing, warning, bad] {
            assert_eq!(style.get_bg_color(), None);
            let Some(colour) = style.get_fg_color() else { continue };
            let contrast = contrast(rgb(colour, &sixteen), background);
            assert!(contrast >= least, "{colour:?} on {background:?}: {contrast:.2}");
        }
    }

    #[rstest]
    #[case("xterm-256color", "", Palette::COLOUR)]
    #[case("screen", "truecolor", Palette::COLOUR)]
    #[case("", "", Palette::COLOUR)]
    #[case("xterm", "", Palette::SIXTEEN)]
    #[case("linux", "", Palette::SIXTEEN)]
    fn a_terminal_gets_colours_that_it_has(
        #[case] term: &str,
        #[case] colorterm: &str,
        #[case] palette: Palette,
    ) {
        let variable = |name: &str| Some(if name == "TERM" { term } else { colorterm }.to_owned());
        assert_eq!(Palette::of_terminal(variable), palette);
    }
}
