//! Recordings for joining.

use std::{path::Path, sync::Arc};

use crate::replay::{
    decode::{Decoder, Item},
    enricher::Recorded,
    source::{Error, Source},
};
use tracer_event::{header::Header, wall_clock::WallClock};
use tracer_model::pair::Recording;

/// Options with which a recording does not hold all that happens to a connection.
const PARTIAL: [&str; 5] = ["--problems", "--state", "--records", "--sample", "state"];

/// Reads a recording.
///
/// # Errors
///
/// Where it cannot be read, or is none.
pub fn read(path: &Path) -> Result<Recording, Error> {
    recording(&mut Source::new(vec![path.to_owned()]))
}

/// The same from any source.
pub(crate) fn recording(source: &mut Source) -> Result<Recording, Error> {
    let enricher = Arc::<Recorded>::default();
    let mut decoder = Decoder::new(Arc::clone(&enricher));
    let mut recording = Recording::new();
    while let Some(item) = source.next(&mut decoder)? {
        let clock = decoder.clock();
        match item {
            Item::Header(header) => begin(&mut recording, header, clock),
            Item::Update(update) => {
                let time = clock.wall(update.time());
                recording.add(time, &update);
            }
            Item::Summary(summary) => {
                recording.complete &= summary.complete;
                recording.until = recording.until.max(clock.wall(clock.now));
            }
            Item::Passed => {}
        }
        enricher.forget();
    }
    Ok(recording)
}

fn begin(recording: &mut Recording, header: Header, clock: WallClock) {
    let now = clock.wall(clock.now);
    recording.whole &= !header.options.iter().any(|option| {
        let name = option.split_once('=').map_or(option.as_str(), |(name, _)| name);
        PARTIAL.contains(&name)
    });
    recording.until = recording.until.max(now);
    // The first of several files is the beginning.
    if recording.host.is_none() {
        recording.host = header.host;
        (recording.booted, recording.since) = (clock.lead, now);
    }
}
