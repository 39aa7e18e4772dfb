//! What the network has answered a SYN with.
//!
//! While connect() holds the socket, the kernel cannot end the connection: it queues the ICMP error
//! (`ip_icmp_error`; for IPv6 with IPV6_RECVERR only) and notes it in `sk_err_soft`, which SO_ERROR
//! takes away. Such a socket goes to CLOSED when the application closes it, without `sk_err`.

use tracer_wire::Record;

use super::Full;
use crate::programs::{constants::offset, memory::Memory};

/// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6` (include/uapi/linux/errqueue.h).
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;

/// Queued are also time stamps and the like; each SYN that is answered adds one.
const LOOKED_AT: u32 = 4;

impl Full {
    /// The newest ICMP error in the queue, if one of the last few is one.
    ///
    /// The list is a ring through its head, which is no `sk_buff`: no more are followed than there
    /// are. One that a reader of the queue frees meanwhile stays mapped.
    #[inline(always)]
    pub(in crate::programs) fn describe_icmp_error(self, record: &mut Record) {
        let length: u32 = self.0.load(offset!(sk_error_queue_length));
        let mut skb = self.0.follow(offset!(sk_error_queue_last));
        let mut index = 0;
        while index < LOOKED_AT && index < length {
            let origin = skb.control_byte(offset!(exterr_origin));
            if origin == ORIGIN_ICMP || origin == ORIGIN_ICMP6 {
                record.icmp_origin = origin;
                record.icmp_type = skb.control_byte(offset!(exterr_type));
                record.icmp_code = skb.control_byte(offset!(exterr_code));
                record.icmp_errno = skb.control_word(offset!(exterr_errno)) as u8;
                return;
            }
            skb = skb.follow(offset!(skb_prev));
            index += 1;
        }
    }
}
