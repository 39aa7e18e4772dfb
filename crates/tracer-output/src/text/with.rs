//! What a text is given besides what it needs.

use tracer_texts::Texts;

use super::{Text, subjects::Subjects};
use crate::{Resized, names::Names};

impl Text {
    /// With a terminal that may be resized.
    #[must_use]
    pub fn resized_by(self, resized: Resized) -> Self {
        Self { resized: Some(resized), ..self }
    }

    /// With sentences of findings in a language.
    #[must_use]
    pub fn with_texts(self, texts: Texts) -> Self {
        Self { texts: Some(texts), ..self }
    }

    /// With the names of addresses, as far as they are known.
    #[must_use]
    pub fn with_names(self, names: Option<Names>) -> Self {
        Self { subjects: Subjects::with_names(names), ..self }
    }
}
