//! What a format writes of a subject, kept until the subject changes.
//!
//! Of most lines about a socket the greater part says which socket it is, and whose: that is the same
//! in all of its lines, so it is made once and copied. It is found by the subject itself, so that
//! it cannot be out of date. Few places suffice: connections that live for a short time are followed
//! line by line, and the lines of the others are rare.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use tracer_event::{container::Cgroup, enricher::Context, subject::Subject};

/// Subjects that are kept; a power of two.
const PLACES: usize = 1 << 10;

/// What is kept of subjects, each in a place that it shares with others.
#[derive(Debug)]
pub(crate) struct Rendered<T> {
    /// None until one is needed.
    places: Vec<Place<T>>,
    hasher: RandomState,
}

#[derive(Clone, Debug, Default)]
struct Place<T> {
    subject: Option<Subject>,
    /// Its control group was known. One that was not may be by now.
    has_group: bool,
    rendered: T,
}

impl<T> Default for Rendered<T> {
    fn default() -> Self {
        Self { places: Vec::new(), hasher: RandomState::default() }
    }
}

impl<T: Default> Rendered<T> {
    /// What is kept of a subject, or what `render` makes of what was there before.
    pub(crate) fn of(
        &mut self,
        subject: &Subject,
        context: Context<'_>,
        render: impl FnOnce(Option<&Cgroup>, &mut T),
    ) -> &mut T {
        // Without cookies, sockets differ by their ends.
        let port = subject.cookie.is_none().then_some(subject.tuple.peer.port);
        let hash = self.hasher.hash_one((subject.cookie, subject.tuple.local.port, port));
        if self.places.is_empty() {
            self.places.resize_with(PLACES, Place::default);
        }
        let place = &mut self.places[hash as usize % PLACES];
        let is_same = place.subject.as_ref() == Some(subject);
        if is_same && place.has_group {
            return &mut place.rendered;
        }
        let group = context.enricher.cgroup(subject);
        if !is_same || group.is_some() {
            render(group.as_deref(), &mut place.rendered);
            (place.subject, place.has_group) = (Some(*subject), group.is_some());
        }
        &mut place.rendered
    }

    /// What was rendered is no longer as it is to be.
    pub(crate) fn forget(&mut self) {
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    };

    use super::*;
    use tracer_event::{enricher::Enricher, process::Process, wall_clock::WallClock};

    /// Knows the control group of all sockets, or of none; counts how often it is asked.
    #[derive(Default)]
    struct Asked {
        knows: AtomicBool,
        times: AtomicUsize,
    }

    impl Enricher for Asked {
        fn cgroup(&self, _: &Subject) -> Option<Arc<Cgroup>> {
            self.times.fetch_add(1, Relaxed);
            let group = || Arc::new(Cgroup::new("/a".into(), None));
            self.knows.load(Relaxed).then(group)
        }

        fn executable(&self, _: &Process) -> Option<Arc<str>> {
            None
        }
    }

    #[test]
    fn a_subject_is_rendered_once_until_it_changes_or_its_group_is_known() {
        let mut kept = Rendered::<String>::default();
        let asked = Asked::default();
        let mut renderings = 0;
        let mut look = |subject: &Subject| {
            let context = Context { clock: WallClock::default(), enricher: &asked };
            let rendered = kept.of(subject, context, |group, text| {
                renderings += 1;
                *text = format!("{:?} {}", subject.inode, group.map_or("-", |group| &group.path));
            });
            (rendered.clone(), renderings, asked.times.load(Relaxed))
        };
        let subject = Subject { cookie: Some(7), ordinal: 1, ..Subject::default() };
        let told = |text: &str, renderings, asked| (text.to_owned(), renderings, asked);
        assert_eq!(look(&subject), told("None -", 1, 1));
        assert_eq!(look(&subject), told("None -", 1, 2));
        asked.knows.store(true, Relaxed);
        assert_eq!(look(&subject), told("None /a", 2, 3));
        // A control group is asked for once a life.
        assert_eq!(look(&subject), told("None /a", 2, 3));
        let changed = Subject { inode: Some(9), ..subject };
        assert_eq!(look(&changed), told("Some(9) /a", 3, 4));
        assert_eq!(look(&Subject { ordinal: 2, ..changed }), told("Some(9) /a", 4, 5));
    }

    #[test]
    fn what_shares_a_place_does_not_get_what_is_of_another() {
        let mut kept = Rendered::<Option<u64>>::default();
        let context = WallClock::default().into();
        for _ in 0..2 {
            for cookie in (0..3 * PLACES as u64).map(Some) {
                let subject = Subject { cookie, ..Subject::default() };
                let rendered = *kept.of(&subject, context, |_, rendered| *rendered = cookie);
                assert_eq!(rendered, cookie);
            }
        }
    }
}
