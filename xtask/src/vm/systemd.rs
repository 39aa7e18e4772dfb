//! `cargo xtask vm --systemd`: the packaged service under a real systemd.
//!
//! A Debian of its own is packed into the initial file system of a machine, with the package, the
//! same package as if it were of a version before, and the live test `service`, which systemd starts.
//! It takes a quarter of an hour, which is why it is no part of the tests of each change.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    build::{self, Source},
    document,
    initramfs::{FileSystem, stripped},
    kernels::{Flavour, Kernels},
    machine::{Machine, Outcome},
    table,
};
use crate::{
    architecture::Architecture,
    cargo::Cargo,
    dist,
    process::{self, say},
    setup::{debian_root, programs},
    workspace,
};

/// The kernel of the Debian that is booted.
const LINE: &str = "6.1";
/// The live test, which runs nowhere else.
const SUITE: &str = "service";
/// A version before every other.
const BEFORE: &str = "0.0.1";
/// What no service needs, and would have to be unpacked into memory.
const LEFT_OUT: [&str; 5] = [
    "./usr/share/doc",
    "./usr/share/man",
    "./usr/share/locale",
    "./var/cache/apt",
    "./var/lib/apt/lists",
];

/// Starts the tests when all else is up, and says when they are over.
const UNIT: &str = "\
[Unit]
Description=Live tests of tracer.service
After=basic.target dbus.socket systemd-logind.service

[Service]
Type=oneshot
Environment=HOME=/root PATH=/usr/bin:/usr/sbin:/bin:/sbin TERM=dumb
Environment=TRACER_BIN=/usr/bin/tracer TRACER_TEST_SLOWNESS=5
ExecStart=/guest
ExecStopPost=/bin/echo '@guest {\"end\":true}'
StandardOutput=file:/dev/ttyS0
StandardError=inherit
";

/// Boots it, runs the tests, writes the document.
pub(super) fn run(cargo: &Cargo, source: Source<'_>, limit: Duration) -> Result<()> {
    programs::ensure_emulator(Architecture::X86.emulator())?;
    programs::ensure_packagers()?;
    ensure!(
        Architecture::native() == Architecture::X86,
        "--systemd: the Debian is of this machine's architecture, which has to be x86-64"
    );
    let debian = debian_root::ensure_with_systemd()?;
    let kernel = Kernels::known(Architecture::X86)?.newest(LINE, Flavour::Cloud)?;
    let root = workspace::target()?.join("vm/systemd");
    // Of a call before.
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
    let files = files(cargo, source, &root, &kernel.release, &kernel.modules)?;
    let initial = root.join("systemd.cpio");
    pack(&debian, &initial)?;
    // The kernel unpacks one archive after the other; what is in the last prevails.
    let own = root.join("own.cpio");
    files.write(&own)?;
    let append = |own: &Path| -> Result<()> {
        let mut whole = File::options().append(true).open(&initial)?;
        std::io::copy(&mut File::open(own)?, &mut whole)?;
        Ok(())
    };
    append(&own).with_context(|| format!("cannot append to {}", initial.display()))?;
    let machine =
        Machine { architecture: Architecture::X86, kernel, setting: None, is_steady: false };
    say(format_args!("booting Debian with systemd on Linux {}", machine.kernel.release));
    let each = |outcome: &Outcome| eprintln!("  {}", outcome.line());
    let report = machine.run(&initial, &root.join("systemd.log"), limit, &each);
    // Large, and made anew each time.
    let _ = (fs::remove_file(&initial), fs::remove_file(&own));
    let ran = [(machine, report?)];
    let failures = table::failures(&ran);
    document::write_systemd(&ran[0])?;
    if failures.is_empty() {
        return Ok(());
    }
    bail!("{} failed under systemd:\n\n{}", failures.len(), failures.join("\n\n"))
}

/// What is in it besides the Debian.
fn files(
    cargo: &Cargo,
    source: Source<'_>,
    root: &Path,
    release: &str,
    modules: &Path,
) -> Result<FileSystem> {
    let program = stripped(&source.program(cargo)?, Architecture::X86.strip(), root)?;
    let tests = source.test_programs(cargo, &[SUITE])?;
    let [test] = &tests[..] else { bail!("cargo has built no test {SUITE}") };
    let mut files = FileSystem::default();
    let unit = format!("/etc/systemd/system/{}.service", build::GUEST);
    for (name, version) in [("tracer", dist::VERSION), ("before", BEFORE)] {
        let package = dist::debian(program.clone(), version, root.join("packages").join(name))?;
        files.file(&format!("/packages/{name}.deb"), &package)?;
    }
    let mut add = |path: &str, program: PathBuf| {
        files.file(path, &stripped(&program, Architecture::X86.strip(), root)?)
    };
    add("/guest", source.directory()?.join(build::GUEST))?;
    add(&build::place_of(SUITE), test.program.clone())?;
    // Not in /lib, which is a link that a directory would replace.
    files.tree(&format!("/usr/lib/modules/{release}"), modules)?;
    files.text("/plan", &format!("{SUITE} {}\n", build::place_of(SUITE)));
    files.text(&unit, UNIT);
    files.link("/etc/systemd/system/multi-user.target.wants/guest.service", &unit);
    files.link("/etc/systemd/system/default.target", "/lib/systemd/system/multi-user.target");
    // Whoever logs in would write between the lines of the tests.
    files.link("/etc/systemd/system/serial-getty@.service", "/dev/null");
    // Otherwise it would boot for the first time, and systemd enable what it likes.
    files.text("/etc/machine-id", "74726163657274726163657274726163\n");
    files.link("/init", "/lib/systemd/systemd");
    Ok(files)
}

/// Packs the Debian, which only root can read whole.
fn pack(debian: &Path, archive: &Path) -> Result<()> {
    let left_out = LEFT_OUT.map(|path| format!("-path {path} -o ")).concat();
    let script = format!(
        "cd \"$1\" && find . -xdev \\( {left_out} -false \\) -prune -o -print0 \
         | cpio --quiet --null --create --format=newc"
    );
    let mut cpio = process::as_root("bash");
    cpio.args(["-o", "pipefail", "-euc", &script, "bash"]).arg(debian);
    let file = File::create(archive);
    cpio.stdout(Stdio::from(file.with_context(|| format!("cannot write {}", archive.display()))?));
    process::show(&mut cpio).with_context(|| format!("cannot pack {}", debian.display()))
}
