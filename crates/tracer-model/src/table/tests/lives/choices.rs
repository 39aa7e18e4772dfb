//! What can happen next: for lives that chance makes up.

use tracer_wire::flag;

use super::{Failure, Life, Shape, Step};
use Step::*;
use tracer_event::state::State;

impl Life {
    /// The steps that are possible now; none for a socket that is gone for good.
    ///
    /// A life begins as a client, or with `passive` as a child or a listener.
    pub(crate) fn choices(&self, passive: bool) -> Vec<Step> {
        match self.shape {
            Shape::Unhashed => self.unhashed_choices(passive),
            Shape::Request => vec![Ack, PeerReset],
            Shape::Minisocket if self.state() == State::FinWait2 => vec![PeerFin, PeerFin, Gone],
            Shape::Minisocket => vec![LateSegment, Gone],
            Shape::Full => {
                let mut steps = self.segments();
                if self.socket.has(flag::HAS_SOCKET) {
                    steps.extend(self.calls());
                } else if !self.socket.has(flag::DEAD) {
                    steps.extend([Accept, Accept]);
                    if self.state() == State::Established {
                        steps.push(ListenerClosed);
                    }
                }
                steps
            }
        }
    }

    fn unhashed_choices(&self, passive: bool) -> Vec<Step> {
        let begun = self.socket.old_state != State::Closed as u8 || self.socket.peer_port != 0;
        if self.socket.has(flag::DEAD) || !self.socket.has(flag::HAS_SOCKET) {
            Vec::new()
        } else if passive && !begun {
            vec![Syn, FastOpenSyn, Listen]
        } else if self.state() == State::Closed {
            vec![Connect, Connect, Connect, ConnectWithoutPort, Linger2(120), Linger2(-1), Close]
        } else {
            Vec::new()
        }
    }

    /// What the peer, the network and timers do.
    fn segments(&self) -> Vec<Step> {
        let orphan = self.socket.has(flag::DEAD);
        let mut steps = match self.state() {
            State::Listen => return vec![Read],
            State::SynSent => {
                vec![Established, Established, CrossedSyn, SynAgain, Fail(Failure::Icmp(113))]
            }
            State::SynRecv if self.connects > 0 => vec![Established],
            State::SynRecv => vec![Ack],
            State::Established => vec![PeerFin, Receive(3), Fail(Failure::Keepalive)],
            State::FinWait1 => vec![FinAcked, FinAcked, PeerFin, FinAgain],
            State::FinWait2 => vec![PeerFin],
            State::Closing | State::LastAck => vec![FinAcked, FinAgain],
            _ => Vec::new(),
        };
        match self.state() {
            State::FinWait1 if orphan => steps.extend([DataAfterClose, FinAckedWithData]),
            State::FinWait2 if orphan => steps.extend([DataAfterClose, OrphanTimer]),
            State::FinWait2 => {}
            _ => steps.push(Fail(Failure::Unanswered)),
        }
        steps.push(PeerReset);
        steps
    }

    /// What the application does.
    fn calls(&self) -> Vec<Step> {
        match self.state() {
            State::Listen => vec![Close, Kill],
            State::SynSent | State::FinWait2 => vec![Close, Disconnect],
            State::Established => vec![Close, ShutdownWrite, Read, LingerZero, Disconnect, Kill],
            State::CloseWait => vec![Close, ShutdownWrite, Read, Disconnect, Kill],
            _ => vec![Close],
        }
    }
}
