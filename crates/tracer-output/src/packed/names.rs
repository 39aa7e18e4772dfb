//! Names that need not be written: at most places the one follows that followed there last time.

use super::{texts::Identity, token};

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

/// Which names follow which.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: Vec<Known>,
    /// Where the next name or value stands.
    pub(super) place: Place,
    /// Of the objects that have not ended.
    open: Vec<Place>,
    /// At the end of the last object.
    pub(super) closed: Place,
    /// The number of the last text.
    pub(super) text: Option<u16>,
}

/// What follows at a place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// Where the program has it: the last two places, as it may have a text more than once.
    names: [Identity; 2],
    number: Option<u16>,
}

impl Names {
    /// Nothing is known to follow any more, and all objects have ended.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.open.clear();
    }

    /// Goes on behind the name if it is the one that is known to follow.
    #[inline]
    pub(super) fn follows(&mut self, name: Identity) -> bool {
        match self.known.get(self.place.next) {
            Some(Known { names, number: Some(number) }) if names.contains(&name) => {
                self.place = Place::behind(*number);
                true
            }
            _ => false,
        }
    }

    /// The number of the name that is known to follow.
    pub(super) fn following(&self) -> Option<u16> {
        self.known.get(self.place.next)?.number
    }

    /// Another name follows: where one is known, that is said.
    pub(super) fn mark(&self, body: &mut Vec<u8>) {
        if self.following().is_some() {
            body.push(token::OTHER_NAME);
        }
    }

    /// What follows now.
    pub(super) fn learn(&mut self, name: Identity, number: Option<u16>) {
        let known = self.known.get(self.place.next).filter(|known| known.number == number);
        let before = known.map_or_else(Identity::default, |known| known.names[0]);
        let names = [name, before];
        learn(&mut self.known, self.place, number, |number| Known { names, number });
        self.place = number.map_or(Place::NOWHERE, Place::behind);
    }

    pub(super) fn begin(&mut self) {
        self.open.push(self.place);
        self.place = self.place.within();
    }

    pub(super) fn end(&mut self) {
        self.closed = self.place;
        self.place = self.open.pop().unwrap_or(Place::NOWHERE);
    }
}
