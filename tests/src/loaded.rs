//! What a tracer reports many connections, compared with what the kernel says after them.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    clock::Moment,
    kernel::{self, States},
    netns::Namespace,
    recording::{Recorder, Recording},
    slowness::allowed,
};

/// For the minisockets' silent steps to be found: a look takes time in proportion to the number of
/// sockets, and the next one waits for thirty times as long. So this, and half the load's own time.
const SETTLING: Duration = Duration::from_secs(5);
/// The end of a minisocket may be told this much too late or too early.
const TOLERANCE: Duration = Duration::from_secs(1);

/// What was told of a load, and what the kernel said after it.
#[derive(Debug)]
pub struct Loaded {
    /// All that was told.
    pub recording: Recording,
    /// The sockets that were left.
    pub kernel: States,
    /// Minisockets, as the kernel counts them.
    minisockets: [usize; 2],
    asked: [Moment; 2],
}

/// Room for a dozen records or so: the least that the kernel takes.
pub fn smallest_buffer() -> String {
    format!("--buffer-size={}", rustix::param::page_size())
}

impl Loaded {
    /// Traces a load with some options; also what the load returns, open sockets perhaps.
    pub fn by<T>(
        namespace: &Namespace,
        directory: &Path,
        options: &[&str],
        load: impl FnOnce() -> T,
    ) -> (Self, T) {
        Self::with(namespace, directory, options, |_| load())
    }

    /// The same; the load may do something to the tracer.
    pub fn with<T>(
        namespace: &Namespace,
        directory: &Path,
        options: &[&str],
        load: impl FnOnce(&Recorder) -> T,
    ) -> (Self, T) {
        let recorder = Recorder::start(namespace, directory, options);
        let begun = Instant::now();
        let result = load(&recorder);
        let took = begun.elapsed();
        thread::sleep(allowed(SETTLING) + took / 2);
        let before = (Moment::now(), kernel::minisockets());
        let kernel = kernel::states();
        let after = (Moment::now(), kernel::minisockets());
        let recording = recorder.finish();
        println!("the load took {took:?}; then there were {:?}", kernel::count(&kernel));
        let minisockets = [before.1, after.1];
        (Self { recording, kernel, minisockets, asked: [before.0, after.0] }, result)
    }

    /// The sockets that are left are those that the kernel has, in their states, but for a few: at
    /// full speed the look that would find a silent end out may be further away than this waits.
    pub fn agrees_but_for(&self, few: usize) {
        let [before, after] = self.asked;
        let told = self.recording.states(before);
        let ends = self.ends_about(before - TOLERANCE, after + TOLERANCE);
        let is_ending = |cookie: &u64| ends.contains_key(cookie);
        let mut differences: Vec<String> = Vec::new();
        for cookie in told.keys().chain(self.kernel.keys().filter(|c| !told.contains_key(c))) {
            let (told, kernel) = (told.get(cookie), self.kernel.get(cookie));
            if told != kernel && !is_ending(cookie) {
                differences.push(format!("socket {cookie}: told {told:?}, ss says {kernel:?}"));
            }
        }
        println!("told: {:?}, {} ending meanwhile", kernel::count(&told), ends.len());
        let some = &differences[..differences.len().min(10)];
        assert!(differences.len() <= few, "{} differences: {some:#?}", differences.len());
    }

    /// Of TIME_WAIT and FIN_WAIT2 there are as many as the kernel counts minisockets, but for a
    /// few: none of them is a full socket.
    pub fn counts_minisockets_but_for(&self, few: usize) {
        let [before, after] = self.asked;
        let told = self.recording.states(before);
        let ends = self.ends_about(before - TOLERANCE, after + TOLERANCE);
        let minisockets = told.values().filter(|s| ["TIME_WAIT", "FIN_WAIT2"].contains(s)).count();
        let [most, least] = self.minisockets;
        let slack = ends.len() + few;
        let possible = least.saturating_sub(slack)..=most + slack;
        assert!(possible.contains(&minisockets), "{minisockets} told, /proc says {most}, {least}");
    }

    /// Sockets whose end is reported of a time.
    fn ends_about(&self, from: Moment, to: Moment) -> States {
        let mut ends = States::new();
        self.recording.steps(|step| {
            if step.to == "CLOSED" && step.time.is_within(from, to) {
                ends.insert(step.cookie, "TIME_WAIT");
            }
        });
        ends
    }
}
