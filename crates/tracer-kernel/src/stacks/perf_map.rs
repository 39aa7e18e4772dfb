//! Names of code that a runtime has compiled while it runs: `/tmp/perf-PID.map`
//! (`tools/perf/Documentation/jit-interface.txt`), as the JVM, node and Python write it.
//!
//! Only where the file is regular and belongs to the user of the process: anybody may put a file
//! there, and what it says is shown as the names of that process's functions. It is opened with the
//! privileges of the worker and read without.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use hashbrown::HashMap;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatxFlags, openat, statx};

use super::maps::bounded;
use crate::mounts;
use tracer_event::escape::escape;

/// Larger files are not read.
const LARGEST: u64 = 64 << 20;

/// Opens that of a process, in whatever directory it calls `/tmp`.
pub(super) fn open(pid: u32, mountinfo: &[u8]) -> Option<File> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let last = |label: &str| status.lines().find_map(|line| line.strip_prefix(label));
    // It knows itself by its number in the innermost namespace.
    let own = last("NSpid:")?.split_ascii_whitespace().next_back()?.parse::<u32>().ok()?;
    let users = last("Uid:")?.split_ascii_whitespace().take(2);
    let users: Vec<u32> = users.filter_map(|user| user.parse().ok()).collect();
    // Nothing of the file itself is asked yet, and no link is followed out of that root.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let inside = flags | OFlags::NOFOLLOW;
    let root = openat(CWD, format!("/proc/{pid}/root"), flags, Mode::empty()).ok()?;
    let directory = openat(&root, "tmp", inside | OFlags::DIRECTORY, Mode::empty()).ok()?;
    let found = openat(&directory, format!("perf-{own}.map"), inside, Mode::empty()).ok()?;
    if !is_fit(&found, &users, mountinfo) {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    Some(openat(CWD, again, flags, Mode::empty()).ok()?.into())
}

/// Regular, of one of these users, not too large, and answered for by the kernel.
fn is_fit(found: &OwnedFd, users: &[u32], mountinfo: &[u8]) -> bool {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let wanted = StatxFlags::TYPE | StatxFlags::UID | StatxFlags::SIZE;
    let Ok(known) = statx(found.as_fd(), "", flags, wanted) else { return false };
    let device = format!("{}:{}", known.stx_dev_major, known.stx_dev_minor);
    FileType::from_raw_mode(known.stx_mode.into()) == FileType::RegularFile
        && users.contains(&known.stx_uid)
        && known.stx_size <= LARGEST
        && !mounts::is_fuse(mountinfo, device.as_bytes())
}

/// The names at these addresses. Code is compiled anew where other code was: the last one counts.
pub(super) fn names(file: &File, mut addresses: Vec<u64>) -> HashMap<u64, String> {
    addresses.sort_unstable();
    addresses.dedup();
    let mut names = HashMap::new();
    // It may have grown.
    let mut text = BufReader::new(file.take(LARGEST));
    let mut line = Vec::new();
    while text.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        if let Some((start, size, name)) = entry(&line) {
            let first = addresses.partition_point(|&address| address < start);
            let covered = addresses[first..].iter().take_while(|&&address| address - start < size);
            for &address in covered {
                names.insert(address, bounded(&escape(name)));
            }
        }
        line.clear();
    }
    names
}

/// `7f2a10 40 py::serve:/srv/app.py`: start and size in hexadecimal digits; the name may hold spaces.
fn entry(line: &[u8]) -> Option<(u64, u64, &[u8])> {
    let mut fields = line.trim_ascii_end().splitn(3, |&byte| byte == b' ');
    let mut hex = || {
        let digits = str::from_utf8(fields.next()?).ok()?;
        u64::from_str_radix(digits.trim_start_matches("0x"), 16).ok()
    };
    let (start, size) = (hex()?, hex()?);
    Some((start, size, fields.next().filter(|name| !name.is_empty())?))
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn the_last_code_at_an_address_is_named() {
        let mut file = tempfile::tempfile().unwrap();
        let text = "1000 10 old\nbroken\n1000 20 new one\n0x2000 8 a\x1b[2J\n3000 0 none\n4000 8\n";
        file.write_all(text.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let found = names(&file, vec![0x2000, 0x1000, 0x101f, 0x1020, 0xfff, 0x3000, 0x4000]);
        let mut found: Vec<(u64, &str)> = found.iter().map(|(at, name)| (*at, &**name)).collect();
        found.sort_unstable();
        assert_eq!(found, [(0x1000, "new one"), (0x101f, "new one"), (0x2000, "a\\x1b[2J")]);
    }

    #[test]
    fn neither_links_nor_files_of_others_are_fit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("map");
        fs::write(&path, b"1 1 x").unwrap();
        symlink(&path, directory.path().join("link")).unwrap();
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let open = |name: &str| openat(CWD, directory.path().join(name), flags, Mode::empty());
        let user = rustix::process::geteuid().as_raw();
        assert!(is_fit(&open("map").unwrap(), &[user], b""));
        assert!(!is_fit(&open("map").unwrap(), &[user + 1], b""), "of another user");
        assert!(!is_fit(&open("link").unwrap(), &[user], b""), "a link");
        let large = File::create(&path).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        assert!(!is_fit(&open("map").unwrap(), &[user], b""), "too large");
    }
}
