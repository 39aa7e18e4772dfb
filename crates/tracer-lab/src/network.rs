//! A network between two sockets of this kernel that loses, holds and repeats segments on demand.
//!
//! Both ends have addresses of this host, but their sockets are bound to a TUN device
//! (`SO_BINDTODEVICE`), to which the addresses do not belong. So the kernel does not take the short
//! way over `lo`: it sends over the device, from which a thread reads each segment, judges it and
//! hands it back to the kernel.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    error::{During as _, Error, Result},
    namespace,
    segment::{self, Segment, flag},
    tun::Tun,
};

/// The client's address.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The address of nobody who is here.
pub const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
/// The server's address.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The router's.
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
/// The device's own.
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 253);

/// The device to which both ends are bound.
pub const DEVICE: &str = "net0";
/// Between two looks at whether the network is still wanted.
const LOOK: Duration = Duration::from_millis(100);
/// How long a segment that must come may take: longer than five timeouts of a SYN.
const PATIENCE: Duration = Duration::from_secs(70);
const PAUSE: Duration = Duration::from_millis(2);

/// In which direction a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives.
    Lost,
    /// It waits in the network until [`Network::release`].
    Held,
    /// A router answers that the host cannot be reached.
    Unreachable,
    /// It arrives, and again at [`Network::repeat`].
    Copied,
}

/// Which segments are meant.
pub type Which = fn(&Segment) -> bool;

/// Segments by what they are.
pub mod which {
    use super::{Segment, flag};

    /// A SYN alone.
    pub fn syn(segment: &Segment) -> bool {
        segment.is(flag::SYN)
    }
    /// The answer to a SYN.
    pub fn syn_ack(segment: &Segment) -> bool {
        segment.is(flag::SYN | flag::ACK)
    }
    /// An acknowledgement without anything else.
    pub fn ack(segment: &Segment) -> bool {
        segment.is(flag::ACK) && segment.data.is_empty()
    }
    /// One with data.
    pub fn data(segment: &Segment) -> bool {
        !segment.data.is_empty()
    }
    /// The end of a direction.
    pub fn fin(segment: &Segment) -> bool {
        segment.is(flag::FIN | flag::ACK)
    }
    /// Each one.
    pub fn any(_: &Segment) -> bool {
        true
    }
}

/// The network of the calling thread's namespace. It lives until the process ends.
#[derive(Debug)]
pub struct Network {
    tun: Arc<Tun>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    held: Vec<Vec<u8>>,
    copied: Vec<Vec<u8>>,
    passed: Vec<Passed>,
}

#[derive(Debug)]
struct Rule {
    way: Way,
    which: Which,
    fate: Fate,
    left: u32,
}

/// A segment that an end has sent.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Where to.
    pub way: Way,
    /// What it is.
    pub segment: Segment,
    /// What became of it; `None` if it arrived at once.
    pub fate: Option<Fate>,
}

impl Network {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// Where the kernel has no TUN device.
    pub fn new() -> Result<Self> {
        let tun = Tun::new(DEVICE).during("make a TUN device (the kernel's module tun)")?;
        // The kernel would send its own IPv6 packets; without IPv6 there is nothing to switch off.
        let _ = namespace::set(&format!("net/ipv6/conf/{DEVICE}/disable_ipv6"), "1");
        // What comes over the device has an address of this host for its source.
        for (parameter, value) in [("accept_local", "1"), ("rp_filter", "0")] {
            namespace::set(&format!("net/ipv4/conf/{DEVICE}/{parameter}"), value)?;
        }
        namespace::set("net/ipv4/conf/all/rp_filter", "0")?;
        let single = [255; 4];
        namespace::give_address("lo:1", CLIENT, single)
            .and_then(|()| namespace::give_address("lo:2", SERVER, single))
            .and_then(|()| namespace::give_address(DEVICE, OWN, [255, 255, 255, 0]))
            .and_then(|()| namespace::bring_up(DEVICE))
            .during("give the TUN device its addresses")?;
        let (tun, state) = (Arc::new(tun), Arc::<Mutex<State>>::default());
        let network = Self { tun: Arc::clone(&tun), state: Arc::clone(&state) };
        let relay = move || {
            // It ends with the device, and that with the process.
            while let Ok(packet) = tun.read(LOOK) {
                packet.iter().for_each(|packet| pass(&tun, &mut lock(&state), packet));
            }
        };
        thread::Builder::new().name("network".into()).spawn(relay).during("start a thread")?;
        Ok(network)
    }

    /// Decides what becomes of the next `count` such segments; the rule made first goes first.
    pub fn treat(&self, way: Way, which: Which, fate: Fate, count: u32) {
        lock(&self.state).rules.push(Rule { way, which, fate, left: count });
    }

    /// The network loses the next such segments.
    pub fn lose(&self, way: Way, which: Which, count: u32) {
        self.treat(way, which, Fate::Lost, count);
    }

    /// Holds the next such segment of each way; what is sent again meanwhile is lost, so that nothing
    /// arrives before [`Self::release`], however long that takes.
    pub fn hold_both(&self, which: Which) {
        for way in [Way::ToServer, Way::ToClient] {
            self.treat(way, which, Fate::Held, 1);
            self.lose(way, which, u32::MAX);
        }
    }

    /// Forgets all rules.
    pub fn recover(&self) {
        lock(&self.state).rules.clear();
    }

    /// Delivers what was held, in its order; what is sent from now on arrives.
    ///
    /// # Errors
    ///
    /// Where the device fails.
    pub fn release(&self) -> Result<()> {
        // Until all are delivered, their answers have to wait.
        let mut state = lock(&self.state);
        state.rules.clear();
        let held = std::mem::take(&mut state.held);
        held.iter().try_for_each(|packet| self.tun.write(packet)).during("deliver a segment")
    }

    /// Delivers again what was copied.
    ///
    /// # Errors
    ///
    /// Where the device fails.
    pub fn repeat(&self) -> Result<()> {
        let copied = std::mem::take(&mut lock(&self.state).copied);
        copied.iter().try_for_each(|packet| self.tun.write(packet)).during("deliver a segment")
    }

    /// Delivers a segment that no socket has sent, to the server, from an address behind the
    /// network.
    ///
    /// # Errors
    ///
    /// Where the device fails.
    pub fn forge(&self, from: Ipv4Addr, segment: &Segment) -> Result<()> {
        self.tun.write(&segment.packet(from, SERVER)).during("deliver a segment")
    }

    /// All that the two ends have sent so far, in order.
    pub fn passed(&self) -> Vec<Passed> {
        lock(&self.state).passed.clone()
    }

    /// Waits until `count` such segments have been sent, those before the call included.
    ///
    /// # Errors
    ///
    /// Where they do not come.
    pub fn wait_for(&self, way: Way, which: Which, count: usize, what: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let is_one = |one: &&Passed| one.way == way && which(&one.segment);
        while lock(&self.state).passed.iter().filter(is_one).count() < count {
            if Instant::now() > deadline {
                return Err(Error::in_vain(what));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where an IPv4 packet goes: all but the server are clients.
fn way(packet: &[u8]) -> Option<Way> {
    let target: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    Some(if Ipv4Addr::from(target) == SERVER { Way::ToServer } else { Way::ToClient })
}

/// Judges a packet, and delivers it.
fn pass(tun: &Tun, state: &mut State, packet: &[u8]) {
    let Some(segment) = Segment::parse(packet) else { return };
    let Some(way) = way(packet) else { return };
    let fits = |rule: &&mut Rule| rule.left > 0 && rule.way == way && (rule.which)(&segment);
    let rule = state.rules.iter_mut().find(fits);
    let fate = rule.map(|rule| {
        rule.left -= 1;
        rule.fate
    });
    let delivered = match fate {
        Some(Fate::Lost) => Ok(()),
        Some(Fate::Held) => {
            state.held.push(packet.to_vec());
            Ok(())
        }
        Some(Fate::Unreachable) => {
            let sender = if way == Way::ToServer { CLIENT } else { SERVER };
            tun.write(&segment::icmp_unreachable(HOST_UNREACHABLE, ROUTER, sender, packet))
        }
        Some(Fate::Copied) => {
            state.copied.push(packet.to_vec());
            tun.write(packet)
        }
        // What answers a forged segment has nowhere to go, and the kernel drops it.
        None => tun.write(packet),
    };
    // The kernel takes what a device of ours, which is up, receives.
    if delivered.is_ok() {
        state.passed.push(Passed { way, segment, fate });
    }
}

/// Code of "destination unreachable" (RFC 792).
const HOST_UNREACHABLE: u8 = 1;
