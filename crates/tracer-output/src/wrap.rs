//! Breaks text into lines without breaking what belongs together.

use crate::width::columns;

/// Units that stay with their number.
const UNITS: [&str; 14] =
    ["ns", "µs", "ms", "s", "min", "h", "d", "B", "KiB", "MiB", "GiB", "%", "byte", "bytes"];

/// What is never broken inside: words, numbers with their sign, percentile (`p99 2 µs`) and the unit
/// or word that they count (`3 TIME_WAIT`), one number of another (`2 of 3`), and commands in
/// backticks.
fn unbreakable(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let is_unit =
            word == "of" || UNITS.contains(&word.trim_end_matches([',', '.', ';', ':', ')']));
        let is_number = word.starts_with(|first: char| first.is_ascii_digit());
        let counts = |piece: &str| {
            let before = piece.strip_suffix(" of");
            before.is_some_and(|before| before.ends_with(|last: char| last.is_ascii_digit()))
        };
        match pieces.last_mut() {
            Some(last)
                if last.matches('`').count() % 2 == 1
                    || last.ends_with(['≥', '≤', '×'])
                    || ["p50", "p99"].contains(&last.as_str())
                    || is_number && counts(last)
                    || is_count(last)
                    || is_unit && last.ends_with(|last: char| last.is_ascii_digit()) =>
            {
                last.push(' ');
                last.push_str(word);
            }
            _ => pieces.push(word.to_owned()),
        }
    }
    pieces
}

/// Whether a word is a number that what follows is counted by.
fn is_count(word: &str) -> bool {
    let is_number = word.bytes().all(|one| one.is_ascii_digit() || one == b',' || one == b'.');
    is_number && word.ends_with(|last: char| last.is_ascii_digit())
}

/// Parts of at most `room` columns, broken between words; longer words, numbers with their unit
/// and commands in backticks stay whole.
pub fn broken(text: &str, room: Option<usize>) -> Vec<String> {
    let Some(room) = room else { return vec![text.to_owned()] };
    let mut parts = vec![String::new()];
    let mut length = 0;
    for word in unbreakable(text) {
        let more = columns(&word);
        if length > 0 && length + 1 + more > room {
            parts.push(String::new());
            length = 0;
        }
        if let Some(part) = parts.last_mut() {
            if length > 0 {
                part.push(' ');
                length += 1;
            }
            part.push_str(&word);
            length += more;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn breaking_loses_no_word_and_keeps_to_the_room(text in "[a-z ]{0,80}", room in 10usize..40) {
            let parts = broken(&text, Some(room));
            let together = parts.join(" ");
            prop_assert!(together.split_whitespace().eq(text.split_whitespace()), "{}", together);
            for part in parts {
                prop_assert!(part.chars().count() <= room || !part.contains(' '), "{}", part);
            }
        }
    }

    #[test]
    fn numbers_keep_their_units_and_commands_stay_whole() {
        let parts = broken("stuck for 10 s, see `ss -K -t state close-wait` for all", Some(12));
        assert_eq!(parts, ["stuck for", "10 s, see", "`ss -K -t state close-wait`", "for all"]);
        let parts = broken("incoming, p50 6.02µs, p99 25.1µs", Some(24));
        assert_eq!(parts, ["incoming, p50 6.02µs,", "p99 25.1µs"]);
        let parts = broken("1 of 4 failed, backlog 2 of 1", Some(20));
        assert_eq!(parts, ["1 of 4 failed,", "backlog 2 of 1"]);
        let parts = broken("stuck: 4 TIME_WAIT, 12 CLOSE_WAIT", Some(22));
        assert_eq!(parts, ["stuck: 4 TIME_WAIT,", "12 CLOSE_WAIT"]);
    }
}
