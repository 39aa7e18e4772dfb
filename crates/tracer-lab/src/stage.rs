//! Where a scenario is played: what it uses, and how it says what comes next.

use std::{
    any::Any,
    cell::{OnceCell, RefCell},
    thread,
    time::Duration,
};

use crate::{
    error::Result,
    namespace,
    network::Network,
    sockets::{CLIENT_PORT, Pair, Path, State, finish, until},
};

/// What happens in the kernel by itself is over by then: an ACK is delayed by 40 ms.
pub const SETTLE: Duration = Duration::from_millis(80);

/// The end of a state that only a timer ends is found out by looking.
const TIMER: Duration = Duration::from_millis(1_500);

/// Tells whoever has started the scenario what comes next; returns when it may go on.
pub type Announce<'a> = dyn FnMut(&str) -> Result<()> + 'a;

/// The namespace of a scenario, and what is kept in it to its end.
pub struct Stage<'a> {
    announce: RefCell<&'a mut Announce<'a>>,
    network: OnceCell<Network>,
    kept: RefCell<Vec<Box<dyn Any>>>,
}

impl<'a> Stage<'a> {
    /// In the calling thread's namespace.
    pub fn new(announce: &'a mut Announce<'a>) -> Self {
        Self {
            announce: RefCell::new(announce),
            network: OnceCell::new(),
            kept: RefCell::default(),
        }
    }

    /// Announces a step, by its name in the scenario, once all is quiet.
    ///
    /// # Errors
    ///
    /// Where nobody listens any more.
    pub fn step(&self, name: &str) -> Result<()> {
        self.settle();
        (self.announce.borrow_mut())(name)
    }

    /// Lets the kernel finish what it does by itself.
    pub fn settle(&self) {
        thread::sleep(SETTLE);
    }

    /// Waits until a timer that no event reports is known to have fired.
    pub fn settle_timer(&self) {
        thread::sleep(TIMER);
    }

    /// Keeps something open until the scenario is over for those who watch it.
    pub fn keep(&self, something: impl Any) {
        self.kept.borrow_mut().push(Box::new(something));
    }

    /// Sets a parameter of `net.ipv4` in this namespace.
    ///
    /// # Errors
    ///
    /// Where the kernel has none of that name.
    pub fn set(&self, parameter: &str, value: &str) -> Result<()> {
        namespace::set(&format!("net/ipv4/{parameter}"), value)
    }

    /// The network, made when first asked for.
    ///
    /// # Errors
    ///
    /// Where the kernel has no TUN device.
    pub fn network(&self) -> Result<&Network> {
        if self.network.get().is_none() {
            // Nobody else sets it: this type is one thread's.
            let _ = self.network.set(Network::new()?);
        }
        Ok(self.network.get().unwrap_or_else(|| unreachable!("set above")))
    }

    /// Announces the handshake and connects over `lo`.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses.
    pub fn connected(&self) -> Result<Pair> {
        self.step("connect")?;
        Pair::over(Path::Loopback)
    }

    /// The same over the network.
    ///
    /// # Errors
    ///
    /// Where there is no TUN device.
    pub fn connected_over_network(&self) -> Result<(&Network, Pair)> {
        let network = self.network()?;
        self.step("connect")?;
        Ok((network, Pair::over(Path::Network)?))
    }

    /// Announces the end of a connection and ends it in order, the client first.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses, or its timers do not get there.
    pub fn close(&self, pair: Pair) -> Result<()> {
        self.step("close")?;
        let Pair { listener, client, server } = pair;
        finish(&client)?;
        until(CLIENT_PORT, State::FinWait2)?;
        drop(server);
        until(CLIENT_PORT, State::TimeWait)?;
        self.keep((listener, client));
        Ok(())
    }
}
