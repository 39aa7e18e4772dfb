//! Crate root of the eBPF programs: licence, panic handler and the list of modules.
//!
//! One file a hook (`probe/`), one a kernel iterator (`iter/`); what they share is reading a
//! socket (`sock`) and getting a record out (`emit`).

#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod programs {
    mod actor;
    mod constants;
    mod emit;
    mod filter;
    mod guard;
    mod iter;
    mod memory;
    #[expect(clippy::needless_pass_by_value, reason = "aya's macros pass the context by value")]
    mod probe;
    #[expect(clippy::needless_borrows_for_generic_args, reason = "a moved key takes up stack")]
    mod program;
    mod segment;
    #[expect(clippy::needless_borrows_for_generic_args, reason = "a moved key takes up stack")]
    mod sock;
    mod stack;

    /// The kernel gives most of the helpers used here to GPL-compatible programs only.
    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }
}

/// On the host this binary has nothing to do; it exists so that the workspace builds as a whole.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
