//! What numbers are called on this host: services, hosts, network namespaces.

use std::{fs, io, net::IpAddr, os::unix::fs::MetadataExt as _, path::Path};

use dns_lookup::{AddrInfoHints, SockType, getaddrinfo};
use rustix::fs::{FsWord, statfs};
use tracer_event::escape::without_numbers;
use tracer_model::filter::parse::Names;

/// `NSFS_MAGIC`, include/uapi/linux/magic.h.
const NSFS_MAGIC: FsWord = 0x6e73_6673;

/// Where `ip netns add` puts a namespace.
pub(super) const NAMED: &str = "/run/netns";

/// This host's names.
#[derive(Clone, Copy, Debug)]
pub struct HostNames;

impl Names for HostNames {
    fn service(&self, name: &str) -> Option<u16> {
        let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
        let found = getaddrinfo(None, Some(name), Some(hints)).ok()?.next()?;
        Some(found.ok()?.sockaddr.port()).filter(|port| *port > 0)
    }

    fn host(&self, name: &str) -> Vec<IpAddr> {
        let mut addresses = dns_lookup::lookup_host(name).map_or(Vec::new(), Iterator::collect);
        addresses.dedup();
        addresses
    }

    fn netns(&self, name: &str) -> Result<u32, String> {
        let inode = match name.strip_prefix("pid:") {
            _ if name == "host" => host_netns(),
            Some(pid) => inode(&Path::new("/proc").join(pid).join("ns/net")),
            None if name.starts_with('/') => inode(Path::new(name)),
            // No way out of the directory.
            None if name.contains('/') || name.is_empty() || name == ".." => {
                Err(io::ErrorKind::NotFound.into())
            }
            None => inode(&Path::new(NAMED).join(name)),
        };
        inode.map_err(|error| {
            let reason = without_numbers(&error.to_string());
            format!("there is no network namespace {name:?} ({reason}); see ip netns, lsns -t net")
        })
    }
}

/// The network namespace of the first process; our own where that one may not be looked at.
///
/// # Errors
///
/// Where `/proc` does not show it.
pub fn host_netns() -> io::Result<u32> {
    inode(Path::new("/proc/1/ns/net")).or_else(|_| inode(Path::new("/proc/self/ns/net")))
}

/// The inode number of a file that is a namespace.
fn inode(path: &Path) -> io::Result<u32> {
    let inode = fs::metadata(path)?.ino();
    let is_namespace = statfs(path)?.f_type == NSFS_MAGIC;
    u32::try_from(inode)
        .ok()
        .filter(|_| is_namespace)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is no namespace"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_the_ports_of_this_host() {
        let known = fs::read_to_string("/etc/services").is_ok_and(|text| text.contains("https"));
        assert_eq!(HostNames.service("https"), known.then_some(443));
        assert_eq!(HostNames.service("no such service"), None);
    }

    #[test]
    fn a_namespace_is_found_by_process_and_by_path() {
        let own = inode(Path::new("/proc/self/ns/net")).unwrap();
        assert_eq!(HostNames.netns(&format!("pid:{}", std::process::id())), Ok(own));
        assert_eq!(HostNames.netns("/proc/self/ns/net"), Ok(own));
    }

    #[test]
    fn what_is_no_namespace_is_named() {
        for name in ["/etc/passwd", "/", "no-such-namespace", "../x", "..", "pid:0", "\u{1b}"] {
            let message = HostNames.netns(name).unwrap_err();
            assert!(message.contains(&format!("{name:?}")), "{message}");
        }
    }
}
