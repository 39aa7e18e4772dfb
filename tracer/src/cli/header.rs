//! The header of a live trace: this host, this program and its options.

use tracer_event::{
    escape::escape,
    header::{Degraded, Header, Host, Mode, Partial},
};
use tracer_kernel::preflight;

/// The header of a trace of this host.
pub(super) fn header(
    mode: Mode,
    degraded: Vec<Degraded>,
    options: Vec<String>,
    partial: Option<Partial>,
) -> Header {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let boot_id = boot_id.map(|id| id.trim_end().to_owned());
    Header {
        version: env!("CARGO_PKG_VERSION").into(),
        kernel: preflight::release(),
        mode,
        degraded,
        options,
        host: Some(Host { name: host_name(), boot_id }),
        file: None,
        partial,
    }
}

/// The name of this host, escaped.
pub(super) fn host_name() -> String {
    escape(rustix::system::uname().nodename().to_bytes()).into_owned()
}

/// The options on the command line, escaped.
pub(super) fn options() -> Vec<String> {
    let options = std::env::args_os().skip(1);
    options.map(|option| escape(option.as_encoded_bytes()).into_owned()).collect()
}
