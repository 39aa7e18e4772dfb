//! Findings on several processes of one name.

use super::*;

/// A leaked connection of each.
fn leaking(pids: std::ops::Range<u32>) -> Finding {
    let (sockets, holders) = (pids.len() as u64, pids.map(app).collect());
    let leak = Leak { holders, fds: vec![5], sockets, ..leak(Cause::Held) };
    of(Problem::CloseWaitLeak(Box::new(leak)))
}

#[test]
fn the_first_are_named() {
    let finding = leaking(900..912);
    let words = "app[900], app[901], app[902], 9 more leak 12 connections; the peers have closed";
    assert_eq!(finding.sentence().english(), words);
    let lines = finding.evidence().into_iter();
    let lines: Vec<String> = lines.map(|Line { label, text }| format!("{label}: {text}")).collect();
    let expected = [
        "process: app[900] /srv/app",
        "process: app[901] /srv/app",
        "process: app[902] /srv/app",
        "process: 9 more",
        "fd: 5 of app[900]",
    ];
    assert_eq!(lines[..5], expected);
}

#[test]
fn it_is_the_same_finding_when_other_workers_do_it() {
    let key = |pids| leaking(pids).key();
    assert_eq!(key(900..912), key(905..907));
    let mut other = leaking(900..901);
    let Problem::CloseWaitLeak(leak) = &mut other.problem else { panic!() };
    leak.holders[0].container = Some("1234".into());
    assert_ne!(other.key(), key(900..912));
    // The workers of two servers.
    let mut other = leaking(900..912);
    let Problem::CloseWaitLeak(leak) = &mut other.problem else { panic!() };
    leak.parent = Some(app(800).process);
    assert_ne!(other.key(), key(900..912));
}

#[test]
fn clients_of_one_name_are_counted() {
    let stuck = StuckHandshake {
        state: State::SynSent,
        process: Some(app(900).process),
        others: 11,
        service: Service::There(at("10.0.0.9", 443)),
        sockets: 12,
        retransmits: 4,
        lost: None,
        answering: 0,
    };
    let words = "app[900] and 11 more of that name get no answer: 12 connections to 10.0.0.9:443 \
                 in SYN_SENT";
    assert_eq!(of(Problem::StuckHandshake(stuck)).sentence().english(), words);
}

#[rstest]
#[case("/run/netns/blue", "nsenter --net='/run/netns/blue' ")]
#[case("/run/it's; reboot", r"nsenter --net='/run/it'\''s; reboot' ")]
fn a_namespace_without_a_process_is_entered_by_its_mount(#[case] path: &str, #[case] enter: &str) {
    let entry = Some(Entry::Mount(path.into()));
    let finding = Finding { entry, ..leaking(900..912) };
    let commands = finding.remedies().into_iter().filter_map(|remedy| remedy.command);
    let kills: Vec<String> = commands.filter(|command| command.contains("ss -K")).collect();
    assert!(kills.iter().all(|command| command.starts_with(enter)) && !kills.is_empty());
    let line = finding.evidence().pop().unwrap();
    assert_eq!(line.text.english(), format!("net:[7], {path}"));
    let json = serde_json::to_string(&finding).unwrap();
    assert_eq!(serde_json::from_str::<Finding>(&json).unwrap(), finding);
}

#[test]
fn who_has_got_it_by_fork_is_told_beside() {
    let mut finding = leaking(900..901);
    let Problem::CloseWaitLeak(leak) = &mut finding.problem else { panic!() };
    leak.heirs = vec![app(901)];
    let line = finding.evidence().into_iter().find(|line| line.label == "also held").unwrap();
    let words = "app[901] by fork as well: no FIN is sent while one is open there";
    assert_eq!(line.text.english(), words);
    let advice = finding.remedies().remove(1).text;
    assert!(advice.english().contains("SOCK_CLOEXEC"), "{advice}");
}
