//! Each language has what English has, with the same placeholders.

use std::collections::{BTreeMap, BTreeSet};

use fluent_syntax::{
    ast::{Entry, Expression, InlineExpression, Pattern, PatternElement},
    parser,
};

use super::*;

/// Placeholders by message and part.
fn placeholders(language: Language) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for (file, text) in language.files() {
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
    let english = placeholders(Language::ENGLISH);
    assert!(!english.is_empty());
    for language in Language::all() {
        let other = placeholders(language);
        for (name, variables) in &english {
            assert_eq!(other.get(name), Some(variables), "{language}: {name}");
        }
        let strays: Vec<_> = other.keys().filter(|name| !english.contains_key(*name)).collect();
        assert!(strays.is_empty(), "{language}: {strays:?}");
    }
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
