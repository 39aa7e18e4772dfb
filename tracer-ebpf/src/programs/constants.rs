//! The frozen `.rodata` that the user half fills in before the programs load.

use tracer_ebpf::{Filter, Offsets, RecordLayout, Settings};

#[unsafe(no_mangle)]
pub(super) static OFFSETS: Offsets = Offsets::NONE;

#[unsafe(no_mangle)]
pub(super) static SETTINGS: Settings =
    Settings { has_cookie_helper: 0, reads_addresses: 0, has_reset_reason: 0, stacks: 0 };

#[unsafe(no_mangle)]
pub(super) static FILTER: Filter = Filter {
    mask: [0; 2],
    network: [0; 2],
    ports: [0; tracer_ebpf::MAX_PORTS],
    local_ports: [0; tracer_ebpf::MAX_PORTS],
    peer_ports: [0; tracer_ebpf::MAX_PORTS],
    netns: 0,
    ip_version: 0,
};

#[unsafe(no_mangle)]
pub(super) static RECORD_LAYOUT: RecordLayout = RecordLayout {
    skaddr: 0,
    oldstate: 0,
    newstate: 0,
    sport: 0,
    dport: 0,
    family: 0,
    protocol: 0,
    protocol_size: 0,
    saddr: 0,
    daddr: 0,
    saddr_v6: 0,
    daddr_v6: 0,
};

/// Reads a field of one of the statics above.
///
/// The read is volatile: LLVM would otherwise fold the value that stands here, not the one that
/// is loaded into the kernel.
#[inline(always)]
pub(super) fn read<T: Copy>(field: &'static T) -> T {
    // SAFETY: a reference to a field of an immutable static.
    unsafe { core::ptr::read_volatile(field) }
}

/// `constant!(OFFSETS.sk_err)`: see [`read`].
macro_rules! constant {
    ($global:ident . $($field:tt)+) => {
        $crate::programs::constants::read(&$crate::programs::constants::$global.$($field)+)
    };
}
pub(super) use constant;
