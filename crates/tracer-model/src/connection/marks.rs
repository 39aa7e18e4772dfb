//! What is true of a connection or not, in a bit each: a byte for each would make every socket
//! cost eight more.

use super::Connection;

/// One thing that is true or not.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Mark {
    /// When the present state was entered.
    SinceKnown = 1,
    /// No process holds the socket any more.
    Orphaned = 1 << 1,
    /// `CLOSED → SYN_SENT` is held back until the local port is known.
    Unannounced = 1 << 2,
    /// Its life was seen from the beginning.
    Born = 1 << 3,
    /// Part of the time in the states that were left was before the tracer saw the socket.
    AtLeast = 1 << 4,
    /// It had sent last when it left ESTABLISHED.
    Awaits = 1 << 5,
}

/// All of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks(u8);

impl Marks {
    #[inline]
    pub(super) const fn has(self, mark: Mark) -> bool {
        self.0 & mark as u8 != 0
    }

    #[inline]
    pub(super) const fn with(self, mark: Mark, is: bool) -> Self {
        Self(self.0 & !(mark as u8) | if is { mark as u8 } else { 0 })
    }

    #[inline]
    pub(super) fn set(&mut self, mark: Mark, is: bool) {
        *self = self.with(mark, is);
    }
}

impl Connection {
    /// False where the present state was entered before the tracer saw the socket: `since` is when
    /// it did.
    #[inline]
    pub fn since_known(&self) -> bool {
        self.marks.has(Mark::SinceKnown)
    }

    /// Whether no process holds the socket any more.
    #[inline]
    pub fn is_orphaned(&self) -> bool {
        self.marks.has(Mark::Orphaned)
    }

    /// No process holds the socket any more.
    pub fn orphan(&mut self) {
        self.marks.set(Mark::Orphaned, true);
    }

    /// Whether `CLOSED → SYN_SENT` is held back until the local port is known.
    #[inline]
    pub fn is_unannounced(&self) -> bool {
        self.marks.has(Mark::Unannounced)
    }

    /// Holds `CLOSED → SYN_SENT` back, or no longer.
    pub fn set_unannounced(&mut self, unannounced: bool) {
        self.marks.set(Mark::Unannounced, unannounced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_stands_for_itself() {
        use Mark::{AtLeast, Awaits, Born, Orphaned, SinceKnown, Unannounced};
        let all = [SinceKnown, Orphaned, Unannounced, Born, AtLeast, Awaits];
        for one in all {
            let marks = Marks::default().with(one, true);
            for other in all {
                assert_eq!(marks.has(other), one as u8 == other as u8);
                let both = marks.with(other, true);
                assert!(both.has(one) && both.has(other));
            }
            assert!(!marks.with(one, false).has(one));
        }
    }
}
