//! What a process has mapped to run: `/proc/PID/maps` (`proc_pid_maps(5)`).

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use tracer_event::escape::{escape, harmless};

/// No sane process has more mappings with code.
const MOST: usize = 4096;
/// Characters of a path that are kept.
const LONGEST: usize = 512;

/// Mappings with code, ascending by address. A worker sends them, whose word is not trusted.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Mapping>")]
pub struct Maps(Vec<Mapping>);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) offset: u64,
    #[serde(deserialize_with = "bounded_path")]
    pub(super) path: Arc<str>,
    #[serde(skip)]
    pub(super) file: FileId,
}

/// Which file is mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) inode: u64,
}

impl Mapping {
    /// Whether a runtime can have compiled the code while it runs: memory of no file, and not of the
    /// kernel (`[vdso]`).
    pub(super) fn is_compiled(&self) -> bool {
        self.file.inode == 0 && (self.path.is_empty() || self.path.starts_with("[anon"))
    }
}

impl From<Vec<Mapping>> for Maps {
    fn from(mut maps: Vec<Mapping>) -> Self {
        maps.truncate(MOST);
        maps.sort_by_key(|mapping| mapping.start);
        Self(maps)
    }
}

impl Maps {
    /// From the text of `/proc/PID/maps`.
    pub fn parse(text: &[u8]) -> Self {
        let lines = text.split(|&byte| byte == b'\n');
        lines.filter_map(mapping).take(MOST).collect::<Vec<_>>().into()
    }

    /// The mapping at an address, and where in its file that is.
    pub(super) fn at(&self, address: u64) -> Option<(&Mapping, u64)> {
        let after = self.0.partition_point(|mapping| mapping.start <= address);
        let mapping = self.0[..after].last().filter(|mapping| address < mapping.end)?;
        Some((mapping, mapping.offset.checked_add(address - mapping.start)?))
    }

    /// The file that is mapped at an address, and where in it.
    pub fn find(&self, address: u64) -> Option<(Arc<str>, u64)> {
        let (mapping, offset) = self.at(address).filter(|(one, _)| !one.path.is_empty())?;
        Some((Arc::clone(&mapping.path), offset))
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

fn bounded_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    String::deserialize(deserializer).map(|path| bounded(&path).into())
}

/// `55d0-55e0 r-xp 00001000 fe:01 1234      /usr/bin/app`; the path may hold spaces, or be missing.
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
    if !rights.contains('x') {
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
