//! Names that need not be written: at most places the one follows that followed there last time, or
//! the last time that it was another one.

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

/// What followed at each place: last time, and before that.
pub(super) type Followers<T> = Vec<[T; 2]>;

/// Notes what followed at a place, unless it has no number, or the place is nowhere.
pub(super) fn learn<T: Copy + Default>(
    known: &mut Followers<T>,
    place: Place,
    number: Option<u16>,
    what: T,
) {
    if number.is_none() || place.next >= Place::NOWHERE.next {
        return;
    }
    if known.len() <= place.next {
        known.resize(place.next + 1, Default::default());
    }
    let [last, before] = &mut known[place.next];
    *before = std::mem::replace(last, what);
}

/// Which names follow which.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: Followers<Known>,
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
    /// The last two addresses at which it was met: the compiler may keep a text more than once.
    names: [Identity; 2],
    number: Option<u16>,
}

impl Known {
    /// Its number, if it is this one.
    fn is(&self, name: Identity) -> Option<u16> {
        self.number.filter(|_| self.names.contains(&name))
    }
}

impl Names {
    /// Nothing is known to follow any more, and all objects have ended.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.open.clear();
    }

    /// Goes on behind the name if it is known to follow.
    #[inline]
    pub(super) fn follows(&mut self, name: Identity, body: &mut Vec<u8>) -> bool {
        // As nearly always.
        if let Some([Known { names: [known, _], number: Some(number) }, _]) =
            self.known.get(self.place.next)
            && *known == name
        {
            self.place = Place::behind(*number);
            return true;
        }
        self.follows_otherwise(name, body)
    }

    fn follows_otherwise(&mut self, name: Identity, body: &mut Vec<u8>) -> bool {
        let Some([last, before]) = self.known.get_mut(self.place.next) else { return false };
        let number = if let Some(number) = last.is(name) {
            number
        } else if let Some(number) = before.is(name) {
            body.push(token::SECOND_NAME);
            std::mem::swap(last, before);
            number
        } else {
            return false;
        };
        self.place = Place::behind(number);
        true
    }

    /// The same of a name that was known by another address; `number` is that of its text.
    pub(super) fn follows_as(
        &mut self,
        (name, number): (Identity, u16),
        body: &mut Vec<u8>,
    ) -> bool {
        let mut known = self.known.get_mut(self.place.next).into_iter().flatten();
        let Some(known) = known.find(|known| known.number == Some(number)) else { return false };
        known.names = [name, known.names[0]];
        self.follows_otherwise(name, body)
    }

    /// Another name follows: where one is known, that is said.
    pub(super) fn mark(&self, body: &mut Vec<u8>) {
        let is_known = |known: &[Known; 2]| known[0].number.is_some();
        if self.known.get(self.place.next).is_some_and(is_known) {
            body.push(token::OTHER_NAME);
        }
    }

    /// What follows now.
    pub(super) fn learn(&mut self, name: Identity, number: Option<u16>) {
        let known = Known { names: [name, Identity::default()], number };
        learn(&mut self.known, self.place, number, known);
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
