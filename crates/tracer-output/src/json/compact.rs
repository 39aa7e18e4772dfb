//! JSON as `serde_json` writes it, in less time: the names of fields and variants are known to be
//! plain, so they are copied and not looked at byte by byte. That is half the cost of a line.

use serde::Serialize;

use crate::visit::{Unsupported, Visitor, visit};

/// Appends `value` to `out`; what has been written until an error stays there.
pub(super) fn write(value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), Unsupported> {
    visit(value, out)
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
