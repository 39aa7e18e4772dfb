//! What holds of any filter.

use proptest::prelude::*;
use tracer_event::{close::Reason, state::State, subject::Role};

use super::*;

fn networks() -> impl Strategy<Value = Vec<Network>> {
    let net = prop_oneof![
        (0..4u8, 28..=32u8).prop_map(|(last, prefix)| format!("10.0.0.{last}/{prefix}")),
        (0..4u8, 126..=128u8).prop_map(|(last, prefix)| format!("2001:db8::{last}/{prefix}")),
    ];
    let net = net.prop_map(|text| Network::from(text.parse::<ipnet::IpNet>().unwrap()));
    let zoned = "[a-z0-9]{1,8}"
        .prop_map(|zone| Network { net: "fe80::1/128".parse().unwrap(), zone: Some(zone) });
    prop::collection::vec(prop_oneof![4 => net, 1 => zoned], 1..4)
}

fn conditions() -> impl Strategy<Value = Condition> {
    use Condition::{Address, Age, Cgroup, Comm, Container, Handshake, Netns, Pid, Port, Version};
    let end = || prop_oneof![Just(End::Local), Just(End::Peer), Just(End::Either)];
    let range = (0..6u16, 0..3u16).prop_map(|(first, more)| first..=first + more);
    let ports = prop::collection::vec(range, 1..4).prop_map(PortSet::new);
    let operator = prop_oneof![
        Just(Operator::Less),
        Just(Operator::AtMost),
        Just(Operator::More),
        Just(Operator::AtLeast)
    ];
    let time =
        (operator, any::<u64>()).prop_map(|(operator, limit)| Comparison { operator, limit });
    let text = || {
        "[^\u{0}-\u{1f}\u{7f}-\u{9f}]{1,12}"
            .prop_filter("harmless", |text| tracer_event::escape::harmless(text) == *text)
    };
    prop_oneof![
        (0..1u16 << State::COUNT).prop_map(|bits| {
            let states = State::ALL.into_iter().filter(|state| bits & 1 << state.index() != 0);
            Condition::State(states.collect())
        }),
        (end(), ports).prop_map(|(end, ports)| Port(end, ports)),
        (end(), networks()).prop_map(|(end, nets)| Address(end, nets)),
        prop_oneof![Just(IpVersion::V4), Just(IpVersion::V6)].prop_map(Version),
        prop::collection::vec(1..u32::MAX, 1..3).prop_map(Pid),
        text().prop_map(Comm),
        (1..u32::MAX).prop_map(Netns),
        Just(Netns(1)),
        text().prop_map(Container),
        text().prop_map(Cgroup),
        prop::sample::select(&Role::NAMES).prop_map(|(_, role)| Condition::Role(role)),
        prop::sample::select(&Reason::NAMES).prop_map(|(_, reason)| Condition::Reason(reason)),
        time.clone().prop_map(Age),
        time.prop_map(Handshake),
        Just(Condition::Problem),
    ]
}

fn expressions() -> impl Strategy<Value = Expression> {
    conditions().prop_map(Expression::Is).prop_recursive(4, 24, 4, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            parts().prop_map(Expression::all_of),
            parts().prop_map(Expression::any_of),
            inner.clone().prop_map(Expression::not),
        ]
    })
}

fn ends() -> impl Strategy<Value = Tuple> {
    let end =
        || prop_oneof![Just("10.0.0.1"), Just("10.0.0.3"), Just("2001:db8::1"), Just("fe80::1")];
    (end(), 0..9u16, end(), 0..9u16)
        .prop_map(|(local, local_port, peer, peer_port)| tuple(local, local_port, peer, peer_port))
}

proptest! {
    #[test]
    fn printing_and_reading_are_inverse(expression in expressions()) {
        prop_assert_eq!(parse(&expression.to_string(), &NoNames), Ok(expression));
    }

    #[test]
    fn the_kernel_lets_through_all_that_is_wanted(expression in expressions(), ends in ends()) {
        let filter = Filter::from(expression);
        let subject = Subject::of_addresses(ends);
        if filter.may_want(&Facts::of(&subject), &Unknown) {
            prop_assert_ne!(filter.covers(&ends), Some(false));
        }
    }

    #[test]
    fn what_the_kernel_decides_need_not_be_asked_again(expression in expressions(), ends in ends()) {
        let filter = Filter::from(expression);
        let (kernel, left) = filter.split(&filter);
        let subject = Subject::of_addresses(ends);
        let says = |expression: Expression| Filter::from(expression).may_want(&Facts::of(&subject), &Unknown);
        prop_assert_eq!(says(Expression::all_of([kernel, left])), says(filter.expression().clone()));
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC*|[ ()!|&<>=a-z0-9:,./\"-]{0,60}") {
        if let Err(mistake) = parse(&text, &Known) {
            prop_assert!(!mistake.to_string().contains('\n'));
            prop_assert_eq!(mistake.pointer().lines().count(), 2);
        }
    }

    #[test]
    fn words_of_the_language_in_any_order(words in prop::collection::vec(
        prop::sample::select(vec!["port", "80", "state", "established", "(", ")", "not", "and", "or",
            "src", "10.0.0.1:80", "=", "!=", ">", "age", "30s", "exclude", "\"", "|", "&", "!", "[", "%"]),
        0..20,
    )) {
        let text = words.join(" ");
        if let Ok(expression) = parse(&text, &Known) {
            prop_assert_eq!(parse(&expression.to_string(), &Known), Ok(expression));
        }
    }
}
