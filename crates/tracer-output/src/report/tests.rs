//! The page and its short form.

use std::collections::BTreeMap;

use tracer_event::{
    endpoint::Endpoint,
    finding::{
        AcceptQueue, Descriptors, Listener, NoLocalPort, OutOfDescriptors, Problem, Program,
        Service, Status, StuckHandshake, SynBacklog,
    },
    process::Process,
    state::State,
};

use super::*;

/// Long names and addresses, as they are on a bad day.
#[expect(clippy::too_many_lines, reason = "one of everything")]
fn diagnosis() -> Diagnosis {
    let process = Process { pid: 4_194_303, comm: *b"elasticsearch-9\0", start_ns: 0 };
    let local = Endpoint::new("2001:db8:1234:5678::9abc".parse().unwrap(), 54_321);
    let program = || Program {
        process,
        executable: None,
        container: None,
        pod: None,
        pod_name: None,
        unit: None,
        freezer: None,
    };
    let listener = Listener {
        local,
        processes: vec![program()],
        halted: None,
        doing: None,
        queue: 4097,
        backlog: 4096,
        candidates: 1,
    };
    let problems = [
        Problem::AcceptQueueFull(AcceptQueue {
            listener,
            dropped: None,
            listen_overflows: 12_345,
            listen_drops: 12_345,
            somaxconn: Some(4096),
        }),
        Problem::NoLocalPort(NoLocalPort {
            process: Some(process),
            others: 0,
            peer: local,
            count: 12_345,
            size: Some(28_232),
        }),
        Problem::Descriptors(OutOfDescriptors {
            program: program(),
            descriptors: Descriptors::new(1_000_000, 1_048_576, 2_345.0),
            holds: None,
        }),
        Problem::SynBacklog(SynBacklog {
            half_open: 4096,
            local: Some(local),
            syn_drops: 12_345,
            syn_cookies: 0,
            backlog: None,
            limit: Some(4096),
        }),
        Problem::StuckHandshake(StuckHandshake {
            state: State::SynSent,
            process: Some(process),
            others: 0,
            service: Service::There(local),
            sockets: 1_234,
            retransmits: 5,
            lost: None,
        }),
    ];
    let finding = |problem| Finding {
        time: 0,
        severity: Severity::Critical,
        status: Status::Raised,
        netns: 4_026_531_840,
        entry: Some(tracer_event::host::Entry::Process(4_194_303)),
        problem,
    };
    Diagnosis {
        findings: problems.map(finding).into(),
        states: BTreeMap::from([(State::Established, 12_345), (State::Listen, 12)]),
        namespaces: 12,
        observed: 5_000_000_000,
        sending: 0,
        lost: 0,
        refused: 0,
        ports: [].into(),
    }
}

#[test]
fn five_findings_fit_a_small_terminal() {
    let diagnosis = diagnosis();
    let mut out = Vec::new();
    brief(&diagnosis, Palette::PLAIN, Some(80), None, &mut out);
    let text = String::from_utf8(out).unwrap();
    // Commands are not broken, and the terminal continues them below. The prompt needs a line.
    let lines: usize = text.lines().map(|line| line.chars().count().div_ceil(80).max(1)).sum();
    assert!(lines < 24, "{lines} lines:\n{text}");
    for finding in &diagnosis.findings {
        let first = finding.remedies()[0].clone();
        let together = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(together.contains(finding.sentence().english()), "{text}");
        assert!(together.contains(first.text.english()), "{text}");
        assert!(first.command.is_none_or(|command| text.contains(&command)), "{text}");
    }
}

/// One cause may have many destinations.
#[test]
fn of_many_findings_of_a_kind_only_the_first_are_shown_whole() {
    let one = diagnosis().findings.remove(0);
    let many = Diagnosis { findings: vec![one; NAMED + 7], ..diagnosis() };
    let mut out = Vec::new();
    text(&many, Palette::PLAIN, None, None, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("accept queue of listener").count(), NAMED, "{text}");
    assert_eq!(text.matches("  remedy").count(), WHOLE, "{text}");
    assert!(text.contains("7 findings more of these kinds"), "{text}");
}

#[test]
fn an_all_clear_says_what_it_does_not_rest_on() {
    let well = Diagnosis { findings: Vec::new(), refused: 2, ..diagnosis() };
    let mut out = Vec::new();
    text(&well, Palette::PLAIN, None, None, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("no problems found"), "{text}");
    let words = "not judged: what takes longer than 5.00s, as timeouts do (--for); 2 network \
                 namespaces that could not be entered";
    assert!(text.contains(words), "{text}");
}

/// `1 sockets` is what a program says, not a person.
#[test]
fn one_of_a_kind_is_no_plural() {
    let states = [(State::CloseWait, 1)].into();
    let one = Diagnosis {
        findings: Vec::new(),
        states,
        namespaces: 1,
        sending: 1,
        lost: 1,
        refused: 1,
        ..diagnosis()
    };
    let mut out = Vec::new();
    text(&one, Palette::PLAIN, None, None, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("1 socket in 1 network namespace, observed"), "{text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    let plural =
        |pair: &&[&str]| pair[0] == "1" && pair[1].trim_end_matches([',', ':']).ends_with('s');
    assert_eq!(words.windows(2).find(plural), None, "{text}");
}
