//! Bytes that somebody else chose, made harmless.

use std::{borrow::Cow, fmt::Write as _};

/// `bytes` as text without control characters: those and what is not UTF-8 are written `\x1b`,
/// a backslash `\\`.
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte) && *byte != b'\\';
    if bytes.iter().all(is_plain)
        && let Ok(plain) = str::from_utf8(bytes)
    {
        return Cow::Borrowed(plain);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                c if c.is_control() || is_layout(c) => {
                    let mut encoded = [0; 4];
                    push_hex(&mut text, c.encode_utf8(&mut encoded).as_bytes());
                }
                c => text.push(c),
            }
        }
        push_hex(&mut text, chunk.invalid());
    }
    Cow::Owned(text)
}

/// The bytes of which [`escape`] made a text; what it does not write stands for itself.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match (first, behind) {
            (b'\\', [b'\\', behind @ ..]) => (b'\\', behind),
            (b'\\', [b'x', high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, behind),
                _ => (b'\\', &rest[1..]),
            },
            (byte, behind) => (*byte, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    bytes
}

fn digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// A text that has been escaped, by somebody who may not be trusted: what [`escape`] would not
/// have left is escaped, backslashes stay. Done twice it is the same as once.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c.is_control() || is_layout(c)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_layout(c) {
            push_hex(&mut safe, c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// The standard library adds the number to what it says of an errno; people need it not.
pub fn without_numbers(message: &str) -> String {
    let mut text = message.to_owned();
    while let Some(start) = text.find(" (os error ") {
        let Some(len) = text[start..].find(')') else { break };
        text.replace_range(start..=start + len, "");
    }
    text
}

/// Characters that reorder or hide the text around them.
fn is_layout(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::{escape, harmless, unescape, without_numbers};

    proptest! {
        #[test]
        fn what_was_escaped_can_be_had_back(bytes in any::<Vec<u8>>()) {
            let text = escape(&bytes);
            prop_assert!(!text.chars().any(char::is_control));
            prop_assert_eq!(unescape(&text), &*bytes);
            prop_assert_eq!(harmless(&text), text.clone());
        }

        #[test]
        fn any_text_is_made_harmless(text in any::<String>()) {
            let safe = harmless(&text);
            prop_assert!(!safe.chars().any(char::is_control));
            prop_assert_eq!(harmless(&safe), safe.clone());
            // Nor does it take an escape of ours to be read.
            prop_assert!(!escape(&unescape(&text)).chars().any(char::is_control));
        }
    }

    #[rstest]
    #[case(b"nginx: worker", "nginx: worker")]
    #[case("größe".as_bytes(), "größe")]
    #[case(b"a\x1b[31mred", "a\\x1b[31mred")]
    #[case(b"two\nlines\ttab", "two\\x0alines\\x09tab")]
    #[case(b"\xff\xfeok", "\\xff\\xfeok")]
    #[case(b"back\\slash", "back\\\\slash")]
    #[case("a\u{202e}b".as_bytes(), "a\\xe2\\x80\\xaeb")]
    #[case(b"\x9b", "\\x9b")]
    #[case("\u{9b}31m".as_bytes(), "\\xc2\\x9b31m")]
    fn names_cannot_speak_to_the_terminal(#[case] bytes: &[u8], #[case] text: &str) {
        assert_eq!(escape(bytes), text);
    }

    #[test]
    fn errors_carry_no_raw_numbers() {
        assert_eq!(
            without_numbers("a: No such file or directory (os error 2); b: x (os error 13)"),
            "a: No such file or directory; b: x"
        );
        assert_eq!(without_numbers("open (os error "), "open (os error ");
    }
}
