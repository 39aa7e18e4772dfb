//! Small parsers of `/proc` files (`Documentation/filesystems/proc.rst`).

use tracer_event::{
    escape::escape,
    host::{Counters, PortRange},
};

/// The soft limit in `/proc/PID/limits`; `None` for `unlimited`.
pub fn descriptor_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Numbers and names of the interfaces in `/proc/net/if_inet6`; names are any bytes but space, and
/// are escaped.
pub fn interfaces(text: &[u8]) -> Vec<(u32, String)> {
    let interface = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
        let number = u32::from_str_radix(str::from_utf8(fields.nth(1)?).ok()?, 16).ok()?;
        Some((number, escape(fields.nth(3)?).into_owned()))
    };
    text.split(|byte| *byte == b'\n').filter_map(interface).collect()
}

/// `ip_local_port_range` and `ip_local_reserved_ports`.
pub fn port_range(range: &str, reserved: &str) -> Option<PortRange> {
    let mut numbers = range.split_ascii_whitespace().map(|word| word.parse().ok());
    let (low, high) = (numbers.next()??, numbers.next()??);
    let run = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    let reserved = reserved.trim().split(',').filter_map(run).collect();
    Some(PortRange { low, high, reserved })
}

/// `/proc/net/netstat`: for each group a line of names and a line of numbers.
pub fn counters(netstat: &str) -> Counters {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, numbers) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let mut counters = Counters::default();
    for (name, number) in names.split(' ').zip(numbers.split(' ')) {
        let counter = match name {
            "ListenOverflows" => &mut counters.listen_overflows,
            "ListenDrops" => &mut counters.listen_drops,
            "TCPTimeWaitOverflow" => &mut counters.time_wait_overflow,
            "TCPReqQFullDrop" => &mut counters.syn_drops,
            "TCPReqQFullDoCookies" => &mut counters.syn_cookies,
            _ => continue,
        };
        *counter = number.parse().unwrap_or(0);
    }
    counters
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn interfaces_have_numbers_and_names() {
        let text = b"fe80000000000000bc10a7fffe29dfaf 1a 40 20 80     eth\x1b0\n\
            00000000000000000000000000000001 01 80 10 80       lo\nbad line\n";
        let found = [(26, "eth\\x1b0".to_owned()), (1, "lo".to_owned())];
        assert_eq!(interfaces(text), found);
    }

    #[rstest]
    #[case(
        "Max processes 1 2\nMax open files            1024                 524288  files\n",
        Some(1024)
    )]
    #[case("Max open files            unlimited            unlimited  files\n", None)]
    #[case("", None)]
    fn the_soft_limit_counts(#[case] text: &str, #[case] limit: Option<u64>) {
        assert_eq!(descriptor_limit(text), limit);
    }

    #[test]
    fn ranges_and_single_ports_are_reserved() {
        let range = port_range("32768\t60999\n", "8080,40000-40009\n").unwrap();
        assert_eq!((range.low, range.high), (32768, 60999));
        assert_eq!(range.reserved, [(8080, 8080), (40000, 40009)]);
        assert_eq!(port_range("1 2", "\n").unwrap().reserved, []);
        assert_eq!(port_range("1", ""), None);
    }

    #[test]
    fn counters_are_found_by_name() {
        let text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPTimeWaitOverflow \
                    TCPReqQFullDoCookies TCPReqQFullDrop\nTcpExt: 9 1 2 3 4 5\n\
                    IpExt: ListenDrops\nIpExt: 77\n";
        let expected = Counters {
            listen_overflows: 1,
            listen_drops: 2,
            time_wait_overflow: 3,
            syn_cookies: 4,
            syn_drops: 5,
        };
        assert_eq!(counters(text), expected);
        assert_eq!(counters("TcpExt: ListenDrops\n"), Counters::default());
    }
}
