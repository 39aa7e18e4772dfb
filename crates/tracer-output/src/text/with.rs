//! What a text is given besides what it needs.

use std::sync::Arc;

use tracer_texts::Texts;

use super::{QUIET, Text, layout::Widths, subjects::Subjects};
use crate::{Resized, names::Names, phrases::other, status::StatusLine};

impl Text {
    /// Without the status line, which is true of a live trace only; every line is shown, however
    /// many there are.
    #[must_use]
    pub fn without_status(self) -> Self {
        Self { status: StatusLine::new(None, QUIET), rates: None, ..self }
    }

    /// A terminal gets a few words on what it shows, and what to try while nothing happens.
    #[must_use]
    pub fn introduced(self) -> Self {
        Self { introduces: self.width.is_some(), ..self }
    }

    /// With a terminal that may be resized.
    #[must_use]
    pub fn resized_by(self, resized: Resized) -> Self {
        Self { resized: Some(resized), ..self }
    }

    /// Follows a terminal that has been resized; where its lines show more or less than before,
    /// their header comes again.
    pub(super) fn follow(&mut self, out: &mut Vec<u8>) {
        let Some(width) = self.width.and_then(|_| self.resized.as_ref()?()) else { return };
        if self.width == Some(width) {
            return;
        }
        let layout = self.widths.layout;
        self.width = Some(width);
        self.widths = Widths::new(self.width);
        self.status.resize(width);
        if self.widths.layout != layout {
            self.subjects.forget();
            self.status.erase(out);
            self.titles(out);
        }
    }

    /// With words in a language.
    #[must_use]
    pub fn with_texts(self, texts: Texts) -> Self {
        Self { texts: other(Some(&texts)).is_some().then(|| Arc::new(texts)), ..self }
    }

    /// The words, where they are not in English.
    pub(crate) fn texts(&self) -> Option<Arc<Texts>> {
        self.texts.clone()
    }

    /// With the names of addresses, as far as they are known.
    #[must_use]
    pub fn with_names(self, names: Option<Names>) -> Self {
        Self { subjects: Subjects::with_names(names), ..self }
    }
}
