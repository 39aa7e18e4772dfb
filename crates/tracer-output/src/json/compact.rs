//! JSON as `serde_json` writes it, in less time: the names of fields and variants are known to be
//! plain, so they are copied and not looked at byte by byte. That is half the cost of a line.

use serde::{Serialize, ser::Error as _};

use crate::visit::{Unsupported, Visitor, visit};

/// Appends `value` to `out`; what has been written until an error stays there.
pub(super) fn write(value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), Unsupported> {
    visit(value, out)
}

/// What a line begins with up to its time, of which kind and time are left out.
const BEFORE: &[u8] = br#"{"kind":"","time":"","#;
/// What it ends with, where `tcp` is null.
const AFTER: &[u8] = b"null}";

/// Makes `same` what the line that `line` makes of a kind and a time has between its time and the
/// value of `tcp`, its last field.
pub(super) fn same<'a, L: Serialize>(
    same: &mut Vec<u8>,
    line: impl FnOnce(&'static str, &'a str) -> L,
) {
    same.clear();
    match write(&line("", ""), same) {
        Ok(()) if same.starts_with(BEFORE) && same.ends_with(AFTER) => {
            same.truncate(same.len() - AFTER.len());
            same.drain(..BEFORE.len());
        }
        _ => same.clear(),
    }
}

/// Appends the line of a kind and a time with what [`same`] has made and this value of `tcp`.
pub(super) fn with_same(
    kind: &'static str,
    time: &str,
    same: &[u8],
    tcp: &impl Serialize,
    out: &mut Vec<u8>,
) -> Result<(), Unsupported> {
    if same.is_empty() {
        return Err(Unsupported::custom("a line that does not begin with kind and time"));
    }
    for part in [br#"{"kind":""#, kind.as_bytes(), br#"","time":""#, time.as_bytes(), br#"","#] {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(same);
    write(tcp, out)?;
    out.push(b'}');
    Ok(())
}

/// A string that needs no escape.
#[inline(always)]
fn plain(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

#[cold]
fn escaped(text: &str, out: &mut Vec<u8>) {
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, text);
}

#[inline(always)]
fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// JSON text.
impl Visitor for Vec<u8> {
    #[inline(always)]
    fn null(&mut self) {
        self.extend_from_slice(b"null");
    }

    #[inline(always)]
    fn flag(&mut self, flag: bool) {
        self.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    #[inline(always)]
    fn unsigned(&mut self, number: u64) {
        integer(number, self);
    }

    #[inline(always)]
    fn signed(&mut self, number: i64) {
        integer(number, self);
    }

    fn fraction(&mut self, number: f64) {
        // Writing a number to memory cannot fail.
        let _ = serde_json::to_writer(self, &number);
    }

    /// What sinks write has been made harmless before, so that little is left to escape.
    #[inline]
    fn text(&mut self, text: &str) {
        let needs_escape = |&byte: &u8| byte < b' ' || byte == b'"' || byte == b'\\';
        // Without early return, so that it is done in wide registers.
        if text.as_bytes().iter().fold(false, |found, byte| found | needs_escape(byte)) {
            escaped(text, self);
        } else {
            plain(text, self);
        }
    }

    #[inline(always)]
    fn word(&mut self, word: &'static str) {
        plain(word, self);
    }

    #[inline(always)]
    fn begin_object(&mut self) {
        self.push(b'{');
    }

    #[inline(always)]
    fn name(&mut self, name: &'static str, is_first: bool) {
        self.item(is_first);
        plain(name, self);
        self.push(b':');
    }

    #[inline(always)]
    fn begin_name(&mut self, is_first: bool) {
        self.item(is_first);
    }

    #[inline(always)]
    fn end_name(&mut self) {
        self.push(b':');
    }

    #[inline(always)]
    fn end_object(&mut self) {
        self.push(b'}');
    }

    #[inline(always)]
    fn begin_list(&mut self) {
        self.push(b'[');
    }

    #[inline(always)]
    fn item(&mut self, is_first: bool) {
        if !is_first {
            self.push(b',');
        }
    }

    #[inline(always)]
    fn end_list(&mut self) {
        self.push(b']');
    }
}

#[cfg(test)]
mod tests;
