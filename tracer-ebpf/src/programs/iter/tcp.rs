//! `iter/tcp`: every TCP socket of the reader's network namespace, minisockets and request
//! sockets included.

use core::{ffi::c_void, mem::MaybeUninit};

use tracer_wire::{Record, flag, kind, state};

use super::{argument, output, write};
use crate::programs::{emit::stamp, memory::zeroed, sock::Common};

/// `struct bpf_iter__tcp { meta; sk_common; uid }`. aya-ebpf has no macro for iterators.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
fn sockets(context: *mut c_void) -> i32 {
    // SAFETY: the context's members.
    let (meta, socket) =
        unsafe { (argument::<*const u8>(context, 0), argument::<*const c_void>(context, 1)) };
    // Once, before the ways part: this is a pointer behind one that the verifier trusts.
    let output = output(meta);
    let mut record = MaybeUninit::uninit();
    let record = zeroed(&mut record);
    stamp(record);
    match Common::new(socket) {
        None => record.kind = kind::END,
        Some(socket) => {
            // SAFETY: `session_id` of `struct bpf_iter_meta { seq; session_id; seq_num }`.
            let session = unsafe { core::ptr::read_volatile(meta.cast::<u64>().add(1)) };
            if !describe(socket, session, record) {
                return 0;
            }
        }
    }
    write(output, record);
    0
}

#[inline(always)]
fn describe(socket: Common, session: u64, record: &mut Record) -> bool {
    record.old_state = socket.state();
    record.new_state = record.old_state;
    match record.old_state {
        state::TIME_WAIT => {
            record.kind = kind::TIME_WAIT_SOCKET;
            socket.describe_time_wait(record);
        }
        state::NEW_SYN_RECV => {
            record.kind = kind::REQUEST_SOCKET;
            socket.describe_request(record);
        }
        _ => {
            record.kind = kind::SOCKET;
            let Some(full) = socket.full() else {
                return false;
            };
            if full.is_outside_group() {
                return false;
            }
            full.describe(record);
            full.describe_queue_and_timer(record);
            full.describe_inode(record);
            record.cookie = socket.cookie();
            if record.old_state == state::LISTEN {
                full.describe_drops(record);
                full.note_waiting(session);
            } else {
                full.describe_timers(record);
                full.describe_sent(record);
                if record.flags & flag::HAS_SOCKET == 0 {
                    record.listener = socket.waits_for(session);
                }
            }
        }
    }
    true
}
