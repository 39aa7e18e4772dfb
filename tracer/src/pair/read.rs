//! Recordings for joining.

use std::{path::Path, sync::Arc};

use crate::replay::{
    decode::{Decoder, Item},
    enricher::Recorded,
    source::{Error, Source},
};
use tracer_event::{header::Header, wall_clock::WallClock};
use tracer_model::pair::Recording;

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
    // Without its end, nobody knows what is missing.
    let mut ended = false;
    let mut is_empty = true;
    while let Some(item) = source.next(&mut decoder)? {
        let clock = decoder.clock();
        is_empty &= !matches!(item, Item::Header(_) | Item::Update(_));
        match item {
            Item::Header(header) => {
                ended = header.is_of_excerpt();
                begin(&mut recording, header, clock);
            }
            Item::Update(update) => {
                let time = clock.wall(update.time());
                recording.add(time, &update);
            }
            Item::Summary(summary) => {
                ended = true;
                recording.complete &= summary.complete;
                recording.until = recording.until.max(clock.wall(clock.now));
            }
            Item::Passed => {}
        }
        enricher.forget();
    }
    if is_empty {
        return Err(source.no_trace());
    }
    recording.complete &= ended && source.take_cut().is_empty();
    Ok(recording)
}

fn begin(recording: &mut Recording, header: Header, clock: WallClock) {
    let now = clock.wall(clock.now);
    recording.whole &= header.partial.is_none();
    recording.until = recording.until.max(now);
    // The first of several files is the beginning.
    if recording.host.is_none() {
        recording.host = header.host;
        (recording.booted, recording.since) = (clock.lead, now);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const HELLO: &str = r#"{"kind":"hello","time":"2026-01-31T12:00:00Z","schema":"2.0","version":"1","kernel":"6","mode":"btf","monotonic_ns":1,"degraded":[],"options":[]}"#;
    const SUMMARY: &str = r#"{"kind":"summary","time":"2026-01-31T12:00:01Z","transitions":{"tracepoint":0,"snapshot":0,"timer":0,"inferred":0},"established":0,"ended":0,"lingered":0,"records":{"transition":0,"retransmit":0,"reset":0,"connection":0,"linger":0,"loss":0,"finding":0},"lost":{"ring_buffer":0,"recursion":0,"decode":0,"unseen":0,"table":0,"output":0},"reader_lag_ns":0,"complete":true}"#;

    fn of(lines: &[&str]) -> Recording {
        let bytes = lines.join("\n") + "\n";
        recording(&mut Source::of_bytes("a", bytes.as_bytes()).unwrap()).unwrap()
    }

    #[rstest]
    #[case::whole(HELLO, true)]
    #[case::problems(&HELLO.replace("\"options\"", "\"partial\":\"records\",\"options\""), false)]
    fn what_is_chosen_among_is_not_whole(#[case] hello: &str, #[case] whole: bool) {
        assert_eq!(of(&[hello, SUMMARY]).whole, whole);
    }

    #[rstest]
    #[case::empty("", "a: no trace begins in it: a recording is made by ")]
    #[case::truncated(&HELLO[..40], "a, line 1: truncated before a trace begins")]
    #[case::of_other_kinds("{\"kind\":\"x\"}\n", "a: no trace begins in it")]
    fn a_file_without_a_trace_is_refused_by_its_name(#[case] text: &str, #[case] error: &str) {
        let source = Source::of_bytes("a", text.as_bytes());
        let message = recording(&mut source.unwrap()).unwrap_err().to_string();
        assert!(message.starts_with(error), "{message}");
    }

    /// What a flight recorder keeps has no summary.
    #[test]
    fn what_breaks_off_is_not_complete() {
        let kept = HELLO.replace(
            "[],\"options\"",
            "[{\"feature\":\"earlier events\",\"lost\":\"\",\"reason\":\"\",\"remedy\":\"\"}],\"options\"",
        );
        assert!(of(&[HELLO, SUMMARY]).complete);
        assert!(of(&[&kept]).complete);
        assert!(!of(&[HELLO]).complete);
        assert!(!of(&[HELLO, SUMMARY, HELLO]).complete);
        assert!(!of(&[HELLO, "{\"kind\":\"tra", HELLO, SUMMARY]).complete);
    }
}
