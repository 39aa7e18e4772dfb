//! What differs between the architectures that tracer is built for, here or for elsewhere.

use std::fmt;

/// A processor architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Architecture {
    /// x86-64
    #[value(name = "x86_64")]
    X86,
    /// 64-bit ARM
    #[value(name = "aarch64")]
    Arm,
}

impl Architecture {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::X86, Self::Arm];

    /// That of the host.
    pub(crate) fn native() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm } else { Self::X86 }
    }

    /// As Rust and RPM name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "aarch64",
        }
    }

    /// As Debian's packages name it.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::X86 => "amd64",
            Self::Arm => "arm64",
        }
    }

    /// Its directory of libraries in Debian.
    pub(crate) fn libraries(self) -> &'static str {
        match self {
            Self::X86 => "x86_64-linux-gnu",
            Self::Arm => "aarch64-linux-gnu",
        }
    }

    /// The target of rustc.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::X86 => "x86_64-unknown-linux-gnu",
            Self::Arm => "aarch64-unknown-linux-gnu",
        }
    }

    /// The emulator, and its Debian package.
    pub(crate) fn emulator(self) -> (&'static str, &'static str) {
        match self {
            Self::X86 => ("qemu-system-x86_64", "qemu-system-x86"),
            Self::Arm => ("qemu-system-aarch64", "qemu-system-arm"),
        }
    }

    /// The compiler that links for it elsewhere, and its Debian package.
    pub(crate) fn cross_compiler(self) -> (&'static str, &'static str) {
        match self {
            Self::X86 => ("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu"),
            Self::Arm => ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
        }
    }

    /// A file of the C library for it, elsewhere, and its Debian package.
    pub(crate) fn cross_library(self) -> (&'static str, &'static str) {
        match self {
            Self::X86 => ("/usr/x86_64-linux-gnu/lib/libc.a", "libc6-dev-amd64-cross"),
            Self::Arm => ("/usr/aarch64-linux-gnu/lib/libc.a", "libc6-dev-arm64-cross"),
        }
    }

    /// A compiler for it on this host.
    pub(crate) fn compiler(self) -> &'static str {
        if self == Self::native() { "cc" } else { self.cross_compiler().0 }
    }

    /// What removes symbols from its programs.
    pub(crate) fn strip(self) -> &'static str {
        match self {
            native if native == Self::native() => "strip",
            Self::X86 => "x86_64-linux-gnu-strip",
            Self::Arm => "aarch64-linux-gnu-strip",
        }
    }

    /// Arguments of the emulator that choose the machine.
    pub(crate) fn machine(self) -> &'static [&'static str] {
        match self {
            Self::X86 => &["-machine", "q35"],
            Self::Arm => &["-machine", "virt"],
        }
    }

    /// The serial line, as the kernel names it.
    pub(crate) fn console(self) -> &'static str {
        match self {
            Self::X86 => "ttyS0",
            Self::Arm => "ttyAMA0",
        }
    }

    /// What else the kernel is told: that x86's timer works. On a busy host it may stand still for
    /// long enough for the kernel to panic ("IO-APIC + timer doesn't work", seen with Linux 7.2).
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::X86 => "no_timer_check",
            Self::Arm => "",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::X86 => "x86-64",
            Self::Arm => "aarch64",
        })
    }
}
