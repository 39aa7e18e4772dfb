//! A slow link between two network namespaces, two TUN devices, which can be cut: whatever is sent
//! then is lost without a word; or loses chosen segments.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracer_lab::{segment::Segment, tun::Tun};

use crate::netns::{Resident, inside, run};

/// The addresses of its ends.
pub const ENDS: [&str; 2] = ["10.89.0.1", "10.89.0.2"];

/// How long a packet takes from one end to the other.
const DELAY: Duration = Duration::from_millis(20);
/// The end of the test is noticed after this time.
const IDLE: Duration = Duration::from_millis(100);
const NAME: &str = "slow0";

/// Whether a segment from this end is lost.
type Losing = Box<dyn Fn(usize, &Segment) -> bool + Send>;

/// The link; gone when dropped.
pub struct Link {
    losing: Arc<Mutex<Option<Losing>>>,
    is_cut: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
    carrier: Option<JoinHandle<()>>,
}

impl Link {
    /// Between the namespaces of two processes.
    pub fn lay(ends: &[Resident; 2]) -> Self {
        let device = |end: usize| {
            inside(&ends[end].namespace(), |_| {
                let tun = Tun::new(NAME).expect("live tests need TUN devices");
                run("ip", &["address", "add", ENDS[end], "peer", ENDS[1 - end], "dev", NAME]);
                run("ip", &["link", "set", NAME, "up"]);
                tun
            })
        };
        let devices = [device(0), device(1)];
        let [is_cut, is_over] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let losing = Arc::<Mutex<Option<Losing>>>::default();
        let carrier = thread::spawn({
            let (is_cut, is_over) = (Arc::clone(&is_cut), Arc::clone(&is_over));
            let losing = Arc::clone(&losing);
            let is_lost = move |from, packet: &[u8]| {
                let chosen = losing.lock().unwrap_or_else(PoisonError::into_inner);
                let chosen = chosen.as_ref().zip(Segment::parse(packet));
                is_cut.load(Ordering::Relaxed)
                    || chosen.is_some_and(|(lose, segment)| lose(from, &segment))
            };
            move || carry(&devices, is_lost, &is_over)
        });
        Self { losing, is_cut, is_over, carrier: Some(carrier) }
    }

    /// From now on each end has a peer that is silent.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// From now on those segments are lost that are chosen by the end that sends them and what
    /// they are.
    pub fn lose(&self, lost: impl Fn(usize, &Segment) -> bool + Send + 'static) {
        *self.losing.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(lost));
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("is_cut", &self.is_cut).finish_non_exhaustive()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.carrier.take().map(JoinHandle::join);
    }
}

/// Carries packets, in their order, until it is over.
fn carry(devices: &[Tun; 2], is_lost: impl Fn(usize, &[u8]) -> bool, is_over: &AtomicBool) {
    let mut under_way: VecDeque<(Instant, usize, Vec<u8>)> = VecDeque::new();
    while !is_over.load(Ordering::Relaxed) {
        let next = under_way.front().map(|(due, ..)| due.saturating_duration_since(Instant::now()));
        let rest = Timespec::try_from(next.unwrap_or(IDLE)).expect("a short time");
        let mut polled = devices.each_ref().map(|device| PollFd::new(device, PollFlags::IN));
        poll(&mut polled, Some(&rest)).expect("two descriptors");
        let ready = polled.map(|polled| polled.revents().contains(PollFlags::IN));
        for (end, _) in ready.into_iter().enumerate().filter(|(_, ready)| *ready) {
            let packet = devices[end].read(Duration::ZERO).expect("a packet");
            if let Some(packet) = packet.filter(|packet| !is_lost(end, packet)) {
                under_way.push_back((Instant::now() + DELAY, 1 - end, packet));
            }
        }
        while under_way.front().is_some_and(|(due, ..)| *due <= Instant::now()) {
            let Some((_, end, packet)) = under_way.pop_front() else { break };
            devices[end].write(&packet).expect("the device takes the packet");
        }
    }
}
