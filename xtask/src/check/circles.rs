//! No two modules may import each other, neither directly nor through others.
//!
//! The rule holds at each level of the tree: the children of a module, each with all that is in it,
//! and the module's own file are units that must form no circle. So neither files nor folders do.
//!
//! One thing is allowed: a child may take the types and constants that its parent defines, though
//! the parent uses the child. The parent is what the children are parts of, and its types are what
//! they speak of. A child that calls a function of its parent goes back to where it was called from;
//! such a function belongs to a child of its own. Names tell which is which.
//!
//! See [`super::modules`] on what counts as an import.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, ensure};

use super::modules::{Modules, Place, Tie};
use super::paths::Name;
use super::sources;

/// Names shown of each tie.
const SHOWN: usize = 6;

/// A module below which units form a circle, with what ties them.
#[derive(Debug)]
struct Circle {
    units: BTreeSet<Unit>,
    ties: Vec<Tie>,
}

/// A module and all that is in it; or, at its own level, its file without its children.
type Unit = Vec<Name>;

/// Fails with all circles of all crates.
pub(super) fn check(root: &Path) -> Result<()> {
    let mut report = String::new();
    let mut count = 0;
    for file in sources::crate_roots(root)? {
        for circle in circles(&Modules::read(&file)?.ties()) {
            count += 1;
            describe(&circle, root, &mut report);
        }
    }
    ensure!(count == 0, "circles of modules that import each other: {count}\n{report}");
    Ok(())
}

fn describe(Circle { units, ties }: &Circle, root: &Path, report: &mut String) {
    let units: Vec<String> = units.iter().map(|unit| unit.join("::")).collect();
    let _ = writeln!(report, "circle of {}:", units.join(", "));
    let shown = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    for Tie { from, to, taken } in ties {
        let names: Vec<&str> = taken.iter().take(SHOWN).map(String::as_str).collect();
        let more = if taken.len() > SHOWN { ", …" } else { "" };
        let (from, to) = (shown(&from.file), shown(&to.file));
        let _ = writeln!(report, "  {from} takes from {to}: {}{more}", names.join(", "));
    }
}

/// All circles, those of large units before those within one.
fn circles(ties: &[Tie]) -> Vec<Circle> {
    // By the module below which the two ends part.
    let mut levels: BTreeMap<(usize, Unit), Vec<Tie>> = BTreeMap::new();
    for tie in ties.iter().filter_map(counted) {
        let (from, to) = (&tie.from.module, &tie.to.module);
        let shared = from.iter().zip(to).take_while(|(one, other)| one == other).count();
        levels.entry((shared, from[..shared].to_vec())).or_default().push(tie);
    }
    let mut circles = Vec::new();
    for ((depth, _), ties) in levels {
        let unit = |place: &Place| place.module.iter().take(depth + 1).cloned().collect::<Unit>();
        let arrows = ties.iter().map(|tie| (unit(&tie.from), unit(&tie.to))).collect();
        for units in knots(&arrows) {
            let is_in =
                |tie: &&Tie| units.contains(&unit(&tie.from)) && units.contains(&unit(&tie.to));
            let ties = ties.iter().filter(is_in).cloned().collect();
            circles.push(Circle { units, ties });
        }
    }
    circles
}

/// A tie without the types and constants that a child takes from a module that it is in.
fn counted(tie: &Tie) -> Option<Tie> {
    let mut tie = tie.clone();
    if tie.from.module.starts_with(&tie.to.module) {
        tie.taken.retain(|name| name.starts_with(char::is_lowercase));
    }
    (!tie.taken.is_empty()).then_some(tie)
}

/// The largest sets in which each unit leads to each other one.
fn knots(arrows: &BTreeSet<(Unit, Unit)>) -> Vec<BTreeSet<Unit>> {
    let reached: BTreeMap<&Unit, BTreeSet<&Unit>> =
        arrows.iter().map(|(from, _)| (from, all_from(from, arrows))).collect();
    let leads = |from: &Unit, to: &Unit| reached.get(from).is_some_and(|seen| seen.contains(to));
    let mut knots: Vec<BTreeSet<Unit>> = Vec::new();
    for &unit in reached.keys().filter(|unit| leads(unit, unit)) {
        if !knots.iter().any(|knot| knot.contains(unit)) {
            let others = reached.keys().filter(|other| leads(unit, other) && leads(other, unit));
            knots.push(others.map(|&other| other.clone()).collect());
        }
    }
    knots
}

/// All units to which arrows lead from one, over any number of others.
fn all_from<'a>(unit: &'a Unit, arrows: &'a BTreeSet<(Unit, Unit)>) -> BTreeSet<&'a Unit> {
    let mut seen = BTreeSet::new();
    let mut next = vec![unit];
    while let Some(unit) = next.pop() {
        let arrows = arrows.iter().filter(|(from, _)| from == unit);
        next.extend(arrows.map(|(_, to)| to).filter(|to| seen.insert(*to)));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::sources::tests::tree;

    /// The report on a crate of these files.
    fn report(files: &[(&str, &str)]) -> String {
        let directory = tree(files);
        let result = check(directory.path());
        result.map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let report = report(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "use crate::b::{One, Two}; pub fn f() {}"),
            ("src/b.rs", "fn g() { super::a::f() }"),
        ]);
        assert_eq!(
            report,
            "circles of modules that import each other: 1\ncircle of a, b:\n  \
             src/a.rs takes from src/b.rs: One, Two\n  src/b.rs takes from src/a.rs: f\n"
        );
    }

    #[test]
    fn folders_are_a_circle_though_their_files_are_none() {
        let report = report(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "pub mod one; mod two;"),
            ("src/a/one.rs", "pub struct One;"),
            ("src/a/two.rs", "use crate::b::Both;"),
            ("src/b.rs", "use crate::a::one::One; pub struct Both;"),
        ]);
        assert!(report.contains("circle of a, b:\n  src/a/two.rs takes from src/b.rs"), "{report}");
    }

    #[test]
    fn a_circle_over_a_third_one_is_found_through_what_is_exported_again() {
        let report = report(&[
            ("src/lib.rs", "mod a; mod b; mod c;"),
            ("src/a.rs", "use crate::b; fn f() { b::two(); }"),
            ("src/b.rs", "pub use crate::c::two;"),
            ("src/c.rs", "pub fn two() { format!(\"{}\", crate::a::f()); }"),
        ]);
        assert!(report.contains("circle of a, c:"), "{report}");
    }

    #[test]
    fn a_child_may_take_types_of_its_parent_but_not_call_it() {
        let parent = "mod child; pub struct Type; pub fn call() { child::work() }";
        let files = |child| {
            [
                ("src/lib.rs", "mod parent;"),
                ("src/parent.rs", parent),
                ("src/parent/child.rs", child),
            ]
        };
        let types = "use super::Type; pub fn work() {}";
        assert_eq!(report(&files(types)), "");
        let calls = "pub fn work() { super::call() }";
        assert!(report(&files(calls)).contains("circle of parent, parent::child:"));
    }

    #[test]
    fn what_only_tests_import_ties_nothing() {
        let report = report(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "use crate::b::One;"),
            (
                "src/b.rs",
                "pub struct One; #[cfg(any(test, fuzzing))] fn f() { crate::a::two() }
                 #[cfg(test)] mod tests { use crate::a::Two; }",
            ),
        ]);
        assert_eq!(report, "");
    }
}
