//! Settings that are named where a proxy holds connections whose one end does not close: tried with
//! haproxy and nginx, in the situation in which each is named.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    case::python,
    diagnosis::Diagnosis,
    fault::descriptors,
    netns::{Namespace, isolated},
    record::listing,
    sockets::eventually,
    tracer,
};

/// A proxy from port 9000 to 9001; ended when dropped.
struct Proxy(Child);

impl Proxy {
    fn start(program: &str, options: &[&str], configuration: &Path) -> Self {
        let mut command = Command::new(program);
        command.args(options).arg(configuration).stdin(Stdio::null()).stderr(Stdio::null());
        let proxy = Self(command.spawn().expect("live tests need haproxy and nginx"));
        eventually("the proxy listens", || TcpStream::connect("127.0.0.1:9000").is_ok());
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Workers end with the master that is asked to.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        tracer::wait(&mut self.0);
    }
}

/// Starts a proxy with a setting more, in a directory for its files.
type Start = fn(&Path, &str) -> Proxy;

fn haproxy(directory: &Path, setting: &str) -> Proxy {
    let configuration = directory.join("haproxy.cfg");
    let text = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n {setting}\n\
         listen all\n bind 127.0.0.1:9000\n server one 127.0.0.1:9001\n"
    );
    fs::write(&configuration, text).unwrap();
    Proxy::start("haproxy", &["-db", "-q", "-f"], &configuration)
}

fn nginx(directory: &Path, setting: &str) -> Proxy {
    let (configuration, files) = (directory.join("nginx.conf"), directory.display());
    let text = format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so; daemon off; user root;\n\
         pid {files}/pid; error_log {files}/errors; worker_processes 1; events {{}}\n\
         stream {{ server {{ listen 127.0.0.1:9000; proxy_pass 127.0.0.1:9001;\n\
         proxy_half_close on; {setting} }} }}\n"
    );
    fs::write(&configuration, text).unwrap();
    Proxy::start("nginx", &["-c"], &configuration)
}

/// Which end does not close.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Client,
    Server,
}

/// Both ends of five connections, one of which does not close.
fn ends(open: Open) -> [String; 2] {
    let [server, client] = match open {
        Open::Server => ["kept.append(c)", "k.close()"],
        Open::Client => ["c.close()", "k.recv(100); kept.append(k)"],
    };
    let backend = format!(
        "
l = listen('127.0.0.1', 9001); say('listening'); kept = []
while True:
    c, _ = l.accept()
    # Who has only tried whether somebody listens is gone, maybe by an RST.
    try: asked = c.recv(100)
    except ConnectionResetError: asked = b''
    if asked: {server}
    else: c.close()"
    );
    let clients = format!(
        "
kept = []
for _ in range(5):
    k = socket.create_connection(('127.0.0.1', 9000)); k.sendall(b'question'); {client}
say('asked'); hold()"
    );
    [backend, clients]
}

/// A proxy with a setting more, whose five clients or servers do not close; `judge` it.
fn holding(start: Start, name: &str, open: Open, setting: &str, judge: impl Fn(&Namespace) + Sync) {
    let [backend, clients] = ends(open);
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let (_backend, _) = python("backend", &backend);
        let _proxy = start(directory.path(), setting);
        let (_clients, _) = python("client", &clients);
        eventually("the proxy holds them", || descriptors(name).len() == 5);
        judge(namespace);
    });
}

/// What is held is found with the setting that ends it, and with the setting it ends.
fn held(start: Start, name: &str, open: Open, (named, setting): (&str, &str)) {
    holding(start, name, open, "", |namespace| {
        let diagnosis = Diagnosis::of(namespace, &[]);
        let of_proxy = diagnosis.findings.iter().find(|finding| {
            let cause = finding.text("/finding/evidence/cause").unwrap_or_default();
            cause.starts_with("half_close") && finding.at("/finding/evidence/sockets") == 5
        });
        let found = of_proxy.unwrap_or_else(|| panic!("{}", listing(&diagnosis.findings)));
        let remedies = found.at("/finding/remedies").to_string();
        assert!(remedies.contains(named), "{named}: {remedies}");
    });
    holding(start, name, open, setting, |_| {
        eventually("the setting has ended them", || descriptors(name).is_empty());
    });
}

#[test]
fn haproxy_ends_what_its_server_does_not_close_by_server_fin() {
    held(haproxy, "haproxy", Open::Server, ("timeout server-fin", "timeout server-fin 4s"));
}

#[test]
fn haproxy_ends_what_its_client_does_not_close_by_client_fin() {
    held(haproxy, "haproxy", Open::Client, ("timeout client-fin", "timeout client-fin 4s"));
}

#[test]
fn nginx_ends_streams_by_proxy_timeout() {
    for open in [Open::Server, Open::Client] {
        held(nginx, "nginx", open, ("after proxy_timeout:", "proxy_timeout 4s;"));
    }
}
