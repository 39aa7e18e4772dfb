//! Words in the columns of a terminal, in which a syllable of Hangul takes two.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns that a text takes.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// Lines of at most `room` columns, broken between words.
pub fn wrap(words: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(word) <= room => {
                *line += " ";
                *line += word;
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// As much of a text as fits so many columns.
pub fn cut(text: &str, room: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += c.width().unwrap_or(0);
        taken > room
    });
    &text[..end.map_or(text.len(), |(end, _)| end)]
}

/// A text with spaces behind it up to so many columns.
pub fn padded(text: &str, room: usize) -> String {
    format!("{text}{}", " ".repeat(room.saturating_sub(columns(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syllable_of_hangul_takes_two_columns() {
        assert_eq!(columns("연결 SYN"), 8);
        assert_eq!(wrap("연결 설정 해제", 9), ["연결 설정", "해제"]);
        assert_eq!(wrap("a bc d", 4), ["a bc", "d"]);
        assert_eq!(cut("반종료 a", 5), "반종");
        assert_eq!(padded("반종료", 8), "반종료  ");
    }
}
