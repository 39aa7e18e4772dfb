//! Request sockets: connections that are half open; and those that wait in an accept queue, which
//! their requests lead to.

use aya_ebpf::{
    bindings::tcp_request_sock, helpers::generated::bpf_skc_to_tcp_request_sock, macros::map,
    maps::LruHashMap,
};
use tracer_ebpf::{Offsets, Record, segment};

use super::{Common, Full};
use crate::programs::{
    constants::constant,
    memory::{follow, load, probe},
};

macro_rules! offset {
    ($field:ident) => {
        constant!(OFFSETS.$field)
    };
}

/// Connections of one accept queue that are looked at; the kernel's limit is 4096 as a rule.
const QUEUE: u32 = 512;

/// Which listener a connection waits for.
#[derive(Clone, Copy)]
#[repr(C)]
struct Waiting {
    listener: u64,
    /// The pass of the iterator in which that was so.
    session: u64,
}

/// By the address of the connection's `struct sock`. The iterator shows listeners first.
#[map]
static WAITING: LruHashMap<u64, Waiting> = LruHashMap::with_max_entries(4096, 0);

impl Common {
    /// Fills in a request socket.
    ///
    /// One of an MPTCP listener is read by address, as [`Common::describe_time_wait`] does.
    #[inline(always)]
    pub(in crate::programs) fn describe_request(self, record: &mut Record) {
        self.describe_ends(record);
        let request = self.request();
        if !request.is_null() {
            // SAFETY: BTF-typed pointer and the members' own widths.
            unsafe {
                record.retransmits = load(request, offset!(request_num_retrans));
                record.timer_expires = load(request, offset!(request_timer_expires));
                note_handshake(
                    load(request, offset!(request_snt_synack)),
                    load(request, byte_of(offset!(request_acked))),
                    record,
                );
            }
        } else if constant!(SETTINGS.reads_addresses) == 1 {
            let request = self.address();
            // SAFETY: integers.
            unsafe {
                record.retransmits = probe(request, offset!(request_num_retrans)).unwrap_or(0);
                record.timer_expires = probe(request, offset!(request_timer_expires)).unwrap_or(0);
                note_handshake(
                    probe(request, offset!(request_snt_synack)).unwrap_or(0),
                    probe(request, byte_of(offset!(request_acked))).unwrap_or(0),
                    record,
                );
            }
        }
    }

    /// Fills in what is already known to be a `struct request_sock`.
    #[inline(always)]
    pub(in crate::programs) fn describe_request_argument(self, record: &mut Record) {
        self.describe_ends(record);
        // SAFETY: BTF-typed pointer and the members' own widths.
        unsafe {
            record.retransmits = load(self.0, offset!(request_num_retrans));
            record.timer_expires = load(self.0, offset!(request_timer_expires));
        }
    }

    #[inline(always)]
    fn describe_ends(self, record: &mut Record) {
        self.describe(record);
        record.cookie = self.cookie();
        // A member of a union whose first is a number: the verifier follows it not.
        // SAFETY: BTF-typed pointer and the member's own width.
        record.listener = unsafe { load(self.0, offset!(skc_listener)) };
    }

    /// The BTF-typed request socket; NULL where the helper does not know it for one.
    #[inline(always)]
    fn request(self) -> *const u8 {
        // SAFETY: the helper takes any sock_common and tests the type itself.
        let request: *mut tcp_request_sock =
            unsafe { bpf_skc_to_tcp_request_sock(self.0.cast_mut().cast()) };
        request.cast_const().cast()
    }

    /// Sequence number of the SYN+ACK of a request socket, 0 where it cannot be had.
    #[inline(always)]
    pub(in crate::programs) fn request_sequence(self) -> u32 {
        // SAFETY: BTF-typed pointer and the member's own width; NULL reads as zero.
        unsafe { load(self.request(), offset!(request_snt_isn)) }
    }

    /// The listener whose accept queue a connection was in when this pass of the iterator came by.
    #[inline(always)]
    pub(in crate::programs) fn waits_for(self, session: u64) -> u64 {
        // SAFETY: a copy; entries are written whole.
        match unsafe { WAITING.get(&self.address()) } {
            Some(waiting) if waiting.session == session => waiting.listener,
            _ => 0,
        }
    }
}

/// Where the byte of a bit-field's bit lies.
#[inline(always)]
fn byte_of(bit: u32) -> u32 {
    if bit == Offsets::ABSENT { Offsets::ABSENT } else { bit / 8 }
}

/// `snt_synack` is in microseconds of `CLOCK_MONOTONIC`.
#[inline(always)]
fn note_handshake(snt_synack: u64, byte_of_acked: u8, record: &mut Record) {
    let bit = offset!(request_acked);
    if bit != Offsets::ABSENT && (byte_of_acked >> (bit % 8)) & 1 == 1 {
        record.segment_flags = segment::ACK;
    }
    if snt_synack != 0 {
        let age = (record.time_ns / 1_000).wrapping_sub(snt_synack);
        record.last_ack = (age / 1_000).max(1) as u32;
    }
}

impl Full {
    /// Remembers which connections wait in a listener's accept queue.
    ///
    /// Only where the iterator has locked the listener: then nobody accepts, and what is in the
    /// queue stays.
    #[inline(always)]
    pub(in crate::programs) fn note_waiting(self, session: u64) {
        if offset!(iterator_batch) == Offsets::ABSENT
            || offset!(request_sk) == Offsets::ABSENT
            || offset!(request_next) == Offsets::ABSENT
        {
            return;
        }
        let waiting = Waiting { listener: self.0 as u64, session };
        // SAFETY: BTF-typed pointer.
        let mut request = unsafe { follow(self.0, offset!(accept_queue_head)) };
        let mut count = 0;
        while count < QUEUE && !request.is_null() {
            // SAFETY: BTF-typed pointers; NULL ends the queue.
            let child = unsafe { follow(request, offset!(request_sk)) } as u64;
            let _ = WAITING.insert(&child, &waiting, 0);
            // SAFETY: as above.
            request = unsafe { follow(request, offset!(request_next)) };
            count += 1;
        }
    }
}
