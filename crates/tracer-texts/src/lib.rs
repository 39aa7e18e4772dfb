//! What is explained, said once: texts are data, a directory a language, in the syntax of Fluent.
//!
//! English is complete; what another language lacks is said in English. Texts that name a setting
//! of the kernel have a placeholder for its value.
//!
//! ```
//! use tracer_texts::{Language, Texts};
//!
//! let texts = Texts::of(Language::named("ko").expect("a language"));
//! assert_eq!(texts.attribute("demo-syn-lost", "title").as_deref(), Some("SYN 손실"));
//! ```

mod language;
pub mod terms;
#[cfg(test)]
mod tests;
pub mod untranslated;

use std::collections::HashMap;

use fluent_bundle::{FluentArgs, FluentResource, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

pub use self::language::Language;

/// The state machine of RFC 9293, drawn: the same in each language.
pub const MACHINE: &str = include_str!("machine.txt");

include!(concat!(env!("OUT_DIR"), "/languages.rs"));

type Bundle = FluentBundle<FluentResource>;

/// The texts of a language.
pub struct Texts {
    language: Language,
    /// Of the language, then English.
    bundles: Vec<Bundle>,
    /// What the code says in English, in the language: found once, as it is said with each line.
    words: HashMap<&'static str, String>,
}

impl Texts {
    /// Those of a language.
    pub fn of(language: Language) -> Self {
        let mut languages = vec![language];
        languages.extend((language != Language::ENGLISH).then_some(Language::ENGLISH));
        let bundles = languages.into_iter().map(bundle).collect();
        let mut texts = Self { language, bundles, words: HashMap::new() };
        if language != Language::ENGLISH {
            let translate = |(name, english)| Some((english, texts.find(name, None, &[])?));
            texts.words = coded().filter_map(translate).collect();
        }
        texts
    }

    /// Which language it is.
    pub fn language(&self) -> Language {
        self.language
    }

    /// A text without placeholders; the name itself where there is none.
    pub fn say(&self, name: &str) -> String {
        self.say_with(name, &[])
    }

    /// A text with what its placeholders stand for.
    pub fn say_with(&self, name: &str, values: &[(&str, String)]) -> String {
        self.find(name, None, values).unwrap_or_else(|| name.to_owned())
    }

    /// The same; `None` where neither the language nor English has it.
    pub fn say_known(&self, name: &str, values: &[(&str, String)]) -> Option<String> {
        self.find(name, None, values)
    }

    /// What the code says in English, as the language has it; as it is where it has not. English
    /// and the other language have it under the same name in one of `CODED`.
    pub fn translated<'a>(&'a self, english: &'a str) -> &'a str {
        self.words.get(english).map_or(english, String::as_str)
    }

    /// A part of a text.
    pub fn attribute(&self, name: &str, attribute: &str) -> Option<String> {
        self.find(name, Some(attribute), &[])
    }

    /// The same with what its placeholders stand for.
    pub fn attribute_with(
        &self,
        name: &str,
        attribute: &str,
        values: &[(&str, String)],
    ) -> Option<String> {
        self.find(name, Some(attribute), values)
    }

    fn find(&self, name: &str, part: Option<&str>, values: &[(&str, String)]) -> Option<String> {
        self.bundles.iter().find_map(|bundle| {
            let message = bundle.get_message(name)?;
            let pattern = match part {
                Some(part) => message.get_attribute(part)?.value(),
                None => message.value()?,
            };
            let mut arguments = FluentArgs::new();
            for (name, value) in values {
                arguments.set(*name, value.as_str());
            }
            // What is missing stands as `{$name}`; a test looks for it.
            let text = bundle.format_pattern(pattern, Some(&arguments), &mut Vec::new());
            Some(joined(&text))
        })
    }
}

/// The files that have the English words of the code.
const CODED: [&str; 5] = ["features", "report", "screens", "steps", "view"];

/// The English words of the code, a line each, with their names before them.
fn coded() -> impl Iterator<Item = (&'static str, &'static str)> {
    let files = Language::ENGLISH.files().iter();
    let files = files.filter(|(name, _)| CODED.contains(name));
    files.flat_map(|(_, text)| text.lines()).filter_map(|line| line.split_once(" = "))
}

/// In one line: lines are those of the file.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn bundle(language: Language) -> Bundle {
    let identifier: LanguageIdentifier = language.name().parse().unwrap_or_default();
    let mut bundle = Bundle::new_concurrent(vec![identifier]);
    // The marks around values are for texts in two directions.
    bundle.set_use_isolating(false);
    for (_, text) in language.files() {
        // A mistake leaves out what it is in; a test looks for mistakes.
        let resource =
            FluentResource::try_new((*text).to_owned()).unwrap_or_else(|(resource, _)| resource);
        bundle.add_resource_overriding(resource);
    }
    bundle
}
