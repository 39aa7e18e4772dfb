//! The object file of the eBPF half: how it is compiled, and whether one that is there is of these
//! sources.
//!
//! Compiling it takes a second compiler and a linker of its own. So the object travels with the
//! source, in `crates/tracer-kernel/object`, with a stamp beside it: a build that finds it and
//! whose sources have not changed needs stable Rust and nothing else. `cargo xtask object` renews
//! both files, `cargo xtask check` compiles the object again and compares.
//!
//! ```
//! use std::path::Path;
//!
//! let root = tracer_object::workspace(Path::new(env!("CARGO_MANIFEST_DIR")));
//! let root = root.expect("the sources of the eBPF half");
//! match tracer_object::shipped(&tracer_object::directory(&root), Some(&root)) {
//!     Ok(shipped) => assert!(shipped.bytes.starts_with(b"\x7fELF")),
//!     Err(why) => eprintln!("the eBPF half has to be compiled: {why:#}"),
//! }
//! ```

mod compile;
mod sources;
mod stamp;
mod strip;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

pub use self::compile::{ARCHITECTURE, Compiler};
pub use self::sources::watched;
use self::sources::{hash, hash_of_sources};
use self::stamp::Stamp;

/// The object, and what it was made from, in its directory.
const OBJECT: &str = "tracer.bpf.o";
const STAMP: &str = "tracer.bpf.stamp";

/// An object that came with the source.
#[derive(Debug)]
pub struct Shipped {
    /// The file.
    pub bytes: Vec<u8>,
    /// What compiled it.
    pub compiler: String,
}

/// Where a crate of the workspace has its objects.
#[must_use]
pub fn directory(root: &Path) -> PathBuf {
    root.join("crates/tracer-kernel/object")
}

/// The workspace around a crate's directory, if it is there: a published crate has none.
#[must_use]
pub fn workspace(manifest: &Path) -> Option<PathBuf> {
    let root = manifest.parent()?.parent()?;
    root.join("tracer-ebpf/src/main.rs").exists().then(|| root.to_owned())
}

/// The object in this directory; an error says why there is none that fits the sources of `root`.
///
/// Without a root there are no sources that it could differ from.
///
/// # Errors
///
/// Files that are missing or damaged, and sources that have changed.
pub fn shipped(directory: &Path, root: Option<&Path>) -> Result<Shipped> {
    let read = |name| {
        let path = directory.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (bytes, text) = (read(OBJECT)?, String::from_utf8(read(STAMP)?)?);
    let stamp = Stamp::parse(&text)
        .with_context(|| format!("{} is no stamp", directory.join(STAMP).display()))?;
    if stamp.object != hash(&bytes) {
        bail!("{} is not what its stamp names", directory.join(OBJECT).display());
    }
    match root.map(hash_of_sources).transpose()? {
        Some(sources) if sources != stamp.sources => {
            bail!("the eBPF half has changed since {OBJECT} was compiled")
        }
        _ => Ok(Shipped { bytes, compiler: stamp.compiler }),
    }
}

/// Leaves the object of these sources in its directory, with its stamp.
///
/// # Errors
///
/// Of the file system.
pub fn ship(root: &Path, bytes: &[u8], compiler: &str) -> Result<()> {
    let directory = directory(root);
    let sources = hash_of_sources(root)?;
    let stamp = Stamp { sources, object: hash(bytes), compiler: compiler.to_owned() };
    fs::create_dir_all(&directory)
        .and_then(|()| fs::write(directory.join(OBJECT), bytes))
        .and_then(|()| fs::write(directory.join(STAMP), stamp.to_string()))
        .with_context(|| format!("cannot write to {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace with what the object is made from.
    fn fixture() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for part in ["tracer-ebpf", "crates/tracer-wire", "crates/tracer-object"] {
            write(&format!("{part}/Cargo.toml"), "[package]");
            write(&format!("{part}/src/main.rs"), "fn main() {}");
        }
        write("Cargo.toml", "[workspace]\n\n[profile.release]\ndebug = 1\n");
        write("Cargo.lock", "[[package]]\nname = \"aya-ebpf\"\nversion = \"0.2.1\"\n");
        root
    }

    #[test]
    fn an_object_is_used_until_a_source_changes() {
        let root = fixture();
        let root = root.path();
        let look = || shipped(&directory(root), Some(root));
        assert!(look().unwrap_err().to_string().starts_with("cannot read "));
        ship(root, b"code", "rustc 1.97").unwrap();
        let Shipped { bytes, compiler } = look().unwrap();
        assert_eq!((bytes.as_slice(), compiler.as_str()), (&b"code"[..], "rustc 1.97"));
        fs::write(root.join("tracer-ebpf/src/more.rs"), "").unwrap();
        let changed = look().unwrap_err().to_string();
        assert_eq!(changed, "the eBPF half has changed since tracer.bpf.o was compiled");
        // A published crate has no sources of it.
        assert!(shipped(&directory(root), None).is_ok());
    }

    #[test]
    fn another_profile_makes_another_object() {
        let root = fixture();
        let root = root.path();
        ship(root, b"code", "rustc 1.97").unwrap();
        let manifest = root.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(&manifest, format!("# Members.\n{text}")).unwrap();
        assert!(shipped(&directory(root), Some(root)).is_ok());
        fs::write(&manifest, text.replace('1', "2")).unwrap();
        assert!(shipped(&directory(root), Some(root)).is_err());
    }

    #[test]
    fn another_version_of_the_library_in_the_kernel_makes_another_object() {
        let root = fixture();
        let root = root.path();
        ship(root, b"code", "rustc 1.97").unwrap();
        let lock = root.join("Cargo.lock");
        let text = fs::read_to_string(&lock).unwrap();
        let other = "\n[[package]]\nname = \"serde\"\nversion = \"1.0.1\"\n";
        fs::write(&lock, format!("{text}{other}")).unwrap();
        assert!(shipped(&directory(root), Some(root)).is_ok());
        fs::write(&lock, text.replace("0.2.1", "0.2.2")).unwrap();
        assert!(shipped(&directory(root), Some(root)).is_err());
    }

    #[test]
    fn an_object_that_its_stamp_does_not_name_is_not_used() {
        let root = fixture();
        let root = root.path();
        ship(root, b"code", "rustc 1.97").unwrap();
        fs::write(directory(root).join(OBJECT), b"edoc").unwrap();
        let error = shipped(&directory(root), None).unwrap_err().to_string();
        assert!(error.ends_with("tracer.bpf.o is not what its stamp names"), "{error}");
    }

    #[test]
    fn a_crate_alone_has_no_workspace() {
        let root = fixture();
        let manifest = root.path().join("crates/tracer-kernel");
        assert_eq!(workspace(&manifest).as_deref(), Some(root.path()));
        assert_eq!(workspace(&root.path().join("tracer-ebpf/src/x")), None);
    }
}
