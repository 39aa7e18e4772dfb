//! Resolves the offsets that the programs need from the kernel's BTF.

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use tracer_wire::{Member, Offsets};

use crate::btf::{Btf, BtfError};

/// Why offsets could not be resolved.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OffsetsError {
    /// The BTF is damaged.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// A required member is missing.
    #[error("this kernel's BTF has no {container}.{path}")]
    Missing {
        /// The struct.
        container: &'static str,
        /// The member.
        path: &'static str,
    },
    /// A member is a bit-field in this kernel.
    #[error("{container}.{path} is a bit-field in this kernel")]
    Bitfield {
        /// The struct.
        container: &'static str,
        /// The member.
        path: &'static str,
    },
}

/// What `iter/tcp` remembers of a socket between two reads. It has the socket's cookie since 6.18
/// (net/ipv4/tcp_ipv4.c); before that only its position was remembered.
const BATCH_ITEM: &str = "bpf_tcp_iter_batch_item";

/// Whether `iter/tcp` may skip a socket that is there, if others come and go around it.
pub fn iterators_skip(btf: &Btf<'_>) -> bool {
    btf.member(BATCH_ITEM, "cookie").is_none()
}

const RESET_REASONS: &str = "sk_rst_reason";

/// Whether `tcp_send_reset` says why, with the numbers of Linux 6.12 and later: 6.10 and 6.11 had
/// MPTCP's reasons where 6.12 put further ones of TCP (include/net/rstreason.h).
pub fn has_reset_reason(btf: &Btf<'_>) -> bool {
    btf.tracepoint_arguments("tcp_send_reset") >= Some(3)
        && btf.enumerator(RESET_REASONS, "SK_RST_REASON_TCP_ABORT_ON_CLOSE") == Some(11)
}

/// The names of the types that will be looked up, besides tracepoints: a hundred thousand names are
/// compared with them.
pub fn wanted() -> HashSet<&'static [u8], RandomState> {
    let containers = Offsets::MEMBERS.iter().map(|member| member.container);
    containers.chain([BATCH_ITEM, RESET_REASONS]).map(str::as_bytes).collect()
}

/// The offsets of all members.
pub fn resolve(btf: &Btf<'_>) -> Result<Offsets, OffsetsError> {
    let mut offsets = [Offsets::ABSENT; Offsets::COUNT];
    for (offset, Member { container, path, required, bits }) in
        offsets.iter_mut().zip(Offsets::MEMBERS)
    {
        *offset = match btf.member(container, path) {
            Some(position) if bits => position.bit,
            Some(position) if !position.bitfield => position.bit / 8,
            Some(_) if required => return Err(OffsetsError::Bitfield { container, path }),
            None if required => return Err(OffsetsError::Missing { container, path }),
            Some(_) | None => Offsets::ABSENT,
        };
    }
    Ok(Offsets::from_array(offsets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_all_that_is_required() {
        let bytes = std::fs::read("/sys/kernel/btf/vmlinux").expect("a kernel with BTF");
        let wanted = wanted();
        let btf = Btf::parse(&bytes, |name| wanted.contains(name)).unwrap();
        let offsets = resolve(&btf).unwrap();
        // The front of sock_common is constant since 5.10.
        assert_eq!(
            (offsets.skc_daddr, offsets.skc_rcv_saddr, offsets.skc_dport, offsets.skc_num),
            (0, 4, 12, 14)
        );
        assert_eq!((offsets.skc_net, offsets.skc_cookie), (48, 88));
        assert_eq!(offsets.tw_substate, 140);
    }

    /// Where IPv6 is a module, its own types are not in the kernel's BTF.
    #[test]
    fn of_ipv6_only_what_every_socket_has_is_read() {
        let of_ipv6 = |member: &&Member| [member.container, member.path].concat().contains('6');
        let containers = Offsets::MEMBERS.iter().filter(of_ipv6).map(|member| member.container);
        assert_eq!(containers.collect::<Vec<_>>(), ["sock_common"; 2]);
    }
}
