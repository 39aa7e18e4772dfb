//! What of a filter the kernel decides.

use rstest::rstest;

use super::{super::kernel::Kernel, *};

#[rstest]
#[case("port 443", "port 443", "tcp")]
#[case("dport 8000-8999 and comm curl", "dport 8000-8999", "comm curl")]
#[case("not sport 22", "sport 0-21,23-65535", "tcp")]
#[case("not port 22", "sport 0-21,23-65535 and dport 0-21,23-65535", "tcp")]
#[case("dport 80 or sport 80", "port 80", "dport 80 or sport 80")]
#[case("dport 80 or dport 443", "dport 80,443", "dport 80 or dport 443")]
#[case("dport 80 or comm curl", "tcp", "dport 80 or comm curl")]
#[case("not (comm curl or dport 22)", "dport 0-21,23-65535", "not (comm curl or dport 22)")]
#[case("dst 10.0.0.0/8", "net 10.0.0.0/8", "dst 10.0.0.0/8")]
#[case("net 10.0.0.0/8", "net 10.0.0.0/8", "tcp")]
#[case("net 10.0.0.4,10.0.0.7", "net 10.0.0.4/30", "host 10.0.0.4,10.0.0.7")]
#[case("net 10.0.0.0/8 or net ::1", "tcp", "net 10.0.0.0/8 or host ::1")]
#[case("netns inode:5 and ip6 and state close-wait", "netns inode:5 and ip6", "state close-wait")]
#[case("not ip", "ip6", "tcp")]
#[case("dport 1,3,5,7,9,11,13,15,17", "tcp", "dport 1,3,5,7,9,11,13,15,17")]
#[case("dport < 1024 and dport > 1000", "dport 1001-1023", "tcp")]
#[case("dport = 0", "tcp", "dport 0")]
#[case("port < 1024", "tcp", "port 0-1023")]
#[case("dport < 1024 or sport 80", "tcp", "dport 0-1023 or sport 80")]
#[case("dport 1 and dport 2", "tcp", "dport 1 and dport 2")]
fn the_kernel_decides_what_it_can(#[case] text: &str, #[case] kernel: &str, #[case] left: &str) {
    let filter: Filter = text.parse().unwrap();
    let (in_kernel, rest) = filter.split(&filter);
    assert_eq!([in_kernel.to_string(), rest.to_string()], [kernel, left]);
}

#[test]
fn networks_take_the_kernel_s_form() {
    let filter: Filter = "net 10.1.0.0/16".parse().unwrap();
    let tracer_wire::Filter { network, mask, .. } = filter.in_kernel();
    assert_eq!(network[0], 0);
    assert_eq!(network[1].to_ne_bytes(), [0, 0, 0xff, 0xff, 10, 1, 0, 0]);
    assert_eq!(mask[0], u64::MAX);
    assert_eq!(mask[1].to_ne_bytes(), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
}

#[rstest]
#[case("tcp", 0, 80, Some(true))]
#[case("port 80", 0, 80, Some(true))]
#[case("port 80", 80, 5000, Some(true))]
#[case("port 80", 0, 443, None)]
#[case("port 80", 5000, 443, Some(false))]
#[case("sport 80", 0, 443, None)]
#[case("sport 80", 80, 0, Some(true))]
#[case("dport 80", 0, 443, Some(false))]
#[case("netns inode:2", 0, 443, Some(false))]
#[case("port 1,3,5,7,9,11,13,15,17", 50, 60, Some(true))]
fn what_the_kernel_lets_through_is_known(
    #[case] text: &str,
    #[case] local: u16,
    #[case] peer: u16,
    #[case] covered: Option<bool>,
) {
    let filter: Filter = text.parse().unwrap();
    assert_eq!(filter.covers(&tuple("10.0.0.1", local, "10.0.0.1", peer)), covered);
}

#[test]
fn a_kernel_that_is_asked_nothing_filters_nothing() {
    assert_eq!(Kernel::of(&Expression::ALL).wire(), tracer_wire::Filter::default());
}
