//! Everything that touches the kernel: what it offers, loading the programs, reading their records.
//!
//! ```
//! // Times of the kernel's events are those of CLOCK_MONOTONIC.
//! let earlier = tracer_kernel::time::monotonic();
//! assert!(tracer_kernel::time::monotonic() >= earlier);
//! ```

// Both halves read each other's bytes as they lie; none of it has run on such a machine.
#[cfg(target_endian = "big")]
compile_error!("tracer runs on little-endian machines only (x86-64, aarch64)");

pub mod absent;
mod bounded;
pub mod btf;
pub mod cgroup;
pub mod confine;
pub mod enricher;
pub mod feature;
pub mod host;
pub mod limits;
pub mod load;
pub mod mounts;
pub mod names;
pub mod namespaces;
pub mod pods;
pub mod preflight;
pub mod present;
pub mod privileges;
pub mod process;
pub mod ring;
pub mod snapshot;
pub mod stacks;
pub mod time;
pub mod tracefs;
