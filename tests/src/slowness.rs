//! How much slower than usual the machine is.

use std::{env, sync::OnceLock, time::Duration};

/// Names the factor: `10` in a machine whose processors are emulated.
const VARIABLE: &str = "TRACER_TEST_SLOWNESS";

/// How long something may take here that usually takes no longer than `usual`.
pub fn allowed(usual: Duration) -> Duration {
    static FACTOR: OnceLock<u32> = OnceLock::new();
    let factor = FACTOR.get_or_init(|| {
        let factor = env::var(VARIABLE).ok().and_then(|factor| factor.parse().ok());
        factor.unwrap_or(1)
    });
    usual * *factor
}
