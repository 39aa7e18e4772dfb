//! In which language people are spoken to.

use clap::Args;

use tracer_texts::{Language, Texts};

/// The language of screens and explanations.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(super) struct LanguageArgument {
    /// Language: en or ko; help and errors are in English [default: that of LC_ALL, LC_MESSAGES or LANG]
    #[arg(long, value_name = "LANGUAGE")]
    lang: Option<Language>,
}

impl LanguageArgument {
    /// Whether one is asked for.
    pub(super) fn is_given(self) -> bool {
        self.lang.is_some()
    }

    /// The texts asked for.
    pub(super) fn texts(self) -> Texts {
        let environment = || Language::of_environment(|name| std::env::var(name).ok());
        Texts::of(self.lang.unwrap_or_else(environment))
    }
}
