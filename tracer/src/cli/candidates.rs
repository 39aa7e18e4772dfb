//! What a shell may complete the values of options with: what there is, and what there is now.

use clap_complete::{ArgValueCandidates, CompletionCandidate};

use tracer_event::{container::short, state::State};
use tracer_kernel::present;
use tracer_lab::scenario;
use tracer_texts::terms;

/// Of states, as `ss` writes them.
pub(super) fn states() -> ArgValueCandidates {
    let name = |state: State| state.name().to_ascii_lowercase().replace('_', "-");
    ArgValueCandidates::new(move || named(State::ALL.map(name)))
}

/// Of network namespaces: those with a name, and those that processes are in.
pub(super) fn namespaces() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let mut all = named(["all", "host"].map(str::to_owned));
        all.extend(named(present::named_namespaces()));
        let lived_in = present::namespaces().into_iter().map(|(inode, process)| {
            CompletionCandidate::new(inode.to_string()).help(Some(process.into()))
        });
        all.extend(lived_in);
        all
    })
}

/// Of containers that processes are in.
pub(super) fn containers() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        named(present::containers().iter().map(|container| short(container).to_owned()))
    })
}

/// Of what `tracer demo` plays.
pub(super) fn scenarios() -> ArgValueCandidates {
    ArgValueCandidates::new(|| named(scenario::all().map(|scenario| scenario.name.to_owned())))
}

/// Of what `tracer explain` knows.
pub(super) fn explained() -> ArgValueCandidates {
    ArgValueCandidates::new(|| named(terms::TERMS.iter().map(|term| term.name.to_owned())))
}

/// Names that no shell takes for anything else: bash expands what it is given.
fn named(names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let is_harmless = |name: &String| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@+ ".contains(&byte))
    };
    names.into_iter().filter(is_harmless).map(CompletionCandidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(of: &ArgValueCandidates) -> Vec<String> {
        let value = |one: CompletionCandidate| one.get_value().to_string_lossy().into_owned();
        of.candidates().into_iter().map(value).collect()
    }

    #[test]
    fn every_state_that_is_offered_is_one() {
        let states = values(&states());
        assert_eq!(states.len(), State::COUNT);
        assert!(states.contains(&"close-wait".to_owned()));
        assert!(states.iter().all(|state| state.parse::<State>().is_ok()));
    }

    #[test]
    fn the_own_namespace_is_offered() {
        let namespaces = values(&namespaces());
        assert_eq!(namespaces[..2], ["all", "host"]);
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let own = own.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).to_owned();
        assert!(namespaces.contains(&own), "{own}: {namespaces:?}");
    }

    #[test]
    fn every_scenario_and_every_term_is_offered() {
        assert_eq!(values(&scenarios()).len(), scenario::all().count());
        assert!(values(&explained()).iter().all(|term| terms::find(term).is_some()));
    }

    #[test]
    fn what_a_shell_would_expand_is_not_offered() {
        let names = ["web", "a*", "$(id)", "`id`", "x;y", "a\nb", "user-1000/web"];
        let offered = named(names.map(str::to_owned));
        let offered: Vec<_> = offered.iter().map(CompletionCandidate::get_value).collect();
        assert_eq!(offered, ["web", "user-1000/web"]);
    }
}
