//! What can be wrong with a view, whatever it shows.

use std::collections::BTreeMap;

use tracer_output::width::columns;

/// Units that belong to the number before them.
const UNITS: [&str; 14] =
    ["ns", "µs", "ms", "s", "min", "h", "d", "B", "KiB", "MiB", "GiB", "%", "byte", "bytes"];
/// What there is one of, or several.
const COUNTED: [&str; 12] = [
    "sockets",
    "transitions",
    "connections",
    "events",
    "namespaces",
    "attempts",
    "features",
    "groups",
    "descriptors",
    "times",
    "seconds",
    "bytes",
];

/// Commands are never broken, so that they can be copied.
fn is_command(line: &str) -> bool {
    let line = line.trim_start();
    let is_advice = line.starts_with("to get it:") && line.contains(" use ");
    ["$ ", "to get it:", "setcap "].iter().any(|begin| line.starts_with(begin)) && !is_advice
}

/// What is wrong with a view at a width; none of its lines are commands that people type.
pub(crate) fn faults(text: &str, width: usize) -> Vec<String> {
    let mut faults = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if columns(line.trim_end()) > width && !is_command(line) {
            faults.push(format!("wider than {width}: {line}"));
        }
        let next = lines.get(index + 1).copied().unwrap_or_default();
        if is_parted(line, next) {
            faults.push(format!("a number without what it counts: {line}"));
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_plural = |pair: &&[&str]| {
            pair[0].trim_start_matches('(') == "1"
                && COUNTED.contains(&pair[1].trim_end_matches([',', '.', ';', ':', ')']))
        };
        let plural = words.windows(2).find(is_plural);
        faults.extend(plural.map(|pair| format!("one of several: {pair:?}: {line}")));
    }
    faults
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether a line ends in a number of which the next one, which continues it, says what it counts.
fn is_parted(line: &str, next: &str) -> bool {
    /// Sentences beside a mark or below a time go on there.
    const BESIDE: usize = 10;
    let number = line.split_whitespace().last().unwrap_or_default();
    let is_number = number.ends_with(|last: char| last.is_ascii_digit())
        && number.bytes().all(|one| one.is_ascii_digit() || one == b',' || one == b'.');
    let word = next.split_whitespace().next().unwrap_or_default();
    let unit = UNITS.contains(&word.trim_end_matches([',', '.', ';', ':', ')']));
    let continues = indent(next) >= BESIDE || line.starts_with(['=', '+']) && indent(next) == 2;
    let is_word = word.starts_with(|first: char| first.is_alphabetic());
    line.trim_end().ends_with(|last: char| last.is_ascii_digit()) && unit
        || is_number && is_word && continues
}

/// Words without the lines of drawings, and how often each is there.
fn words(text: &str) -> BTreeMap<&str, usize> {
    let is_drawn = |c: char| c.is_whitespace() || ('\u{2500}'..='\u{25ff}').contains(&c);
    let mut words = BTreeMap::new();
    for word in text.split(is_drawn).filter(|word| word.contains(char::is_alphanumeric)) {
        *words.entry(word).or_default() += 1;
    }
    words
}

/// Lines of a live table in which something is cut although there is room: such a line is full, and
/// has given its padding up.
pub(crate) fn wasteful(text: &str, width: usize) -> Vec<&str> {
    let cut = text.lines().filter(|line| line.trim_start_matches('…').contains('…'));
    let has_room =
        |line: &&str| columns(line.trim_end()) + 1 < width || line.trim_end().contains("     ");
    cut.filter(has_room).collect()
}

/// Words that a terminal without an edge shows and this one does not.
pub(crate) fn cut(text: &str, whole: &str) -> Vec<String> {
    let shown = words(text);
    let lacks = |(word, times): &(&str, usize)| shown.get(word).is_none_or(|shown| shown < times);
    words(whole).into_iter().filter(lacks).map(|(word, _)| word.to_owned()).collect()
}

#[test]
fn each_fault_is_found() {
    let none: [String; 0] = [];
    assert_eq!(faults("1 socket for 2s, 12\nCLOSE_WAIT  fd 9\nLISTEN", 20), none);
    assert_eq!(faults("$ a command is not broken, however long", 20), none);
    for wrong in [
        "wider than twenty columns",
        "= 6 sockets ended: 1\n  timed out",
        "          12 LISTEN, 4\n          TIME_WAIT",
        "p50 6.02\nµs",
        "1 sockets, 2 LISTEN",
    ] {
        assert_eq!(faults(wrong, 20 + wrong.matches('\n').count() * 30).len(), 1, "{wrong}");
    }
    assert_eq!(wasteful("a b… c\na b…     c\na b…    cd\nabc  d", 10), ["a b… c", "a b…     c"]);
    assert_eq!(cut("│ a b…", "── a bcd ──"), ["bcd"]);
    assert_eq!(cut("b │ a", "a ─ b"), none);
}
