//! Reads what is needed out of the kernel's BTF: offsets of struct members, the number of arguments
//! of tracepoints, and what programs can be attached to.
//!
//! The kernel's BTF is some 6 MB with a hundred thousand types, of which a few dozen are wanted.
//! This reader notes where each type lies in one pass and looks nothing else at; a general parser
//! takes longer than everything else at start-up together. It follows no split BTF of modules and
//! trusts no length in the file. Format: `Documentation/bpf/btf.rst`.

use std::{collections::HashMap, ffi::CStr};

use aya_obj::btf::{BtfType, Func, FuncLinkage};

/// Why a BTF blob could not be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BtfError {
    /// Not BTF, or of the other byte order.
    #[error("BTF: no magic number {MAGIC:#x} at the start")]
    Magic,
    /// A section or type reaches beyond the end.
    #[error("BTF: cut short at byte {0}")]
    Truncated(usize),
    /// A kind that this reader does not know, so that the start of the next type is unknown.
    #[error("BTF: type {id} is of the unknown kind {kind}")]
    Kind {
        /// Type id.
        id: u32,
        /// Kind number.
        kind: u32,
    },
}

const MAGIC: u16 = 0xeb9f;

mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FWD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const FLOAT: u32 = 16;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// `struct btf_type`: three words, then what the kind demands.
#[derive(Clone, Copy, Debug)]
struct Type {
    name: u32,
    info: u32,
    /// Size in bytes or id of another type, by kind.
    size_or_type: u32,
    /// Where the words that follow begin.
    rest: usize,
}

impl Type {
    fn kind(self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    fn len(self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// Bit offsets of members are packed with bit-field sizes.
    fn has_bitfields(self) -> bool {
        self.info >> 31 == 1
    }

    /// Bytes after the three words.
    fn rest_len(self) -> Option<usize> {
        Some(match self.kind() {
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * self.len(),
            kind::ENUM | kind::FUNC_PROTO => 8 * self.len(),
            kind::PTR
            | kind::FWD
            | kind::TYPEDEF
            | kind::VOLATILE
            | kind::CONST
            | kind::RESTRICT
            | kind::FUNC
            | kind::FLOAT
            | kind::TYPE_TAG => 0,
            _ => return None,
        })
    }
}

/// A parsed BTF blob: an index over borrowed bytes.
pub struct Btf<'a> {
    bytes: &'a [u8],
    strings: &'a [u8],
    /// Byte offset of each type, by id; id 0 is `void`.
    types: Vec<u32>,
    /// Ids of the named structs, enums, typedefs and functions that were asked for.
    wanted: HashMap<&'a [u8], u32>,
}

/// Anonymous structs and unions within each other; the kernel's have four levels at most.
const DEEPEST: u32 = 8;
/// Members that are looked at for one name: in a damaged blob anonymous structs may lead back to
/// themselves, which makes more ways than there is time.
const MOST_MEMBERS: u32 = 1 << 16;

/// A name that is looked for, and how long still.
struct Search<'a> {
    name: &'a [u8],
    members: u32,
}

/// Position of a member within its struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Offset from the start of the struct, bits.
    pub bit: u32,
    /// Whether it is a bit-field.
    pub bitfield: bool,
}

impl<'a> Btf<'a> {
    /// Indexes `bytes`; only the structs, unions, enums, typedefs and functions whose names `wanted`
    /// accepts can be looked up afterwards.
    ///
    /// # Errors
    ///
    /// Where the blob is no BTF of this machine's byte order, or damaged.
    pub fn parse(bytes: &'a [u8], wanted: impl Fn(&[u8]) -> bool) -> Result<Self, BtfError> {
        if bytes.get(..2) != Some(&MAGIC.to_ne_bytes()) {
            return Err(BtfError::Magic);
        }
        // struct btf_header: magic, version, flags, then hdr_len and two (offset, length) pairs.
        let header = word(bytes, 4)? as usize;
        let section = |offset: usize, len: usize| -> Result<(usize, usize), BtfError> {
            let start = header + word(bytes, offset)? as usize;
            let end = start + word(bytes, len)? as usize;
            if end > bytes.len() { Err(BtfError::Truncated(end)) } else { Ok((start, end)) }
        };
        let (types_start, types_end) = section(8, 12)?;
        let (strings_start, strings_end) = section(16, 20)?;
        let mut btf = Self {
            bytes: &bytes[..types_end],
            strings: &bytes[strings_start..strings_end],
            types: vec![0],
            wanted: HashMap::new(),
        };
        btf.index(types_start, wanted)?;
        Ok(btf)
    }

    fn index(&mut self, start: usize, wanted: impl Fn(&[u8]) -> bool) -> Result<(), BtfError> {
        let mut at = start;
        while at < self.bytes.len() {
            let id = self.types.len() as u32;
            let found = read_type(self.bytes, at)?;
            self.types.push(at as u32);
            let kinds = [kind::STRUCT, kind::UNION, kind::ENUM, kind::TYPEDEF, kind::FUNC];
            if kinds.contains(&found.kind()) {
                let name = self.string(found.name);
                if wanted(name) {
                    self.wanted.entry(name).or_insert(id);
                }
            }
            let rest = found.rest_len().ok_or(BtfError::Kind { id, kind: found.kind() })?;
            at = found.rest + rest;
        }
        if at == self.bytes.len() { Ok(()) } else { Err(BtfError::Truncated(at)) }
    }

    fn string(&self, offset: u32) -> &'a [u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        CStr::from_bytes_until_nul(rest).map_or(rest, CStr::to_bytes)
    }

    fn get(&self, id: u32) -> Option<Type> {
        read_type(self.bytes, *self.types.get(id as usize).filter(|_| id != 0)? as usize).ok()
    }

    /// The type behind typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<(u32, Type)> {
        // Bounded, so that a damaged blob with a cycle ends.
        for _ in 0..32 {
            let found = self.get(id)?;
            match found.kind() {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = found.size_or_type;
                }
                _ => return Some((id, found)),
            }
        }
        None
    }

    /// Position of `path` (members joined by dots) in the struct `container`.
    pub fn member(&self, container: &str, path: &str) -> Option<Position> {
        let mut id = *self.wanted.get(container.as_bytes())?;
        let mut position = Position { bit: 0, bitfield: false };
        for name in path.split('.') {
            let mut search = Search { name: name.as_bytes(), members: MOST_MEMBERS };
            let (bit, bitfield, member_type) = self.find_member(id, &mut search, DEEPEST)?;
            position = Position { bit: position.bit.checked_add(bit)?, bitfield };
            id = member_type;
        }
        Some(position)
    }

    /// Bit offset, whether a bit-field, and type id of a member, through anonymous structs and
    /// unions up to `depth`.
    fn find_member(
        &self,
        id: u32,
        search: &mut Search<'_>,
        depth: u32,
    ) -> Option<(u32, bool, u32)> {
        let (_, container) = self.resolve(id)?;
        if depth == 0 || !matches!(container.kind(), kind::STRUCT | kind::UNION) {
            return None;
        }
        for index in 0..container.len() {
            search.members = search.members.checked_sub(1)?;
            let at = container.rest + 12 * index;
            let member_type = word(self.bytes, at + 4).ok()?;
            let packed = word(self.bytes, at + 8).ok()?;
            let (bit, size) = if container.has_bitfields() {
                (packed & 0x00ff_ffff, packed >> 24)
            } else {
                (packed, 0)
            };
            let member = self.string(word(self.bytes, at).ok()?);
            if member == search.name {
                return Some((bit, size != 0, member_type));
            }
            if member.is_empty()
                && let Some((inner, bitfield, inner_type)) =
                    self.find_member(member_type, search, depth - 1)
            {
                return Some((bit.checked_add(inner)?, bitfield, inner_type));
            }
        }
        None
    }

    /// How many arguments a program on tracepoint `name` gets, `None` if there is no such
    /// tracepoint: `typedef void (*btf_trace_NAME)(void *, …)`, whose first is the tracer's own.
    pub fn tracepoint_arguments(&self, name: &str) -> Option<usize> {
        let id = *self.wanted.get(format!("btf_trace_{name}").as_bytes())?;
        let (_, pointer) = self.resolve(id)?;
        let (_, prototype) = self.resolve(pointer.size_or_type)?;
        (prototype.kind() == kind::FUNC_PROTO).then(|| prototype.len().saturating_sub(1))
    }

    /// The value of an enumerator; `None` where the kernel has no such enum or none of that name.
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        let found = self.get(*self.wanted.get(enumeration.as_bytes())?)?;
        let mut values = (0..found.len()).map(|index| found.rest + 8 * index);
        let named = |at| word(self.bytes, at).is_ok_and(|at| self.string(at) == name.as_bytes());
        values
            .find(|&at| found.kind() == kind::ENUM && named(at))
            .and_then(|at| word(self.bytes, at + 4).ok())
    }

    /// The typedefs and functions that were asked for: what programs are attached to.
    pub fn targets(&self) -> Targets {
        let target = |(name, id): (&&[u8], &u32)| {
            Some(Target { id: *id, found: self.get(*id)?, name: (*name).into() })
        };
        let mut targets: Vec<Target> = self.wanted.iter().filter_map(target).collect();
        targets.retain(|target| matches!(target.found.kind(), kind::TYPEDEF | kind::FUNC));
        targets.sort_unstable_by_key(|target| target.id);
        Targets(targets)
    }
}

/// Typedefs and functions in the order of their ids.
#[derive(Debug)]
pub struct Targets(Vec<Target>);

#[derive(Debug)]
struct Target {
    id: u32,
    found: Type,
    name: Box<[u8]>,
}

impl Targets {
    /// For aya, which looks them up by name: with the ids that they have in the kernel, and nameless
    /// types between them. To have it parse the kernel's own takes ten times as long, and as much memory.
    ///
    /// # Errors
    ///
    /// Where aya does not take what this makes.
    pub fn for_aya(&self) -> Result<aya::Btf, aya::BtfError> {
        let is_typedef = |target: &Target| target.found.kind() == kind::TYPEDEF;
        let parsed = self.0.iter().rposition(is_typedef).map_or(0, |last| last + 1);
        let (parsed, added) = self.0.split_at(parsed);
        let last = parsed.last().map_or(0, |target| target.id);
        let mut types = vec![[0, kind::FWD << 24, 0]; last as usize];
        let mut strings = vec![0];
        for Target { id, found, name } in parsed {
            types[*id as usize - 1] = [strings.len() as u32, found.info, found.size_or_type];
            strings.extend(name);
            strings.push(0);
        }
        // A typedef can only be had parsed; to add the rest takes a fraction of the time.
        let bytes = blob(types.as_flattened(), &strings);
        let mut btf = aya::Btf::parse(&bytes, aya::Endianness::default())?;
        let mut next = last + 1;
        for Target { id, found, name } in added {
            let Ok(name) = str::from_utf8(name) else { continue };
            let name = btf.add_string(name);
            while next < *id {
                next = btf.add_type(BtfType::Unknown) + 1;
            }
            let function = Func::new(name, found.size_or_type, FuncLinkage::Global);
            next = btf.add_type(BtfType::Func(function)) + 1;
        }
        Ok(btf)
    }
}

/// A blob of types, as words, and strings.
fn blob(types: &[u32], strings: &[u8]) -> Vec<u8> {
    let len = 4 * types.len() as u32;
    let mut bytes = Vec::with_capacity(24 + len as usize + strings.len());
    bytes.extend(MAGIC.to_ne_bytes());
    bytes.extend([1, 0]);
    for word in [24, 0, len, len, strings.len() as u32] {
        bytes.extend(u32::to_ne_bytes(word));
    }
    bytes.extend(types.iter().flat_map(|word| word.to_ne_bytes()));
    bytes.extend(strings);
    bytes
}

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let four = at.checked_add(4).and_then(|end| bytes.get(at..end));
    four.and_then(|four| four.try_into().ok())
        .map(u32::from_ne_bytes)
        .ok_or(BtfError::Truncated(at))
}

fn read_type(bytes: &[u8], at: usize) -> Result<Type, BtfError> {
    Ok(Type {
        name: word(bytes, at)?,
        info: word(bytes, at + 4)?,
        size_or_type: word(bytes, at + 8)?,
        rest: at + 12,
    })
}

#[cfg(test)]
mod tests;
