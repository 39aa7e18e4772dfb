//! What is deployed: Kubernetes objects as kustomize makes them of deploy/kubernetes, checked by the
//! schemas of Kubernetes, and run as far as there is no cluster; and that each file of deploy/ has a
//! test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tracer_tests::{
    deployed::{list, of_kind, rendered, repository, text, texts},
    files::set_mode,
    leashed::Leashed,
    receiver::{fetch, fetched, in_host},
    sockets::{eventually, free_port},
    tracer::{program, wait},
};

const OVERLAYS: [&str; 4] =
    ["base", "overlays/restricted", "overlays/with-agent", "overlays/prometheus-operator"];

/// What Kubernetes' strict schemas say of an object: wrong types, and fields that there are not.
fn mistakes(object: &Value, definitions: &Value) -> Vec<String> {
    let name = match text(&object["kind"]) {
        "DaemonSet" => "io.k8s.api.apps.v1.DaemonSet",
        "Namespace" => "io.k8s.api.core.v1.Namespace",
        "ConfigMap" => "io.k8s.api.core.v1.ConfigMap",
        other => panic!("{other}: of a kind that this test does not know"),
    };
    let schema = json!({"$ref": format!("#/$defs/{name}"), "$defs": definitions});
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mistakes = validator.iter_errors(object);
    mistakes.map(|mistake| format!("{}: {mistake}", mistake.instance_path())).collect()
}

fn definitions() -> Value {
    let text = fs::read_to_string(fetched("kubernetes/definitions.json")).unwrap();
    let mut all: Value = serde_json::from_str(&text).unwrap();
    all["$defs"].take()
}

#[test]
fn kustomize_makes_objects_that_the_schemas_of_kubernetes_allow() {
    let definitions = definitions();
    for overlay in OVERLAYS {
        let objects = rendered(overlay);
        assert!(objects.len() >= 3, "{overlay}: {objects:?}");
        for object in objects.iter().filter(|object| object["kind"] != "PodMonitor") {
            let mistakes = mistakes(object, &definitions);
            assert!(mistakes.is_empty(), "{overlay}: {}: {mistakes:#?}", object["kind"]);
        }
    }
    // And that they would say so.
    let mut wrong = of_kind(&rendered("base"), "DaemonSet").clone();
    wrong["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpget"] = json!({});
    assert_eq!(mistakes(&wrong, &definitions).len(), 1);
}

#[test]
fn apparmor_denies_no_daemon_set_what_its_capabilities_are_for() {
    for overlay in OVERLAYS {
        let objects = rendered(overlay);
        let pod = &of_kind(&objects, "DaemonSet")["spec"]["template"]["spec"];
        let containers = list(&pod["containers"]);
        let tracer = containers.iter().find(|one| one["name"] == "tracer").unwrap();
        let context = &tracer["securityContext"];
        let reads = list(&context["capabilities"]["add"]).contains(&json!("SYS_PTRACE"));
        // The default profiles of the runtimes let nobody read of processes outside.
        let profile = if reads { "Unconfined" } else { "RuntimeDefault" };
        assert_eq!(context["appArmorProfile"]["type"], profile, "{overlay}");
    }
}

#[test]
fn a_daemon_set_mounts_what_the_tracer_reads_and_keeps_its_pods_apart() {
    for overlay in OVERLAYS {
        let objects = rendered(overlay);
        let set = of_kind(&objects, "DaemonSet");
        let pod = &set["spec"]["template"]["spec"];
        let containers = list(&pod["containers"]);
        let tracer = containers.iter().find(|one| one["name"] == "tracer").unwrap();
        let named: BTreeSet<&str> =
            containers.iter().flat_map(|one| texts(&one["volumeMounts"], "name")).collect();
        assert_eq!(named, texts(&pod["volumes"], "name"), "{overlay}");
        let paths = texts(&tracer["volumeMounts"], "mountPath");
        for path in [
            "/etc/tracer",
            "/sys/kernel/tracing",
            "/sys/kernel/btf",
            "/sys/fs/cgroup",
            "/etc/machine-id",
            "/var/log/pods",
        ] {
            assert!(paths.contains(path), "{overlay}: {path} is not mounted");
        }
        for volume in list(&pod["volumes"]).iter().filter(|one| one.get("hostPath").is_some()) {
            let mounts = list(&tracer["volumeMounts"]);
            let mount = mounts.iter().find(|mount| mount["name"] == volume["name"]).unwrap();
            assert_eq!(mount["mountPath"], volume["hostPath"]["path"], "{overlay}");
            assert_eq!(mount["readOnly"], true, "{overlay}: {mount}");
        }
        for container in containers {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{overlay}: {container}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{overlay}: {container}");
            assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{overlay}");
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{overlay}");
            assert!(container["resources"]["limits"]["memory"].is_string(), "{overlay}");
        }
        let namespace = &of_kind(&objects, "Namespace")["metadata"];
        assert_eq!(namespace["labels"]["pod-security.kubernetes.io/enforce"], "privileged");
        assert_eq!(set["metadata"]["namespace"], namespace["name"], "{overlay}");
    }
}

/// The tracer as a container of a DaemonSet runs it: its arguments, its configuration, its
/// capabilities and nothing else.
struct Pod {
    child: Leashed,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Pod {
    fn start(objects: &[Value]) -> Self {
        let port = free_port();
        let directory = tempfile::tempdir().unwrap();
        let set = of_kind(objects, "DaemonSet");
        let containers = list(&set["spec"]["template"]["spec"]["containers"]);
        let tracer = containers.iter().find(|one| one["name"] == "tracer").unwrap();
        let maps = objects.iter().filter(|object| object["kind"] == "ConfigMap");
        let written = maps.filter_map(|map| map["data"]["tracer.toml"].as_str()).next().unwrap();
        let configuration = directory.path().join("tracer.toml");
        // Tests listen where there is room, and this is no node.
        let moved = written.replace("0.0.0.0:9498", &format!("127.0.0.1:{port}"));
        assert_ne!(written, moved);
        let logs = directory.path().to_str().unwrap();
        let moved = moved.replace("\"/var/log/pods\"", &format!("\"{logs}\""));
        assert!(moved.contains(logs), "{moved}");
        fs::write(&configuration, moved).unwrap();
        let mount = "/etc/tracer/tracer.toml";
        let arguments = list(&tracer["args"]).iter().map(text);
        let arguments: Vec<PathBuf> = arguments
            .map(|one| if one == mount { configuration.clone() } else { one.into() })
            .collect();
        let added = list(&tracer["securityContext"]["capabilities"]["add"]).iter();
        let kept: String =
            added.map(|one| format!(",+{}", text(one).to_lowercase())).collect::<String>();
        let mut command = in_host("setpriv");
        command.args(["--no-new-privs", "--bounding-set"]).arg(format!("-all{kept}"));
        command.args(["--inh-caps", "-all"]).arg(program()).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: Leashed::start(&mut command), port, _directory: directory }
    }

    fn answers(&self, probe: &Value) -> bool {
        let path = text(&probe["httpGet"]["path"]);
        fetch(&format!("http://127.0.0.1:{}{path}", self.port), &[]).is_some()
    }
}

#[test]
fn a_pod_traces_with_the_capabilities_that_it_has_and_answers_its_probes() {
    for overlay in ["base", "overlays/restricted", "overlays/with-agent"] {
        let objects = rendered(overlay);
        let mut pod = Pod::start(&objects);
        let set = of_kind(&objects, "DaemonSet");
        let containers = list(&set["spec"]["template"]["spec"]["containers"]);
        let tracer = containers.iter().find(|one| one["name"] == "tracer").unwrap();
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let probe = &tracer[probe];
            assert_eq!(probe["httpGet"]["port"], "metrics", "{overlay}");
            eventually(&format!("{overlay}: {probe} is answered"), || {
                let ended = pod.child.try_wait().unwrap();
                assert!(ended.is_none(), "{overlay}: it ended");
                pod.answers(probe)
            });
        }
        let url = format!("http://127.0.0.1:{}/metrics", pod.port);
        let established = "tracer_transitions_total{tcp_from=\"SYN_SENT\",tcp_to=\"ESTABLISHED\",tcp_source=\"tracepoint\"}";
        let counted = || {
            let metrics = fetch(&url, &[]).unwrap();
            let line = metrics.lines().find_map(|line| line.strip_prefix(established));
            line.unwrap().trim().parse::<u64>().unwrap()
        };
        let before = counted();
        // Each request is a connection.
        eventually(&format!("{overlay}: connections are counted"), || counted() > before);
        pod.child.signal(Signal::TERM);
        assert!(wait(&mut pod.child).success(), "{overlay}");
    }
}

/// The list after `key=` in the unit.
fn listed<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {key}")).split_whitespace().collect()
}

/// What systemd says of the unit, with the program where it is.
fn verify(unit: &str, program: &Path) {
    let copy = program.with_file_name("tracer.service");
    fs::write(&copy, unit.replace("/usr/bin/tracer", program.to_str().unwrap())).unwrap();
    let mut verify = Command::new("systemd-analyze");
    let output = verify.args(["verify", "--man=no"]).arg(copy).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_unit_is_valid_and_its_capabilities_suffice() {
    let deployed = repository().join("deploy/systemd");
    let unit = fs::read_to_string(deployed.join("tracer.service")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let (program, log) = (place.path().join("tracer"), place.path().join("log"));
    // The user must be able to start it, wherever it was built.
    fs::copy(tracer_tests::tracer::program(), &program).unwrap();
    set_mode(place.path(), 0o755);
    verify(&unit, &program);
    // What is not there at boot is waited for.
    assert_eq!(listed(&unit, "StartLimitIntervalSec"), ["0"]);
    assert_eq!(listed(&unit, "RestartSec"), ["5"]);
    assert_eq!(listed(&unit, "Wants"), ["network-online.target"]);
    let capabilities = listed(&unit, "AmbientCapabilities");
    assert_eq!(capabilities, listed(&unit, "CapabilityBoundingSet"));
    let kept = capabilities.iter().map(|one| format!(",+{}", one[4..].to_lowercase()));
    let kept = format!("-all{}", kept.collect::<String>());
    let (output, configuration) = (log.join("tracer.json"), place.path().join("tracer.toml"));
    let text = fs::read_to_string(deployed.join("tracer.toml")).unwrap();
    let text = text.replace("/var/log/tracer/tracer.json", output.to_str().unwrap());
    fs::write(&configuration, text.replace(":9498", &format!(":{}", free_port()))).unwrap();
    fs::create_dir(&log).unwrap();
    let nobody = 65_534;
    std::os::unix::fs::chown(&log, Some(nobody), Some(nobody)).unwrap();
    let mut daemon = in_host("setpriv");
    daemon.args(["--no-new-privs", "--clear-groups", "--reuid", "65534", "--regid", "65534"]);
    for set in ["--bounding-set", "--inh-caps", "--ambient-caps"] {
        daemon.args([set, &kept]);
    }
    daemon.arg(program).args(["daemon", "--config"]).arg(configuration);
    let mut daemon = daemon.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the daemon writes", || {
        assert!(daemon.try_wait().unwrap().is_none(), "it ended");
        fs::read_to_string(&output).is_ok_and(|text| text.contains("\"hello\""))
    });
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    assert!(wait(&mut daemon).success());
}

fn files(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let within = path.strip_prefix(repository().join("deploy")).unwrap();
            found.insert(within.to_str().unwrap().to_owned());
        }
    }
}

/// Sources of all tests.
fn sources(directory: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            all += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all += &fs::read_to_string(path).unwrap();
        }
    }
    all
}

/// The table in docs/fleet.md: file, what is done with it, test.
#[test]
fn each_file_of_deploy_is_tried_by_a_test_that_the_table_names() {
    let document = fs::read_to_string(repository().join("docs/fleet.md")).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `deploy/"));
    let mut named = BTreeSet::new();
    let all: String =
        ["tests/tests", "crates", "tracer"].map(|part| sources(&repository().join(part))).concat();
    for row in rows {
        let cells: Vec<&str> = row.split('|').collect();
        let [file, _, test, ..] = cells[..] else { panic!("{row}: file, what, test") };
        named.insert(file.trim().trim_end_matches('`').to_owned());
        let test = test.trim().trim_matches('`');
        assert!(all.contains(&format!("fn {test}(")), "{file}: there is no test {test}");
    }
    let mut there = BTreeSet::new();
    files(&repository().join("deploy"), &mut there);
    assert_eq!(named, there, "files in the table, files in deploy/");
}

/// A pod without the mount of /sys/fs/cgroup has only its own groups there, and is told so; `$0` is
/// the program, the group is made and removed here.
#[test]
fn groups_that_a_cgroup_namespace_hides_are_said_to_be_missing() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    let root = Path::new(mount.split(' ').nth(4).unwrap());
    let group = root.join(format!("tracer-test-{}", std::process::id()));
    fs::create_dir(&group).unwrap();
    let place = root.display();
    let inside = format!("umount '{place}' && mount -t cgroup2 none '{place}' && exec \"$@\"");
    let script = format!(
        "echo $$ > '{}/cgroup.procs' && exec unshare --cgroup --mount sh -c '{}' sh \"$@\"",
        group.display(),
        inside.replace('\'', "'\\''")
    );
    let mut shell = in_host("sh");
    shell.args(["-c", &script, "sh"]).arg(program()).args(["features", "--format", "json"]);
    let output = shell.output().unwrap();
    // Empty again, as soon as the kernel has put the process away.
    eventually("the group can be removed", || fs::remove_dir(&group).is_ok());
    let said = String::from_utf8(output.stdout).unwrap();
    let features = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut containers = features.filter(|line| line["feature"] == "containers");
    let containers =
        containers.next().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(containers["available"], false, "{containers}");
    assert!(containers["reason"].as_str().unwrap().contains("cgroup namespace"), "{containers}");
}
