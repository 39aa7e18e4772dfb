//! What a command does on the network, counted while it does: connections by destination and
//! outcome, and what is open in the end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use hdrhistogram::Histogram;

use super::{
    fault::{Fault, Incident, Site, What},
    python::Code,
};
use tracer_event::{
    close::{Close, Reason},
    connection::ConnectionSummary,
    endpoint::{Endpoint, Tuple},
    enricher::Context,
    header::Header,
    linger::{Linger, LingerCause, LingerStatus},
    state::State,
    subject::{Role, Subject},
    summary::Summary,
    transition::Transition,
    update::Update,
    wall_clock::WallClock,
};
use tracer_output::Sink;

/// Where connections lead to, or come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Opened here, to this address.
    To(Endpoint),
    /// Accepted here, at this address.
    At(Endpoint),
}

impl Place {
    /// That of a connection.
    pub fn of(subject: &Subject) -> Self {
        match subject.role {
            Some(Role::Server) => Self::At(subject.tuple.local),
            _ => Self::To(subject.tuple.peer),
        }
    }
}

/// What is known of one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections, failed ones and open ones included.
    pub connections: u64,
    /// How many ended for which reason.
    pub ends: Vec<(Reason, u64)>,
    /// How many are open.
    pub open: u64,
}

/// The whole account.
#[derive(Clone, Debug)]
pub struct Account {
    /// What is over, by place.
    ended: HashMap<Place, Traffic, RandomState>,
    /// Handshake times, nanoseconds, to two digits.
    pub handshakes: Histogram<u64>,
    /// The same of what is over.
    traffic: [u64; 3],
    /// Sockets that are open, listeners included.
    pub open: HashMap<Identity, Open, RandomState>,
    /// What the trace amounted to, once it is over.
    pub summary: Option<Summary>,
    /// What went wrong so far, the first ones, and how often.
    incidents: BTreeMap<Fault, (Vec<Incident>, u64)>,
    /// Sockets whose segments are on the way, by their identity.
    unsettled: HashSet<Identity, RandomState>,
    /// The code that has connected a socket, where it is known.
    pub code: Code,
    /// Those that are leaks already, so that each is one.
    leaked: HashSet<Identity, RandomState>,
}

/// Of each kind of incident, no more are kept.
const KEPT: usize = 100;
/// Leaks that are told apart; beyond that they are not counted.
const REMEMBERED: usize = 1 << 16;

/// Which connection: cookie and ordinal, or what there is where the kernel gives no cookies.
pub type Identity = (Option<u64>, u32, Option<Tuple>);

/// That of a connection.
pub fn identity(subject: &Subject) -> Identity {
    let Subject { cookie, ordinal, tuple, .. } = *subject;
    (cookie, ordinal, cookie.is_none().then_some(tuple))
}

/// A socket that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Which one, and whose.
    pub subject: Subject,
    /// In which state.
    pub state: State,
    /// For how long, nanoseconds; `None` of a listener.
    pub age: Option<u64>,
    /// Payload sent and received, bytes, and segments sent again.
    traffic: [u64; 3],
}

/// Longest handshake that is told apart from longer ones: ten minutes, in nanoseconds.
const LONGEST: u64 = 600_000_000_000;

impl Default for Account {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "the bounds are constants that fit")]
        let handshakes = Histogram::new_with_bounds(1, LONGEST, 2).expect("1 < LONGEST");
        Self {
            ended: HashMap::default(),
            handshakes,
            traffic: [0; 3],
            open: HashMap::default(),
            summary: None,
            incidents: BTreeMap::new(),
            unsettled: HashSet::default(),
            code: Code::default(),
            leaked: HashSet::default(),
        }
    }
}

impl Account {
    /// Connections by place, those that are open included; the most frequent first.
    pub fn places(&self) -> Vec<(Place, Traffic)> {
        let mut places = self.ended.clone();
        for open in self.open.values().filter(|open| open.state != State::Listen) {
            let traffic = places.entry(Place::of(&open.subject)).or_default();
            traffic.connections += 1;
            traffic.open += 1;
        }
        let mut places: Vec<_> = places.into_iter().collect();
        places.sort_by_cached_key(|(place, traffic)| {
            (std::cmp::Reverse(traffic.connections), format!("{place:?}"))
        });
        places
    }

    /// Payload sent and received, bytes, and segments sent again.
    pub fn traffic(&self) -> [u64; 3] {
        let open = self.open.values().map(|open| open.traffic);
        open.fold(self.traffic, |sum, one| [0, 1, 2].map(|index| sum[index] + one[index]))
    }

    /// Takes in what is told.
    pub fn observe(&mut self, update: &Update<'_>, context: Context<'_>) {
        match update {
            Update::Transition(transition) => self.transition(transition),
            Update::Connection(connection) => self.connection(connection),
            Update::Linger(lingers) => self.linger(lingers, context),
            Update::Retransmit(_) | Update::Reset(_) | Update::Loss(_) | Update::Finding(_) => {}
        }
    }

    /// What went wrong in one way: the first ones, and how many there are.
    pub fn incidents(&self, fault: Fault) -> (Vec<Incident>, u64) {
        let (mut kept, mut count) = self.incidents.get(&fault).cloned().unwrap_or_default();
        let connections = self.open.values().filter(|open| open.state != State::Listen);
        let open = connections.filter_map(|open| match fault {
            Fault::Open => Some((open.subject, What::Open(open.state))),
            Fault::Retransmit if open.traffic[2] > 0 => {
                Some((open.subject, What::Retransmitted(open.traffic[2])))
            }
            _ => None,
        });
        for (subject, what) in open {
            count += 1;
            kept.push(Incident { subject, what, site: Site::default() });
        }
        kept.truncate(KEPT);
        for Incident { subject, site, .. } in &mut kept {
            if let Some(code) = subject.inode.and_then(|inode| self.code.get(&inode)) {
                let created = std::mem::take(&mut site.created);
                *site = Site { created, ..code.clone() };
            }
        }
        (kept, count)
    }

    fn note(&mut self, fault: Fault, incident: Incident) {
        let (kept, count) = self.incidents.entry(fault).or_default();
        *count += 1;
        if kept.len() < KEPT {
            kept.push(incident);
        }
    }

    /// One for each connection, with the first thing that shows it.
    fn leak(&mut self, incident: Incident) {
        if self.leaked.len() < REMEMBERED && self.leaked.insert(identity(&incident.subject)) {
            self.note(Fault::Leak, incident);
        }
    }

    fn linger(&mut self, lingers: &[Linger], Context { enricher, .. }: Context<'_>) {
        let raised = |linger: &&Linger| linger.status == LingerStatus::Raised;
        let lingers = lingers.iter().filter(|linger| linger.state == State::CloseWait);
        for linger in lingers.filter(raised) {
            // Who holds it now counts.
            let owner = linger.holders.first().copied().or(linger.subject.owner);
            let subject = Subject { owner, ..linger.subject };
            let what = What::CloseWait(linger.age, linger.why.as_ref().map(LingerCause::code));
            let stack = linger.creator.and_then(|creator| enricher.stack(&creator));
            let site = stack.map_or_else(Site::default, |stack| Site::creator(&stack));
            let incident = Incident { subject, what, site };
            self.note(Fault::CloseWait, incident.clone());
            self.leak(incident);
        }
    }

    /// What the end of a connection says against it.
    fn judge(&mut self, subject: Subject, ended: Reason, retransmits: u64) {
        let incident = |what| Incident { subject, what, site: Site::default() };
        match ended {
            Reason::ResetReceived
            | Reason::ResetSentUnreadData
            | Reason::ResetSentLingerZero
            | Reason::ResetSentDataAfterClose
            | Reason::ResetSentUnaccepted => {
                self.note(Fault::Reset, incident(What::Ended(ended)));
            }
            Reason::Refused => self.note(Fault::Refused, incident(What::Ended(ended))),
            _ => {}
        }
        if ended == Reason::ResetSentUnaccepted {
            self.leak(incident(What::NeverAccepted));
        }
        if retransmits > 0 {
            self.note(Fault::Retransmit, incident(What::Retransmitted(retransmits)));
        }
    }

    fn transition(&mut self, transition: &Transition) {
        let Transition { subject, from, to, handshake, at_exit, .. } = *transition;
        let identity = identity(&subject);
        // A listener that ends with its process is the usual way for a server to end.
        if at_exit && from != State::Listen {
            self.leak(Incident { subject, what: What::AtExit(from), site: Site::default() });
        }
        if is_on_the_way(to) {
            self.unsettled.insert(identity);
        } else {
            self.unsettled.remove(&identity);
        }
        if to == State::Listen {
            let listener = Open { subject, state: to, age: None, traffic: [0; 3] };
            self.open.insert(identity, listener);
        } else if from == State::Listen {
            self.open.remove(&identity);
        }
        if let Some(time) = handshake.and_then(|known| known.duration_ns) {
            self.handshakes.saturating_record(time);
        }
    }

    /// Told once when a connection is over, before that perhaps several times.
    fn connection(&mut self, connection: &ConnectionSummary) {
        let ConnectionSummary { subject, state, close, .. } = *connection;
        let counts = [
            connection.bytes_sent,
            connection.bytes_received,
            connection.retransmits.map(u64::from),
        ];
        let counts = counts.map(Option::unwrap_or_default);
        let Some(Close { reason: ended, .. }) = close else {
            let open = Open { subject, state, age: Some(connection.duration), traffic: counts };
            self.open.insert(identity(&subject), open);
            return;
        };
        self.open.remove(&identity(&subject));
        let traffic = self.ended.entry(Place::of(&subject)).or_default();
        traffic.connections += 1;
        match traffic.ends.iter_mut().find(|(known, _)| *known == ended) {
            Some((_, count)) => *count += 1,
            None => traffic.ends.push((ended, 1)),
        }
        self.judge(subject, ended, counts[2]);
        for (sum, count) in self.traffic.iter_mut().zip(counts) {
            *sum += count;
        }
    }
}

/// States that end by themselves within a round trip, unless segments are lost.
fn is_on_the_way(state: State) -> bool {
    matches!(
        state,
        State::SynSent
            | State::SynRecv
            | State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck
    )
}

/// The account while it is kept; all clones share it.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<Account>>);

impl Tally {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a handshake or teardown is under way.
    pub fn is_unsettled(&self) -> bool {
        !self.account().unsettled.is_empty()
    }

    /// The account as it stands.
    pub fn take(&self) -> Account {
        std::mem::take(&mut self.account())
    }

    /// The sink that keeps it, and lets the command run when the trace has begun.
    pub fn sink(&self, begin: impl FnOnce() + Send + 'static) -> Box<dyn Sink> {
        Box::new(Counting { tally: self.clone(), begin: Some(Box::new(begin)) })
    }
}

struct Counting {
    tally: Tally,
    begin: Option<Box<dyn FnOnce() + Send>>,
}

impl Sink for Counting {
    fn header(&mut self, _: &Header, _: WallClock) {
        if let Some(begin) = self.begin.take() {
            begin();
        }
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>) {
        self.tally.account().observe(update, context);
    }

    fn finish(self: Box<Self>, summary: &Summary, _: Context<'_>) {
        self.tally.account().summary = Some(summary.clone());
    }
}
