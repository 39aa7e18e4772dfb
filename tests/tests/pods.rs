//! Pods of Kubernetes: that a leak is found by UID and name of its pod, in logs and in metrics, and
//! that Prometheus finds the pods of the tracer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, net::TcpListener, process::Command};

use serde_json::{Value, json};
use tracer_tests::{
    cgroup::Pod,
    deployed::{list, of_kind, rendered, text, texts},
    diagnosis::Diagnosis,
    netns::{Namespace, isolated},
    peer::Peer,
    receiver::{Ports, Rotel, fetch, fetched},
    record::Record,
    sockets::{self, eventually, free_port},
    tracer::{self, Tracer, command, refused},
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
/// Processes in the pod, each of which leaks a socket.
const LEAKING: usize = 3;

/// Log records as rotel shows them.
fn records(shown: &str) -> Vec<&str> {
    shown.split("LogRecord #").skip(1).collect()
}

/// The last line of a metric with these labels.
fn metric(port: u16, series: &str) -> Option<f64> {
    let text = fetch(&format!("http://127.0.0.1:{port}/metrics"), &[])?;
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn a_leak_in_a_pod_is_found_by_its_uid_in_the_receiver() {
    let directory = tempfile::tempdir().unwrap();
    let (ports, target) = (Ports { http: free_port(), grpc: free_port() }, free_port());
    isolated(|namespace| {
        let pod = Pod::make();
        let rotel = Rotel::showing(ports, directory.path());
        let (inode, receiver) =
            (namespace.inode.to_string(), format!("http://127.0.0.1:{}", ports.grpc));
        let address = format!("127.0.0.1:{target}");
        let options = ["--format", "json", "--netns", &inode, "--prometheus", &address];
        let sends = ["--otlp", &receiver, "--linger", "close-wait=100ms"];
        let logs = directory.path().join("pods");
        fs::create_dir(&logs).unwrap();
        let named = ["--pod-logs", logs.to_str().unwrap()];
        let mut command = command("", &[&options[..], &sends, &named].concat());
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").env("K8S_NODE_NAME", "worker-7");
        let tracer = Tracer::run(&mut command);
        // As the kubelet does it before a container of the pod starts.
        fs::create_dir(logs.join(format!("shop_web-1_{}", pod.uid))).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap().to_string();
        let start = |name: &str| {
            let mut peer = Peer::start(PEER, name, &["await", &to]);
            if name == "leaky" {
                pod.adopt(peer.pid());
            }
            peer.go();
            peer.end();
            drop(sockets::accept(&listener));
            peer
        };
        let leaking = [(); LEAKING].map(|()| start("leaky"));
        let outside = start("outside");
        let belongs = [
            ("k8s.pod.uid", &*pod.uid),
            ("k8s.pod.name", "web-1"),
            ("k8s.namespace.name", "shop"),
            ("container.id", &pod.id),
        ]
        .map(|(key, value)| format!("{key}: Str({value})"));
        let stuck = |shown: &str, name: &str| -> Vec<String> {
            let name = format!("tracer.process.name: Str({name})");
            let all = records(shown).into_iter();
            let stuck = all.filter(|one| one.contains("EventName: tcp.linger"));
            stuck.filter(|one| one.contains(&name)).map(str::to_owned).collect()
        };
        eventually("all that is stuck arrives", || {
            let shown = rotel.text();
            stuck(&shown, "leaky").len() >= LEAKING && !stuck(&shown, "outside").is_empty()
        });
        let shown = rotel.text();
        for one in stuck(&shown, "leaky") {
            assert!(belongs.iter().all(|attribute| one.contains(attribute)), "{one}");
        }
        assert!(stuck(&shown, "outside").iter().all(|one| !one.contains("k8s.")), "{shown}");
        is_of_this_host(&shown);
        let names = "k8s_pod_name=\"web-1\",k8s_namespace_name=\"shop\"";
        let labels = format!("k8s_pod_uid=\"{}\",{names},container_id=\"{}\"", pod.uid, pod.id);
        let state = "network_connection_state=\"close_wait\"";
        let lingering = |name: &str, more: &str| {
            let series = format!("tracer_lingering{{{state},process_name=\"{name}\"{more}}}");
            metric(target, &series)
        };
        assert_eq!(lingering("leaky", &format!(",{labels}")), Some(LEAKING as f64));
        assert_eq!(lingering("outside", ""), Some(1.0));
        eventually("who leaks is blamed with its pod", || {
            let shown = rotel.text();
            let told = |one: &&str| one.contains("EventName: tracer.finding");
            let of_pod = |one: &str| one.contains(&pod.uid) && one.contains("web-1");
            records(&shown).into_iter().filter(told).any(of_pod)
        });
        names_are_known_to_all_commands(namespace, &pod, &named);
        leaking.into_iter().for_each(Peer::close);
        outside.close();
        let closes =
            format!("tracer_workload_closes_total{{{labels},tcp_close_reason=\"graceful\"}}");
        eventually("ends are counted", || metric(target, &closes) == Some(LEAKING as f64));
        let k8s = json!({"pod": {"uid": pod.uid, "name": "web-1"}, "namespace": {"name": "shop"}});
        let trace = tracer.finish();
        let of_pod = trace.records.iter().filter(|record| record.value["k8s"] == k8s);
        assert!(of_pod.count() >= LEAKING, "lines have the names as well");
    });
}

/// Who looks once, or for a moment, is told them too.
fn names_are_known_to_all_commands(namespace: &Namespace, pod: &Pod, named: &[&str]) {
    let diagnosis = Diagnosis::of(namespace, named);
    let leaks = diagnosis.all("close_wait_leak");
    let of_pod = |leak: &&&Record| leak.at("/finding/evidence/processes")[0]["pod"] == *pod.uid;
    let leak = leaks.iter().find(of_pod).unwrap_or_else(|| panic!("{leaks:?}"));
    let told = leak.at("/finding/evidence/processes")[0]["pod_name"].to_string();
    assert!(told.contains("web-1") && told.contains("shop"), "{leak}");
    let of_pod = format!("\"k8s\":{{\"pod\":{{\"uid\":\"{}\",\"name\":\"web-1\"}}", pod.uid);
    let lines = tracer::sockets(namespace, &[&["--format", "json"], named].concat());
    assert_eq!(lines.lines().filter(|line| line.contains(&of_pod)).count(), LEAKING, "{lines}");
    let wrong = ["diagnose", "--pod-logs", "/nowhere"];
    let said = refused(&mut command("", &wrong));
    assert!(said.contains("cannot read the directory /nowhere (--pod-logs;"), "{said}");
}

/// Behind a gateway this is how hosts are told apart.
fn is_of_this_host(shown: &str) {
    let resource = shown.split("ScopeLogs #").next().unwrap();
    assert!(resource.contains("SchemaURL: https://opentelemetry.io/schemas/"), "{resource}");
    let host = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    for attribute in [
        "service.name: Str(tracer)",
        "service.version: Str(",
        "service.instance.id: Str(",
        "host.name: Str(",
        "k8s.node.name: Str(worker-7)",
        &format!("host.id: Str({}", host.trim()),
    ] {
        assert!(resource.contains(attribute), "{attribute}: {resource}");
    }
    assert!(!resource.contains("k8s.pod"), "the tracer's own: {resource}");
}

/// What the operator's definition of a PodMonitor says of one: wrong values, what is missing, and
/// fields that there are not.
fn mistakes_in_monitor(monitor: &Value) -> Vec<String> {
    let root = fetched("kubernetes/monitors");
    let package = "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";
    let script = format!(
        "import {{ PodMonitor }} from '{package}/PodMonitor';\n\
         try {{ new PodMonitor(JSON.parse(process.argv[1])).validate() }}\n\
         catch (error) {{ console.log(error.message) }}"
    );
    let mut node = Command::new("node");
    node.current_dir(&root).args(["--input-type=module", "--eval", &script]);
    let output = node.arg(monitor.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let types = ["PodMonitorSpec", "PodMetricsEndpoint", "RelabelConfig"].map(|name| {
        fs::read_to_string(root.join(format!("node_modules/{package}/{name}.d.ts"))).unwrap()
    });
    let mut mistakes: Vec<String> = said.lines().map(str::to_owned).collect();
    unknown_fields(&monitor["spec"], &types.concat(), &mut mistakes);
    mistakes
}

/// Fields that are in none of these types of TypeScript. Selectors are not looked into.
fn unknown_fields(value: &Value, types: &str, found: &mut Vec<String>) {
    for (key, field) in value.as_object().into_iter().flatten() {
        let is_known = ["", "?"].iter().any(|mark| types.contains(&format!("\"{key}\"{mark}: ")));
        if !is_known {
            found.push(format!("{key}: there is no such field"));
        }
        if key != "selector" {
            unknown_fields(field, types, found);
        }
    }
    list(value).iter().for_each(|item| unknown_fields(item, types, found));
}

#[test]
fn the_prometheus_operator_s_definition_allows_the_pod_monitor() {
    let objects = rendered("overlays/prometheus-operator");
    let monitor = of_kind(&objects, "PodMonitor");
    assert_eq!(mistakes_in_monitor(monitor), [""; 0]);
    // And that it would say so.
    let endpoint = "/spec/podMetricsEndpoints/0";
    for (field, value) in [("interval", "30"), ("prot", "metrics"), ("port", "")] {
        let mut wrong = monitor.clone();
        let value = if value.is_empty() { json!(9498) } else { json!(value) };
        wrong.pointer_mut(endpoint).unwrap()[field] = value;
        assert_eq!(mistakes_in_monitor(&wrong).len(), 1, "{field}");
    }
    let mut wrong = monitor.clone();
    wrong["spec"].as_object_mut().unwrap().remove("selector");
    assert_eq!(mistakes_in_monitor(&wrong).len(), 1);
}

#[test]
fn a_pod_monitor_finds_the_pods_and_their_port() {
    let objects = rendered("overlays/prometheus-operator");
    let monitor = of_kind(&objects, "PodMonitor");
    let template = &of_kind(&objects, "DaemonSet")["spec"]["template"];
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(!wanted.is_empty());
    for (label, value) in wanted {
        assert_eq!(&template["metadata"]["labels"][label], value, "{label}");
    }
    let ports = texts(&template["spec"]["containers"][0]["ports"], "name");
    for endpoint in list(&monitor["spec"]["podMetricsEndpoints"]) {
        assert!(ports.contains(text(&endpoint["port"])), "{endpoint}");
        assert_eq!(endpoint["path"], "/metrics");
    }
}
