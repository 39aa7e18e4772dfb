//! What is mounted: `/proc/self/mountinfo` (`Documentation/filesystems/proc.rst`, 3.5).
//!
//! Names of mount points and of what is mounted are bytes that others choose: a label of a stick
//! that is no UTF-8 must not hide the other mounts.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

/// A mount.
#[derive(Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// Numbers of the device, as `8:1`.
    pub device: &'a [u8],
    /// What of the file system is mounted, as the kernel escapes it.
    pub root: &'a [u8],
    /// Type of the file system.
    pub kind: &'a [u8],
    /// The mount point, as the kernel escapes it.
    place: &'a [u8],
    /// Options of the file system.
    options: &'a [u8],
}

/// Those that the calling thread sees; nothing where there is no `/proc`.
pub fn read() -> Vec<u8> {
    fs::read("/proc/self/mountinfo").unwrap_or_default()
}

/// In their order; lines that are not as expected are passed over.
pub fn parse(mounts: &[u8]) -> impl Iterator<Item = Mount<'_>> {
    mounts.split(|&byte| byte == b'\n').filter_map(mount)
}

impl Mount<'_> {
    /// The mount point.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(unescape(self.place)))
    }

    /// What of the file system is mounted.
    pub(super) fn root_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.root))
    }

    /// Whether the file system has an option.
    pub fn has_option(&self, option: &[u8]) -> bool {
        self.options.split(|&byte| byte == b',').any(|one| one == option)
    }
}

/// `36 35 98:0 /root /path rw,noatime master:1 - type source rw`.
fn mount(line: &[u8]) -> Option<Mount<'_>> {
    let mut fields = line.split(|&byte| byte == b' ');
    let (device, root, place) = (fields.nth(2)?, fields.next()?, fields.next()?);
    fields.find(|field| *field == b"-")?;
    let kind = fields.next()?;
    Some(Mount { device, root, kind, place, options: fields.nth(1).unwrap_or_default() })
}

/// Spaces, tabs, ends of lines and backslashes are written as `\` and three octal digits
/// (`mangle_path`).
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match rest {
            [b'\\', high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', behind @ ..] => {
                ((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'), behind)
            }
            _ => (*first, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    bytes
}

/// Whether the file system of a device (`8:1`) is served by a process (FUSE).
pub(crate) fn is_fuse(mountinfo: &[u8], device: &[u8]) -> bool {
    parse(mountinfo).any(|mount| mount.device == device && mount.kind.starts_with(b"fuse"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn found(line: &[u8]) -> Option<(&str, &str, PathBuf)> {
        let mount = parse(line).next()?;
        let text = |bytes| str::from_utf8(bytes).unwrap();
        Some((text(mount.root), text(mount.kind), mount.path()))
    }

    #[rstest]
    #[case(
        b"35 24 0:30 / /sys/fs/cgroup/my\\040own rw,nosuid shared:9 - cgroup2 cgroup2 rw",
        Some(("/", "cgroup2", "/sys/fs/cgroup/my own"))
    )]
    #[case(
        b"103 29 0:4 net:[4026532205] /run/netns/blue rw - nsfs nsfs rw",
        Some(("net:[4026532205]", "nsfs", "/run/netns/blue"))
    )]
    #[case(b"1 2 3 / /a\\134\\011\\012\\04 rw - ext4 x rw", Some(("/", "ext4", "/a\\\t\n\\04")))]
    #[case(b"1 2 3 / /a rw ext4 x rw", None)]
    #[case(b"1 2 3 / /a rw -", None)]
    #[case(b"", None)]
    fn a_line_is_a_mount(#[case] line: &[u8], #[case] expected: Option<(&str, &str, &str)>) {
        let expected = expected.map(|(root, kind, path)| (root, kind, PathBuf::from(path)));
        assert_eq!(found(line), expected);
    }

    #[test]
    fn a_name_that_is_no_utf_8_hides_nothing() {
        let mounts = b"1 2 3 / /media/\xfcber rw - vfat x rw\n4 5 6 / /cgroup rw - cgroup2 x rw\n";
        let kinds: Vec<&[u8]> = parse(mounts).map(|mount| mount.kind).collect();
        assert_eq!(kinds, [&b"vfat"[..], b"cgroup2"]);
        assert_eq!(
            parse(mounts).next().unwrap().path().as_os_str().as_encoded_bytes(),
            b"/media/\xfcber"
        );
    }
}
