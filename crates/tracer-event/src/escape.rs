//! Bytes that somebody else chose, made harmless.

use std::{borrow::Cow, fmt::Write as _};

/// `bytes` as text of printable characters: all others (`is_unprintable`) and what is not UTF-8
/// are written `\x1b`, a backslash `\\`.
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
                c if is_unprintable(c) => push_escaped(&mut text, c),
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
    if !text.chars().any(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) {
            push_escaped(&mut safe, c);
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

/// Characters that steer a terminal, reorder or hide the text around them, cannot be seen, pass for
/// a space, or look different everywhere.
///
/// By Unicode's properties, which a test compares: control and format characters (`Cc`, `Cf`, among
/// them all of `Bidi_Control`), separators (`Z`) but the space, `Default_Ignorable_Code_Point`
/// (variation selectors, fillers, tags), private use (`Co`), and noncharacters. To that come three
/// symbols that are blank.
pub fn is_unprintable(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let is_noncharacter = u32::from(c) & 0xfffe == 0xfffe;
    is_noncharacter
        || matches!(c,
        '\u{80}'..='\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}'
        | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{1680}'
        | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3000}' | '\u{3164}'
        | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

/// Writes a character as [`unescape`] reads it.
pub fn push_escaped(text: &mut String, c: char) {
    push_hex(text, c.encode_utf8(&mut [0; 4]).as_bytes());
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

    use super::{escape, harmless, is_unprintable, unescape, without_numbers};

    /// What a name must not hold, by the tables of regex-syntax, with the symbols that are blank.
    const UNPRINTABLE: &str = r"[[\p{Cc}\p{Cf}\p{Z}\p{Co}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Variation_Selector}\p{Noncharacter_Code_Point}\u2800\ufffc\U0001d159]--\x20]";

    #[test]
    fn unprintable_is_what_unicode_s_properties_say() {
        let class = regex_syntax::parse(UNPRINTABLE).unwrap();
        let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) =
            class.kind()
        else {
            panic!("{class:?}");
        };
        let listed: Vec<char> =
            class.ranges().iter().flat_map(|range| range.start()..=range.end()).collect();
        let ours: Vec<char> = ('\0'..=char::MAX).filter(|c| is_unprintable(*c)).collect();
        assert!(listed == ours, "{:?}", listed.iter().zip(&ours).find(|(one, other)| one != other));
    }

    /// Text of which a part is unprintable.
    fn texts() -> impl Strategy<Value = String> {
        let mixed = format!("(?:{UNPRINTABLE}|[ -~]|\\PC){{0,20}}");
        prop_oneof![any::<String>(), proptest::string::string_regex(&mixed).unwrap()]
    }

    proptest! {
        #[test]
        fn what_was_escaped_can_be_had_back(
            bytes in prop_oneof![any::<Vec<u8>>(), texts().prop_map(String::into_bytes)],
        ) {
            let text = escape(&bytes);
            prop_assert!(!text.chars().any(is_unprintable));
            prop_assert_eq!(unescape(&text), &*bytes);
            prop_assert_eq!(harmless(&text), text.clone());
        }

        #[test]
        fn any_text_is_made_harmless(text in texts()) {
            let safe = harmless(&text);
            prop_assert!(!safe.chars().any(is_unprintable));
            prop_assert_eq!(harmless(&safe), safe.clone());
            // Nor does it take an escape of ours to be read.
            prop_assert!(!escape(&unescape(&text)).chars().any(is_unprintable));
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
    #[case("a\u{61c}b".as_bytes(), "a\\xd8\\x9cb")]
    #[case("a\u{2060}b".as_bytes(), "a\\xe2\\x81\\xa0b")]
    #[case("a\u{ad}b".as_bytes(), "a\\xc2\\xadb")]
    #[case("a\u{3164}b".as_bytes(), "a\\xe3\\x85\\xa4b")]
    #[case("a\u{e0041}b".as_bytes(), "a\\xf3\\xa0\\x81\\x81b")]
    #[case("a\u{a0}b".as_bytes(), "a\\xc2\\xa0b")]
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
