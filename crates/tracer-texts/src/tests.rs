//! Each language has what English has, with the same placeholders.

use std::collections::{BTreeMap, BTreeSet};

use fluent_syntax::{
    ast::{Entry, Expression, InlineExpression, Pattern, PatternElement},
    parser,
};

use super::*;

/// What languages other than English have: the English sentences are made where they are said.
const SENTENCES: &str = "sentences";

/// Placeholders by message and part, of the files of which that holds.
fn placeholders(
    language: Language,
    of: impl Fn(&str) -> bool,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for (file, text) in language.files().iter().filter(|(file, _)| of(file)) {
        let resource = parser::parse(*text)
            .unwrap_or_else(|(_, errors)| panic!("{language}/{file}: {errors:?}"));
        for entry in resource.body {
            let Entry::Message(message) = entry else { continue };
            let name = message.id.name;
            let mut add = |part: String, pattern: &Pattern<&str>| {
                let before = all.insert(part.clone(), variables(pattern));
                assert!(before.is_none(), "{language}/{file}: {part} twice");
            };
            message.value.iter().for_each(|value| add(name.to_owned(), value));
            for attribute in &message.attributes {
                add(format!("{name}.{}", attribute.id.name), &attribute.value);
            }
        }
    }
    all
}

fn variables(pattern: &Pattern<&str>) -> BTreeSet<String> {
    let variable = |element: &PatternElement<&str>| match element {
        PatternElement::Placeable {
            expression: Expression::Inline(InlineExpression::VariableReference { id }),
        } => Some(id.name.to_owned()),
        PatternElement::Placeable { .. } => panic!("only variables are used: {element:?}"),
        PatternElement::TextElement { .. } => None,
    };
    pattern.elements.iter().filter_map(variable).collect()
}

#[test]
fn each_language_says_what_english_says_with_the_same_placeholders() {
    let korean = Language::named("ko").unwrap();
    let said = |file: &str| file != SENTENCES;
    let mut expected = placeholders(Language::ENGLISH, |_| true);
    assert!(!expected.is_empty());
    for language in Language::all() {
        let is_english = language == Language::ENGLISH;
        if !is_english {
            expected.extend(placeholders(korean, |file| !said(file)));
        }
        let other = placeholders(language, |_| true);
        for (name, variables) in &expected {
            assert_eq!(other.get(name), Some(variables), "{language}: {name}");
        }
        let strays: Vec<_> = other.keys().filter(|name| !expected.contains_key(*name)).collect();
        assert!(strays.is_empty(), "{language}: {strays:?}");
    }
}

#[test]
fn what_the_code_says_in_english_is_translated() {
    let korean = Texts::of(Language::named("ko").unwrap());
    assert_eq!(korean.translated("SYN sent"), "SYN 보냄");
    assert_eq!(korean.translated("unknown words"), "unknown words");
    assert_eq!(Texts::of(Language::ENGLISH).translated("SYN sent"), "SYN sent");
}

#[test]
fn there_are_english_and_korean() {
    let names: Vec<&str> = Language::all().map(Language::name).collect();
    assert_eq!(names, ["en", "ko"]);
}

#[test]
fn the_first_variable_that_is_set_decides() {
    let of = |set: &[(&str, &str)]| {
        let value = |name: &str| {
            set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        Language::of_environment(value).name()
    };
    assert_eq!(of(&[]), "en");
    assert_eq!(of(&[("LANG", "ko_KR.UTF-8")]), "ko");
    assert_eq!(of(&[("LC_ALL", ""), ("LC_MESSAGES", "ko"), ("LANG", "en_US")]), "ko");
    assert_eq!(of(&[("LC_ALL", "C"), ("LANG", "ko_KR.UTF-8")]), "en");
    assert_eq!(of(&[("LANG", "fr_FR.UTF-8")]), "en");
}
