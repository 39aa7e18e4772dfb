//! The wall clock is set, the host sleeps: times on the wall follow, times passed do not.
//!
//! Both concern the whole machine: these tests run where `cargo xtask vm` has a machine for them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    net::Shutdown,
    path::Path as FilePath,
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};
use tracer_tests::{
    clock::Moment,
    kernel,
    netns::isolated,
    record::Record,
    slowness::allowed,
    sockets::{End, Pair, Path},
    tracer::Tracer,
};

/// Of the same connection, see handshake.rs.
const CLIENT: [&str; 2] = [
    "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) TIME_WAIT(inferred)",
    "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)",
];
const SERVER: &str = "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED";
const SLEEP: &str = "/sys/power/state";
const ALARM: &str = "/sys/class/rtc/rtc0/wakealarm";
/// How long the host sleeps, in seconds of its real-time clock.
const ASLEEP: u64 = 20;
/// Between what happened and what the test's own clock said, on a busy machine.
const NEAR: Duration = Duration::from_secs(1);

/// Moves the wall clock, and back when dropped.
struct Stepped(i64);

impl Stepped {
    fn by(seconds: i64) -> Self {
        step(seconds);
        Self(seconds)
    }
}

impl Drop for Stepped {
    fn drop(&mut self) {
        step(-self.0);
    }
}

fn step(seconds: i64) {
    let now = clock_gettime(ClockId::Realtime);
    clock_settime(ClockId::Realtime, Timespec { tv_sec: now.tv_sec + seconds, ..now }).unwrap();
}

/// Whether the record's time is about now.
fn is_now(record: &Record) -> bool {
    let now = Moment::now();
    record.moment().is_within(now - allowed(NEAR), now + allowed(NEAR))
}

fn elapsed(record: &Record) -> Duration {
    Duration::from_nanos(record.number("/tcp/elapsed_ns").unwrap())
}

#[test]
#[ignore = "sets the clock of the machine: cargo xtask vm has one for it"]
fn a_step_of_the_wall_clock_moves_times_and_no_durations() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let Pair { client, server, listener: _listener } = Pair::over(Path::V4);
        let ends = [&client, &server].map(End::of);
        let begun = Instant::now();
        assert!(is_now(&tracer.wait_for_step(&ends[0], "SYN_SENT", "ESTABLISHED")));
        let forward = Stepped::by(6 * 3600);
        client.shutdown(Shutdown::Write).unwrap();
        let closed = tracer.wait_for_step(&ends[0], "ESTABLISHED", "FIN_WAIT1");
        assert!(is_now(&closed), "six hours later: {closed}");
        assert!(elapsed(&closed) <= begun.elapsed() + NEAR, "{closed}");
        drop(forward);
        drop(server);
        let over = tracer.wait_for_step(&ends[0], "FIN_WAIT2", "TIME_WAIT");
        assert!(is_now(&over), "six hours earlier: {over}");
        assert!(elapsed(&over) <= begun.elapsed() + NEAR, "{over}");
        // Its minute passes by a clock that nobody sets.
        assert!(tracer.so_far().iter().all(|record| !record.is_step("TIME_WAIT", "CLOSED")));
        // Which checks that nothing was lost or made good.
        tracer.finish();
    });
}

/// Sleeps until the alarm of the real-time clock.
fn suspend() {
    for file in [SLEEP, ALARM] {
        assert!(FilePath::new(file).exists(), "{file}: this machine cannot sleep and wake up");
    }
    fs::write(ALARM, format!("+{ASLEEP}")).unwrap();
    // To memory: an emulated machine's alarm does not wake processors that are merely idle.
    fs::write(SLEEP, "mem").unwrap();
}

#[test]
#[ignore = "puts the machine to sleep: cargo xtask vm has one for it"]
fn a_host_that_has_slept_goes_on_with_what_it_had() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let Pair { client, server, listener: _listener } = Pair::over(Path::V4);
        let ends = [&client, &server].map(End::of);
        tracer.wait_for_step(&ends[0], "SYN_SENT", "ESTABLISHED");
        let (begun, wall) = (Instant::now(), SystemTime::now());
        suspend();
        let (awake, passed) = (begun.elapsed(), wall.elapsed().unwrap());
        let slept = passed.saturating_sub(awake);
        // A virtual machine's firmware there cannot: Linux waits instead, and its clocks go on.
        if cfg!(target_arch = "aarch64") && slept < Duration::from_secs(1) {
            kernel::lacks("sleep");
        }
        assert!(slept >= Duration::from_secs(ASLEEP / 2), "awake for {awake:?} of {passed:?}");
        thread::sleep(Duration::from_millis(100));
        drop(client);
        let closed = tracer.wait_for_step(&ends[0], "ESTABLISHED", "FIN_WAIT1");
        assert!(is_now(&closed), "awake again: {closed}");
        // As the kernel's timers do, which do not run meanwhile.
        assert!(elapsed(&closed) <= begun.elapsed() + NEAR, "{closed}");
        drop(server);
        tracer.wait_for_step(&ends[0], "FIN_WAIT2", "TIME_WAIT");
        let trace = tracer.finish();
        trace.life(&ends[0]).is_one_of("client", &CLIENT);
        trace.life(&ends[1]).is("server", SERVER);
    });
}
