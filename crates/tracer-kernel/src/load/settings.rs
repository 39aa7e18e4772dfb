//! What this kernel can do is found out by trying.

use tracer_wire::Settings;

use super::LoadError;
use crate::feature;
use tracer_event::header::Degraded;

/// Those of a kernel that can do all, with what is asked for.
pub(super) fn best(has_reset_reason: bool, stacks: bool, retransmitted_data: bool) -> Settings {
    Settings {
        has_cookie_helper: 1,
        reads_addresses: 1,
        has_reset_reason: has_reset_reason.into(),
        stacks: stacks.into(),
        retransmitted_data: retransmitted_data.into(),
    }
}

/// What the best settings that work make, and what is missing without the better ones.
///
/// # Errors
///
/// That of the best settings, where none work.
pub(super) fn first_that_works<T>(
    best: Settings,
    attempt: &mut impl FnMut(Settings) -> Result<T, LoadError>,
) -> Result<(T, Vec<Degraded>), LoadError> {
    let typed = Settings { reads_addresses: 0, ..best };
    let without_cookies = Settings { has_cookie_helper: 0, ..best };
    let typed_alone = Settings { reads_addresses: 0, ..without_cookies };
    let with = [best, typed, without_cookies, typed_alone];
    let without = with.map(|settings| Settings { stacks: 0, ..settings });
    let mut first = None;
    for settings in with.into_iter().chain(without.into_iter().filter(|_| best.stacks == 1)) {
        match attempt(settings) {
            Ok(made) => return Ok((made, lost(best, settings, first.as_ref()))),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| LoadError::NoBtf(String::new())))
}

fn lost(best: Settings, settings: Settings, error: Option<&LoadError>) -> Vec<Degraded> {
    let reason = || error.map_or_else(String::new, ToString::to_string);
    let mut degraded = Vec::new();
    if settings.has_cookie_helper < best.has_cookie_helper {
        degraded.push(feature::COOKIES.missing(reason(), "use Linux 5.12 or later"));
    }
    if settings.reads_addresses < best.reads_addresses {
        if settings.has_cookie_helper < best.has_cookie_helper {
            let remedy = "use Linux 5.12 or later, or lockdown=integrity";
            degraded.push(feature::TASK.missing(reason(), remedy));
        }
        for lost in [feature::MPTCP, feature::PROGRAMS] {
            degraded.push(lost.missing(reason(), "use lockdown=integrity"));
        }
    }
    if settings.stacks < best.stacks {
        degraded.push(no_stacks(reason()));
    }
    degraded
}

/// Stacks were asked for and are not possible.
pub(super) fn no_stacks(reason: String) -> Degraded {
    feature::STACKS.missing(reason, "use a kernel with BTF and CONFIG_PERF_EVENTS")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEST: Settings = Settings {
        has_cookie_helper: 1,
        reads_addresses: 1,
        has_reset_reason: 1,
        stacks: 1,
        retransmitted_data: 1,
    };

    /// What is said to be lost, and with which settings, on a kernel that takes what `takes` does.
    fn tried(takes: fn(&Settings) -> bool) -> (Settings, Vec<String>) {
        let mut attempt = |settings| {
            let refused = || LoadError::Object("refused".into());
            if takes(&settings) { Ok(settings) } else { Err(refused()) }
        };
        let (settings, degraded) = first_that_works(BEST, &mut attempt).unwrap();
        (settings, degraded.iter().map(|missing| missing.feature.to_string()).collect())
    }

    #[test]
    fn nothing_is_given_up_that_works() {
        let (settings, lost) = tried(|_| true);
        assert_eq!((settings, lost), (BEST, vec![]));
        let (settings, lost) = tried(|settings| settings.has_cookie_helper == 0);
        assert_eq!(settings, Settings { has_cookie_helper: 0, ..BEST });
        assert_eq!(lost, ["socket cookies"]);
        let (settings, lost) = tried(|settings| settings.stacks == 0);
        assert_eq!(settings, Settings { stacks: 0, ..BEST });
        assert_eq!(lost, ["stacks"]);
    }

    #[test]
    fn what_is_given_up_is_said() {
        let (_, lost) = tried(|settings| settings.reads_addresses == 0);
        assert_eq!(lost, ["MPTCP", "programs"]);
        let old = |settings: &Settings| settings.reads_addresses + settings.has_cookie_helper == 0;
        let (_, lost) = tried(old);
        assert_eq!(lost, ["socket cookies", "bpf_get_current_task", "MPTCP", "programs"]);
        let typed_alone = |settings: &Settings| settings.reads_addresses + settings.stacks == 0;
        let (_, lost) = tried(typed_alone);
        assert_eq!(lost, ["MPTCP", "programs", "stacks"]);
        let mut never = |_| Err::<(), _>(LoadError::Object("refused".into()));
        assert!(first_that_works(BEST, &mut never).is_err());
    }
}
