//! What this kernel and these privileges allow, found out before anything is loaded.

use std::{fs, io};

/// `CAP_SYS_ADMIN`, include/uapi/linux/capability.h.
const CAP_SYS_ADMIN: u32 = 21;
/// `CAP_PERFMON`, since 5.8.
const CAP_PERFMON: u32 = 38;
/// `CAP_BPF`, since 5.8.
const CAP_BPF: u32 = 39;

const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Why nothing can be traced.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PreflightError {
    /// Not enough privileges.
    #[error(
        "no permission to load BPF programs: {missing} missing; run as root (sudo tracer …) or \
         `setcap cap_bpf,cap_perfmon,cap_sys_admin+ep` the binary"
    )]
    Privileges {
        /// Names of the capabilities.
        missing: String,
    },
}

/// What was found.
#[derive(Debug)]
pub struct Facts {
    /// Release of the running kernel, as `uname -r` prints it.
    pub release: String,
    /// The kernel's BTF, or why there is none.
    pub btf: Result<Vec<u8>, io::Error>,
}

/// Looks at kernel and privileges.
///
/// # Errors
///
/// Where tracing cannot work for lack of privileges.
pub fn preflight() -> Result<Facts, PreflightError> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    check_privileges(effective_capabilities(&status))?;
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    Ok(Facts { release, btf: fs::read(BTF) })
}

/// The effective set from `/proc/self/status`; all where it cannot be read, so that the kernel
/// itself decides.
fn effective_capabilities(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok())
        .unwrap_or(u64::MAX)
}

/// CAP_SYS_ADMIN alone satisfies both (kernel/capability.c, `bpf_capable`, `perfmon_capable`).
fn check_privileges(effective: u64) -> Result<(), PreflightError> {
    let has = |capability: u32| effective >> capability & 1 == 1;
    if has(CAP_SYS_ADMIN) {
        return Ok(());
    }
    let missing: Vec<&str> = [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|&(capability, _)| !has(capability))
        .map(|(_, name)| name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(PreflightError::Privileges { missing: missing.join(" and ") })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(1 << CAP_SYS_ADMIN, None)]
    #[case(1 << CAP_BPF | 1 << CAP_PERFMON, None)]
    #[case(1 << CAP_BPF, Some("CAP_PERFMON"))]
    #[case(0, Some("CAP_BPF and CAP_PERFMON"))]
    fn missing_capabilities_are_named(#[case] effective: u64, #[case] names: Option<&str>) {
        let missing = check_privileges(effective).err();
        assert_eq!(
            missing,
            names.map(|names| PreflightError::Privileges { missing: names.to_owned() })
        );
    }

    #[test]
    fn the_status_file_is_understood() {
        assert_eq!(effective_capabilities("Name:\tx\nCapEff:\t000001ff\n"), 0x1ff);
        assert_eq!(effective_capabilities("CapEff:\tno number\n"), u64::MAX);
        assert_eq!(effective_capabilities(""), u64::MAX);
    }
}
