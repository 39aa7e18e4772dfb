//! What this kernel and these privileges allow, found out before anything is loaded.

use std::path::Path;

use rustix::thread::CapabilitySet;

use super::{namespaces::namespace, privileges};

/// The number of the initial user namespace (`PROC_USER_INIT_INO`, include/linux/proc_ns.h).
const INITIAL: u32 = 0xefff_fffd;

/// Why nothing can be traced.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PreflightError {
    /// Not enough privileges.
    #[error(
        "no permission to load BPF programs: {missing} missing; run as root (sudo tracer …), or: \
         {}",
        grant()
    )]
    Privileges {
        /// Names of the capabilities.
        missing: String,
    },
    /// Its capabilities are of a user namespace, and the kernel asks for those of the initial one.
    #[error(
        "no permission to load BPF programs from a user namespace, as rootless containers have \
         one: {OUTSIDE}"
    )]
    UserNamespace,
}

impl PreflightError {
    /// What helps.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Privileges { .. } => "run as root, or add CAP_BPF and CAP_PERFMON",
            Self::UserNamespace => OUTSIDE,
        }
    }
}

/// The command that gives this program what tracing takes, with the namespaces of containers.
fn grant() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "tracer".into());
    privileges::setcap(privileges::TRACE | CapabilitySet::SYS_ADMIN, &program)
}

const OUTSIDE: &str = "run it on the host itself (sudo tracer …), or in a container without one, as root can start it";

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
    check_namespace(namespace(Path::new("/proc/thread-self/ns/user")).ok())?;
    check_privileges(privileges::effective())
}

/// Where it cannot be read, the kernel itself will say.
fn check_namespace(number: Option<u32>) -> Result<(), PreflightError> {
    match number {
        None | Some(INITIAL) => Ok(()),
        Some(_) => Err(PreflightError::UserNamespace),
    }
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
    #[case(None, Ok(()))]
    #[case(Some(4_026_531_837), Ok(()))]
    #[case(Some(4_026_532_177), Err(PreflightError::UserNamespace))]
    fn only_the_initial_user_namespace_will_do(
        #[case] number: Option<u32>,
        #[case] checked: Result<(), PreflightError>,
    ) {
        assert_eq!(check_namespace(number), checked);
    }

    #[test]
    fn the_message_ends_with_a_command_that_can_be_copied() {
        let message = PreflightError::Privileges { missing: "CAP_BPF".into() }.to_string();
        let (_, command) = message.split_once(", or: sudo setcap ").unwrap();
        assert!(command.starts_with("cap_sys_admin,cap_perfmon,cap_bpf=ep /"), "{message}");
    }

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
