//! Whose a socket is.

use tracer_event::{
    container::{self, Cgroup},
    enricher::Context,
    escape::escape,
    process::{Evidence, Owner},
    update::{Linger, Subject},
};
use tracer_texts::Texts;

use crate::phrases::said;

/// `curl[1234]`; `nginx[900]?` for the process that holds the listener, `nginx[1 of 3]?` if several
/// hold it; `-` if unknown.
pub fn process(owner: Option<Owner>) -> String {
    let mut text = String::new();
    write_process(owner, &mut text);
    text
}

/// [`process`] at the end of a text.
pub(super) fn write_process(owner: Option<Owner>, text: &mut String) {
    let Some(Owner { process, evidence, others, fd: _ }) = owner else { return text.push('-') };
    let mut numbers = itoa::Buffer::new();
    text.extend([&*escape(process.name()), "["]);
    match (evidence, others) {
        (Evidence::Listener, 1..) => {
            text.extend(["1 of ", numbers.format(others.saturating_add(1)), "]?"]);
        }
        (Evidence::Listener, 0) => text.extend([numbers.format(process.pid), "]?"]),
        _ => text.extend([numbers.format(process.pid), "]"]),
    }
}

/// The owner and the container of a socket.
pub(crate) fn who(subject: &Subject, context: Context<'_>) -> String {
    process(subject.owner) + &in_container(subject, context)
}

/// `@3f2a9c1b04de`, or nothing outside of containers.
pub fn in_container(subject: &Subject, context: Context<'_>) -> String {
    let mut text = String::new();
    write_container(context.enricher.cgroup(subject).as_deref(), &mut text);
    text
}

/// The same of a control group, at the end of a text.
pub(super) fn write_container(group: Option<&Cgroup>, text: &mut String) {
    if let Some(id) = group.and_then(|group| group.container.as_deref()) {
        text.push('@');
        text.push_str(container::short(id));
    }
}

/// The holder of a lingering socket, `who`; of an orphan the former one.
pub(crate) fn holder(linger: &Linger, who: String, texts: Option<&Texts>) -> String {
    match (linger.subject.owner, linger.orphaned) {
        (None, true) => said(texts, "held by the kernel").into(),
        (None, false) => said(texts, "owner unknown").into(),
        (Some(_), true) => format!("{} {who}", said(texts, "was")),
        (Some(_), false) => who,
    }
}
