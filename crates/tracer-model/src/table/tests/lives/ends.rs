//! From ESTABLISHED, or anything before it, to nothing.

use tracer_wire::{flag, kind};

use super::{Failure, Life, Shape, Step};
use tracer_event::state::State;

const EPIPE: u16 = 32;
const ECONNABORTED: u16 = 103;
const ECONNRESET: u16 = 104;
const ETIMEDOUT: u16 = 110;
const ECONNREFUSED: u16 = 111;

impl Life {
    pub(super) fn end(&mut self, step: Step) {
        match step {
            Step::ShutdownWrite => self.shutdown_write(2),
            Step::Close => self.close(),
            Step::ListenerClosed => self.abort(),
            Step::Disconnect => self.disconnect(),
            Step::Kill => self.kill(),
            Step::FinAcked => self.fin_acked(),
            Step::FinAckedWithData => {
                self.acknowledge();
                self.change(State::FinWait2);
                self.over();
                self.send_reset();
            }
            Step::PeerFin => self.peer_fin(),
            Step::PeerReset => self.peer_reset(),
            Step::DataAfterClose => {
                self.emit(kind::RESET_RECEIVED, |_| ());
                self.socket.error = ECONNRESET;
                self.over();
                self.send_reset();
            }
            Step::Fail(failure) => self.fail(failure),
            Step::OrphanTimer => {
                // The rest is what exceeds a minute, not a minute (tcp_keepalive_timer).
                let seconds = self.socket.linger2 as u64 / self.kernel.hz;
                self.leave_to_minisocket(State::FinWait2, seconds - 60);
            }
            Step::Gone => self.shape = Shape::Unhashed,
            Step::LateSegment => self.arm(60),
            _ => unreachable!("{step:?} ends nothing"),
        }
    }

    /// `X → CLOSE` without a minisocket.
    fn over(&mut self) {
        self.change(State::Closed);
        self.shape = Shape::Unhashed;
    }

    fn send_reset(&mut self) {
        self.emit(kind::RESET_SENT, |_| ());
    }

    fn abort(&mut self) {
        self.over();
        self.send_reset();
    }

    fn is_orphan(&self) -> bool {
        self.socket.has(flag::DEAD)
    }

    /// shutdown() and close() of an open connection: the FIN is queued after the event.
    fn shutdown_write(&mut self, shutdown: u8) {
        self.socket.shutdown |= shutdown;
        let next = match self.state() {
            State::Established | State::SynRecv => State::FinWait1,
            State::CloseWait => State::LastAck,
            _ => return,
        };
        self.change(next);
        self.socket.write_seq = self.socket.write_seq.wrapping_add(1);
        self.socket.snd_nxt = self.socket.write_seq;
    }

    /// `__tcp_close`; the socket is an orphan only after the event.
    fn close(&mut self) {
        if self.shape == Shape::Minisocket {
            return;
        }
        self.socket.shutdown = 3;
        let open = !matches!(self.state(), State::Closed | State::Listen | State::SynSent);
        let broken = self.socket.unread_bytes() > 0 || self.socket.has(flag::LINGER_ZERO);
        match self.state() {
            State::Listen | State::SynSent => self.over(),
            _ if self.socket.has(flag::REPAIR) => self.over(),
            // An RST after our FIN has been acknowledged would tell the peer nothing.
            State::Closing | State::LastAck if broken => self.over(),
            _ if open && broken => self.abort(),
            _ => self.shutdown_write(3),
        }
        self.socket.flags |= flag::DEAD;
        self.socket.flags &= !flag::HAS_SOCKET;
        self.socket.inode = 0;
        if self.state() == State::FinWait2 && self.shape == Shape::Full {
            self.orphan_fin_wait2();
        }
    }

    /// An orphan's FIN is acknowledged, the peer's has not come.
    fn orphan_fin_wait2(&mut self) {
        let seconds = i64::from(self.socket.linger2) / self.kernel.hz as i64;
        match seconds {
            ..0 => self.abort(),
            0 => self.leave_to_minisocket(State::FinWait2, 60),
            1..=60 => self.leave_to_minisocket(State::FinWait2, seconds as u64),
            // A full socket for all but the last minute.
            _ => {}
        }
    }

    /// `tcp_time_wait`: a minisocket, then `tcp_done` for the full one.
    fn leave_to_minisocket(&mut self, state: State, seconds: u64) {
        self.change(State::Closed);
        self.socket.old_state = state as u8;
        self.socket.sk += 0x800;
        self.shape = Shape::Minisocket;
        self.arm(seconds);
    }

    fn arm(&mut self, seconds: u64) {
        self.socket.timer_expires = self.jiffies_at(self.now) + seconds * self.kernel.hz;
    }

    /// connect() with AF_UNSPEC: the socket lives, its port and error stay.
    fn disconnect(&mut self) {
        let connecting = self.state() == State::SynSent;
        self.over();
        if !connecting {
            self.send_reset();
        }
        self.forget_connection();
        self.socket.error = ECONNRESET;
    }

    pub(super) fn forget_connection(&mut self) {
        (self.socket.shutdown, self.socket.total_retrans, self.socket.srtt_us) = (0, 0, 0);
        (self.socket.rcv_nxt, self.socket.copied_seq) = (0, 0);
        (self.socket.bytes_acked, self.socket.bytes_received) = (0, 0);
        self.socket.retransmits = 0;
        self.socket.flags &= !flag::DONE;
    }

    /// The application is told and may connect again: the socket is as new, but for its port.
    fn report_error(&mut self) {
        if !self.is_orphan() {
            self.forget_connection();
            (self.socket.error, self.socket.soft_error) = (0, 0);
        }
    }

    fn kill(&mut self) {
        if self.shape == Shape::Minisocket || self.state() == State::Listen {
            return self.over_or_gone();
        }
        self.socket.error = ECONNABORTED;
        self.send_reset();
        self.over();
        self.report_error();
    }

    fn over_or_gone(&mut self) {
        if self.shape == Shape::Minisocket {
            self.shape = Shape::Unhashed;
        } else {
            self.over();
        }
    }

    fn acknowledge(&mut self) {
        self.socket.snd_una = self.socket.write_seq;
        self.socket.bytes_acked += 1;
    }

    fn fin_acked(&mut self) {
        self.acknowledge();
        match self.state() {
            State::FinWait1 => {
                self.change(State::FinWait2);
                if self.is_orphan() {
                    self.orphan_fin_wait2();
                }
            }
            State::Closing => self.leave_to_minisocket(State::TimeWait, 60),
            State::LastAck => self.over(),
            state => unreachable!("a FIN acknowledged in {state}"),
        }
    }

    /// `tcp_fin`: the flags are set before the transition.
    fn peer_fin(&mut self) {
        if self.shape == Shape::Minisocket {
            self.socket.old_state = State::TimeWait as u8;
            return self.arm(60);
        }
        self.socket.shutdown |= 1;
        self.socket.flags |= flag::DONE;
        self.socket.rcv_nxt = self.socket.rcv_nxt.wrapping_add(1);
        self.socket.bytes_received += 1;
        match self.state() {
            State::Established | State::SynRecv => self.change(State::CloseWait),
            State::FinWait1 => self.change(State::Closing),
            State::FinWait2 => self.leave_to_minisocket(State::TimeWait, 60),
            state => unreachable!("the peer's FIN in {state}"),
        }
    }

    fn peer_reset(&mut self) {
        if self.shape != Shape::Full {
            self.shape = Shape::Unhashed;
            return;
        }
        self.emit(kind::RESET_RECEIVED, |_| ());
        self.socket.error = match self.state() {
            State::SynSent => ECONNREFUSED,
            State::CloseWait => EPIPE,
            _ => ECONNRESET,
        };
        self.over();
        self.report_error();
    }

    fn fail(&mut self, failure: Failure) {
        self.socket.error = ETIMEDOUT;
        match failure {
            Failure::Unanswered => self.socket.retransmits = 6,
            Failure::ZeroWindow => {
                self.socket.write_seq = self.socket.write_seq.wrapping_add(100);
            }
            Failure::Keepalive => self.send_reset(),
            Failure::Icmp(error) => self.socket.error = error,
            Failure::NotedIcmp(error) => {
                (self.socket.error, self.socket.soft_error) = (error, error);
                self.socket.total_retrans = 6;
            }
        }
        self.over();
        self.report_error();
    }
}
