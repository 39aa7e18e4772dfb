//! Whose a socket is.

use tracer_event::{
    container,
    enricher::Enricher,
    escape::escape,
    process::{Evidence, Owner},
    update::{Linger, Subject},
};

/// `curl[1234]`; `nginx[900]?` for the process that holds the listener, `nginx[1 of 3]?` if several
/// hold it; `-` if unknown.
pub fn process(owner: Option<Owner>) -> String {
    let Some(Owner { process, evidence, others, fd: _ }) = owner else { return "-".to_owned() };
    let name = escape(process.name());
    match (evidence, others) {
        (Evidence::Listener, 0) => format!("{name}[{}]?", process.pid),
        (Evidence::Listener, others) => format!("{name}[1 of {}]?", others.saturating_add(1)),
        _ => format!("{name}[{}]", process.pid),
    }
}

/// The owner and the container of a socket.
pub(crate) fn who(subject: &Subject, enricher: &dyn Enricher) -> String {
    process(subject.owner) + &in_container(subject, enricher)
}

/// `@3f2a9c1b04de`, or nothing outside of containers.
pub fn in_container(subject: &Subject, enricher: &dyn Enricher) -> String {
    let group = enricher.cgroup(subject);
    let container = group.as_deref().and_then(|group| group.container.as_deref());
    container.map_or_else(String::new, |id| format!("@{}", container::short(id)))
}

/// The holder of a lingering socket, `who`; of an orphan the former one.
pub(crate) fn holder(linger: &Linger, who: String) -> String {
    match (linger.subject.owner, linger.orphaned) {
        (None, true) => "held by the kernel".into(),
        (None, false) => "owner unknown".into(),
        (Some(_), true) => format!("was {who}"),
        (Some(_), false) => who,
    }
}
