//! How soon an event is told. Alone in its file, so that no other test runs beside it.

use std::{
    thread,
    time::{Duration, Instant},
};

use tracer_tests::{
    netns::isolated,
    sockets::{self, End, Path},
    tracer::Tracer,
};

#[test]
fn a_single_event_is_told_within_20_ms() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let mut delays: Vec<Duration> = (0..21)
            .map(|_| {
                // Long enough for the tracer to fall asleep.
                thread::sleep(Duration::from_millis(30));
                let began = Instant::now();
                let listener = sockets::listen(Path::V4);
                let told = tracer.wait_for_step(&End::of(&listener), "CLOSED", "LISTEN");
                told.arrived.duration_since(began)
            })
            .collect();
        tracer.finish();
        delays.sort();
        let median = delays[delays.len() / 2];
        println!("median {median:?}, from {:?} to {:?}", delays[0], delays[delays.len() - 1]);
        assert!(median < Duration::from_millis(20), "median of the delays: {median:?}");
    });
}
