//! nginx with preforked workers: a master makes the listener, its workers accept.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{sockets, tracer};

/// A running nginx; ended when dropped.
#[derive(Debug)]
pub struct Nginx {
    master: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Process ids of the workers.
    pub workers: Vec<u64>,
}

const WORKERS: usize = 3;

impl Nginx {
    /// Starts it in the calling thread's namespace, with its files in `directory`; returns when
    /// it serves.
    pub fn start(directory: &Path) -> Self {
        let workers = format!("worker_processes {WORKERS};");
        let mut nginx =
            Self::spawn(directory, sockets::free_port(), &workers, "return 200 served;");
        sockets::eventually("nginx has its workers", || {
            nginx.workers = children(nginx.master());
            nginx.workers.len() == WORKERS
        });
        nginx
    }

    /// Without workers, at this port; `location` is what it does with requests.
    pub fn alone(directory: &Path, port: u16, location: &str) -> Self {
        let location = format!("location / {{ {location} }}");
        Self::spawn(directory, port, "master_process off;", &location)
    }

    fn spawn(directory: &Path, port: u16, processes: &str, server: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let files = directory.display();
        let configuration = format!(
            "daemon off; user root; pid {files}/pid; error_log {files}/errors;\n\
             {processes} events {{}}\n\
             http {{ access_log off; client_body_temp_path {files}/a; proxy_temp_path {files}/b;\n\
             fastcgi_temp_path {files}/c; uwsgi_temp_path {files}/d; scgi_temp_path {files}/e;\n\
             server {{ listen {address}; {server} }} }}\n"
        );
        let path = directory.join("nginx.conf");
        fs::write(&path, configuration).expect("a directory to write to");
        let master = Command::new("nginx")
            .arg("-c")
            .arg(&path)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("live tests need the command nginx (Debian: nginx-light)");
        let nginx = Self { master, address, workers: Vec::new() };
        sockets::eventually("nginx serves", || TcpStream::connect(address).is_ok());
        nginx
    }

    /// Process id of the master.
    pub fn master(&self) -> u64 {
        u64::from(self.master.id())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The workers end with the master that is asked to, not with one that is killed.
        let _ = kill_process(Pid::from_child(&self.master), Signal::TERM);
        tracer::wait(&mut self.master);
    }
}

/// The processes whose parent is `parent`.
fn children(parent: u64) -> Vec<u64> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    let is_child = |pid: &u64| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        rest.split_whitespace().nth(1).and_then(|text| text.parse().ok()) == Some(parent)
    };
    pids.filter(is_child).collect()
}
