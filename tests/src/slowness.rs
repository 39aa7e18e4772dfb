//! How much slower than usual the machine is.

use std::{env, sync::OnceLock, time::Duration};

/// Names the factor: `5` in a machine whose processors are emulated.
const VARIABLE: &str = "TRACER_TEST_SLOWNESS";

/// How long something may take here that usually takes no longer than `usual`.
pub fn allowed(usual: Duration) -> Duration {
    usual * factor()
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
