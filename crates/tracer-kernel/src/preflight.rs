//! What this kernel and these privileges allow, found out before anything is loaded.

use rustix::thread::CapabilitySet;

use super::privileges;

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

/// Release of the running kernel, as `uname -r` prints it.
pub fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Whether the privileges suffice to trace.
///
/// # Errors
///
/// Where they do not.
pub fn privileges() -> Result<(), PreflightError> {
    check_privileges(privileges::effective())
}

/// CAP_SYS_ADMIN alone satisfies both (kernel/capability.c, `bpf_capable`, `perfmon_capable`).
fn check_privileges(effective: CapabilitySet) -> Result<(), PreflightError> {
    if effective.contains(CapabilitySet::SYS_ADMIN) {
        return Ok(());
    }
    match privileges::names(privileges::TRACE - effective) {
        missing if missing.is_empty() => Ok(()),
        missing => Err(PreflightError::Privileges { missing: missing.join(" and ") }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(CapabilitySet::SYS_ADMIN, None)]
    #[case(CapabilitySet::BPF | CapabilitySet::PERFMON, None)]
    #[case(CapabilitySet::BPF, Some("CAP_PERFMON"))]
    #[case(CapabilitySet::empty(), Some("CAP_PERFMON and CAP_BPF"))]
    fn missing_capabilities_are_named(
        #[case] effective: CapabilitySet,
        #[case] names: Option<&str>,
    ) {
        let missing = check_privileges(effective).err();
        assert_eq!(
            missing,
            names.map(|names| PreflightError::Privileges { missing: names.to_owned() })
        );
    }
}
