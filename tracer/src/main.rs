//! The `tracer` command; all it does is in the library.

use std::process::ExitCode;

#[global_allocator]
static MEMORY: tracer::memory::OrEnd = tracer::memory::OrEnd;

fn main() -> ExitCode {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    plugins::do_without();
    tracer::cli::run()
}

/// The name service of a static binary.
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
mod plugins {
    use std::ffi::{CStr, c_char, c_int};

    unsafe extern "C" {
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }

    /// Names of hosts come from /etc/hosts and DNS, which glibc has built in since 2.34.
    ///
    /// What else /etc/nsswitch.conf of a host names (`resolve`, `mdns`, …) are shared libraries,
    /// made for that host's glibc: loaded into this one they fail or crash.
    pub(super) fn do_without() {
        const HOSTS: &CStr = c"hosts";
        const BUILT_IN: &CStr = c"files dns";
        // SAFETY: both are strings that end with NUL and live for ever; no other thread runs yet.
        // Where it fails (no memory), the host's configuration stands.
        unsafe { __nss_configure_lookup(HOSTS.as_ptr(), BUILT_IN.as_ptr()) };
    }
}
