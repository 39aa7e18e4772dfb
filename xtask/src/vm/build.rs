//! What is put into the machines: the program under test, the live tests, what they start.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{
    initramfs::{Debian, FileSystem, stripped},
    kernels::Kernels,
    python, suites,
};
use crate::architecture::Architecture;
use crate::cargo::Cargo;
use crate::cross;
use crate::messages::{self, TestProgram};
use crate::process;
use crate::workspace;

/// Programs of the package of the tests: their paths are compiled into the tests.
const COMPANIONS: [&str; 3] = ["peer", "load", "fault"];
/// With which tests compare what they see: their paths are compiled in too.
const COMPARED: [&str; 2] = ["docs", "tests/golden"];
/// The first process (`tests/src/bin/guest.rs`), and where it finds the program under test.
pub(super) const GUEST: &str = "guest";
const PROGRAM: &str = "/usr/bin/tracer";
/// Names under which one program is several.
const LINKS: [(&str, &str); 3] = [
    ("/bin/sh", "/usr/bin/sh"),
    ("/sbin/modprobe", "/usr/bin/kmod"),
    ("/usr/bin/modprobe", "kmod"),
];

/// Debian's packages that have the host's programs for another architecture.
const PACKAGES: [&str; 18] = [
    "coreutils",
    "curl",
    "dash",
    "grep",
    "gzip",
    "iproute2",
    "kmod",
    "libcap2-bin",
    "libpython3-stdlib",
    "logrotate",
    "mount",
    "nftables",
    "nginx-light",
    "procps",
    "python3-minimal",
    "sed",
    "tcpdump",
    "util-linux",
];

/// Programs that are ready.
pub(super) struct Built {
    architecture: Architecture,
    tracer: PathBuf,
    /// Where cargo has put the companions.
    directory: PathBuf,
    tests: Vec<TestProgram>,
}

/// Where the program under test comes from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// Built for this, with its libraries in it.
    Static,
    /// That of the live tests, as it is.
    Tested,
    /// Built without optimisation, and the tests with it.
    Debug,
    /// There is one.
    Given(&'a Path),
}

impl Source<'_> {
    /// Options of cargo, and where it puts what it builds.
    fn profile(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Debug => (&[], "debug"),
            Self::Static | Self::Tested | Self::Given(_) => (&["--release"], "release"),
        }
    }

    /// The program under test, built if need be, for the host's architecture.
    pub(super) fn program(self, cargo: &Cargo) -> Result<PathBuf> {
        match self {
            Self::Static => cargo.build_static(&workspace::FEATURES),
            Self::Tested => workspace::tracer(),
            Self::Given(program) => Ok(program.to_owned()),
            Self::Debug => {
                let mut build = cargo.command(&["build", "--workspace", "--locked"]);
                process::show(build.args(workspace::FEATURES))?;
                Ok(self.directory()?.join("tracer"))
            }
        }
    }

    /// Where cargo puts the companions of the tests.
    pub(super) fn directory(self) -> Result<PathBuf> {
        Ok(workspace::target()?.join(self.profile().1))
    }

    /// Builds test programs, with the features that all the others have.
    pub(super) fn test_programs(self, cargo: &Cargo, chosen: &[&str]) -> Result<Vec<TestProgram>> {
        let mut command = cargo.command(&["test", "--workspace", "--locked", "--no-run"]);
        command.args(self.profile().0);
        command.args(chosen.iter().flat_map(|name| ["--test", name])).args(workspace::FEATURES);
        messages::test_programs(&mut command)
    }
}

/// Builds the tests, and the program if need be.
pub(super) fn build(
    cargo: &Cargo,
    architecture: Architecture,
    chosen: &[&str],
    source: Source<'_>,
) -> Result<Built> {
    let foreign = architecture != Architecture::native();
    let built = if foreign {
        cross::test_programs(cargo, architecture, chosen)?
    } else {
        source.test_programs(cargo, chosen)?
    };
    let program = |name: &&str| {
        let found = built.iter().find(|built| built.name == **name);
        found.cloned().with_context(|| format!("cargo has built no test {name}"))
    };
    let tests = chosen.iter().map(program).collect::<Result<_>>()?;
    let tracer =
        if foreign { cross::program(cargo, architecture, &[])? } else { source.program(cargo)? };
    let directory = if foreign { cross::directory(architecture)? } else { source.directory()? };
    Ok(Built { architecture, tracer, directory, tests })
}

/// Where a test program is in the machine.
pub(super) fn place_of(suite: &str) -> String {
    format!("/tests/{suite}")
}

impl Built {
    /// All but the modules; copies go to `directory`. `kernels` has programs for an architecture
    /// that is not the host's.
    pub(super) fn file_system(&self, directory: &Path, kernels: &Kernels) -> Result<FileSystem> {
        let Self { architecture, tracer, directory: companions, tests } = self;
        let architecture = *architecture;
        let is_native = architecture == Architecture::native();
        let root = if is_native {
            PathBuf::from("/")
        } else {
            workspace::alone(|| kernels.unpacked("programs", &PACKAGES))?
        };
        let debian = Debian { root, architecture };
        let mut files = FileSystem::new();
        let mut add = |path: &str, program: &Path| {
            let stripped = stripped(program, architecture.strip(), directory)?;
            files.program(path, &stripped, &debian)
        };
        add("/init", &companions.join(GUEST))?;
        add(PROGRAM, tracer)?;
        for companion in COMPANIONS {
            let program = companions.join(companion);
            add(&program.to_string_lossy(), &program)?;
        }
        for TestProgram { name, program, .. } in tests {
            add(&place_of(name), program)?;
        }
        for directory in COMPARED {
            let directory = workspace::root().join(directory);
            files.tree(&directory.to_string_lossy(), &directory)?;
        }
        for program in suites::PROGRAMS {
            files.named(program, &debian)?;
        }
        for (path, target) in LINKS {
            files.link(path, target);
        }
        python::add(&mut files, &debian)?;
        Ok(files)
    }
}
