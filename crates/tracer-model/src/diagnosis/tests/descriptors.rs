//! Descriptors that run out.

use super::*;

#[rstest]
#[case::plenty(100, 0, None)]
#[case::most_in_use(800, 0, Some(Severity::Warning))]
#[case::nearly_all_in_use(950, 0, Some(Severity::Critical))]
// 18 and 600 a minute, of 1,000.
#[case::grows_slowly(1, 3, Some(Severity::Warning))]
#[case::grows_fast(100, 100, Some(Severity::Critical))]
fn descriptors_run_out_by_number_or_by_growth(
    #[case] open: u64,
    #[case] leaked: u64,
    #[case] severity: Option<Severity>,
) {
    let at = |time, leaked| {
        let mut look = look(time, (0..=leaked).map(|n| close_wait(n, 60)).collect());
        // What is no leak comes and goes.
        let other = if time == SECOND { 0 } else { 5 };
        let process = look.host.processes.get_mut(&900).unwrap();
        process.descriptors = Some(open + leaked + other);
        process.descriptor_limit = Some(1_000);
        look
    };
    let diagnosis = find(&at(SECOND, 0), &at(SECOND + OBSERVED, leaked));
    let out = diagnosis.findings.iter().find_map(|one| match &one.problem {
        Problem::Descriptors(out) => Some((one.severity, out.descriptors.growth)),
        _ => None,
    });
    let growth = 6.0 * leaked as f64;
    assert_eq!(out, severity.map(|severity| (severity, growth)));
}

/// Of a process with few sockets the first look counts no descriptors.
#[rstest]
#[case::a_pool_whose_server_is_restarted(0, None)]
#[case::ten_are_new(10, Some(60.0))]
fn a_process_whose_descriptors_were_not_counted_has_what_it_has_opened(
    #[case] new: u64,
    #[case] growth: Option<f64>,
) {
    let mut table = Table::new(table::Options::default());
    for n in 0..new {
        let born = Record {
            kind: kind::STATE,
            time_ns: 2 * SECOND,
            pid: 900,
            comm: *b"app\0\0\0\0\0\0\0\0\0\0\0\0\0",
            old_state: State::Closed as u8,
            new_state: State::SynSent as u8,
            ..socket(n, State::SynSent, 0)
        };
        table.ingest(&born, &mut Observed::default());
    }
    let mut first = look(SECOND, Vec::new());
    first.host.processes.clear();
    let last = look(SECOND + OBSERVED, (0..20).map(|n| close_wait(n, 30)).collect());
    let found = find_in(&Filter::default(), &first, &last, &Observed::default(), &table);
    let open = leak(&found).descriptors.unwrap();
    assert_eq!(
        (open.open, open.growth, open.minutes_left.is_some()),
        (20, growth.unwrap_or(0.0), new > 0)
    );
}

/// Who has no descriptor left cannot accept, and so its queue is full.
#[rstest]
#[case::one_is_left(19, &["accept_queue_full"])]
#[case::none_is_left(20, &["accept_queue_full", "descriptors"])]
fn a_queue_is_full_where_no_descriptor_is_left(#[case] open: u64, #[case] expected: &[&str]) {
    let mut last = look(SECOND + OBSERVED, vec![listener(2, 1)]);
    let process = last.host.processes.get_mut(&900).unwrap();
    (process.descriptors, process.descriptor_limit) = (Some(open), Some(20));
    let found = find(&look(SECOND, vec![listener(2, 1)]), &last).findings;
    let codes: Vec<_> = found.iter().map(|finding| finding.problem.code()).collect();
    assert_eq!(codes, expected);
    let remedies = format!("{:?}", found[0].remedies());
    assert_eq!(remedies.contains("no descriptor left"), open == 20, "{remedies}");
    assert_eq!(remedies.contains("backlog"), open < 20, "{remedies}");
}
