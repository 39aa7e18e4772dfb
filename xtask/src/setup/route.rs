//! Which way to a compiler for the eBPF half: the decision alone, taken from observed facts.

/// What is known of one rustup toolchain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Absent,
    /// Installed, but `core` cannot be built with it.
    WithoutSource,
    /// Complete, but it cannot be used, and why.
    Unsuitable(String),
    Ready,
}

/// A way to get a compiler, each of which may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Add the missing source to the nightly that is there, whose version stays as it is.
    AddSource,
    InstallNightly,
    /// Debian's packages, linked as a toolchain of rustup.
    Debian,
}

/// What the choice depends on when no toolchain is ready.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) nightly: Condition,
    /// Whether rustup's own downloads are reachable from here.
    pub(crate) downloads: bool,
    pub(crate) debian: bool,
}

/// The routes worth trying, the best first.
pub(crate) fn routes(facts: &Facts) -> Vec<Route> {
    let Facts { nightly, downloads, debian } = facts;
    let rustup = match nightly {
        Condition::Absent => Some(Route::InstallNightly),
        Condition::WithoutSource => Some(Route::AddSource),
        // Only an update would help, and that is the user's to decide.
        Condition::Unsuitable(_) | Condition::Ready => None,
    };
    let debian = debian.then_some(Route::Debian);
    // A download that cannot work may take its whole time limit to fail.
    let order = if *downloads { [rustup, debian] } else { [debian, rustup] };
    order.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(nightly: Condition, downloads: bool, debian: bool) -> Vec<Route> {
        routes(&Facts { nightly, downloads, debian })
    }

    #[test]
    fn rustup_comes_first_where_it_can_download() {
        assert_eq!(choose(Condition::Absent, true, true), [Route::InstallNightly, Route::Debian]);
        assert_eq!(choose(Condition::WithoutSource, true, false), [Route::AddSource]);
    }

    #[test]
    fn debian_comes_first_where_rustup_cannot_download() {
        assert_eq!(choose(Condition::Absent, false, true), [Route::Debian, Route::InstallNightly]);
        assert_eq!(
            choose(Condition::WithoutSource, false, true),
            [Route::Debian, Route::AddSource]
        );
    }

    #[test]
    fn a_doubtful_download_is_still_tried_where_nothing_else_is_left() {
        assert_eq!(choose(Condition::Absent, false, false), [Route::InstallNightly]);
    }

    #[test]
    fn an_unsuitable_nightly_is_never_changed() {
        let old = Condition::Unsuitable("it is Rust 1.80".to_owned());
        assert_eq!(choose(old.clone(), true, true), [Route::Debian]);
        assert_eq!(choose(old, true, false), []);
    }
}
