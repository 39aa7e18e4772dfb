//! `docs/kernels.md`.

use std::fs;

use anyhow::{Context as _, Result};

use super::{
    suites,
    table::{self, Ran},
};
use crate::process::say;
use crate::workspace;

const OPENING: &str = "# Other kernels

Made by `cargo xtask vm`; do not edit. Each column is an emulated machine (QEMU without KVM, two
processors) that has booted Debian's kernel with the static program and the live tests of
`tests/tests/` in its initial file system. What a kernel cannot do was found out there by trying
(`tracer features`), never by its version: a test that needs what is missing is counted apart.
";

/// Writes the document.
pub(super) fn write(ran: &[Ran]) -> Result<()> {
    let path = workspace::root().join("docs/kernels.md");
    fs::write(&path, text(ran)).with_context(|| format!("cannot write {}", path.display()))?;
    say(format_args!("wrote {}", path.display()));
    Ok(())
}

fn text(ran: &[Ran]) -> String {
    format!(
        "{OPENING}\n## Machines\n\n{}\n## Results\n\n{}\n## Not passed\n\n{}\n\
         ## What these kernels lack\n{}\n## Not run in machines\n\n{}",
        table::machines(ran),
        table::matrix(ran, &suites::RUN),
        table::not_passed(ran),
        table::lacks(ran),
        left_out(),
    )
}

fn left_out() -> String {
    let line = |(name, why): &(&str, &str)| format!("* {name}: {why}\n");
    suites::LEFT_OUT.iter().map(line).collect()
}
