//! What the code says in English has its words in the other languages (`sentences.ftl`), under the
//! same name and with the same placeholders, and these have no words that nobody says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use tracer_kernel::feature::{self, Feature};
use tracer_texts::{Language, Texts};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn sources(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// All source texts of the program.
fn code() -> Vec<String> {
    let mut paths = Vec::new();
    for part in ["tracer/src", "crates/tracer-event/src", "crates/tracer-output/src"] {
        sources(&Path::new(ROOT).join(part), &mut paths);
    }
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// The sentences of Korean, by name, each in one line.
fn sentences() -> BTreeMap<String, String> {
    let path = Path::new(ROOT).join("crates/tracer-texts/texts/ko/sentences.ftl");
    let mut all = BTreeMap::<String, String>::new();
    let mut last = String::new();
    for line in fs::read_to_string(path).unwrap().lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, words)) = line.split_once(" = ").filter(|_| !line.starts_with(' ')) {
            name.clone_into(&mut last);
            assert!(all.insert(last.clone(), words.to_owned()).is_none(), "{name} twice");
        } else if line.starts_with(' ') {
            all.get_mut(&last).unwrap().push_str(line);
        }
    }
    all
}

/// What stands between braces: `{who}`, `{ $who }`.
fn placeholders(text: &str) -> BTreeSet<&str> {
    let inner = text.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    inner.map(|name| name.trim().trim_start_matches('$')).collect()
}

/// Name and English of each `wording!("name", "English"…)`.
fn wordings(source: &str) -> Vec<(&str, &str)> {
    let quoted = |rest: &str| -> Option<(usize, usize)> {
        let begin = rest.find('"')? + 1;
        let end = rest[begin..].match_indices('"').map(|(at, _)| begin + at);
        let end = end.into_iter().find(|at| !rest[..*at].ends_with('\\'))?;
        rest[..begin - 1].trim_matches([' ', '\n', ',']).is_empty().then_some((begin, end))
    };
    source
        .split("wording!(")
        .skip(1)
        .filter_map(|rest| {
            let (begin, end) = quoted(rest)?;
            let (name, rest) = (&rest[begin..end], &rest[end + 1..]);
            let (begin, end) = quoted(rest)?;
            Some((name, &rest[begin..end]))
        })
        .collect()
}

#[test]
fn every_wording_has_its_sentence_with_the_same_placeholders() {
    let (code, sentences) = (code(), sentences());
    let said: Vec<(&str, &str)> = code.iter().flat_map(|source| wordings(source)).collect();
    assert!(said.len() > 120, "{}", said.len());
    for (name, english) in said {
        let words = sentences.get(name).unwrap_or_else(|| panic!("{name}: {english:?}"));
        // What the sentence itself says in other languages needs no placeholder: `reset-linger`.
        assert_eq!(placeholders(words), placeholders(english), "{name}: {english:?}, {words:?}");
    }
}

#[test]
fn no_sentence_is_left_over() {
    let code = code();
    for name in sentences().keys() {
        let quoted = format!("\"{name}\"");
        assert!(code.iter().any(|source| source.contains(&quoted)), "nobody says {name}");
    }
}

/// What is lost without a feature, and what the code says of getting it.
#[test]
fn what_is_missing_is_said_in_korean() {
    let texts = Texts::of(Language::named("ko").unwrap());
    for Feature { lost, .. } in feature::ALL {
        assert_ne!(texts.translated(lost), lost);
    }
    let mut paths = Vec::new();
    for part in ["tracer/src/features.rs", "crates/tracer-kernel/src"] {
        let path = Path::new(ROOT).join(part);
        if path.is_dir() { sources(&path, &mut paths) } else { paths.push(path) }
    }
    let code: String = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    // Remedies begin with one of these, and are texts of the code.
    let texts_of_code = code.split('"').skip(1).step_by(2);
    let is_remedy = |text: &&str| {
        ["use Linux", "use a kernel", "use lockdown", "run as root, or add"]
            .iter()
            .any(|begin| text.starts_with(begin))
    };
    let remedies: BTreeSet<String> = texts_of_code
        .filter(is_remedy)
        .map(|text| text.replace('\\', " ").split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert!(remedies.len() > 10, "{remedies:?}");
    for remedy in &remedies {
        assert_ne!(texts.translated(remedy), remedy);
    }
}
