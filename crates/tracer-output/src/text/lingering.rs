//! Flags on lingering sockets, in words, and the stacks that created them.

use std::{fmt::Display, sync::Arc};

use tracer_event::{
    duration::grouped,
    enricher::Context,
    stack::{self, Stack},
    update::{Linger, LingerStatus, Subject},
};
use tracer_texts::Texts;

use super::layout::arrow;
use crate::phrases::{of_wording, said, worded};

/// Whether addresses are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Shown,
    LeftOut,
}

/// The stacks that created sockets which have just been flagged; `last` is the last one that was
/// shown.
pub(super) fn stacks(
    raised: &[&Linger],
    context: Context<'_>,
    last: &mut Option<Arc<Stack>>,
    texts: Option<&Texts>,
) -> Vec<String> {
    let mut stacks: Vec<(Arc<Stack>, u64)> = Vec::new();
    for stack in raised.iter().filter_map(|linger| context.enricher.stack(&linger.creator?)) {
        match stacks.iter_mut().find(|(known, _)| *known == stack) {
            Some((_, sockets)) => *sockets += 1,
            None => stacks.push((stack, 1)),
        }
    }
    let mut lines = Vec::new();
    for (stack, sockets) in stacks {
        if last.as_ref() == Some(&stack) {
            lines.push(format!("    {}", said(texts, "(the same stack)")));
            continue;
        }
        if raised.len() > 1 {
            let sockets = grouped(sockets);
            let english = format_args!("{sockets} created at:");
            let created = worded(texts, "view-created", &[("count", &sockets)], english);
            lines.push(format!("  {created}"));
        }
        lines.extend(stack::lines(&stack).into_iter().map(|call| format!("    {call}")));
        *last = Some(stack);
    }
    lines
}

/// The flag on a socket that is named elsewhere.
pub fn flag(linger: &Linger, texts: Option<&Texts>) -> String {
    of_wording(&linger.flag(), texts).into_owned()
}

/// The flag on a socket, with the name of who holds it.
pub(crate) fn sentence(linger: &Linger, who: &str, texts: Option<&Texts>) -> String {
    let Subject { tuple, role, .. } = linger.subject;
    let (held, advice) = (held(linger, who, texts), advice(linger, texts));
    format!("{held}: {}{}{}{advice}", tuple.local, arrow(role), tuple.peer)
}

/// The same without addresses.
pub(super) fn without_ends(linger: &Linger, who: &str, texts: Option<&Texts>) -> String {
    held(linger, who, texts) + &advice(linger, texts)
}

/// `⚑ stuck in CLOSE_WAIT for 10.0s, nginx[900] fd 7`
fn held(linger: &Linger, who: &str, texts: Option<&Texts>) -> String {
    let fd = linger.subject.owner.and_then(|owner| owner.fd).filter(|_| !linger.orphaned);
    let fd = match (fd, linger.holders.len()) {
        (None, _) => String::new(),
        (Some(fd), 0..=1) => format!(" fd {fd}"),
        (Some(fd), several) => {
            let more = several - 1;
            let values: [(&str, &dyn Display); 2] = [("fd", &fd), ("more", &more)];
            let english = format_args!("fd {fd} and {more} more");
            format!(" {}", worded(texts, "view-descriptors", &values, english))
        }
    };
    format!("{}, {who}{fd}", flag(linger, texts))
}

/// What has to happen before the state ends.
pub(super) fn advice(linger: &Linger, texts: Option<&Texts>) -> String {
    if linger.status == LingerStatus::Cleared {
        return String::new();
    }
    cause(linger, texts).map_or_else(String::new, |words| format!(": {words}"))
}

/// Why it is stuck, as far as that is known.
pub fn cause(linger: &Linger, texts: Option<&Texts>) -> Option<String> {
    Some(of_wording(&linger.reason()?, texts).into_owned())
}
