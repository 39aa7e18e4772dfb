//! An object without DWARF: four fifths of the file, which neither the loader nor the kernel reads.
//!
//! The verifier's log has its source lines from BTF. binutils refuse to write objects for BPF, and
//! LLVM's tools are not everywhere where its library is.

/// Where things are in the header of a 64-bit ELF file and of a section (`elf(5)`).
const SECTIONS: usize = 0x28;
const SECTION_COUNT: usize = 0x3c;
const NAMES: usize = 0x3e;
const SECTION_HEADER: usize = 64;
const OFFSET: usize = 0x18;
const SIZE: usize = 0x20;
const ALIGNMENT: usize = 8;

/// The same file with empty DWARF sections; their headers stay, because symbols, relocations and
/// links count sections. `None` if it is no such file.
pub(crate) fn without_dwarf(object: &[u8]) -> Option<Vec<u8>> {
    // A 64-bit, little-endian file.
    object.starts_with(b"\x7fELF\x02\x01").then_some(())?;
    let start = number(object, SECTIONS, 8)?;
    let count = number(object, SECTION_COUNT, 2)?;
    let headers = object.get(start..start.checked_add(count.checked_mul(SECTION_HEADER)?)?)?;
    let headers: Vec<&[u8]> = headers.chunks_exact(SECTION_HEADER).collect();
    let names = contents(object, headers.get(number(object, NAMES, 2)?)?)?;
    let mut stripped = object.get(..SECTION_HEADER)?.to_vec();
    let mut written = Vec::new();
    for header in headers {
        let name = names.get(number(header, 0, 4)?..)?;
        let is_dwarf = [&b".debug_"[..], b".rel.debug_"].iter().any(|one| name.starts_with(one));
        let kept = if is_dwarf { &[][..] } else { contents(object, header)? };
        stripped.resize(stripped.len().next_multiple_of(ALIGNMENT), 0);
        let mut header = header.to_vec();
        put(&mut header, OFFSET, stripped.len());
        if is_dwarf {
            put(&mut header, SIZE, 0);
        }
        stripped.extend_from_slice(kept);
        written.extend(header);
    }
    stripped.resize(stripped.len().next_multiple_of(ALIGNMENT), 0);
    let start = stripped.len();
    put(&mut stripped, SECTIONS, start);
    stripped.extend(written);
    Some(stripped)
}

fn contents<'a>(object: &'a [u8], header: &[u8]) -> Option<&'a [u8]> {
    /// Sections that have a size and nothing in the file (`SHT_NULL`, `SHT_NOBITS`).
    const WITHOUT: [usize; 2] = [0, 8];
    if WITHOUT.contains(&number(header, 4, 4)?) {
        return Some(&[]);
    }
    let start = number(header, OFFSET, 8)?;
    object.get(start..start.checked_add(number(header, SIZE, 8)?)?)
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn put(bytes: &mut [u8], at: usize, number: usize) {
    bytes[at..at + 8].copy_from_slice(&(number as u64).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with the sections `names` (the last of them holds the names), each with eight bytes
    /// of its own number.
    fn file(names: &[&str]) -> Vec<u8> {
        let table =
            names.iter().fold(Vec::new(), |table, name| [&table, name.as_bytes(), &[0]].concat());
        let mut file = vec![0; SECTION_HEADER];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let (mut headers, mut name) = (Vec::new(), 0);
        for (number, text) in names.iter().enumerate() {
            let last = number + 1 == names.len();
            let bytes = if last { table.clone() } else { vec![u8::try_from(number).unwrap(); 8] };
            let mut header = vec![0; SECTION_HEADER];
            header[0] = u8::try_from(name).unwrap();
            header[4] = 1;
            put(&mut header, OFFSET, file.len());
            put(&mut header, SIZE, bytes.len());
            file.extend(bytes);
            headers.extend(header);
            name += text.len() + 1;
        }
        let start = file.len();
        put(&mut file, SECTIONS, start);
        file[SECTION_COUNT] = u8::try_from(names.len()).unwrap();
        file[NAMES] = file[SECTION_COUNT] - 1;
        file.extend(headers);
        file
    }

    /// What the sections hold.
    fn sections(file: &[u8]) -> Vec<Vec<u8>> {
        let start = number(file, SECTIONS, 8).unwrap();
        let headers = file[start..].chunks_exact(SECTION_HEADER);
        headers.map(|header| contents(file, header).unwrap().to_vec()).collect()
    }

    #[test]
    fn only_dwarf_goes_and_every_section_keeps_its_number() {
        let whole = file(&["tp", ".debug_info", ".rel.debug_info", ".BTF.ext", ".strtab"]);
        let stripped = without_dwarf(&whole).unwrap();
        let (before, after) = (sections(&whole), sections(&stripped));
        assert_eq!([&after[0], &after[3], &after[4]], [&before[0], &before[3], &before[4]]);
        assert_eq!([after[1].len(), after[2].len()], [0, 0]);
        assert_eq!(without_dwarf(&stripped).as_ref(), Some(&stripped), "nothing is left to go");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let whole = file(&["tp", ".strtab"]);
        assert_eq!(without_dwarf(b"MZ"), None);
        assert!((6..whole.len()).all(|length| without_dwarf(&whole[..length]).is_none()));
    }
}
