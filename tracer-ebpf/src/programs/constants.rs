//! The frozen `.rodata` that the user half fills in before the programs load.

use tracer_wire::{Filter, Offsets, RecordLayout, Settings};

#[unsafe(no_mangle)]
pub(super) static OFFSETS: Offsets = Offsets::NONE;

#[unsafe(no_mangle)]
pub(super) static SETTINGS: Settings = Settings::EMPTY;

#[unsafe(no_mangle)]
pub(super) static FILTER: Filter = Filter::EMPTY;

#[unsafe(no_mangle)]
pub(super) static RECORD_LAYOUT: RecordLayout = RecordLayout::EMPTY;

/// Reads a field of one of the statics above.
///
/// The read is volatile: LLVM would otherwise fold the value that stands here, not the one that
/// is loaded into the kernel.
#[inline(always)]
pub(super) fn read<T: Copy>(field: &'static T) -> T {
    // SAFETY: a reference to a field of an immutable static.
    unsafe { core::ptr::read_volatile(field) }
}

/// `constant!(SETTINGS.stacks)`: see [`read`].
macro_rules! constant {
    ($global:ident . $($field:tt)+) => {
        $crate::programs::constants::read(&$crate::programs::constants::$global.$($field)+)
    };
}

/// `offset!(sk_err)`: where that member lies in this kernel.
macro_rules! offset {
    ($field:ident) => {
        $crate::programs::constants::read(&$crate::programs::constants::OFFSETS.$field)
    };
}

/// `load!(record, tcp; snd_una, rcv_nxt)`: copies members into the fields of the same names.
macro_rules! load {
    ($record:ident, $memory:expr; $($field:ident),+ $(,)?) => {
        $($record.$field = $memory.load($crate::programs::constants::offset!($field));)+
    };
}
pub(super) use {constant, load, offset};
