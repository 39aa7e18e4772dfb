//! aya's loader, without the kernel's BTF.
//!
//! [`EbpfLoader::new`] parses all of it, asked or not: a quarter of a start, and more memory than
//! all else. A thread that may not open files cannot, and the loader does without.

use std::{env::consts::ARCH, thread};

use aya::EbpfLoader;
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter};

#[cfg(target_arch = "x86_64")]
const OPENING: &[libc::c_long] = &[libc::SYS_open, libc::SYS_openat];
#[cfg(not(target_arch = "x86_64"))]
const OPENING: &[libc::c_long] = &[libc::SYS_openat];

/// A loader that has read nothing; where the kernel has no seccomp, one that has.
pub(super) fn new() -> EbpfLoader<'static> {
    let make = || {
        // Where it fails, it takes longer.
        let _ = no_files().map(|filter| seccompiler::apply_filter(&filter));
        EbpfLoader::new()
    };
    let thread = thread::Builder::new().name("tracer-loader".into()).spawn(make);
    thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_default()
}

fn no_files() -> Result<BpfProgram, BackendError> {
    let rules = OPENING.iter().map(|&call| (call, Vec::new())).collect();
    let denied = SeccompAction::Errno(libc::EACCES as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, denied, ARCH.try_into()?)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_btf_is_not_read() {
        let loader = format!("{:?}", new());
        assert!(loader.contains("btf: None"), "{loader:.200}");
        // Only that thread may not.
        std::fs::read("/proc/self/stat").unwrap();
    }
}
