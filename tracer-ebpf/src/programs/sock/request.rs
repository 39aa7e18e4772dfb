//! Request sockets: connections that are half open; and those that wait in an accept queue, which
//! their requests lead to.

use aya_ebpf::{
    bindings::tcp_request_sock, helpers::generated::bpf_skc_to_tcp_request_sock, macros::map,
    maps::LruHashMap,
};
use tracer_wire::{Offsets, Record, segment};

use super::{Common, Full, netns};
use crate::programs::{
    constants::{constant, offset},
    memory::{Address, Memory, Typed},
};

/// Connections of one accept queue that are looked at; the kernel's limit is 4096 as a rule.
const QUEUE: u32 = 512;
/// Of these, those that one call looks at.
const PART: u32 = 32;

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
        self.describe_parties(record);
        if let Some(request) = self.request() {
            record.netns = netns(request);
            describe_timer(request, record);
            describe_handshake(request, record);
            return;
        }
        record.netns = self.netns_of_argument();
        if constant!(SETTINGS.reads_addresses) == 1 {
            let request = Address(self.address());
            describe_timer(request, record);
            describe_handshake(request, record);
        }
    }

    /// Fills in what is already known to be a `struct request_sock`.
    #[inline(always)]
    pub(in crate::programs) fn describe_request_argument(self, record: &mut Record) {
        self.describe_parties(record);
        record.netns = self.netns_of_argument();
        describe_timer(self.0, record);
    }

    #[inline(always)]
    fn describe_parties(self, record: &mut Record) {
        self.describe_ends(record);
        record.cookie = self.cookie();
        // A number: the verifier does not follow a member of a union whose first member is one.
        record.listener = self.0.load(offset!(skc_listener));
    }

    /// The BTF-typed request socket; `None` where the helper does not know it for one.
    #[inline(always)]
    fn request(self) -> Option<Typed> {
        // SAFETY: the helper takes any sock_common and tests the type itself.
        let request: *mut tcp_request_sock =
            unsafe { bpf_skc_to_tcp_request_sock(self.0.pointer()) };
        Typed::new(request)
    }

    /// Sequence number of the SYN+ACK of a request socket, 0 where it cannot be read.
    #[inline(always)]
    pub(in crate::programs) fn request_sequence(self) -> u32 {
        self.request().map_or(0, |request| request.load(offset!(request_snt_isn)))
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

#[inline(always)]
fn describe_timer(request: impl Memory, record: &mut Record) {
    record.retransmits = request.load(offset!(request_num_retrans));
    record.timer_expires = request.load(offset!(request_timer_expires));
}

/// `snt_synack` is in microseconds of `CLOCK_MONOTONIC`.
#[inline(always)]
fn describe_handshake(request: impl Memory, record: &mut Record) {
    if request.bit(offset!(request_acked)) {
        record.segment_flags = segment::ACK;
    }
    let snt_synack: u64 = request.load(offset!(request_snt_synack));
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
        let head = offset!(accept_queue_head);
        if constant!(SETTINGS.reads_addresses) == 0 {
            let waiting = Waiting { listener: self.0.address(), session };
            note_requests(self.0.follow(head), QUEUE, waiting);
            return;
        }
        let listener = Address(self.0.address()).copied();
        let mut request = listener.follow(head).0;
        let mut part = 0;
        while part < QUEUE / PART && request != 0 {
            request = note_part(request, listener.0, session);
            part += 1;
        }
    }
}

/// Remembers a part of a queue; the request behind it.
///
/// A function that is seen from outside: the verifier looks at it once, and not at each call. Nor
/// then does it trust pointers that come in as arguments: they are read by address.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn note_part(request: u64, listener: u64, session: u64) -> u64 {
    if constant!(SETTINGS.reads_addresses) == 0 {
        // Until 6.8 the verifier looks at it even so.
        return 0;
    }
    note_requests(Address(request), PART, Waiting { listener, session }).0
}

/// Remembers so many requests, and follows to the next.
#[inline(always)]
fn note_requests<M: Memory>(mut request: M, most: u32, waiting: Waiting) -> M {
    let mut count = 0;
    while count < most && request.address() != 0 {
        let child = request.follow(offset!(request_sk)).address();
        let _ = WAITING.insert(&child, &waiting, 0);
        request = request.follow(offset!(request_next));
        count += 1;
    }
    request
}
