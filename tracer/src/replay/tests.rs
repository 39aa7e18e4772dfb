//! What was told, told again.

mod any;
mod fuzz_entry;
mod recordings;

use std::{io::Read as _, sync::Arc};

use proptest::prelude::*;
use serde::Serialize;

use super::{
    decode::{Decoder, Item, OwnedUpdate},
    enricher::Recorded,
};
use tracer_event::{
    enricher::{Context, Enricher, Unknown},
    header::Header,
    summary::Summary,
    update::Update,
    wall_clock::WallClock,
};
use tracer_output::{
    Format as _,
    json::{Json, Take, schema::schema},
    packed::{MAGIC, Packer, Stored, Unpacker},
};

pub(super) const CLOCK: WallClock =
    WallClock { lead: 1_700_000_000_123_456_789, now: 5_000_000_000_000 };

/// What JSON has for these updates.
pub(super) fn written(updates: &[Update<'_>], enricher: &dyn Enricher) -> String {
    let context = Context { clock: CLOCK, enricher };
    let mut json = Json::default();
    let mut out = Vec::new();
    json.header(&any::header(), CLOCK, &mut out);
    for update in updates {
        json.update(update, context, &mut out);
    }
    json.summary(&Summary::default(), context, &mut out);
    String::from_utf8(out).unwrap()
}

/// Any recordings, as they are written.
pub(crate) fn recorded() -> impl Strategy<Value = String> {
    (prop::collection::vec(any::told(), 1..8), any::around()).prop_map(|(told, around)| {
        let updates: Vec<Update<'_>> = told.iter().map(OwnedUpdate::update).collect();
        written(&updates, &around)
    })
}

/// What JSON has for recorded lines.
pub(super) fn written_again(lines: &str) -> String {
    let enricher = Arc::<Recorded>::default();
    let mut decoder = Decoder::new(Arc::clone(&enricher));
    let mut json = Json::default();
    let mut out = Vec::new();
    for line in lines.lines() {
        let item = decoder.decode(line).unwrap_or_else(|wrong| panic!("{wrong}: {line}"));
        let context = Context { clock: decoder.clock(), enricher: &*enricher };
        match item {
            Item::Header(header) => json.header(&header, decoder.clock(), &mut out),
            Item::Update(told) => json.update(&told.update(), context, &mut out),
            Item::Summary(summary) => json.summary(&summary, context, &mut out),
            Item::Passed => panic!("passed over: {line}"),
        }
    }
    String::from_utf8(out).unwrap()
}

/// Checks that updates come out of a recording as they went in.
pub(crate) fn assert_same(updates: &[Update<'_>], enricher: &dyn Enricher) {
    let recorded = written(updates, enricher);
    let again = written_again(&recorded);
    for (recorded, again) in recorded.lines().zip(again.lines()) {
        assert_eq!(again, recorded);
    }
    assert_eq!(again.len(), recorded.len());
}

/// JSON of which nothing is copied.
#[derive(Default)]
struct Whole(Vec<u8>);

impl Take for Whole {
    fn take(&mut self, line: &impl Serialize) {
        self.0.take(line);
    }
}

/// Recordings have none: they follow from the addresses.
fn without_communities(lines: &str) -> String {
    let mut parts = lines.split(r#","community_id":""#);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('"').unwrap().1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_replay_writes_byte_for_byte_what_was_recorded(
        told in prop::collection::vec(any::told(), 1..12),
        around in any::around(),
    ) {
        let updates: Vec<Update<'_>> = told.iter().map(OwnedUpdate::update).collect();
        assert_same(&updates, &around);
    }

    /// Each twice, so that what lines have in common has been kept by then.
    #[test]
    fn lines_that_are_copied_in_part_are_those_that_are_written_whole(
        told in prop::collection::vec(any::told(), 1..12),
        around in any::around(),
    ) {
        let context = Context { clock: CLOCK, enricher: &around };
        let mut json = Json::default();
        let (mut copied, mut whole) = (Vec::new(), Whole::default());
        let (mut packer, mut packed) = (Packer::default(), MAGIC.to_vec());
        let mut pack = |packer: &mut Packer| {
            let stored = packer.block().map(|block| block.stored(false).unwrap());
            packed.extend_from_slice(stored.as_ref().map_or(&[], Stored::bytes));
        };
        for (number, update) in told.iter().chain(&told).chain(&told).enumerate() {
            json.tell(&update.update(), context, &mut copied);
            json.tell(&update.update(), context, &mut whole);
            json.tell(&update.update(), context, &mut packer);
            if number == told.len() {
                pack(&mut packer);
            }
        }
        pack(&mut packer);
        let mut unpacked = String::new();
        Unpacker::new(&packed[..]).read_to_string(&mut unpacked).unwrap();
        let whole = String::from_utf8(whole.0).unwrap();
        prop_assert_eq!(&String::from_utf8(copied).unwrap(), &whole);
        prop_assert_eq!(unpacked, without_communities(&whole));
    }

    #[test]
    fn every_line_is_as_the_schema_says(
        told in prop::collection::vec(any::told(), 1..12),
        around in any::around(),
    ) {
        let updates: Vec<Update<'_>> = told.iter().map(OwnedUpdate::update).collect();
        let schema = jsonschema::validator_for(&schema()).unwrap();
        for line in written(&updates, &around).lines() {
            let value = serde_json::from_str(line).unwrap();
            let problems: Vec<String> =
                schema.iter_errors(&value).map(|error| error.to_string()).collect();
            prop_assert!(problems.is_empty(), "{}: {:?}", line, problems);
        }
    }
}

#[test]
fn the_schema_refuses_what_is_not_ours() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    for line in [
        r#"{}"#,
        r#"{"kind":"loss"}"#,
        r#"{"kind":"other","time":"2026-01-31T12:34:56Z","where":"output","count":1,"healed":true}"#,
        r#"{"kind":"loss","time":"2026-01-31T12:34:56Z","where":"nowhere","count":1,"healed":true}"#,
        r#"{"kind":"loss","time":"2026-01-31T12:34:56Z","where":"output","count":-1,"healed":true}"#,
    ] {
        assert!(!schema.is_valid(&serde_json::from_str(line).unwrap()), "{line}");
    }
    // What is added is tolerated.
    let line = r#"{"kind":"loss","time":"2026-01-31T12:34:56Z","where":"output","count":1,"healed":true,"new":1}"#;
    assert!(schema.is_valid(&serde_json::from_str(line).unwrap()));
}

#[test]
fn the_hello_comes_back_whole() {
    let line = written(&[], &Unknown);
    let mut decoder = Decoder::new(Arc::default());
    let Ok(Item::Header(header)) = decoder.decode(line.lines().next().unwrap()) else { panic!() };
    assert_eq!(header, any::header());
    assert_eq!(decoder.clock(), CLOCK);
    let _: &Header = &header;
}
