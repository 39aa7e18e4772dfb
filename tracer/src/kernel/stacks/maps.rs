//! What a process has mapped to run: `/proc/PID/maps` (`proc_pid_maps(5)`).

use std::sync::Arc;

use crate::sink::escape::escape;

/// Mappings with code, ascending by address.
#[derive(Debug, Default)]
pub(crate) struct Maps(Vec<Mapping>);

#[derive(Debug)]
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
    path: Arc<str>,
}

impl Maps {
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut maps: Vec<Mapping> =
            text.split(|&byte| byte == b'\n').filter_map(mapping).collect();
        maps.sort_by_key(|mapping| mapping.start);
        Self(maps)
    }

    /// The file that is mapped at an address, and where in it.
    pub(crate) fn find(&self, address: u64) -> Option<(Arc<str>, u64)> {
        let after = self.0.partition_point(|mapping| mapping.start <= address);
        let mapping = self.0[..after].last().filter(|mapping| address < mapping.end)?;
        let offset = mapping.offset.checked_add(address - mapping.start)?;
        Some((Arc::clone(&mapping.path), offset))
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
    let [range, rights, offset, ..] = fields;
    if path.is_empty() || !rights.contains('x') {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some(Mapping {
        start: hex(start)?,
        end: hex(end)?,
        offset: hex(offset)?,
        path: escape(path).into(),
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
