//! Names that need not be written: at most places the one follows that followed there last time.

/// Where a name may follow, by what came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Of what follows in the same object.
    pub(super) next: usize,
}

impl Place {
    /// Before a line; the line itself stands within.
    pub(super) const LINE: Self = Self { next: 0 };
    /// Behind a name without a number: nothing is known to follow.
    pub(super) const NOWHERE: Self = Self { next: usize::MAX - 1 };

    /// Behind the name with this number.
    pub(super) fn behind(number: u16) -> Self {
        Self { next: 2 * (usize::from(number) + 1) }
    }

    /// At the beginning of an object that stands here.
    pub(super) fn within(self) -> Self {
        Self { next: self.next | 1 }
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::LINE
    }
}

/// Notes the number of what followed at a place, unless it has none, or the place is nowhere.
pub(super) fn learn<T: Clone + Default>(
    known: &mut Vec<T>,
    place: Place,
    number: Option<u16>,
    what: impl FnOnce(Option<u16>) -> T,
) {
    if number.is_none() || place.next >= Place::NOWHERE.next {
        return;
    }
    if known.len() <= place.next {
        known.resize(place.next + 1, T::default());
    }
    known[place.next] = what(number);
}
