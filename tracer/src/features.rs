//! `tracer features`: what this kernel and these privileges allow, found out by doing it.
//!
//! All programs are loaded and attached as a trace would, and let go at once; the rest is tried in
//! threads that end with it. Nothing is concluded from versions.

use std::{fs, path::Path};

use rustix::thread::CapabilitySet;
use tracer_wire::Filter;

use tracer_event::{
    escape::without_numbers,
    header::{Degraded, Mode},
};
use tracer_kernel::{
    confine,
    enricher::Host,
    feature::{self, Feature},
    load::{self, Request, Tracer},
    preflight::{self, PreflightError},
    privileges,
    tracefs::{self, TracefsError},
};

/// What was found.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Release of the kernel.
    pub kernel: String,
    /// The kernel's lockdown mode, or why it is not known.
    pub lockdown: Result<String, &'static str>,
    /// The capabilities held, as `CAP_BPF`.
    pub capabilities: Vec<String>,
    /// How events are got; `None` where they cannot be got at all.
    pub mode: Option<Mode>,
    /// All features, in the order of [`feature::ALL`].
    pub features: Vec<Tried>,
    /// The command that gives this program all the capabilities it has a use for, if it lacks any.
    pub all: Option<String>,
}

/// A feature, and whether it works here.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Which.
    pub feature: Feature,
    /// Why not, if not.
    pub missing: Option<Missing>,
}

/// Why a feature cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// In a few words.
    pub reason: String,
    /// How to get it; `None` where another feature is to be got first.
    pub remedy: Option<String>,
}

/// Those that are had whether events can be got or not.
const APART: [Feature; 7] = [
    feature::BTF,
    feature::NAMESPACES,
    feature::PROCESSES,
    feature::PRECEDENCE,
    feature::CONTAINERS,
    feature::LANDLOCK,
    feature::SECCOMP,
];

/// Those that the classic tracepoint has as well.
const CLASSIC: [Feature; 1] = [feature::TRACING];

/// Finds out what works; `program` is the file to give capabilities to.
pub fn survey(program: &Path) -> Survey {
    let Trial { mode, mut degraded } = try_tracing();
    if let Err(error) = load::types::check()
        && !degraded.iter().any(|(one, _)| feature::BTF.is_in(one))
    {
        let remedy = "use a kernel with CONFIG_DEBUG_INFO_BTF";
        degraded.push(takes_none(feature::BTF.missing(error.to_string(), remedy)));
    }
    degraded.extend(privileges::missing());
    let others = Host::look(None).1.into_iter().chain(confine::missing());
    degraded.extend(others.map(takes_none));
    let features = feature::ALL.map(|feature| try_one(feature, mode, &degraded, program)).into();
    let lacking = degraded.iter().fold(CapabilitySet::empty(), |all, (_, takes)| all | *takes)
        - privileges::effective();
    Survey {
        kernel: preflight::release(),
        lockdown: lockdown(Path::new("/sys/kernel/security")),
        capabilities: privileges::names(privileges::effective()),
        mode,
        features,
        all: (!lacking.is_empty()).then(|| give(privileges::TRACE | lacking, program)),
    }
}

/// Something missing, and the capabilities that it takes.
type Lack = (Degraded, CapabilitySet);

fn takes_none(degraded: Degraded) -> Lack {
    (degraded, CapabilitySet::empty())
}

struct Trial {
    mode: Option<Mode>,
    degraded: Vec<Lack>,
}

fn try_tracing() -> Trial {
    let refused = |reason: String, remedy, takes| {
        let degraded = feature::TRACING.missing(without_numbers(&reason), remedy);
        Trial { mode: None, degraded: vec![(degraded, takes)] }
    };
    if let Err(error) = preflight::privileges() {
        let (reason, lacking) = match &error {
            PreflightError::Privileges { missing } => {
                (format!("{missing} missing"), privileges::TRACE - privileges::effective())
            }
            PreflightError::UserNamespace => {
                ("not from a user namespace".to_owned(), CapabilitySet::empty())
            }
        };
        return refused(reason, error.remedy(), lacking);
    }
    let request = Request {
        mode: None,
        filter: Filter::default(),
        buffer_size: rustix::param::page_size() as u32,
        accept: true,
        stacks: true,
        retransmitted_data: false,
        diagnostics: false,
    };
    match load::load(&request) {
        Ok(Tracer { mode, degraded, .. }) => {
            let lacks = degraded.into_iter().map(|one| {
                let takes = capability_of_accept(&one);
                (one, takes)
            });
            Trial { mode: Some(mode), degraded: lacks.collect() }
        }
        Err(error) => {
            let remedy = "use Linux 5.9 or later with CONFIG_DEBUG_INFO_BTF, without \
                          lockdown=confidentiality";
            refused(error.to_string(), remedy, CapabilitySet::empty())
        }
    }
}

/// What it takes to read tracefs, where that is what accept() lacks.
fn capability_of_accept(degraded: &Degraded) -> CapabilitySet {
    let unreadable =
        || matches!(tracefs::has_event(tracefs::ACCEPT), Err(TracefsError::Read { .. }));
    if feature::ACCEPT.is_in(degraded) && unreadable() {
        CapabilitySet::DAC_READ_SEARCH
    } else {
        CapabilitySet::empty()
    }
}

fn try_one(feature: Feature, mode: Option<Mode>, lacks: &[Lack], program: &Path) -> Tried {
    let first = match mode {
        None if feature != feature::TRACING => Some(feature::TRACING),
        Some(Mode::Tracepoint) if !CLASSIC.contains(&feature) => Some(feature::BTF),
        _ => None,
    };
    let lack = lacks.iter().find(|(degraded, _)| feature.is_in(degraded));
    let missing = match (lack, first) {
        (Some((Degraded { reason, remedy, .. }, takes)), _) => Some(Missing {
            reason: reason.clone(),
            // What is refused with all that it takes is not to be had by more.
            remedy: Some(if privileges::effective().contains(*takes) {
                remedy.clone().into_owned()
            } else {
                give(privileges::TRACE | *takes, program)
            }),
        }),
        (None, Some(first)) if !APART.contains(&feature) => {
            Some(Missing { reason: format!("takes {}", first.name), remedy: None })
        }
        (None, _) => None,
    };
    Tried { feature, missing }
}

/// The command that gives a program these capabilities besides those that it has.
fn give(wanted: CapabilitySet, program: &Path) -> String {
    if rustix::process::geteuid().is_root() {
        // Taken from root by whoever started it.
        let lacking = privileges::names(wanted - privileges::effective());
        let names: Vec<&str> = lacking.iter().map(|name| &name["CAP_".len()..]).collect();
        return format!("docker run --cap-add {}", names.join(" --cap-add "));
    }
    privileges::setcap(wanted | privileges::effective(), program)
}

/// The mode in brackets, as in `none [integrity] confidentiality`.
fn lockdown(securityfs: &Path) -> Result<String, &'static str> {
    match fs::read_to_string(securityfs.join("lockdown")) {
        Ok(modes) => {
            let mode = modes.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
            mode.map(|(mode, _)| mode.to_owned()).ok_or("the kernel names no mode")
        }
        Err(_) if fs::read_dir(securityfs).is_ok_and(|mut entries| entries.next().is_some()) => {
            Ok("none".to_owned())
        }
        Err(_) => Err("mount -t securityfs securityfs /sys/kernel/security"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "/usr/bin/tracer";

    fn tried(feature: Feature, mode: Option<Mode>, lacks: &[Lack]) -> Option<Missing> {
        try_one(feature, mode, lacks, Path::new(PROGRAM)).missing
    }

    #[test]
    fn what_takes_another_feature_says_which() {
        let takes = |first: &str| Some(Missing { reason: format!("takes {first}"), remedy: None });
        assert_eq!(tried(feature::SOCKETS, None, &[]), takes("tracing"));
        assert_eq!(tried(feature::SOCKETS, Some(Mode::Tracepoint), &[]), takes("BTF"));
        assert_eq!(tried(feature::SOCKETS, Some(Mode::Btf), &[]), None);
        assert_eq!(tried(feature::LANDLOCK, None, &[]), None);
        assert_eq!(tried(feature::TRACING, Some(Mode::Tracepoint), &[]), None);
    }

    #[test]
    fn what_is_missing_comes_with_its_own_remedy() {
        let degraded = feature::ACCEPT.missing("not mounted", "mount it");
        let missing = tried(feature::ACCEPT, Some(Mode::Btf), &[takes_none(degraded)]).unwrap();
        assert_eq!(missing.remedy.as_deref(), Some("mount it"));
    }

    #[test]
    fn the_lockdown_mode_is_the_one_in_brackets() {
        let directory =
            std::env::temp_dir().join(format!("tracer-lockdown-{}", std::process::id()));
        assert!(lockdown(&directory).is_err());
        fs::create_dir(&directory).unwrap();
        assert!(lockdown(&directory).is_err(), "nothing is mounted there");
        fs::write(directory.join("lsm"), "landlock").unwrap();
        assert_eq!(lockdown(&directory).unwrap(), "none");
        fs::write(directory.join("lockdown"), "none [integrity] confidentiality\n").unwrap();
        assert_eq!(lockdown(&directory).unwrap(), "integrity");
        fs::remove_dir_all(&directory).unwrap();
    }
}
