//! Every life that a TCP socket can have, driven on this kernel; what is reported of each is in
//! `docs/lifecycles.md`.
//!
//! `LIFECYCLES=word cargo test …` plays only the rows whose name contains the word.

mod aborts;
mod closes;
mod document;
mod listeners;
mod minisockets;
mod opens;
mod orders;
mod rejects;
mod resets;
mod stage;
mod table;
mod timeouts;

use std::{env, iter, sync::Mutex, thread, time::Instant};

use tracer_tests::slowness;

use self::table::{Outcome, Row, play};

/// Rows played at a time: most of their time they wait for timers.
const PARALLEL: usize = 6;

fn rows() -> Vec<&'static Row> {
    [
        opens::ROWS,
        closes::ROWS,
        minisockets::ROWS,
        resets::ROWS,
        rejects::ROWS,
        aborts::ROWS,
        timeouts::ROWS,
        listeners::ROWS,
        orders::ROWS,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Plays all, several at a time.
fn play_all(rows: &[&'static Row]) -> Vec<(&'static Row, Outcome)> {
    let next = Mutex::new(rows.iter().copied().enumerate());
    let take = || next.lock().ok().and_then(|mut rows| rows.next());
    let work = || {
        iter::from_fn(take)
            .map(|(index, row)| {
                let began = Instant::now();
                let outcome = play(row);
                println!("{:5} ms  {}", began.elapsed().as_millis(), row.name);
                (index, row, outcome)
            })
            .collect::<Vec<_>>()
    };
    let mut played: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..PARALLEL).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("results")).collect()
    });
    played.sort_by_key(|(index, ..)| *index);
    played.into_iter().map(|(_, row, outcome)| (row, outcome)).collect()
}

fn complaint((row, outcome): &(&Row, Outcome)) -> Option<String> {
    match outcome {
        Outcome::Told(_) => None,
        Outcome::Impossible(reason) => {
            println!("{}: not driven: {reason}", row.name);
            None
        }
        Outcome::Failed(message) => Some(format!("{}: {message}", row.name)),
    }
}

/// On a busy machine a row can miss the kernel's own time-outs. What is wrong once more, with
/// nothing beside it, is wrong.
fn play_again_alone(results: &mut [(&'static Row, Outcome)]) {
    for result in results {
        if let Some(complaint) = complaint(result) {
            println!("played again, alone: {complaint}");
            result.1 = play(result.0);
        }
    }
}

#[test]
fn every_life_is_told_as_the_kernel_lived_it() {
    let word = env::var("LIFECYCLES").unwrap_or_default();
    let rows = rows().into_iter().filter(|row| row.name.contains(&word));
    // Where each takes long, some of each kind.
    let step = if slowness::is_usual() { 1 } else { 3 };
    let rows: Vec<_> = rows.step_by(step).collect();
    let mut results = play_all(&rows);
    play_again_alone(&mut results);
    let mut wrong: Vec<String> = results.iter().filter_map(complaint).collect();
    if word.is_empty() && step == 1 {
        wrong.extend(document::check(&results));
    }
    assert!(wrong.is_empty(), "{} wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}
