//! When the kernel gives up on a peer that does not answer, computed as it does itself
//! (net/ipv4/tcp_timer.c), and how long no data has moved.

use tracer_event::{
    finding::{Limit, Setting},
    host::Timeouts,
    socket::Keepalive,
    state::State,
};
use tracer_wire::{Record, Timers, flag};

use super::time_wait::Ticks;

/// `TCP_RTO_MIN`, milliseconds.
const LEAST: u64 = 200;
/// `TCP_RTO_MAX`, milliseconds.
const LONGEST: u64 = 120_000;
/// `TCP_RETR2`, where the setting cannot be read.
const RETRIES: u64 = 15;
/// Of an orphan where `tcp_orphan_retries` is 0 (`tcp_orphan_retries()`).
const ORPHAN_RETRIES: u64 = 8;
/// `TCP_KEEPALIVE_INTVL`, seconds, and `TCP_KEEPALIVE_PROBES`.
const KEEPALIVE: (u64, u64) = (75, 9);
/// More time-outs than this have never been needed.
const MOST: usize = 100;
const MILLISECOND: u64 = 1_000_000;
/// `ICSK_TIME_RETRANS` and `ICSK_TIME_PROBE0`
pub(crate) const RETRANSMIT: u8 = 1;
pub(crate) const WINDOW_PROBE: u8 = 3;

/// What a time-out is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Silence<'a> {
    /// The socket in a snapshot.
    pub record: &'a Record,
    /// Its timers.
    pub timers: Timers,
    /// The settings of its namespace.
    pub settings: Timeouts,
    /// The kernel's tick.
    pub ticks: Ticks,
}

/// When the kernel gives up, nanoseconds from now, and what says so.
pub type GivesUp = (u64, Limit);

impl Silence<'_> {
    /// Of a full socket.
    pub fn of(record: &Record, settings: Timeouts, ticks: Ticks) -> Option<Silence<'_>> {
        Timers::of(record).map(|timers| Silence { record, timers, settings, ticks })
    }

    /// Nanoseconds since the oldest segment was first retransmitted; `None` where it was not, and
    /// where the kernel counts these times otherwise (`tcp_usec_ts`).
    pub fn retransmitting(&self) -> Option<u64> {
        let Self { record, timers, .. } = self;
        let age = ((record.time_ns / MILLISECOND) as u32).wrapping_sub(timers.retrans_stamp);
        let is_past = timers.retrans_stamp != 0 && age <= u32::MAX / 2;
        (record.retransmits > 0 && is_past).then(|| u64::from(age) * MILLISECOND)
    }

    /// When the kernel gives up if nothing is answered any more; `None` where it never does, or
    /// where too little is known.
    pub fn gives_up(&self) -> Option<GivesUp> {
        match self.record.timer {
            RETRANSMIT => self.retransmissions(),
            WINDOW_PROBE => self.window_probes(),
            0 if self.record.has(flag::SK_TIMER) && self.timers.keepalive == 1 => self.keepalive(),
            _ => None,
        }
    }

    /// `tcp_write_timeout()`, at each time-out from the next one on.
    fn retransmissions(&self) -> Option<GivesUp> {
        let begun = self.retransmitting()? / MILLISECOND;
        let user_timeout = u64::from(self.timers.user_timeout);
        let (mut at, mut rto) = (self.fires_in()?, self.milliseconds(self.timers.rto));
        for _ in 0..MOST {
            let (after, limit) = match user_timeout {
                0 => self.boundary(rto),
                _ => (user_timeout, Limit { setting: Setting::UserTimeout, value: user_timeout }),
            };
            if begun + at >= after {
                return Some((at * MILLISECOND, limit));
            }
            rto = (rto * 2).min(self.longest());
            at += rto;
            if user_timeout != 0 {
                // tcp_clamp_rto_to_user_timeout()
                at = at.min(user_timeout.saturating_sub(begun));
            }
        }
        None
    }

    /// Milliseconds from the first retransmission on, as `tcp_model_timeout()` has it.
    fn boundary(&self, rto: u64) -> (u64, Limit) {
        let (retries, setting) = self.retries(rto < self.longest());
        let doubled = u64::from((self.longest() / LEAST).max(1).ilog2());
        let least = |times: u64| ((2u64 << times.min(32)) - 1) * LEAST;
        let after = least(retries.min(doubled)) + retries.saturating_sub(doubled) * self.longest();
        (after, Limit { setting, value: retries })
    }

    /// `tcp_orphan_retries()`; of what a process holds `tcp_retries2`.
    fn retries(&self, alive: bool) -> (u64, Setting) {
        if !self.record.has(flag::DEAD) {
            return (self.settings.retries.unwrap_or(RETRIES), Setting::Retries);
        }
        let set = self.settings.orphan_retries.unwrap_or(0);
        let retries = match (set, alive) {
            (_, false) if self.record.soft_error != 0 => 0,
            (0, true) => ORPHAN_RETRIES,
            (set, _) => set,
        };
        (retries, Setting::OrphanRetries)
    }

    /// `tcp_probe_timer()`: a peer that answers the probes keeps its connection for ever, unless
    /// that is closed here.
    fn window_probes(&self) -> Option<GivesUp> {
        let mut at = self.fires_in()?;
        let rto = self.milliseconds(self.timers.rto).max(LEAST);
        let mut unanswered = u64::from(self.timers.probes_out);
        let is_orphan = self.record.has(flag::DEAD);
        if !is_orphan && unanswered < 2 {
            return None;
        }
        for backoff in u64::from(self.timers.backoff)..u64::from(self.timers.backoff) + MOST as u64
        {
            let wait = rto.saturating_mul(1 << backoff.min(30)).min(self.longest());
            let alive = wait < self.longest();
            let (retries, setting) = self.retries(alive);
            if unanswered >= retries || is_orphan && !alive && backoff >= retries {
                return Some((at * MILLISECOND, Limit { setting, value: retries }));
            }
            // One that answers keeps this at 0 or 1.
            unanswered += u64::from(unanswered > 1);
            at += (wait * 2).min(self.longest());
        }
        None
    }

    /// `tcp_keepalive_timer()`
    fn keepalive(&self) -> Option<GivesUp> {
        let Keepalive { interval, probes, .. } = self.probing()?;
        let unanswered = u64::from(self.timers.probes_out);
        let probes = probes.unwrap_or(KEEPALIVE.1);
        let limit = Limit { setting: Setting::KeepaliveProbes, value: probes };
        let left = probes.saturating_sub(unanswered);
        let interval = interval.unwrap_or(KEEPALIVE.0 * 1_000 * MILLISECOND);
        Some((self.fires_in()? * MILLISECOND + left.saturating_mul(interval), limit))
    }

    /// When an idle connection is probed, with the namespace's settings where it has none of its
    /// own; `None` without `SO_KEEPALIVE`.
    pub fn probing(&self) -> Option<Keepalive> {
        let own = keepalive(&self.timers, self.ticks)?;
        Some(own.or(&self.settings))
    }

    /// Milliseconds until the timer fires.
    pub fn fires_in(&self) -> Option<u64> {
        let Record { timer_expires, jiffies, .. } = *self.record;
        let left = timer_expires.saturating_sub(jiffies);
        (timer_expires != 0).then(|| self.ticks.nanoseconds(left) / MILLISECOND)
    }

    fn longest(&self) -> u64 {
        self.settings.longest_ms.unwrap_or(LONGEST)
    }

    fn milliseconds(&self, jiffies: u32) -> u64 {
        self.ticks.nanoseconds(jiffies.into()) / MILLISECOND
    }
}

/// What a socket itself says of keepalive; `None` without `SO_KEEPALIVE`.
pub fn keepalive(timers: &Timers, ticks: Ticks) -> Option<Keepalive> {
    let Timers { keepalive, keepalive_time, keepalive_intvl, keepalive_probes, .. } = *timers;
    let set = |jiffies: u32| (jiffies != 0).then(|| ticks.nanoseconds(jiffies.into()));
    (keepalive == 1).then(|| Keepalive {
        time: set(keepalive_time),
        interval: set(keepalive_intvl),
        probes: (keepalive_probes != 0).then(|| keepalive_probes.into()),
    })
}

/// Nanoseconds since a jiffy of which the low half is known; `None` for 0.
pub fn since(record: &Record, low: u32, ticks: Ticks) -> Option<u64> {
    jiffy(record, low).map(|jiffy| ticks.nanoseconds(record.jiffies - jiffy))
}

/// A jiffy before this of which the low half is known; `None` for 0.
pub fn jiffy(record: &Record, low: u32) -> Option<u64> {
    let elapsed = (record.jiffies as u32).wrapping_sub(low);
    // Half of the count's range is the future.
    let is_past = low != 0 && elapsed <= u32::MAX / 2;
    record.jiffies.checked_sub(elapsed.into()).filter(|_| is_past)
}

/// Nanoseconds for which no data has moved on a full socket, either way.
///
/// A retransmission counts as sent for the kernel; then only the last acknowledgement shows when
/// something got through.
pub fn idle(record: &Record, ticks: Ticks) -> Option<u64> {
    Timers::of(record)?;
    if matches!(State::from_kernel(record.new_state)?, State::SynSent | State::Closed) {
        return None;
    }
    let sent = if record.retransmits > 0 { record.last_ack } else { record.last_sent };
    let times = [sent, record.last_received].map(|jiffy| since(record, jiffy, ticks));
    times.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tracer_wire::kind;

    use super::*;

    const TICKS: Ticks = Ticks { hz: 250 };
    const NOW: u64 = 1_000_000;

    /// Retransmitting for so long, milliseconds; the next time-out comes in `next`.
    fn retransmitting(begun: u64, next: u64, rto: u64, flags: u8) -> (Record, Timers) {
        let timers = Timers {
            rto: (rto / 4) as u32,
            retrans_stamp: (10_000_000 - begun) as u32,
            ..Timers::EMPTY
        };
        let record = Record {
            kind: kind::SOCKET,
            new_state: State::Established as u8,
            jiffies: NOW,
            time_ns: 10_000_000 * MILLISECOND,
            timer: RETRANSMIT,
            timer_expires: NOW + next / 4,
            retransmits: 3,
            flags,
            ..Record::EMPTY
        };
        (record, timers)
    }

    fn gives_up((record, timers): (Record, Timers), settings: Timeouts) -> Option<(u64, Setting)> {
        let silence = Silence { record: &record, timers, settings, ticks: TICKS };
        let (after, limit) = silence.gives_up()?;
        Some((after / MILLISECOND, limit.setting))
    }

    fn set(retries: u64) -> Timeouts {
        Timeouts { retries: Some(retries), ..Timeouts::default() }
    }

    /// The manual says 924.6 s for 15: a lower bound, since the next time-out decides. They come
    /// after 400 ms, 800 ms, …, from 120 s on every 120 s.
    #[rstest]
    #[case::default(set(15), 1_044_400)]
    #[case::unknown(Timeouts::default(), 1_044_400)]
    #[case::few(set(3), 6_000)]
    #[case::shorter(Timeouts { longest_ms: Some(1_000), ..set(5) }, 5_200)]
    fn data_is_given_up_when_the_time_of_its_retries_is_over(
        #[case] settings: Timeouts,
        #[case] expected: u64,
    ) {
        let found = gives_up(retransmitting(0, 400, 400, 0), settings);
        assert_eq!(found, Some((expected, Setting::Retries)));
    }

    #[test]
    fn a_user_timeout_ends_it_to_the_millisecond() {
        let (record, mut timers) = retransmitting(1_000, 600, 800, 0);
        timers.user_timeout = 5_000;
        assert_eq!(gives_up((record, timers), set(15)), Some((4_000, Setting::UserTimeout)));
    }

    /// Eight retries by the model are 102.2 s; by then the time-out has reached 102.4 s.
    #[test]
    fn an_orphan_is_given_up_earlier() {
        let found = gives_up(retransmitting(0, 400, 400, flag::DEAD), Timeouts::default());
        assert_eq!(found, Some((102_000 + 102_400, Setting::OrphanRetries)));
        let few = Timeouts { orphan_retries: Some(2), ..Timeouts::default() };
        let found = gives_up(retransmitting(0, 400, 400, flag::DEAD), few);
        assert_eq!(found, Some((2_800, Setting::OrphanRetries)));
    }

    #[test]
    fn what_was_not_retransmitted_is_not_given_up() {
        let (record, timers) = retransmitting(0, 400, 400, 0);
        let quiet = Record { retransmits: 0, ..record };
        assert_eq!(gives_up((quiet, timers), set(15)), None);
        // Microseconds in place of milliseconds: the time lies in the future.
        let other = Timers { retrans_stamp: timers.retrans_stamp.wrapping_add(9), ..timers };
        assert_eq!(gives_up((record, other), set(15)), None);
    }

    fn probing(flags: u8, backoff: u8, probes_out: u8) -> (Record, Timers) {
        let (record, timers) = retransmitting(0, 1_600, 200, flags);
        let timers = Timers { backoff, probes_out, ..timers };
        (Record { timer: WINDOW_PROBE, retransmits: 0, ..record }, timers)
    }

    /// A closed window is probed for ever while the peer answers; closed here it is given up when
    /// the time-out reaches its longest.
    #[test]
    fn a_closed_window_ends_an_orphan_only() {
        assert_eq!(gives_up(probing(0, 3, 0), set(15)), None);
        let (after, setting) = gives_up(probing(flag::DEAD, 3, 0), set(15)).unwrap();
        assert_eq!(setting, Setting::OrphanRetries);
        // 200 ms doubled ten times: 120 s at last.
        assert_eq!(after, 1_600 + 200 * (16 + 32 + 64 + 128 + 256 + 512) + 120_000);
        // Nor does the peer answer any more.
        assert_eq!(gives_up(probing(0, 3, 4), set(5)).unwrap().1, Setting::Retries);
    }

    #[test]
    fn keepalive_gives_up_after_its_probes() {
        let (record, timers) = retransmitting(0, 75_000, 200, flag::SK_TIMER);
        let record = Record { timer: 0, retransmits: 0, ..record };
        let timers = Timers { keepalive: 1, probes_out: 2, ..timers };
        let expected = 75_000 + 7 * 75_000;
        let found = gives_up((record, timers), Timeouts::default());
        assert_eq!(found, Some((expected, Setting::KeepaliveProbes)));
        let own = Timers { keepalive_intvl: 250, keepalive_probes: 4, ..timers };
        let found = gives_up((record, own), Timeouts::default());
        assert_eq!(found, Some((75_000 + 2_000, Setting::KeepaliveProbes)));
        let off = Timers { keepalive: 0, ..timers };
        assert_eq!(gives_up((record, off), Timeouts::default()), None);
    }

    /// Seconds since data was sent, received and the last acknowledgement came.
    #[rstest]
    #[case::sent(4, 9, 4, 0, Some(4))]
    #[case::received(9, 2, 2, 0, Some(2))]
    // The kernel counts what it retransmits as sent, whether or not it arrives.
    #[case::retransmitted(1, 60, 50, 4, Some(50))]
    fn idle_is_what_did_not_move(
        #[case] sent: u64,
        #[case] received: u64,
        #[case] acknowledged: u64,
        #[case] retransmits: u8,
        #[case] idle_for: Option<u64>,
    ) {
        let ago = |seconds: u64| (NOW - seconds * 250) as u32;
        let record = Record {
            last_sent: ago(sent),
            last_received: ago(received),
            last_ack: ago(acknowledged),
            retransmits,
            ..retransmitting(0, 0, 0, 0).0
        };
        assert_eq!(idle(&record, TICKS), idle_for.map(|seconds| seconds * 1_000 * MILLISECOND));
        let listener = Record { new_state: State::Listen as u8, ..record };
        assert_eq!(idle(&listener, TICKS), None);
    }
}
