//! A command of a remedy, alone on the screen: copied, and to be selected where that does not work.

use ratatui::{style::Style, text::Line};

use super::paint::block;
use crate::top::app::App;
use tracer_output::phrase;

pub(super) fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let (theme, (commands, index)) = (&app.theme, &app.commands);
    let Some(command) = commands.get(*index) else { return Vec::new() };
    let mut title = format!(" {}", app.said("Copied to the terminal's clipboard"));
    if commands.len() > 1 {
        let (number, all) = (index + 1, commands.len());
        let words =
            phrase!(app.texts(), "top-copied", [number, all], "{number} of {all}; c: the next");
        title.push_str(&format!(" ({words})"));
    }
    let mut lines = vec![Line::styled(title, theme.title()), Line::default()];
    // From edge to edge: whatever stood beside it would be selected with it.
    let characters: Vec<char> = command.chars().collect();
    let rows = characters.chunks(width.max(1)).map(|row| row.iter().collect::<String>());
    lines.extend(rows.map(Line::raw));
    lines.push(Line::default());
    let words = "If it does not arrive when you paste (many terminals want OSC 52 allowed, tmux \
        set-clipboard on), select it here: until you go back, the mouse is the terminal's.";
    lines.extend(block(("", theme.dim()), 1, app.said(words), Style::new(), width));
    lines
}
