//! What formats keep of a socket between its lines never shows: whatever the subjects, and however
//! they change, a format that has written lines before writes the next one as one that has not.

use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use tracer_event::{
    container::Cgroup,
    endpoint::Tuple,
    enricher::{Context, Enricher},
    fixtures::{subject, transition},
    process::{Evidence, Owner, Process},
    state::State,
    subject::{Role, Subject},
    update::{Transition, Update},
    wall_clock::WallClock,
};
use tracer_output::{
    Format,
    json::Json,
    stamps::{Times, Timestamps},
    text::{Palette, Stories, Text},
};

/// Knows the control groups but 0.
struct Groups;

impl Enricher for Groups {
    fn cgroup(&self, subject: &Subject) -> Option<Arc<Cgroup>> {
        let path = match subject.cgroup {
            0 => return None,
            1 => "/lxc/web",
            _ => "/system.slice/nginx.service",
        };
        Some(Arc::new(Cgroup::of(path, |_| None)))
    }

    fn executable(&self, _: &Process) -> Option<Arc<str>> {
        None
    }
}

/// Few of each, so that they come again; none that makes a column wider.
fn any_subject() -> impl Strategy<Value = Subject> {
    let owner = prop::option::of((1..3_u32, 0..2_u32, any::<bool>())).prop_map(|owner| {
        owner.map(|(pid, others, is_guess)| Owner {
            process: Process { pid, comm: *b"web\0\0\0\0\0\0\0\0\0\0\0\0\0", start_ns: 1 },
            evidence: if is_guess { Evidence::Listener } else { Evidence::Connect },
            fd: None,
            others,
        })
    });
    let roles = prop::sample::select(vec![
        None,
        Some(Role::Client),
        Some(Role::Server),
        Some(Role::Listener),
    ]);
    let numbers = (prop::option::of(1..3_u64), 1..3_u32, 80..83_u16, 0..3_u64);
    let optional = (prop::option::of(1..3_u32), prop::option::of(1..3_u64));
    (numbers, optional, owner, roles).prop_map(|(numbers, (uid, inode), owner, role)| {
        let ((cookie, ordinal, port, cgroup), one) = (numbers, subject(1));
        let tuple = Tuple { peer: one.tuple.peer.with_port(port), ..one.tuple };
        Subject { cookie, ordinal, tuple, uid, inode, cgroup, owner, role }
    })
}

fn line(format: &mut impl Format, subject: Subject) -> String {
    let told = transition(State::Established, State::CloseWait);
    let clock = WallClock { lead: 1_700_000_000_000_000_000, now: 0 };
    let (context, mut out) = (Context { clock, enricher: &Groups }, Vec::new());
    format.update(&Update::Transition(&Transition { subject, ..told }), context, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn text(width: Option<usize>) -> Text {
    let times = Times::new(Timestamps::Utc, TimeZone::UTC);
    Text::new(Palette::PLAIN, width, times, Stories::Steps).without_status()
}

proptest! {
    #[test]
    fn a_kept_subject_reads_as_a_fresh_one(
        subjects in prop::collection::vec(any_subject(), 1..60),
    ) {
        let mut json = Json::default();
        let (mut wide, mut slim) = (text(None), text(Some(80)));
        for subject in subjects {
            let fresh = line(&mut Json::default(), subject);
            prop_assert!(fresh.contains("\"kind\":\"transition\""), "{fresh}");
            prop_assert_eq!(line(&mut json, subject), fresh);
            let fresh = line(&mut text(None), subject);
            prop_assert!(fresh.contains("CLOSE_WAIT"), "{fresh}");
            prop_assert_eq!(line(&mut wide, subject), fresh);
            prop_assert_eq!(line(&mut slim, subject), line(&mut text(Some(80)), subject));
        }
    }
}
