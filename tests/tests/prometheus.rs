//! Debian's Prometheus scrapes the endpoint, and promtool reads what there is to be deployed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tracer_tests::{
    kernel,
    netns::isolated,
    receiver::{Prometheus, fetch, fetched, in_host},
    sockets::{self, Path as Way, eventually, free_port},
    tracer::{Tracer, command, wait},
};

/// The states that the sockets of the test are in, as `ss` and as the metrics have them.
const STATES: [(&str, &str); 3] =
    [("ESTABLISHED", "established"), ("CLOSE_WAIT", "close_wait"), ("LISTEN", "listen")];

#[test]
fn a_query_to_prometheus_answers_what_ss_says() {
    let directory = tempfile::tempdir().unwrap();
    let (port, target) = (free_port(), free_port());
    isolated(|namespace| {
        let before: Vec<_> = (0..3).map(|_| sockets::Pair::over(Way::V4)).collect();
        let address = format!("127.0.0.1:{target}");
        let options = ["--prometheus", &address, "--linger", "close-wait=100ms"];
        let tracer = Tracer::start(namespace, &options);
        let prometheus = Prometheus::start(port, target, directory.path());
        let mut pairs: Vec<_> = (0..7).map(|_| sockets::Pair::over(Way::V4)).collect();
        // Their servers stay in CLOSE_WAIT, the clients end up in FIN_WAIT2.
        let leaked: Vec<_> =
            pairs.drain(..5).map(|pair| (pair.listener, pair.server, drop(pair.client))).collect();
        for (of_ss, of_metrics) in STATES {
            let count = kernel::count(&kernel::states()).get(of_ss).copied().unwrap_or(0);
            assert!(count >= 4, "{count} in {of_ss}");
            let query = format!(
                "system_network_connection_count{{network_connection_state=\"{of_metrics}\"}}"
            );
            eventually(&format!("{query} is {count}"), || {
                prometheus.ask(&query) == Some(count as f64)
            });
        }
        let zero = "system_network_connection_count{network_connection_state=\"last_ack\"}";
        assert_eq!(prometheus.ask(zero), Some(0.0));
        let lingering = "sum(tracer_lingering{network_connection_state=\"close_wait\"})";
        eventually("what lingers is told", || prometheus.ask(lingering) == Some(5.0));
        let handshakes = "sum(tracer_handshake_duration_seconds_count)";
        eventually("handshakes are told", || prometheus.ask(handshakes) == Some(14.0));
        assert_eq!(prometheus.ask("count(tracer_build_info)"), Some(1.0));
        drop((before, pairs, leaked));
        eventually("what has ended lingers no more", || prometheus.ask(lingering).is_none());
        the_text_is_right(&address);
        drop(prometheus);
        tracer.finish();
    });
}

#[test]
fn the_endpoint_answers_on_when_nobody_reads_standard_output_any_more() {
    let target = free_port();
    isolated(|namespace| {
        let (inode, address) = (namespace.inode.to_string(), format!("127.0.0.1:{target}"));
        let options = ["--netns", &inode, "--format", "json", "--prometheus", &address];
        let mut tracer = command("", &options).stdout(Stdio::piped()).spawn().unwrap();
        let mut pipe = BufReader::new(tracer.stdout.take().unwrap());
        pipe.read_line(&mut String::new()).unwrap();
        drop(pipe);
        // The first finds the pipe closed, the second finds out whether that was the end.
        for handshakes in [1, 2] {
            drop(sockets::Pair::over(Way::V4));
            let counted = format!(
                "tracer_handshake_duration_seconds_count{{tcp_role=\"client\"}} {handshakes}"
            );
            eventually(&counted, || {
                let metrics = fetch(&format!("http://{address}/metrics"), &[]);
                metrics.is_some_and(|text| text.contains(&counted))
            });
        }
        kill_process(Pid::from_child(&tracer), Signal::INT).unwrap();
        assert!(wait(&mut tracer).success());
    });
}

/// What people and older scrapers get is what promtool takes for right, but for one word: the name
/// of OpenTelemetry ends in `_count`.
fn the_text_is_right(address: &str) {
    let url = format!("http://{address}/metrics");
    let text = fetch(&url, &[]).expect("metrics");
    let mut check = in_host("sh");
    let script = format!("curl --silent {url} | {} check metrics", promtool().display());
    let output = check.args(["-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = said.lines().collect();
    let known = "system_network_connection_count non-histogram and non-summary metrics should not \
                 have \"_count\" suffix";
    assert_eq!(complaints, [known], "{text}");
    let openmetrics =
        fetch(&url, &["--header", "Accept: application/openmetrics-text;version=1.0.0"]).unwrap();
    assert!(openmetrics.ends_with("# EOF\n") && !text.contains("# EOF"));
    assert!(fetch(&format!("http://{address}/metrics/"), &[]).is_none(), "no such page");
    assert!(fetch(&url, &["--request", "POST"]).is_none(), "GET only");
}

/// The dashboard's queries: title of the panel and expression.
fn panels() -> Vec<(String, String)> {
    let dashboard = include_str!("../../deploy/grafana/dashboard.json");
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(move |target| (title.to_owned(), target["expr"].as_str().unwrap().to_owned()))
    });
    targets.collect()
}

/// As Grafana asks: a query with a wrong name has no data, and nobody notices.
#[test]
fn every_panel_of_the_dashboard_has_data_of_a_busy_host() {
    let directory = tempfile::tempdir().unwrap();
    let (port, target) = (free_port(), free_port());
    isolated(|namespace| {
        // Shown from a tenth on.
        namespace.set("net/ipv4/ip_local_port_range", "20000 20999");
        let address = format!("127.0.0.1:{target}");
        let options = ["--prometheus", &address, "--linger", "close-wait=100ms"];
        let tracer = Tracer::start(namespace, &options);
        let prometheus = Prometheus::start(port, target, directory.path());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let held: Vec<_> = (0..200)
            .map(|_| (TcpStream::connect(to).unwrap(), listener.accept().unwrap()))
            .collect();
        let leaked: Vec<_> = (0..5).map(|_| sockets::Pair::over(Way::V4)).collect();
        let leaked: Vec<_> = leaked
            .into_iter()
            .map(|pair| (pair.listener, pair.server, drop(pair.client)))
            .collect();
        let panels = panels();
        assert!(panels.len() > 10, "{panels:?}");
        for (title, expression) in panels {
            let query = expression.replace("$instance", ".*").replace("$__rate_interval", "10s");
            // Which is of label_replace().
            let variables = query.replace("\"$1\"", "");
            assert!(!variables.contains('$'), "{title}: {query}");
            eventually(&format!("{title} has data: {query}"), || {
                drop(sockets::Pair::over(Way::V4));
                thread::sleep(Duration::from_millis(100));
                prometheus.ask(&query).is_some_and(|value| !value.is_nan())
            });
        }
        drop((held, leaked, prometheus));
        tracer.finish();
    });
}

fn promtool() -> std::path::PathBuf {
    fetched("usr/bin/promtool")
}

#[test]
fn promtool_takes_the_alert_rules_and_they_fire_when_they_must() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus");
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let output = Command::new(promtool()).args(arguments).current_dir(&rules).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
}
