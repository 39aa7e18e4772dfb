//! Names that speak to terminals, and files that nobody recorded.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::{
    super::{
        decode::{Decoder, Item, OwnedUpdate},
        enricher::Recorded,
    },
    CLOCK, any, written,
};
use crate::fuzz_entry::formats;
use tracer_event::{
    enricher::{Context, Enricher},
    escape::is_unprintable,
    summary::Summary,
    update::Update,
};

/// Checks that nothing but the ends of lines steers a terminal.
fn assert_harmless(told: &[OwnedUpdate], enricher: &dyn Enricher) {
    let context = Context { clock: CLOCK, enricher };
    for mut format in formats() {
        let mut out = Vec::new();
        format.header(&any::header(), CLOCK, &mut out);
        for told in told {
            format.update(&told.update(), context, &mut out);
        }
        format.summary(&Summary::default(), context, &mut out);
        let text = String::from_utf8(out).unwrap();
        let stray = text.chars().find(|c| is_unprintable(*c) && *c != '\n');
        assert_eq!(stray, None, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_name_steers_a_terminal(
        told in prop::collection::vec(any::told(), 1..12),
        around in any::around(),
    ) {
        assert_harmless(&told, &around);
    }

    /// A recording is a file that someone else chose: any text in it, anywhere.
    #[test]
    fn no_recording_steers_a_terminal(
        told in prop::collection::vec(any::told(), 1..6),
        around in any::around(),
        evil in "[\\x00-\\x1f\\x7f\\u{80}-\\u{9f}\\u{202e}\\\\x41b\"]{0,8}",
        places in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let updates: Vec<Update<'_>> = told.iter().map(OwnedUpdate::update).collect();
        let lines = written(&updates, &around);
        let enricher = Arc::<Recorded>::default();
        let mut decoder = Decoder::new(Arc::clone(&enricher));
        let mut read = Vec::new();
        for (line, place) in lines.lines().zip(places.iter().cycle()) {
            let mut value: Value = serde_json::from_str(line).unwrap();
            let mut texts = Vec::new();
            find_texts(&mut value, &mut texts);
            // The first ones are the kind and the time.
            let changed = place.index(texts.len());
            evil.clone_into(texts.swap_remove(changed));
            if let Ok(Item::Update(told)) = decoder.decode(&value.to_string()) {
                read.push(told);
            }
        }
        assert_harmless(&read, &*enricher);
    }

    /// Numbers that no kernel has: nothing overflows.
    #[test]
    fn no_number_in_a_recording_breaks_anything(
        told in prop::collection::vec(any::told(), 1..6),
        around in any::around(),
        numbers in prop::collection::vec(
            prop_oneof![Just(u64::MAX), Just(0), Just(u64::from(u32::MAX)), any::<u64>(), 0..70_000_u64],
            1..40,
        ),
    ) {
        let updates: Vec<Update<'_>> = told.iter().map(OwnedUpdate::update).collect();
        let lines = written(&updates, &around);
        let enricher = Arc::<Recorded>::default();
        let mut decoder = Decoder::new(Arc::clone(&enricher));
        let mut numbers = numbers.iter().copied().cycle();
        let mut read = Vec::new();
        for line in lines.lines() {
            let mut value: Value = serde_json::from_str(line).unwrap();
            replace_numbers(&mut value, &mut numbers);
            if let Ok(Item::Update(told)) = decoder.decode(&value.to_string()) {
                read.push(told);
            }
        }
        assert_harmless(&read, &*enricher);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>(), kind in "[a-z]{0,12}") {
        let mut decoder = Decoder::new(Arc::default());
        let _ = decoder.decode(&text);
        let _ = decoder.decode(&format!("{{\"kind\":\"{kind}\",{text}"));
    }
}

fn find_texts<'a>(value: &'a mut Value, found: &mut Vec<&'a mut String>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter_mut().for_each(|item| find_texts(item, found)),
        Value::Object(fields) => fields.values_mut().for_each(|field| find_texts(field, found)),
        _ => {}
    }
}

fn replace_numbers(value: &mut Value, numbers: &mut impl Iterator<Item = u64>) {
    match value {
        Value::Number(old) => {
            let new = numbers.next().unwrap();
            // As wide as it was, so that it is read.
            *old = if old.as_u64().is_some_and(|old| old <= u64::from(u32::MAX)) {
                (new % (1 << 32)).into()
            } else {
                new.into()
            };
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace_numbers(item, numbers)),
        Value::Object(fields) => {
            fields.values_mut().for_each(|field| replace_numbers(field, numbers));
        }
        _ => {}
    }
}
