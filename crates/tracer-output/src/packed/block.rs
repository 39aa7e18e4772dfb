//! Blocks as they are stored.

use std::io::{self, Read};

/// What a recording begins with; the last byte is the version of the form. No text begins so.
pub const MAGIC: [u8; 8] = *b"\x89tracer\x03";

/// A larger block is none of ours, bytes: no line is longer than 16 MiB.
pub(super) const LARGEST: usize = 17 << 20;

/// As it is.
const PLAIN: u8 = 0;
/// By zstd.
const ZSTD: u8 = 1;

/// Lines that have been packed.
#[derive(Debug)]
pub struct Block {
    /// How many they are.
    pub lines: u64,
    pub(super) body: Vec<u8>,
}

/// A block as it stands in a file.
#[derive(Debug)]
pub struct Stored(Vec<u8>);

impl Stored {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Block {
    /// Its size in memory, bytes.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// For a file, compressed if asked for.
    ///
    /// # Errors
    ///
    /// Where the compressor fails.
    pub fn stored(&self, compress: bool) -> io::Result<Stored> {
        let packed = compress.then(|| zstd::bulk::compress(&self.body, 1)).transpose()?;
        let (kind, body) = match &packed {
            Some(packed) if packed.len() < self.body.len() => (ZSTD, packed.as_slice()),
            _ => (PLAIN, self.body.as_slice()),
        };
        let length =
            u32::try_from(body.len()).map_err(|_| io::Error::other("a block is too large"))?;
        let mut bytes = Vec::with_capacity(body.len() + 5);
        bytes.push(kind);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(body);
        Ok(Stored(bytes))
    }
}

/// What was read of the next block.
pub(super) enum Found {
    Whole,
    /// The file ends within it.
    Torn,
    End,
}

/// Reads the next block into `body`; memory is taken for what is there, not for what it says.
///
/// # Errors
///
/// Where the file cannot be read, or holds something else.
pub(super) fn read(file: &mut impl Read, body: &mut Vec<u8>) -> io::Result<Found> {
    body.clear();
    let mut kind = [0];
    loop {
        if fill(file, &mut kind)? == 0 {
            return Ok(Found::End);
        }
        // Recordings one behind the other are one.
        if kind[0] != MAGIC[0] {
            break;
        }
        let mut rest = [0; MAGIC.len() - 1];
        match fill(file, &mut rest)? {
            read if read < rest.len() && MAGIC[1..].starts_with(&rest[..read]) => {
                return Ok(Found::Torn);
            }
            _ => check_magic(rest)?,
        }
    }
    let mut length = [0; 4];
    if fill(file, &mut length)? < length.len() {
        return Ok(Found::Torn);
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > LARGEST {
        return Err(damaged("a block is too large"));
    }
    let mut stored = file.take(length as u64);
    match kind[0] {
        PLAIN => {
            let read = stored.read_to_end(body)?;
            Ok(if read < length { Found::Torn } else { Found::Whole })
        }
        ZSTD => decompress(&mut stored, body),
        _ => Err(damaged("an unknown kind of block")),
    }
}

fn decompress(stored: &mut impl Read, body: &mut Vec<u8>) -> io::Result<Found> {
    let plain = zstd::stream::read::Decoder::new(&mut *stored)?;
    match plain.take(LARGEST as u64 + 1).read_to_end(body) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Found::Torn),
        Err(error) => Err(damaged(&error.to_string())),
        Ok(read) if read > LARGEST => Err(damaged("a block is too large")),
        Ok(_) => {
            // What stands behind the compressed block in its place.
            io::copy(stored, &mut io::sink())?;
            Ok(Found::Whole)
        }
    }
}

fn check_magic(rest: [u8; MAGIC.len() - 1]) -> io::Result<()> {
    if rest == MAGIC[1..] {
        return Ok(());
    }
    let [name @ .., version] = rest;
    if name == MAGIC[1..MAGIC.len() - 1] {
        let ours = MAGIC[MAGIC.len() - 1];
        let words = format!(
            "the recording has form {version}, and this tracer reads {ours}: use the one that \
             recorded it"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, words));
    }
    Err(damaged("no recording of tracer"))
}

/// As many bytes as there are.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Says no more: how is of use to us only.
#[derive(Debug, thiserror::Error)]
#[error("the recording is damaged")]
struct Damaged(String);

/// What is wrong with the bytes.
pub(super) fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Damaged(what.to_owned()))
}
