//! What all lines about a socket say, both ends and whose it is: rendered once.

use std::fmt::Write as _;

use super::{
    layout::{Layout, Widths},
    who::{write_container, write_process},
};
use crate::{names::Names, rendered::Rendered};
use tracer_event::{
    container::Cgroup,
    endpoint::Endpoint,
    enricher::Context,
    subject::{Role, Subject},
};

/// Both ends of a socket and its process.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    pub(super) local: String,
    pub(super) peer: String,
    pub(super) process: String,
    pub(super) beginning: Beginning,
}

/// What a line that has no end begins with after its time, and for which columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Beginning {
    bytes: Vec<u8>,
    widths: Option<Widths>,
}

impl Beginning {
    /// Where no column has grown since it was kept.
    pub(super) fn of(&self, widths: &Widths) -> Option<&[u8]> {
        (self.widths.as_ref() == Some(widths)).then_some(&self.bytes)
    }

    /// Keeps it.
    pub(super) fn keep(&mut self, bytes: &[u8], widths: Widths) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.widths = Some(widths);
    }
}

/// Those of all sockets.
#[derive(Default)]
pub(super) struct Subjects {
    kept: Rendered<Words>,
    /// Names of addresses, where they are asked for: they may be known by the next line, so nothing
    /// is kept.
    names: Option<Names>,
    fresh: Words,
}

impl Subjects {
    /// With the names of addresses, as far as they are known.
    pub(super) fn with_names(names: Option<Names>) -> Self {
        Self { names, ..Self::default() }
    }

    pub(super) fn of(
        &mut self,
        subject: &Subject,
        layout: Layout,
        context: Context<'_>,
    ) -> &mut Words {
        let Self { kept, names, fresh } = self;
        let Some(names) = names else {
            return kept.of(subject, context, |group, words| {
                words.render(subject, layout, group, &|end, text| {
                    // Writing to memory cannot fail.
                    let _ = end.write(text);
                });
            });
        };
        let group = context.enricher.cgroup(subject);
        let named = |end, text: &mut String| text.push_str(&names.named(end));
        fresh.render(subject, layout, group.as_deref(), &named);
        fresh
    }

    /// Lines have another layout from now on.
    pub(super) fn forget(&mut self) {
        self.kept.forget();
    }
}

impl Words {
    fn render(
        &mut self,
        subject: &Subject,
        layout: Layout,
        group: Option<&Cgroup>,
        write_end: &dyn Fn(Endpoint, &mut String),
    ) {
        let Self { local, peer, process, beginning } = self;
        beginning.widths = None;
        for text in [&mut *local, &mut *peer, &mut *process] {
            text.clear();
        }
        match layout {
            Layout::Slim => {
                // Writing to memory cannot fail.
                let _ = write!(local, ":{}", subject.tuple.local.port);
            }
            _ => write_end(subject.tuple.local, local),
        }
        if subject.role == Some(Role::Listener) {
            peer.push('*');
        } else {
            write_end(subject.tuple.peer, peer);
        }
        write_process(subject.owner, process);
        write_container(group, process);
    }
}
