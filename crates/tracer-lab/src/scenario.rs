//! The scenarios that there are. Each is a function that plays it; its title and what is said at
//! each of its steps are texts, by the names used here.

mod closes;
mod limits;
mod lingering;
mod losses;
mod opens;
mod resets;
mod timeouts;

use crate::{error::Result, stage::Stage};

/// Something that TCP does.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// By which it is asked for.
    pub name: &'static str,
    /// The steps that it announces, in order.
    pub steps: &'static [&'static str],
    /// Plays it.
    pub play: fn(&Stage<'_>) -> Result<()>,
}

/// All of them, in the order in which one learns them.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        opens::SCENARIOS,
        closes::SCENARIOS,
        losses::SCENARIOS,
        resets::SCENARIOS,
        timeouts::SCENARIOS,
        lingering::SCENARIOS,
        limits::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

/// The one of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    all().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_and_steps_with_names_of_their_own() {
        let unique = |mut names: Vec<&str>| {
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            all == names.len() && all > 0
        };
        assert!(unique(all().map(|scenario| scenario.name).collect()));
        for scenario in all() {
            assert!(unique(scenario.steps.to_vec()), "{}", scenario.name);
        }
    }
}
