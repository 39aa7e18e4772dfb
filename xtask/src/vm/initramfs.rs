//! The file system that a machine boots into: programs with the libraries they need, the kernel's
//! modules, the live tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufWriter},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use cpio::newc::{Builder, ModeFileType, trailer};

use crate::{architecture::Architecture, process};

/// Where Debian has programs, and where the loader finds libraries, beside the directories of an
/// architecture.
const PROGRAMS: [&str; 4] = ["usr/bin", "bin", "usr/sbin", "sbin"];
const LIBRARIES: [&str; 3] = ["lib64", "lib", "usr/lib"];

/// Something in the file system.
#[derive(Clone, Debug)]
enum Node {
    Directory,
    Link(String),
    File { from: PathBuf, mode: u32 },
    Text(String),
}

/// What is to be in it, by absolute path.
#[derive(Clone, Debug, Default)]
pub(super) struct FileSystem {
    nodes: BTreeMap<String, Node>,
    /// Programs whose libraries are there.
    linked: BTreeSet<PathBuf>,
}

impl FileSystem {
    /// Directories that every program expects, and the names of users and hosts.
    pub(super) fn new() -> Self {
        let mut new = Self::default();
        for directory in ["/proc", "/sys", "/dev", "/tmp", "/run", "/root", "/var/tmp"] {
            new.directory(directory);
        }
        new.text("/etc/passwd", "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n");
        new.text("/etc/group", "root:x:0:\nnogroup:x:65534:\n");
        new.text("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
        new.text("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n");
        new
    }

    fn add(&mut self, path: &str, node: Node) {
        if let Some((parent, _)) = path.rsplit_once('/')
            && !parent.is_empty()
            && !self.nodes.contains_key(parent)
        {
            self.directory(parent);
        }
        self.nodes.insert(path.to_owned(), node);
    }

    fn directory(&mut self, path: &str) {
        self.add(path, Node::Directory);
    }

    /// A file with these words.
    pub(super) fn text(&mut self, path: &str, text: &str) {
        self.add(path, Node::Text(text.to_owned()));
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.add(path, Node::Link(target.to_owned()));
    }

    /// A file that is there.
    pub(super) fn file(&mut self, path: &str, from: &Path) -> Result<()> {
        let metadata = fs::metadata(from).with_context(|| format!("no file {}", from.display()))?;
        let node =
            Node::File { from: from.to_owned(), mode: metadata.permissions().mode() & 0o755 };
        self.add(path, node);
        Ok(())
    }

    /// All files of a directory.
    pub(super) fn tree(&mut self, path: &str, from: &Path) -> Result<()> {
        let entries = fs::read_dir(from).with_context(|| format!("no {}", from.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = format!("{path}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.tree(&path, &entry.path())?;
            } else {
                self.file(&path, &entry.path())?;
            }
        }
        Ok(())
    }

    /// A program and the libraries that it is linked with, which are in `debian`.
    pub(super) fn program(&mut self, path: &str, from: &Path, debian: &Debian) -> Result<()> {
        self.file(path, from)?;
        if !self.linked.insert(from.to_owned()) {
            return Ok(());
        }
        for name in libraries(from)? {
            let (path, library) = debian
                .library(&name)
                .with_context(|| format!("{} wants {name}, which is not there", from.display()))?;
            self.program(&path, &library, debian)?;
        }
        Ok(())
    }

    /// A program that is found by its name, in `/usr/bin`, which is on the guest's PATH.
    pub(super) fn named(&mut self, name: &str, debian: &Debian) -> Result<()> {
        let mut places = PROGRAMS.iter().map(|place| debian.root.join(place).join(name));
        let from = places.find(|path| path.exists());
        let from = from.with_context(|| format!("{name} is not in {}", debian.root.display()))?;
        self.program(&format!("/usr/bin/{name}"), &from, debian)
    }

    /// Writes the archive (`Documentation/driver-api/early-userspace/buffer-format.rst`).
    pub(super) fn write(&self, archive: &Path) -> Result<()> {
        let file =
            File::create(archive).with_context(|| format!("cannot write {}", archive.display()))?;
        let mut out = BufWriter::new(file);
        for (number, (path, node)) in self.nodes.iter().enumerate() {
            let path = path.trim_start_matches('/');
            let builder = Builder::new(path).ino(u32::try_from(number)? + 1).nlink(1);
            write_node(builder, node, &mut out).with_context(|| format!("cannot pack {path}"))?;
        }
        trailer(out).context("cannot finish the archive").map(drop)
    }
}

fn write_node(builder: Builder, node: &Node, out: &mut impl io::Write) -> Result<()> {
    let (builder, bytes) = match node {
        Node::Directory => {
            (builder.mode(0o755).set_mode_file_type(ModeFileType::Directory), Vec::new())
        }
        Node::Link(target) => {
            let link = builder.mode(0o777).set_mode_file_type(ModeFileType::Symlink);
            (link, target.clone().into_bytes())
        }
        Node::Text(text) => {
            let text = text.clone().into_bytes();
            (builder.mode(0o644).set_mode_file_type(ModeFileType::Regular), text)
        }
        Node::File { from, mode } => {
            let bytes = fs::read(from).with_context(|| format!("no file {}", from.display()))?;
            (builder.mode(*mode).set_mode_file_type(ModeFileType::Regular), bytes)
        }
    };
    let mut writer = builder.write(out, u32::try_from(bytes.len())?);
    io::Write::write_all(&mut writer, &bytes)?;
    writer.finish()?;
    Ok(())
}

/// Where programs come from: the host's own files, or packages of another architecture, unpacked.
pub(super) struct Debian {
    pub(super) root: PathBuf,
    pub(super) architecture: Architecture,
}

impl Debian {
    /// A library: its path in the machine, and here.
    fn library(&self, name: &str) -> Option<(String, PathBuf)> {
        let own = LIBRARIES.map(|place| format!("{place}/{}", self.architecture.libraries()));
        let places = LIBRARIES.iter().map(|place| (*place).to_owned()).chain(own);
        places.map(|place| format!("{place}/{name}")).find_map(|path| {
            let library = self.root.join(&path);
            library.exists().then(|| (format!("/{path}"), library))
        })
    }
}

/// The names of the libraries that a program, or a library, is linked with.
fn libraries(program: &Path) -> Result<Vec<String>> {
    let mut command = Command::new("readelf");
    let said = command.arg("--dynamic").arg("--wide").arg(program).env("LC_ALL", "C").output();
    let said = said.context("cannot start readelf; install binutils")?;
    Ok(needed(&String::from_utf8_lossy(&said.stdout)).collect())
}

/// What `readelf --dynamic` says is needed.
fn needed(said: &str) -> impl Iterator<Item = String> {
    said.lines().filter(|line| line.contains("(NEEDED)")).filter_map(|line| {
        let (_, name) = line.split_once('[')?;
        Some(name.split_once(']')?.0.to_owned())
    })
}

/// A copy without symbols, which are most of a program and need not be loaded.
pub(super) fn stripped(program: &Path, strip: &str, directory: &Path) -> Result<PathBuf> {
    let name = program.file_name().context("a program has a name")?;
    let copy = directory.join(name);
    let mut command = Command::new(strip);
    command.arg("-o").arg(&copy).arg(program);
    match process::silently(&mut command, None) {
        Ok(()) => Ok(copy),
        Err(error) => bail!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readelf_says_is_understood() {
        let said = "Dynamic section at offset 0x1d58 contains 27 entries:\n\
                    \x20 Tag        Type                         Name/Value\n\
                    \x200x0000000000000001 (NEEDED)             Shared library: [libcap.so.2]\n\
                    \x200x0000000000000001 (NEEDED)             Shared library: [libc.so.6]\n\
                    \x200x000000000000000e (SONAME)             Library soname: [libx.so.1]\n";
        assert_eq!(needed(said).collect::<Vec<_>>(), ["libcap.so.2", "libc.so.6"]);
        assert_eq!(needed("There is no dynamic section in this file.\n").count(), 0);
    }

    #[test]
    fn parents_come_before_what_is_in_them() {
        let mut files = FileSystem::default();
        files.text("/a/b/c", "");
        let paths: Vec<_> = files.nodes.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/a", "/a/b", "/a/b/c"]);
    }
}
