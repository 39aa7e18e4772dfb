//! Landlock: where threads write, and on which ports they listen.

use std::{
    io,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, NetPort, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
};

use crate::feature;
use tracer_event::header::Degraded;

/// The rights that are known of; what an older kernel does not know is left out. Later ones would
/// also decide which sockets of this host may be connected to.
const RIGHTS: ABI = ABI::V7;

/// Confines the calling thread and all that it will start; what the kernel cannot do of it comes
/// back.
///
/// # Errors
///
/// Where a directory cannot be opened.
pub(super) fn confine(writable: &[PathBuf], listen: &[u16]) -> io::Result<Option<Degraded>> {
    let opened = writable.iter().map(|path| open(path)).collect::<io::Result<Vec<_>>>()?;
    let reason = match restrict(opened, listen) {
        Ok(RestrictionStatus { ruleset: RulesetStatus::FullyEnforced, .. }) => return Ok(None),
        Ok(RestrictionStatus { ruleset: RulesetStatus::PartiallyEnforced, .. }) => {
            "this kernel's Landlock is older than 6.10: ports, or cutting files short, are not \
             confined"
                .to_owned()
        }
        Ok(_) => "this kernel has no Landlock, or it is not enabled".to_owned(),
        Err(error) => error.to_string(),
    };
    let remedy = "use Linux 6.10 or later with CONFIG_SECURITY_LANDLOCK, and `landlock` in lsm=";
    Ok(Some(feature::LANDLOCK.missing(reason, remedy)))
}

fn open(path: &Path) -> io::Result<PathFd> {
    PathFd::new(path).map_err(|error| {
        let kind = std::fs::metadata(path).err().map_or(io::ErrorKind::Other, |error| error.kind());
        io::Error::new(kind, error)
    })
}

/// Lets the calling thread open these files, and those below these directories, for reading, and no
/// others. What is not there stays out.
pub(super) fn confine_reading(readable: &[PathBuf]) -> Result<(), RulesetError> {
    let all = AccessFs::from_all(RIGHTS);
    let opened = readable.iter().filter_map(|path| PathFd::new(path).ok());
    let rules = opened.map(|path| PathBeneath::new(path, AccessFs::ReadFile));
    Ruleset::default()
        .handle_access(all)?
        .handle_access(AccessNet::from_all(RIGHTS))?
        .create()?
        .add_rules(rules.map(Ok::<_, RulesetError>))?
        .restrict_self()
        .map(drop)
}

fn restrict(writable: Vec<PathFd>, listen: &[u16]) -> Result<RestrictionStatus, RulesetError> {
    let writing = AccessFs::from_write(RIGHTS);
    let directories = writable.into_iter().map(|path| PathBeneath::new(path, writing));
    let ports = listen.iter().map(|&port| NetPort::new(port, AccessNet::BindTcp));
    Ruleset::default()
        .handle_access(writing | AccessFs::Execute)?
        .handle_access(AccessNet::BindTcp)?
        .create()?
        .add_rules(directories.map(Ok::<_, RulesetError>))?
        .add_rules(ports.map(Ok::<_, RulesetError>))?
        .restrict_self()
}
