//! The endpoint with a web configuration, as exporters of Prometheus have it: Debian's Prometheus
//! scrapes it over TLS with a name and a password; whoever has another password, or expects another
//! authority, gets nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tracer_tests::{
    netns::isolated,
    receiver::{Prometheus, in_host},
    sockets::{self, Path as Way, eventually, free_port},
    tracer::{Tracer, command, refused},
};

/// `htpasswd -nbB -C 8 anna 'a secret'`
const ANNA: &str = "anna: $2b$08$0DzY9y.87Ua0GbczmLOmx.BTBTJTj5qxbWQkKVTcUGOK6J3L6wu36";

/// The files of a test.
struct Files(tempfile::TempDir);

impl Files {
    /// An authority `NAME.pem` and a certificate of it for 127.0.0.1, `NAME-end.pem` with its key.
    fn new(authorities: &[&str]) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for name in authorities {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, *name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            files.write(&format!("{name}.pem"), &params.self_signed(&key).unwrap().pem());
            let issuer = Issuer::new(params, key);
            let (params, key) = (
                CertificateParams::new(["127.0.0.1".to_owned()]).unwrap(),
                KeyPair::generate().unwrap(),
            );
            let end = params.signed_by(&key, &issuer).unwrap();
            files.write(&format!("{name}-end.pem"), &end.pem());
            files.write(&format!("{name}-end.key"), &key.serialize_pem());
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn directory(&self) -> &Path {
        self.0.path()
    }
}

/// The status that curl gets, 000 for none, and the body.
fn ask(url: &str, options: &[&str]) -> (String, String) {
    let mut curl = in_host("curl");
    curl.args(["--silent", "--max-time", "10", "--write-out", "\n%{http_code}"]);
    let output = curl.args(options).arg(url).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[test]
fn prometheus_scrapes_over_tls_with_a_password_and_nobody_else_gets_anything() {
    let files = Files::new(&["one", "other"]);
    let config = format!(
        "tls_server_config: {{cert_file: one-end.pem, key_file: one-end.key}}\n\
         basic_auth_users: {{{ANNA}}}\n"
    );
    let config = files.write("web.yml", &config);
    let (port, target) = (free_port(), free_port());
    let job = |name: &str, password: &str, authority: &str| {
        let authority = files.path(authority);
        format!(
            "  - job_name: {name}\n    scheme: https\n    \
             tls_config: {{ca_file: '{}'}}\n    \
             basic_auth: {{username: anna, password: '{password}'}}\n    \
             static_configs: [{{targets: ['127.0.0.1:{target}']}}]\n",
            authority.display()
        )
    };
    let jobs = job("right", "a secret", "one.pem")
        + &job("password", "another", "one.pem")
        + &job("authority", "a secret", "other.pem");
    isolated(|namespace| {
        let address = format!("127.0.0.1:{target}");
        let tracer = Tracer::start(namespace, &["--prometheus", &address, "--web-config", &config]);
        drop(sockets::Pair::over(Way::V4));
        let prometheus = Prometheus::scraping(port, &jobs, files.directory());
        let counted = "sum(tracer_handshake_duration_seconds_count{job=\"right\"})";
        eventually("handshakes are scraped", || prometheus.ask(counted) == Some(2.0));
        for wrong in ["password", "authority"] {
            let up = format!("up{{job=\"{wrong}\"}}");
            eventually(&format!("{up} is 0"), || prometheus.ask(&up) == Some(0.0));
        }
        the_own_process_is_told(&prometheus);
        only_who_has_the_password_is_answered(&address, &files);
        drop(prometheus);
        tracer.finish();
    });
}

fn the_own_process_is_told(prometheus: &Prometheus) {
    let ask = |name: &str| prometheus.ask(&format!("{name}{{job=\"right\"}}")).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - ask("process_start_time_seconds");
    assert!((-2.0..600.0).contains(&age), "started {age} s ago");
    assert!(ask("process_cpu_seconds_total") > 0.0);
    let (resident, size) =
        (ask("process_resident_memory_bytes"), ask("process_virtual_memory_bytes"));
    assert!(resident > 1e6 && size >= resident, "{resident} {size}");
    let (open, most) = (ask("process_open_fds"), ask("process_max_fds"));
    assert!(open > 3.0 && most >= open, "{open} {most}");
}

fn only_who_has_the_password_is_answered(address: &str, files: &Files) {
    let authority = files.path("one.pem");
    let authority = authority.to_str().unwrap();
    let with = |path: &str, user: &[&str]| {
        ask(&format!("https://{address}{path}"), &[&["--cacert", authority], user].concat())
    };
    for path in ["/metrics", "/", "/nothing"] {
        assert_eq!(with(path, &[]).0, "401", "{path}");
        assert_eq!(with(path, &["--user", "anna:another"]).0, "401", "{path}");
        assert_eq!(with(path, &["--user", "berta:a secret"]).0, "401", "{path}");
    }
    let right = ["--user", "anna:a secret"];
    let (status, page) = with("/", &right);
    assert!(status == "200" && page.contains("href=\"/metrics\""), "{status} {page}");
    assert_eq!(with("/metrics", &right).0, "200");
    assert_eq!(with("/nothing", &right).0, "404");
    // Probes have no password, and are told nothing of the host.
    for path in ["/healthz", "/readyz"] {
        assert_eq!(with(path, &[]), ("200".to_owned(), "ok\n".to_owned()), "{path}");
    }
    assert_eq!(ask(&format!("http://{address}/metrics"), &right).0, "000", "without TLS");
}

#[test]
fn clients_need_a_certificate_where_that_is_asked_for() {
    let files = Files::new(&["one", "other"]);
    let config = files.write(
        "web.yml",
        "tls_server_config:\n  cert_file: one-end.pem\n  key_file: one-end.key\n  \
         client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: one.pem\n  \
         min_version: TLS13\n",
    );
    let target = free_port();
    isolated(|namespace| {
        let address = format!("127.0.0.1:{target}");
        let tracer = Tracer::start(namespace, &["--prometheus", &address, "--web-config", &config]);
        let url = format!("https://{address}/metrics");
        let path = |name: &str| files.path(name).to_str().unwrap().to_owned();
        let authority = path("one.pem");
        let with = |client: Option<&str>, more: &[&str]| {
            let (certificate, key) = client.map_or_else(Default::default, |name| {
                (path(&format!("{name}-end.pem")), path(&format!("{name}-end.key")))
            });
            let mut options = vec!["--cacert", &authority];
            if client.is_some() {
                options.extend(["--cert", &certificate, "--key", &key]);
            }
            ask(&url, &[&options[..], more].concat()).0
        };
        assert_eq!(with(Some("one"), &[]), "200");
        assert_eq!(with(Some("other"), &[]), "000");
        assert_eq!(with(None, &[]), "000");
        assert_eq!(with(Some("one"), &["--tls-max", "1.2"]), "000");
        tracer.finish();
    });
}

#[test]
fn a_restriction_that_is_not_known_is_refused() {
    let files = Files::new(&[]);
    let config = files.write("web.yml", "basic_auth_user: {anna: x}\n");
    let said = refused(&mut command("", &["--prometheus", "1", "--web-config", &config]));
    assert!(said.contains(&config) && said.contains("basic_auth_user"), "{said}");
}
