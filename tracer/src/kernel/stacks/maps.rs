//! What a process has mapped to run: `/proc/PID/maps` (`proc_pid_maps(5)`).

use std::sync::Arc;

use crate::event::escape::{escape, harmless};

/// More mappings with code than this no sane process has.
const MOST: usize = 4096;
/// Characters of a path that are kept.
const LONGEST: usize = 512;

/// Mappings with code, ascending by address.
#[derive(Debug, Default)]
pub(crate) struct Maps(Vec<Mapping>);

#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) offset: u64,
    pub(super) path: Arc<str>,
    pub(super) file: FileId,
}

/// Which file is mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) inode: u64,
}

/// A mapping as a worker tells it: start, end, offset, path.
pub(super) type Told = (u64, u64, u64, String);

impl Maps {
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self::of(text.split(|&byte| byte == b'\n').filter_map(mapping))
    }

    fn of(maps: impl Iterator<Item = Mapping>) -> Self {
        let mut maps: Vec<Mapping> = maps.take(MOST).collect();
        maps.sort_by_key(|mapping| mapping.start);
        Self(maps)
    }

    /// As a worker has told them, who may not be himself any more.
    pub(super) fn from_told(told: Vec<Told>) -> Self {
        Self::of(told.into_iter().map(|(start, end, offset, path)| Mapping {
            start,
            end,
            offset,
            path: bounded(&path).into(),
            file: FileId::default(),
        }))
    }

    pub(super) fn to_told(&self) -> Vec<Told> {
        let told = |one: &Mapping| (one.start, one.end, one.offset, one.path.to_string());
        self.0.iter().map(told).collect()
    }

    /// The mapping at an address, and where in its file that is.
    pub(super) fn at(&self, address: u64) -> Option<(&Mapping, u64)> {
        let after = self.0.partition_point(|mapping| mapping.start <= address);
        let mapping = self.0[..after].last().filter(|mapping| address < mapping.end)?;
        Some((mapping, mapping.offset.checked_add(address - mapping.start)?))
    }

    /// The file that is mapped at an address, and where in it.
    pub(crate) fn find(&self, address: u64) -> Option<(Arc<str>, u64)> {
        self.at(address).map(|(mapping, offset)| (Arc::clone(&mapping.path), offset))
    }
}

/// Without its end, where it is too long; harmless to look at.
pub(super) fn bounded(text: &str) -> String {
    let text = harmless(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

/// `55d0-55e0 r-xp 00001000 fe:01 1234      /usr/bin/app`; the path may hold spaces.
fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut fields = [""; 5];
    for field in &mut fields {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|&byte| byte == b' ')?;
        *field = str::from_utf8(&rest[..end]).ok()?;
        rest = &rest[end..];
    }
    let path = rest.trim_ascii();
    let [range, rights, offset, device, inode] = fields;
    if path.is_empty() || !rights.contains('x') {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let (major, minor) = device.split_once(':')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let number = |text| u32::from_str_radix(text, 16).ok();
    Some(Mapping {
        start: hex(start)?,
        end: hex(end)?,
        offset: hex(offset)?,
        path: escape(path).into(),
        file: FileId { major: number(major)?, minor: number(minor)?, inode: inode.parse().ok()? },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_the_file_that_is_mapped_there() {
        let text = b"7f00-7f10 r--p 00000000 fe:01 12                 /usr/lib/libc.so.6\n\
            7f10-7f20 r-xp 00001000 fe:01 12                 /usr/lib/libc.so.6\n\
            7f30-7f40 r-xp 00000000 00:00 0 \n\
            5500-5510 r-xp 00000400 fe:01 13                 /opt/my app (deleted)\n\
            7f50-7f60 r-xp 00000000 00:00 0                  [vdso]\nbroken";
        let maps = Maps::parse(text);
        let found = |address| maps.find(address).map(|(path, offset)| (path.to_string(), offset));
        assert_eq!(found(0x7f12), Some(("/usr/lib/libc.so.6".into(), 0x1002)));
        assert_eq!(found(0x550f), Some(("/opt/my app (deleted)".into(), 0x40f)));
        assert_eq!(found(0x7f50), Some(("[vdso]".into(), 0)));
        for outside in [0, 0x7f00, 0x7f20, 0x7f35, 0x7f60, u64::MAX] {
            assert_eq!(found(outside), None, "{outside:x}");
        }
    }
}
