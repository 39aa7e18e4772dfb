//! Programs that read log files and send them on, by the rules by which each knows a file again.
//!
//! Vector: lib/file-source/src/fingerprinter.rs; Filebeat: filestream, `file_identity.fingerprint`;
//! filelog: pkg/stanza/fileconsumer/internal/fingerprint; Fluent Bit (in_tail) and rsyslog
//! (imfile): the inode of the file that has the path.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// How a file is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Vector: its first line.
    FirstLine,
    /// Filebeat: its first 1,024 bytes; a smaller one is not read.
    Kilobyte,
    /// filelog: its first 1,000 bytes, or as many as there were when it was seen first.
    Prefix,
    /// Fluent Bit, rsyslog: its inode, of that which has the path now.
    Inode,
}

/// All of them.
pub const RULES: [Rule; 4] = [Rule::FirstLine, Rule::Kilobyte, Rule::Prefix, Rule::Inode];
/// Filebeat leaves what is smaller to later.
pub const KILOBYTE: usize = 1024;

/// A reader, and what it has read.
#[derive(Debug)]
pub struct Shipper {
    rule: Rule,
    path: PathBuf,
    files: Vec<Known>,
}

/// A file that it knows.
#[derive(Debug)]
struct Known {
    identity: Vec<u8>,
    file: File,
    read: Vec<u8>,
}

impl Shipper {
    /// Of this file and, unless only the path counts, of those that were set aside.
    pub fn new(rule: Rule, path: &Path) -> Self {
        Self { rule, path: path.to_owned(), files: Vec::new() }
    }

    /// Looks for files, and reads on in each; how many bytes it has read so far.
    pub fn poll(&mut self) -> usize {
        for path in self.paths() {
            // Set aside in this moment.
            let Ok(file) = File::open(&path) else { continue };
            let Some(identity) = self.identity(&file) else { continue };
            match self.files.iter_mut().find(|known| self.rule.is_same(&known.identity, &identity))
            {
                // It reads on where it was, whatever file that is now.
                Some(known) => (known.file, known.identity) = (file, identity),
                None => self.files.push(Known { identity, file, read: Vec::new() }),
            }
        }
        self.files.iter_mut().map(Known::read_on).sum()
    }

    /// The lines that it has read, sorted.
    pub fn lines(&self) -> Vec<String> {
        let text = |known: &Known| String::from_utf8_lossy(&known.read).into_owned();
        let texts: Vec<String> = self.files.iter().map(text).collect();
        let mut lines: Vec<String> =
            texts.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    fn paths(&self) -> Vec<PathBuf> {
        if self.rule == Rule::Inode {
            return vec![self.path.clone()];
        }
        let directory = self.path.parent().expect("a directory");
        let entries = fs::read_dir(directory).expect("a directory").flatten();
        let ours = |path: &PathBuf| {
            *path == self.path
                || path.with_extension("") == self.path
                    && path.extension().is_some_and(|number| {
                        number.as_encoded_bytes().iter().all(u8::is_ascii_digit)
                    })
        };
        entries.map(|entry| entry.path()).filter(ours).collect()
    }

    /// By what it knows the file again; none where it cannot yet.
    fn identity(&self, file: &File) -> Option<Vec<u8>> {
        let mut begin = Vec::new();
        match self.rule {
            Rule::Inode => begin = file.metadata().ok()?.ino().to_ne_bytes().into(),
            Rule::Kilobyte => {
                file.take(KILOBYTE as u64).read_to_end(&mut begin).ok()?;
                (begin.len() == KILOBYTE).then_some(())?;
            }
            Rule::Prefix => {
                file.take(1000).read_to_end(&mut begin).ok()?;
                (!begin.is_empty()).then_some(())?;
            }
            Rule::FirstLine => {
                file.take(1 << 20).read_to_end(&mut begin).ok()?;
                let end = begin.iter().position(|&byte| byte == b'\n')?;
                begin.truncate(end);
            }
        }
        Some(begin)
    }
}

impl Rule {
    fn is_same(self, known: &[u8], found: &[u8]) -> bool {
        if self == Self::Prefix { found.starts_with(known) } else { found == known }
    }
}

impl Known {
    fn read_on(&mut self) -> usize {
        self.file.seek(SeekFrom::Start(self.read.len() as u64)).expect("a file");
        self.file.read_to_end(&mut self.read).expect("a file");
        self.read.len()
    }
}
