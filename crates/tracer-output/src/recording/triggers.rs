//! What makes a flight recorder write.

use super::settings::Settings;
use tracer_event::{
    finding::{PortUse, Status},
    host::ProcessFacts,
    update::Update,
};
use tracer_model::diagnosis::HostSnapshot;

/// Looks out for it.
#[derive(Debug)]
pub(super) struct Triggers {
    settings: Settings,
    /// The share of the ports was reached, and has been reported.
    ports: bool,
    /// The same of descriptors.
    descriptors: bool,
}

impl Triggers {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, ports: false, descriptors: false }
    }

    /// Why to write now, if so: in a word, for the name of the file.
    pub(super) fn update(&self, update: &Update<'_>) -> Option<String> {
        match update {
            Update::Finding(finding) => {
                let raised = finding.status == Status::Raised;
                let severe = self.settings.finding.is_some_and(|least| finding.severity >= least);
                (raised && severe).then(|| finding.problem.code().to_owned())
            }
            Update::Transition(event) if event.at_exit => {
                let owner = event.subject.owner?;
                let name = owner.process.name();
                let ended = |pattern: &String| matches(pattern.as_bytes(), name);
                let reason = || format!("end-of-{}", String::from_utf8_lossy(name));
                self.settings.process.iter().any(ended).then(reason)
            }
            _ => None,
        }
    }

    /// The same where ports become scarce.
    pub(super) fn ports(&mut self, ports: &[PortUse]) -> Option<String> {
        let share = self.settings.ports?;
        let reached = ports.iter().any(|one| one.ratio() >= share);
        let before = std::mem::replace(&mut self.ports, reached);
        (reached && !before).then(|| "ports".to_owned())
    }

    /// The same where descriptors do: of the processes that a snapshot looked at.
    pub(super) fn descriptors(&mut self, seen: &HostSnapshot) -> Option<String> {
        let share = self.settings.descriptors?;
        let reached = seen.host.processes.values().any(|process| used(process) >= share);
        let before = std::mem::replace(&mut self.descriptors, reached);
        (reached && !before).then(|| "descriptors".to_owned())
    }
}

/// The share of its descriptors that a process has open.
fn used(process: &ProcessFacts) -> f64 {
    match (process.descriptors, process.descriptor_limit) {
        (Some(open), Some(limit)) if limit > 0 => open as f64 / limit as f64,
        _ => 0.0,
    }
}

/// Whether a name is as the pattern, in which `*` stands for anything.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, name)
                || name.split_first().is_some_and(|(_, name)| matches(pattern, name))
        }
        (Some((one, pattern)), Some((other, name))) => one == other && matches(pattern, name),
        _ => false,
    }
}
