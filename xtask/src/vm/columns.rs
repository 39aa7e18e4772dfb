//! The results of `docs/kernels.md`: written, and read again, so that one machine's can be renewed
//! without running all the others.

use std::fmt::Write as _;

use super::{
    suites,
    table::{self, Column},
};

const MACHINES: &str = "## Machines";
const RESULTS: &str = "## Results";
const NOT_PASSED: &str = "## Not passed";
const LACKS: &str = "## What these kernels lack";

/// The document's part that has them.
pub(super) fn text(all: &[Column]) -> String {
    let mut machines =
        String::from("| | kernel | last run | boot | whole run |\n|---|---|---|---|---|\n");
    let mut not_passed = String::new();
    let mut lacks = String::new();
    for Column { name, machine, cells: _, not_passed: rows, lacks: lines } in all {
        let _ = writeln!(machines, "| {name} | {} |", machine.join(" | "));
        for row in rows {
            let _ = writeln!(not_passed, "| {name} | {} |", row.join(" | "));
        }
        if !lines.is_empty() {
            let _ = writeln!(lacks, "\n### {name}\n\n{}", lines.join("\n"));
        }
    }
    if not_passed.is_empty() {
        not_passed.push_str("Nothing.\n");
    } else {
        not_passed.insert_str(0, "| kernel | scenario | test | why |\n|---|---|---|---|\n");
    }
    let results = table::matrix(all, &suites::RUN);
    format!(
        "{MACHINES}\n\n{machines}\n{RESULTS}\n\n{results}\n{NOT_PASSED}\n\n{not_passed}\n\
         {LACKS}\n{lacks}"
    )
}

/// What [`text`] has written before.
pub(super) fn read(document: &str) -> Vec<Column> {
    let mut all = Vec::new();
    for cells in rows(section(document, MACHINES)) {
        let [name, machine @ ..] = &cells[..] else { continue };
        all.push(Column { name: name.clone(), machine: machine.to_vec(), ..Column::default() });
    }
    let mut results = rows_with_head(section(document, RESULTS));
    let head = results.next().unwrap_or_default();
    for cells in results {
        let [scenario, cells @ ..] = &cells[..] else { continue };
        for (name, cell) in head.iter().skip(1).zip(cells).filter(|(_, cell)| *cell != "–") {
            of(&mut all, name, |column| {
                column.cells.insert(scenario.clone(), cell.clone());
            });
        }
    }
    for cells in rows(section(document, NOT_PASSED)) {
        let [name, row @ ..] = &cells[..] else { continue };
        of(&mut all, name, |column| column.not_passed.push(row.to_vec()));
    }
    let mut name = "";
    for line in section(document, LACKS).lines() {
        name = line.strip_prefix("### ").unwrap_or(name);
        if line.starts_with("* ") {
            of(&mut all, name, |column| column.lacks.push(line.to_owned()));
        }
    }
    all
}

fn of(all: &mut [Column], name: &str, change: impl FnOnce(&mut Column)) {
    if let Some(column) = all.iter_mut().find(|column| column.name == name) {
        change(column);
    }
}

/// What stands below a heading, until the next one.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let behind = document.split_once(&format!("{heading}\n")).map_or("", |(_, behind)| behind);
    behind.split("\n## ").next().unwrap_or_default()
}

/// The cells of a table, a row each, without its head.
fn rows(section: &str) -> impl Iterator<Item = Vec<String>> {
    rows_with_head(section).skip(1)
}

/// The same with it. A `|` in a cell is written `\|`, with nothing in between.
fn rows_with_head(section: &str) -> impl Iterator<Item = Vec<String>> {
    let lines = section.lines().filter(|line| !line.starts_with("|---"));
    lines.filter_map(|line| {
        let row = line.strip_prefix('|')?.strip_suffix('|')?;
        Some(row.split(" |").map(|cell| cell.trim().to_owned()).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let words =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let one = Column {
            name: "5.10".into(),
            machine: words(&["5.10.0-46", "2026-11-29", "16 s", "19 min"]),
            cells: [("ends".into(), "1 of 2, **1 failed**".into())].into(),
            not_passed: vec![words(&["ends", "by reset", "**failed**: x.rs:1:2, left \\| right"])],
            lacks: words(&["* **landlock**: all. Why: too old"]),
        };
        let other = Column {
            name: "6.12 aarch64".into(),
            machine: words(&["6.12.117", "2026-11-28", "38 s", "2 min"]),
            cells: [("handshake".into(), "all 5".into())].into(),
            not_passed: vec![words(&["", "", "**silent for 900 s**"])],
            lacks: Vec::new(),
        };
        let all = [one, other];
        let text = text(&all);
        assert!(text.contains("| ends | 1 of 2, **1 failed** | – |\n"), "{text}");
        assert_eq!(read(&text), all, "{text}");
    }

    #[test]
    fn a_document_without_results_has_none() {
        assert_eq!(read(""), []);
        let text = text(&[]);
        assert!(text.contains("Nothing."), "{text}");
        assert_eq!(read(&text), []);
    }
}
