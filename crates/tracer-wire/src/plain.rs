//! Wire types as bytes and back, without a copy.

/// A type made of integers and byte arrays only, without implicit padding.
///
/// # Safety
///
/// Every bit pattern is a valid value and no byte of a value is padding.
pub unsafe trait Plain: Copy + 'static {
    /// The value that `bytes` begin with; `None` where they are too short or misaligned.
    ///
    /// Ring-buffer records are longer than the type only through a version mismatch, which the
    /// caller finds by comparing lengths.
    fn from_bytes(bytes: &[u8]) -> Option<&Self> {
        let pointer = bytes.as_ptr().cast::<Self>();
        (bytes.len() >= size_of::<Self>() && pointer.is_aligned())
            // SAFETY: long enough, aligned, and every bit pattern is a value (trait contract).
            .then(|| unsafe { &*pointer })
    }

    /// A copy of the value that `bytes` begin with, however they are aligned; `None` where they
    /// are too short.
    fn copied_from(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= size_of::<Self>())
            // SAFETY: long enough, and every bit pattern is a value (trait contract).
            .then(|| unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }

    /// The bytes of the value.
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: the pointer covers one initialised value without padding (trait contract).
        unsafe { core::slice::from_raw_parts(core::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }
}

/// Implements [`Plain`], and a value of zeros, for structs of this crate, which are `repr(C)`, consist of integers and
/// byte arrays, and whose size is asserted to be the sum of their fields.
#[doc(hidden)]
#[macro_export]
macro_rules! plain {
    ($($type:ty),+ $(,)?) => {$(
        // SAFETY: integers and byte arrays only, padding explicit, size asserted beside it.
        unsafe impl $crate::Plain for $type {}

        impl $type {
            /// Nothing but zeros.
            pub const EMPTY: Self = {
                // SAFETY: integers and byte arrays, for which zero is a value.
                unsafe { core::mem::zeroed() }
            };
        }
    )+};
}
