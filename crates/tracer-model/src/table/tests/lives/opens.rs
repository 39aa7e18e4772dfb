//! From nothing to ESTABLISHED.

use tracer_wire::flag;

use super::{Life, Shape, Step, address};
use tracer_event::state::State;

pub(crate) const LOCAL_ISN: u32 = u32::MAX - 4;
pub(crate) const PEER_ISN: u32 = 70_000;
/// Cookie of the listener of all children.
pub(crate) const LISTENER: u64 = 9_000;

impl Life {
    pub(super) fn open(&mut self, step: Step) {
        match step {
            Step::Listen => self.listen(),
            Step::Connect => self.connect(),
            Step::ConnectWithoutPort => {
                self.address_ends();
                self.change(State::SynSent);
                self.change(State::Closed);
                self.shape = Shape::Unhashed;
            }
            Step::Established => self.established(),
            Step::CrossedSyn => {
                self.peer_isn();
                self.change(State::SynRecv);
            }
            Step::Syn => self.request(),
            Step::Ack => {
                if self.shape != Shape::Full {
                    self.child();
                }
                self.peer_isn();
                self.socket.snd_una = LOCAL_ISN.wrapping_add(1);
                self.socket.srtt_us = 8 * 250;
                self.change(State::Established);
            }
            Step::FastOpenSyn => {
                self.request();
                self.child();
                self.peer_isn();
                self.socket.snd_una = LOCAL_ISN;
            }
            _ => unreachable!("{step:?} opens nothing"),
        }
    }

    fn address_ends(&mut self) {
        (self.socket.local_address, self.socket.peer_address) = self.ends;
        if self.socket.peer_port == 0 {
            self.socket.peer_port = 80;
        }
    }

    fn listen(&mut self) {
        if self.socket.local_port == 0 {
            self.socket.local_port = 80;
        }
        self.change(State::Listen);
        self.shape = Shape::Full;
    }

    /// After AF_UNSPEC the port of the event is that of the connection before.
    fn connect(&mut self) {
        self.address_ends();
        self.change(State::SynSent);
        self.connects += 1;
        if !self.bound {
            self.socket.local_port = 30_000 + 100 * self.connects + self.socket.cookie as u16;
        }
        self.socket.error = 0;
        self.socket.snd_una = LOCAL_ISN;
        self.socket.snd_nxt = LOCAL_ISN.wrapping_add(1);
        self.socket.write_seq = LOCAL_ISN.wrapping_add(1);
        self.shape = Shape::Full;
    }

    fn peer_isn(&mut self) {
        if self.socket.rcv_nxt == 0 {
            self.socket.rcv_nxt = PEER_ISN + 1;
            self.socket.copied_seq = PEER_ISN + 1;
        }
    }

    fn established(&mut self) {
        self.peer_isn();
        self.socket.snd_una = LOCAL_ISN.wrapping_add(1);
        self.socket.bytes_acked = 1;
        self.socket.srtt_us = 8 * 1_000;
        self.socket.retransmits = 0;
        self.change(State::Established);
    }

    fn request(&mut self) {
        self.address_ends();
        if !self.bound {
            (self.socket.local_port, self.bound) = (80, true);
            self.socket.peer_port = 40_000 + self.socket.cookie as u16;
        }
        self.socket.flags &= !flag::HAS_SOCKET;
        self.socket.inode = 0;
        self.socket.old_state = State::SynRecv as u8;
        self.shape = Shape::Request;
    }

    /// `inet_csk_clone_lock`: up to 6.12 the event comes before anything but the copy is done.
    fn child(&mut self) {
        self.socket.old_state = State::Listen as u8;
        let raw = self.kernel.raw_children;
        let classic = self.kernel.classic;
        self.emit(tracer_wire::kind::STATE, |record| {
            record.new_state = State::SynRecv as u8;
            record.listener = Self::new(LISTENER).socket.sk;
            if raw {
                record.cookie = 0;
                record.peer_port = 0;
                record.peer_address = address("0.0.0.0");
                record.local_address = address("0.0.0.0");
            }
            if classic {
                record.listener = 0;
            }
        });
        self.socket.old_state = State::SynRecv as u8;
        self.socket.snd_nxt = LOCAL_ISN.wrapping_add(1);
        self.socket.write_seq = LOCAL_ISN.wrapping_add(1);
        self.shape = Shape::Full;
    }
}
