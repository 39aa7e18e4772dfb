//! TLS to a real receiver: rotel speaks none, so that a TLS server in this process takes the
//! connections and passes on what they carry. A receiver that is not who it says gets nothing, and
//! the tracer says why.

use std::{fs, path::Path, sync::Arc, thread};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::{
    io::{AsyncWriteExt as _, copy, copy_bidirectional, sink},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
        server::WebPkiClientVerifier,
    },
};

use super::*;

/// An authority that only the test knows.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a name.
    fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Signed {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Signed { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        roots
    }
}

struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Signed {
    fn der(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        (vec![self.certificate.der().clone()], key)
    }
}

/// Listens with TLS, in the network namespace of the caller, and passes on to a port; its own port.
/// `clients` has signed the certificates that clients must have.
fn serve(server: &Signed, clients: Option<&Authority>, to: u16, alpn: &str) -> u16 {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = match clients {
        Some(authority) => {
            let roots = Arc::new(authority.roots());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => config.with_no_client_auth(),
    };
    let (chain, key) = server.der();
    let mut config = config.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    // It ends with the test's process.
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((connection, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = match acceptor.accept(connection).into_fallible().await {
                        Ok(client) => client,
                        Err((_, refused)) => return let_go(refused).await,
                    };
                    let mut receiver = TcpStream::connect(("127.0.0.1", to)).await.ok()?;
                    copy_bidirectional(&mut client, &mut receiver).await.ok()
                });
            }
        });
    });
    port
}

/// Reads what a client has sent that is refused: closed before that, the connection would be reset,
/// and the alert that says why perhaps lost with it.
async fn let_go(mut refused: TcpStream) -> Option<(u64, u64)> {
    refused.shutdown().await.ok()?;
    let unread = copy(&mut refused, &mut sink()).await.ok()?;
    Some((unread, 0))
}

/// Files that variables name.
fn write(directory: &Path, name: &str, pem: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, pem).unwrap();
    path.to_str().unwrap().to_owned()
}

const ROOTS: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";

/// One run: what the receiver got, and what the tracer says.
fn run(
    protocol: &str,
    server: &Signed,
    clients: Option<&Authority>,
    files: &[(&str, String)],
) -> (u64, Sent) {
    let directory = tempfile::tempdir().unwrap();
    let ports = ports();
    let (to, alpn) = if protocol == "grpc" { (ports.grpc, "h2") } else { (ports.http, "http/1.1") };
    // In the host's namespace, where the tracer is.
    let port = serve(server, clients, to, alpn);
    let mut result = None;
    isolated(|namespace| {
        let rotel = Rotel::start(ports, directory.path());
        let endpoint = format!("https://127.0.0.1:{port}");
        let mut variables: Vec<(&str, &str)> =
            files.iter().map(|(name, path)| (*name, path.as_str())).collect();
        variables.push(("OTEL_EXPORTER_OTLP_PROTOCOL", protocol));
        let sending =
            Sending::start(namespace, directory.path(), &["--otlp", &endpoint], &variables);
        // They have been read, by a process that could; later it may not.
        files.iter().for_each(|(_, path)| fs::remove_file(path).unwrap());
        lives(100);
        thread::sleep(Duration::from_millis(1500));
        let sent = sending.finish();
        result = Some((rotel.finish().logs, sent));
    });
    result.unwrap()
}

#[test]
fn the_receiver_gets_all_records_over_tls() {
    let authority = Authority::new("one");
    let server = authority.sign("127.0.0.1", |_| ());
    for protocol in ["http/protobuf", "grpc"] {
        let directory = tempfile::tempdir().unwrap();
        let roots = write(directory.path(), "ca.pem", &authority.certificate.pem());
        let (got, sent) = run(protocol, &server, None, &[(ROOTS, roots)]);
        let (told, lost) = sent.told();
        assert_eq!(sent.errors, "", "{protocol}: the tracer complains");
        assert_eq!((got, lost), (told, 0), "{protocol}");
    }
}

#[test]
fn a_receiver_that_wants_a_certificate_gets_this_host_s() {
    let (authority, clients) = (Authority::new("one"), Authority::new("another"));
    let server = authority.sign("127.0.0.1", |_| ());
    let client = clients.sign("host.example", |_| ());
    for protocol in ["http/protobuf", "grpc"] {
        let directory = tempfile::tempdir().unwrap();
        let file = |name, pem: String| write(directory.path(), name, &pem);
        let files = [
            (ROOTS, file("ca.pem", authority.certificate.pem())),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file("client.pem", client.certificate.pem())),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", file("key.pem", client.key.serialize_pem())),
        ];
        let (got, sent) = run(protocol, &server, Some(&clients), &files);
        let (told, lost) = sent.told();
        assert_eq!(sent.errors, "", "{protocol}: the tracer complains");
        assert_eq!((got, lost), (told, 0), "{protocol}");
    }
}

/// Nothing is sent to whom the authority has not named, and nothing is lost in silence.
#[test]
fn a_receiver_that_cannot_be_trusted_gets_nothing_and_the_reason_is_said() {
    let (authority, other) = (Authority::new("one"), Authority::new("another"));
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    };
    let cases = [
        ("wrong name", authority.sign("other.example", |_| ()), None, "not valid for name"),
        ("expired", authority.sign("127.0.0.1", expired), None, "certificate expired"),
        ("unknown authority", other.sign("127.0.0.1", |_| ()), None, "UnknownIssuer"),
        (
            "no client certificate",
            authority.sign("127.0.0.1", |_| ()),
            Some(&other),
            "CertificateRequired",
        ),
    ];
    for (case, server, clients, reason) in cases {
        let directory = tempfile::tempdir().unwrap();
        let roots = write(directory.path(), "ca.pem", &authority.certificate.pem());
        let (got, sent) = run("http/protobuf", &server, clients, &[(ROOTS, roots)]);
        let (told, lost) = sent.told();
        assert_eq!((got, lost), (0, told), "{case}");
        assert!(sent.errors.contains("OTLP logs cannot be sent to https://127.0.0.1:"), "{case}");
        assert!(sent.errors.contains(reason), "{case}: {}", sent.errors);
    }
}
