//! docs/findings.md: what `tracer diagnose` and the live trace find, generated from the kinds of
//! findings. `UPDATE_DOCS=1 cargo test -p tracer --test findings` writes it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{env, fmt::Write as _, fs};

use tracer_event::finding::{About, Kind, Problem};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/findings.md");

const HEAD: &str = "# Findings

Generated from the code (`UPDATE_DOCS=1 cargo test -p tracer --test findings`).

`tracer diagnose`, the live trace, `tracer top`, reports, JSON lines and metrics name the same
findings by these codes. Each has a severity (`critical`: it fails now or very soon; `warning`: it
will fail if it goes on; `info`: good to know), a sentence, evidence and remedies; the fields of the
evidence are in [events.md](events.md).
";

fn document() -> String {
    let mut text = HEAD.to_owned();
    for Kind { code, what, about } in Problem::kinds() {
        let About { when, evidence, unknown } = about;
        write!(
            text,
            "\n## {code}\n\n{what}\n\n* **Reported when** {when}.\n* **Rests on** {evidence}.\n\
             * **Cannot know** {unknown}.\n"
        )
        .unwrap();
    }
    text
}

#[test]
fn the_document_lists_every_kind_of_finding() {
    let text = document();
    if env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        fs::write(DOCUMENT, &text).unwrap();
    }
    let there = fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(there == text, "docs/findings.md is out of date (UPDATE_DOCS=1 writes it)");
}

#[test]
fn every_kind_is_explained_in_clauses() {
    for Kind { code, what, about } in Problem::kinds() {
        assert!(what.ends_with('.') && !what.ends_with(".."), "{code}: {what}");
        for clause in [about.when, about.evidence, about.unknown] {
            assert!(clause.len() > 15 && !clause.ends_with('.'), "{code}: {clause}");
            assert!(!clause.contains("  ") && !clause.contains('\n'), "{code}: {clause}");
        }
    }
}
