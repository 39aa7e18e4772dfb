//! Limits.

use rstest::rstest;

use super::*;

#[rstest]
#[case("64MiB", Ok(Limit::Bytes(64 << 20)))]
#[case("1000", Ok(Limit::Records(1000)))]
#[case("0", Err(()))]
#[case("0MiB", Err(()))]
#[case("much", Err(()))]
fn a_limit_is_a_size_or_a_number(#[case] text: &str, #[case] limit: Result<Limit, ()>) {
    assert_eq!(text.parse::<Limit>().map_err(|_| ()), limit);
}

#[rstest]
#[case("999", false)]
#[case("1000", true)]
#[case("511KiB", false)]
#[case("512KiB", true)]
fn a_queue_that_cannot_keep_up_is_refused(#[case] text: &str, #[case] is_enough: bool) {
    let problem = text.parse::<Limit>().unwrap().problem();
    assert_eq!(problem.is_none(), is_enough, "{problem:?}");
}
