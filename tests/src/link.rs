//! A slow link between two network namespaces, two TUN devices, which can be cut: whatever is sent
//! then is lost without a word.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracer_lab::tun::Tun;

use crate::netns::{Resident, inside, run};

/// The addresses of its ends.
pub const ENDS: [&str; 2] = ["10.89.0.1", "10.89.0.2"];

/// How long a packet takes from one end to the other.
const DELAY: Duration = Duration::from_millis(20);
/// The end of the test is noticed after this time.
const IDLE: Duration = Duration::from_millis(100);
const NAME: &str = "slow0";

/// The link; gone when dropped.
#[derive(Debug)]
pub struct Link {
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
        let carrier = thread::spawn({
            let (is_cut, is_over) = (Arc::clone(&is_cut), Arc::clone(&is_over));
            move || carry(&devices, &is_cut, &is_over)
        });
        Self { is_cut, is_over, carrier: Some(carrier) }
    }

    /// From now on each end has a peer that is silent.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.carrier.take().map(JoinHandle::join);
    }
}

/// Carries packets, in their order, until it is over.
fn carry(devices: &[Tun; 2], is_cut: &AtomicBool, is_over: &AtomicBool) {
    let mut under_way: VecDeque<(Instant, usize, Vec<u8>)> = VecDeque::new();
    while !is_over.load(Ordering::Relaxed) {
        let next = under_way.front().map(|(due, ..)| due.saturating_duration_since(Instant::now()));
        let rest = Timespec::try_from(next.unwrap_or(IDLE)).expect("a short time");
        let mut polled = devices.each_ref().map(|device| PollFd::new(device, PollFlags::IN));
        poll(&mut polled, Some(&rest)).expect("two descriptors");
        let ready = polled.map(|polled| polled.revents().contains(PollFlags::IN));
        for (end, _) in ready.into_iter().enumerate().filter(|(_, ready)| *ready) {
            let packet = devices[end].read(Duration::ZERO).expect("a packet");
            if let Some(packet) = packet.filter(|_| !is_cut.load(Ordering::Relaxed)) {
                under_way.push_back((Instant::now() + DELAY, 1 - end, packet));
            }
        }
        while under_way.front().is_some_and(|(due, ..)| *due <= Instant::now()) {
            let Some((_, end, packet)) = under_way.pop_front() else { break };
            devices[end].write(&packet).expect("the device takes the packet");
        }
    }
}
