//! How much slower than usual the machine is.

use std::{env, fs, num::NonZero, sync::OnceLock, thread, time::Duration};

/// Names the factor: `5` in a machine whose processors are emulated.
const VARIABLE: &str = "TRACER_TEST_SLOWNESS";

/// Slower than this nothing is for others' sake.
const BUSIEST: u32 = 4;

/// How long something may take here, now, that usually takes no longer than `usual`.
pub fn allowed(usual: Duration) -> Duration {
    usual * factor().max(busy())
}

/// How many want each processor.
fn busy() -> u32 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().and_then(|load| load.parse::<f64>().ok());
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let each = load.unwrap_or(0.0) / processors as f64;
    (each.ceil() as u32).clamp(1, BUSIEST)
}

/// How many there can be here where there are usually so many.
pub fn fewer(usual: usize) -> usize {
    usual / factor() as usize
}

/// Whether the machine is as fast as machines are.
pub fn is_usual() -> bool {
    factor() == 1
}

fn factor() -> u32 {
    static FACTOR: OnceLock<u32> = OnceLock::new();
    *FACTOR.get_or_init(|| {
        let factor = env::var(VARIABLE).ok().and_then(|factor| factor.parse().ok());
        factor.unwrap_or(1)
    })
}
