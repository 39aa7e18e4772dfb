//! What a ladder claims, compared with what was on the wire.

use std::{collections::BTreeMap, net::SocketAddrV4};

use crate::{
    segment::flag::{ACK, FIN, PSH, RST, SYN},
    tap::Tapped,
};

/// An arrow of a ladder with relative numbers.
#[derive(Clone, Debug, Default)]
struct Arrow {
    /// The number of its connection.
    connection: usize,
    /// Who sends it, and to whom.
    ends: Option<(SocketAddrV4, SocketAddrV4)>,
    /// To the right.
    is_right: bool,
    /// Reported by an event, not deduced.
    is_solid: bool,
    /// A state of its receiver stands beside it: it has arrived.
    has_arrived: bool,
    /// `↻1 SYN seq=0`
    label: String,
}

impl Arrow {
    /// A number behind a name in its label.
    fn number(&self, name: &str) -> Option<u32> {
        let value = self.label.split(' ').find_map(|word| word.strip_prefix(name))?;
        value.trim_start_matches('=').trim_end_matches('B').parse().ok()
    }

    /// Which retransmission it is.
    fn ordinal(&self) -> usize {
        let ordinal = self.label.split(' ').find_map(|word| word.strip_prefix('↻'));
        ordinal.and_then(|ordinal| ordinal.parse().ok()).unwrap_or(0)
    }

    fn has(&self, flags: u8) -> bool {
        let mut words = self.label.split(' ').filter(|word| !word.starts_with('↻'));
        let names = words.next().unwrap_or_default().split('+');
        let known = [("SYN", SYN), ("ACK", ACK), ("FIN", FIN), ("RST", RST), ("PSH", PSH)];
        let drawn = names.filter_map(|name| known.iter().find(|(one, _)| *one == name));
        let drawn = drawn.fold(0, |all, (_, flag)| all | flag);
        // ACK goes along with whatever is not the first; a FIN, an RST or data are drawn without.
        let counts = if drawn & (FIN | RST | PSH) == 0 { SYN | FIN | RST | ACK } else { drawn };
        flags & counts == drawn
    }
}

/// A direction of a connection: what its sender has sent, and where the search goes on.
#[derive(Debug)]
struct Stream<'a> {
    segments: Vec<&'a Tapped>,
    next: usize,
}

/// What is drawn of a scenario, and what passed meanwhile.
#[derive(Debug)]
pub struct Comparison<'a> {
    wire: &'a [Tapped],
    streams: BTreeMap<(SocketAddrV4, SocketAddrV4, bool), Stream<'a>>,
}

impl<'a> Comparison<'a> {
    /// With all that has passed.
    pub fn with(wire: &'a [Tapped]) -> Self {
        Self { wire, streams: BTreeMap::new() }
    }

    /// What a ladder with relative numbers claims and the wire does not show, a line each.
    pub fn check(mut self, text: &str) -> Vec<String> {
        let (arrows, data) = read(text);
        let mut wrong = Vec::new();
        for arrow in arrows.iter().filter(|arrow| arrow.is_solid) {
            if !self.takes(arrow) {
                wrong.push(format!("not on the wire: {arrow:?}"));
            }
        }
        for (connection, (from, to), bytes) in data {
            let carried = self.carried(connection, from, to);
            if carried != Some(bytes) {
                wrong.push(format!("#{connection}: {bytes} B drawn, {carried:?} on the wire"));
            }
        }
        wrong
    }

    /// Whether it is the next of its direction; those before it are passed over.
    fn takes(&mut self, arrow: &Arrow) -> bool {
        let Some((from, to)) = arrow.ends else { return false };
        let (Some(own), other) = (
            self.initial(arrow.connection, from, to),
            self.initial(arrow.connection, to, from).unwrap_or_default(),
        ) else {
            // Of a connection from before nothing but the flags can be compared.
            return self.any(from, to, |one| arrow.has(one.segment.flags));
        };
        let (seq, ack) = (arrow.number("seq"), arrow.number("ack"));
        let fits = |one: &Tapped| {
            let it = &one.segment;
            // The number of a FIN is behind the data that goes along with it.
            let behind =
                if arrow.has(FIN) && it.flags & FIN != 0 { it.data.len() as u32 } else { 0 };
            arrow.has(it.flags)
                && seq.is_none_or(|seq| own.wrapping_add(seq) == it.sequence.wrapping_add(behind))
                && ack.is_none_or(|ack| other.wrapping_add(ack) == it.acknowledgement)
        };
        // What a socket sends itself it also receives: the arrow to the left.
        let is_own = from == to && !arrow.is_right;
        let stream = self.stream(from, to, !is_own);
        let rest = &stream.segments[stream.next..];
        let Some(at) = rest.iter().position(|one| fits(one)) else { return false };
        // The nth retransmission is one of n + 1.
        if stream.segments.iter().filter(|one| fits(one)).count() <= arrow.ordinal() {
            return false;
        }
        let sent = rest[at].segment.clone();
        stream.next += at + 1;
        !arrow.has_arrived || self.any(from, to, |one| !one.is_sent && one.segment == sent)
    }

    fn any(&self, from: SocketAddrV4, to: SocketAddrV4, fits: impl Fn(&Tapped) -> bool) -> bool {
        self.wire.iter().any(|one| (one.from, one.to) == (from, to) && fits(one))
    }

    fn stream(&mut self, from: SocketAddrV4, to: SocketAddrV4, sent: bool) -> &mut Stream<'a> {
        let wire = self.wire;
        self.streams.entry((from, to, sent)).or_insert_with(|| {
            let fits = |one: &&Tapped| (one.from, one.to, one.is_sent) == (from, to, sent);
            Stream { segments: wire.iter().filter(fits).collect(), next: 0 }
        })
    }

    /// The initial sequence number of an end: of connections between the same ends, the one that
    /// was drawn as the first began as the first.
    fn initial(&self, connection: usize, from: SocketAddrV4, to: SocketAddrV4) -> Option<u32> {
        let mut all: Vec<u32> = Vec::new();
        for one in self.wire {
            if (one.from, one.to) == (from, to) && one.segment.flags & SYN != 0 {
                let number = one.segment.sequence;
                if !all.contains(&number) {
                    all.push(number);
                }
            }
        }
        all.get(connection.saturating_sub(1)).or(all.last()).copied()
    }

    /// Payload bytes that an end has sent, each counted once.
    fn carried(&self, connection: usize, from: SocketAddrV4, to: SocketAddrV4) -> Option<u32> {
        let first = self.initial(connection, from, to)?.wrapping_add(1);
        let with_data =
            |one: &&Tapped| (one.from, one.to) == (from, to) && !one.segment.data.is_empty();
        let ends = self.wire.iter().filter(with_data).map(|one| {
            one.segment.sequence.wrapping_add(one.segment.data.len() as u32).wrapping_sub(first)
        });
        // Those of another connection are far away.
        ends.filter(|end| *end < 1 << 31).max()
    }
}

/// The two ends of a connection, as the line below its title has them.
fn ends(line: &str) -> Option<(SocketAddrV4, SocketAddrV4)> {
    let mut addresses = line.split_whitespace().filter_map(|word| word.parse().ok());
    Some((addresses.next()?, addresses.next()?))
}

type Data = (usize, (SocketAddrV4, SocketAddrV4), u32);

/// All arrows, and what each end has sent by the rows of data together.
fn read(text: &str) -> (Vec<Arrow>, Vec<Data>) {
    let (mut arrows, mut data) = (Vec::new(), BTreeMap::new());
    let (mut connection, mut pair) = (0, None);
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("━━ #") {
            connection = title.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0);
            pair = None;
        } else if pair.is_none() && !line.contains('│') {
            pair = ends(line);
        }
        let Some((before, rest)) = line.split_once('│') else { continue };
        let Some((middle, after)) = rest.split_once('│') else { continue };
        let is_right = middle.ends_with('▶');
        let turned = |(left, right)| if is_right { (left, right) } else { (right, left) };
        if is_right || middle.starts_with('◀') {
            let state = if is_right { after } else { before };
            arrows.push(Arrow {
                connection,
                ends: pair.map(turned),
                is_right,
                is_solid: middle.contains('─'),
                has_arrived: state.split(' ').any(|word| word.starts_with(char::is_uppercase)),
                label: middle.trim_matches(|c| "─╌◀▶ ".contains(c)).to_owned(),
            });
        }
        let sizes: Vec<u32> = middle
            .split_whitespace()
            .filter_map(|word| word.strip_suffix('B')?.parse().ok())
            .collect();
        if let (Some((left, right)), true) = (pair, middle.trim().starts_with("data:")) {
            let to_right = middle.contains('▷').then_some((left, right));
            let to_left = middle.contains('◁').then_some((right, left));
            for (way, bytes) in to_right.into_iter().chain(to_left).zip(sizes) {
                *data.entry((connection, way)).or_insert(0) += bytes;
            }
        }
    }
    (arrows, data.into_iter().map(|((connection, way), bytes)| (connection, way, bytes)).collect())
}
