//! The bytes of the kernel's BTF, cheaply.
//!
//! The kernel hands out at most a page for each read(), which makes some 1,400 calls: half of a
//! start. Since 6.16 it lets the file be mapped instead (`btf_sysfs_vmlinux_mmap` in
//! kernel/bpf/sysfs_btf.c). Whether it does is found out by trying.

use std::{
    fs::{self, File},
    io,
    ops::Deref,
    os::fd::AsRawFd as _,
    ptr::{self, NonNull},
    slice,
};

/// Where the kernel shows it.
pub(super) const PATH: &str = "/sys/kernel/btf/vmlinux";

/// All of it, mapped where the kernel allows that, else copied.
pub(super) enum KernelBtf {
    Mapped(Mapping),
    Copied(Vec<u8>),
}

impl KernelBtf {
    /// # Errors
    ///
    /// Where it is not there or cannot be read.
    pub(super) fn open() -> io::Result<Self> {
        let mapped = File::open(PATH).and_then(|file| Mapping::of(&file));
        mapped.map(Self::Mapped).or_else(|_| fs::read(PATH).map(Self::Copied))
    }
}

impl Deref for KernelBtf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(mapping) => mapping.bytes(),
            Self::Copied(bytes) => bytes,
        }
    }
}

/// A file of the kernel's, mapped for reading.
pub(super) struct Mapping {
    start: NonNull<libc::c_void>,
    len: usize,
}

impl Mapping {
    fn of(file: &File) -> io::Result<Self> {
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let (protection, flags) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_POPULATE);
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of ours.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, file.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, len })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `len` readable bytes are mapped from `start` on until this is dropped. They are part
        // of the kernel's image: no one changes them, and the file never gets shorter.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what `of` has mapped, and nobody borrows any more.
        unsafe { libc::munmap(self.start.as_ptr(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_is_what_is_read() {
        let read = fs::read(PATH).expect("a kernel with BTF");
        assert_eq!(&*KernelBtf::open().unwrap(), read);
        assert_eq!(&*KernelBtf::Copied(read.clone()), read);
    }

    #[test]
    fn a_file_that_cannot_be_mapped_is_an_error() {
        // As the file of BTF was until 6.15.
        let file = File::open("/sys/kernel/notes").unwrap();
        assert!(Mapping::of(&file).is_err());
    }
}
