//! Every command that a finding prints was run by a live test, in the situation that prints it.
//!
//! The commands are found in the sources of the findings: one that is new fails here until a live
//! test runs it and stands in the table.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// File of the finding (`remedies`: of several), how the command begins or what it contains, and the
/// suite and test that run it. `{enter}{}` is `timeout 3 bash -c '</dev/tcp/…'`.
const TRIED: &str = "
accept_queue_full | net.core.somaxconn | remedies::somaxconn_is_raised_where_it_is_the_limit
close_wait_leak | ss -K -t state close-wait | remedies::connections_in_close_wait_are_ended_in_the_leaker_s_namespace
closed_but_held | ls -l /proc/{pid}/fd | accepting::a_child_that_holds_what_its_parent_has_closed_is_found
connect_failures | ss -tlnp | ends::attempts_that_are_refused_are_counted_with_who_refuses
connect_failures | ss -tnp state syn-sent | ends::attempts_that_are_refused_are_counted_with_who_refuses
connection_resets | nft list ruleset | connecting::an_rst_that_a_packet_filter_sends_is_not_told_as_the_peer_s
dead_peer | {enter}{} | silence::a_host_that_is_gone_is_told_with_the_bytes_and_when_the_kernel_gives_up
dead_peer | tcp_mtu_probing | paths::a_path_that_drops_full_sized_segments_is_asked_about
dead_peer | ss -K -t | silence::a_fin_and_keepalive_probes_without_an_answer_are_told
deferred_accept | ss -tan state syn-recv | accepting::clients_that_say_nothing_are_found_with_their_listener
descriptors | prlimit | remedies::a_process_without_descriptors_gets_more
listens_elsewhere | ss -tlnp | paths::a_server_that_listens_on_another_address_is_named
no_local_port | ss -tanp | remedies::ports_are_found_again
peer_not_reading | cat /proc/{}/stack | silence::who_does_not_read_is_named_where_it_is_on_this_host
peer_not_reading | ss -K -t | silence::clients_that_do_not_read_are_told_with_what_waits_for_them
retransmissions | tc -s qdisc show | paths::segments_that_a_path_loses_are_counted_by_peer
retransmissions | ip -s -s link show | paths::segments_that_a_path_loses_are_counted_by_peer
self_connect | ip_local_reserved_ports | accepting::a_socket_that_is_connected_to_itself_is_found_and_its_port_reserved
self_connect | ss -K -t src | accepting::a_socket_that_is_connected_to_itself_is_found_and_its_port_reserved
stuck_handshake | {enter}{} | remedies::a_flood_of_syns_is_shown_and_survived
stuck_handshake | ss -tn state syn-recv | remedies::a_flood_of_syns_is_shown_and_survived
stuck_state | ss -tnoip state | remedies::who_waits_in_fin_wait2_is_shown_with_its_timers
syn_backlog | ss -tn state syn-recv | remedies::a_flood_of_syns_is_shown_and_survived
syn_backlog | tcp_syncookies | remedies::a_flood_of_syns_is_shown_and_survived
syn_backlog | tcp_max_syn_backlog | remedies::a_flood_of_syns_is_shown_and_survived
time_wait_overflow | tcp_max_tw_buckets | remedies::there_may_be_more_sockets_in_time_wait
remedies | /proc/{pid}/task/*/stack | remedies::where_a_server_is_stuck_that_does_not_accept_is_shown
remedies | kill -CONT | remedies::who_is_halted_is_shown_or_goes_on
remedies | TracerPid | remedies::who_is_halted_is_shown_or_goes_on
remedies | echo {} > {} | remedies::who_is_halted_is_shown_or_goes_on
remedies | tcp_tw_reuse | remedies::ports_are_found_again
remedies | ip_local_port_range | remedies::ports_are_found_again
remedies | nft list ruleset | connecting::handshakes_under_way_show_at_both_ends_what_is_lost
";

/// Settings of programs that a finding names, and the same.
const SETTINGS: &str = "
other_side | proxy_read_timeout, haproxy | forwarding::nginx_that_is_told_to_ignore_its_clients_waits_for_its_server
other_side | haproxy timeout server) | forwarding::haproxy_waits_for_its_server_until_timeout_server
other_side | timeout server-fin | proxies::haproxy_ends_what_its_server_does_not_close_by_server_fin
other_side | timeout client-fin | proxies::haproxy_ends_what_its_client_does_not_close_by_client_fin
other_side | proxy_timeout | proxies::nginx_ends_streams_by_proxy_timeout
";

/// The cells of each line.
fn rows(table: &'static str) -> Vec<[&'static str; 3]> {
    let cells =
        |line: &'static str| <[&str; 3]>::try_from(line.split(" | ").collect::<Vec<_>>()).unwrap();
    table.trim().lines().map(cells).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// The commands in the source of a finding: the last text of each call of `command`.
fn commands(source: &str) -> Vec<String> {
    let calls = source.match_indices("command(").filter(|(at, _)| {
        let before = &source[..*at];
        !before.ends_with("fn ") && !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
    });
    let texts = |(at, call): (usize, &str)| {
        let (mut depth, mut is_text, mut texts) = (1, false, Vec::new());
        let mut rest = source[at + call.len()..].chars();
        while depth > 0 {
            match (rest.next().unwrap(), is_text) {
                ('"', false) => {
                    is_text = true;
                    texts.push(String::new());
                }
                ('"', true) => is_text = false,
                ('\\', true) => drop(rest.next()),
                (character, true) => texts.last_mut().unwrap().push(character),
                ('(', false) => depth += 1,
                (')', false) => depth -= 1,
                _ => {}
            }
        }
        texts.pop().unwrap_or_else(|| panic!("a command without a text: {}", &source[at..at + 80]))
    };
    calls.map(texts).collect()
}

#[test]
fn every_command_of_a_finding_is_run_by_a_live_test() {
    let (table, mut used) = (rows(TRIED), BTreeSet::new());
    for entry in fs::read_dir(Path::new(ROOT).join("crates/tracer-event/src/finding")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") || path.ends_with("tests.rs")
        {
            continue;
        }
        let file = path.file_stem().unwrap().to_str().unwrap();
        for command in commands(&fs::read_to_string(&path).unwrap()) {
            let is_its = |[of, part, _]: &[&str; 3]| *of == file && command.contains(part);
            let line = table.iter().position(is_its).unwrap_or_else(|| {
                panic!(
                    "{file} prints {command:?}: which live test runs it (tracer/tests/remedies.rs)?"
                )
            });
            used.insert(line);
        }
    }
    assert_eq!(used.len(), table.len(), "a line of the table is of no command any more");
}

#[test]
fn every_setting_and_test_of_the_tables_exists() {
    for [file, setting, _] in rows(SETTINGS) {
        let source = read(&format!("crates/tracer-event/src/finding/{file}.rs"));
        assert!(source.contains(setting), "{file}: {setting}");
    }
    for [_, what, test] in [rows(TRIED), rows(SETTINGS)].concat() {
        let (suite, test) = test.split_once("::").unwrap();
        let source = read(&format!("tests/tests/{suite}.rs"));
        assert!(source.contains(&format!("fn {test}()")), "{what}: {suite} has no test {test}");
    }
}
