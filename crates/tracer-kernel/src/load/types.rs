//! What is needed of the kernel's types, to load programs.

use std::fs::File;

use tracer_wire::Offsets;

use super::{
    LoadError, accept,
    kernel_btf::{self, KernelBtf},
    offsets::{self, OffsetsError},
    verify,
};
use crate::btf::{self, Targets};

/// Read from the kernel's BTF. That itself is megabytes, and let go.
pub(super) struct Types {
    /// Where the members lie that the programs read.
    pub(super) offsets: Offsets,
    /// What programs are attached to.
    pub(super) targets: Targets,
    /// `tcp_send_reset` says why (6.12).
    pub(super) has_reset_reason: bool,
    /// `iter/tcp` may skip sockets.
    pub(super) iterators_skip: bool,
}

impl Types {
    /// # Errors
    ///
    /// Where there is no BTF, or it lacks something required.
    pub(super) fn read() -> Result<Self, LoadError> {
        let bytes = KernelBtf::open().map_err(|error| LoadError::NoBtf(error.to_string()))?;
        let members = offsets::wanted();
        let wanted = |name: &[u8]| {
            verify::is_target(name) || members.contains(name) || accept::is_target(name)
        };
        let index = btf::Btf::parse(&bytes, wanted).map_err(OffsetsError::from)?;
        let offsets = offsets::resolve(&index)?;
        let has_reset_reason = offsets::has_reset_reason(&index);
        let iterators_skip = offsets::iterators_skip(&index);
        let targets = index.targets();
        Ok(Self { offsets, targets, has_reset_reason, iterators_skip })
    }
}

/// Whether the kernel describes its types.
///
/// # Errors
///
/// Where it does not.
pub fn check() -> Result<(), LoadError> {
    File::open(kernel_btf::PATH).map(drop).map_err(|error| LoadError::NoBtf(error.to_string()))
}
