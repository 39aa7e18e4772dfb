//! Control groups that processes of a test are put into.

use std::{fs, thread, time::Duration};

use crate::kernel;

/// Where a hierarchy is mounted, by its line in `/proc/self/mountinfo`.
fn mount(wanted: impl Fn(&str) -> bool) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
    let line = mounts.lines().find(|line| wanted(line))?;
    line.split(' ').nth(4).map(str::to_owned)
}

/// Where cgroup2 is.
fn unified() -> String {
    mount(|line| line.contains(" - cgroup2 ")).unwrap_or_else(|| kernel::lacks("cgroup2"))
}

fn write(path: &str, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// A group of one test; removed when dropped.
#[derive(Debug)]
struct Group(String);

impl Group {
    fn make(mount: &str, name: &str) -> Self {
        let path = format!("{mount}/{name}");
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self(path)
    }

    fn adopt(&self, pid: u64) {
        write(&format!("{}/cgroup.procs", self.0), &pid.to_string());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its processes are gone, but perhaps not quite yet.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A container, as far as the kernel knows one: a control group with a name.
#[derive(Debug)]
pub struct Container {
    group: Group,
    /// As Docker names it.
    pub id: String,
}

impl Container {
    /// An empty one; of one test process there is one at a time for each `number`.
    pub fn make(number: u32) -> Self {
        let mount = unified();
        let id = format!("{:08x}{number:08x}", std::process::id()).repeat(4);
        Self { group: Group::make(&mount, &format!("docker-{id}.scope")), id }
    }

    /// One that a user has made in a group that is delegated to him, named as another one is.
    pub fn forged(other: &Self, uid: u32) -> (Delegated, Self) {
        let mount = unified();
        let delegated = Group::make(&mount, &format!("delegated-{}.service", std::process::id()));
        std::os::unix::fs::chown(&delegated.0, Some(uid), None).expect("live tests need root");
        let id = other.id.clone();
        let group = Group::make(&delegated.0, &format!("docker-{id}.scope"));
        (Delegated(delegated), Self { group, id })
    }

    /// Takes a process in.
    pub fn adopt(&self, pid: u64) {
        self.group.adopt(pid);
    }
}

/// A container in a pod of Kubernetes, as the kubelet and containerd make the groups with cgroupfs.
#[derive(Debug)]
pub struct Pod {
    // Removed in this order.
    container: Group,
    _groups: [Group; 2],
    /// Its UID.
    pub uid: String,
    /// The id of the container.
    pub id: String,
}

impl Pod {
    /// An empty one; of one test process there is one at a time.
    pub fn make() -> Self {
        let mount = mount(|line| line.contains(" - cgroup2 ")).expect("live tests need cgroup2");
        let process = std::process::id();
        let uid = format!("{process:08x}-1c5d-4f52-8e0f-9f3c7d2f6a11");
        let id = format!("{process:08x}000000ff").repeat(4);
        let all = Group::make(&mount, &format!("kubepods-test-{process}"));
        let pod = Group::make(&all.0, &format!("pod{uid}"));
        Self { container: Group::make(&pod.0, &id), _groups: [pod, all], uid, id }
    }

    /// Takes a process in.
    pub fn adopt(&self, pid: u64) {
        self.container.adopt(pid);
    }
}

/// A group that belongs to a user; to be dropped after what is in it.
#[derive(Debug)]
pub struct Delegated(#[expect(dead_code, reason = "removed when dropped")] Group);

/// A group that is frozen; thawed when dropped.
#[derive(Debug)]
pub struct Freezer {
    group: Group,
    file: &'static str,
    thawed: &'static str,
}

impl Freezer {
    /// Freezes a process by each hierarchy that this host has for it, one after the other, and
    /// does something meanwhile, which can ask whether it still is.
    pub fn each(pid: u64, work: impl Fn(&dyn Fn() -> bool)) {
        let unified = mount(|line| line.contains(" - cgroup2 "));
        let old = mount(|line| line.contains(" - cgroup ") && line.contains("freezer"));
        let freezers =
            [(unified, "cgroup.freeze", "1", "0"), (old, "freezer.state", "FROZEN", "THAWED")];
        let mut tried = 0;
        for (mount, file, frozen, thawed) in freezers {
            let Some(mount) = mount else { continue };
            let freezer =
                Self { group: Group::make(&mount, &format!("frozen-{pid}")), file, thawed };
            freezer.group.adopt(pid);
            write(&freezer.file(), frozen);
            // It takes effect when the process next comes out of the kernel.
            thread::sleep(Duration::from_millis(200));
            work(&|| fs::read_to_string(freezer.file()).is_ok_and(|text| text.trim() == frozen));
            write(&freezer.file(), thawed);
            write(&format!("{mount}/cgroup.procs"), &pid.to_string());
            tried += 1;
        }
        assert!(tried > 0, "live tests need cgroup2 or the freezer of cgroup v1");
    }

    fn file(&self) -> String {
        format!("{}/{}", self.group.0, self.file)
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // A frozen process could not be killed. Fails where the test has moved it out already.
        let _ = fs::write(self.file(), self.thawed);
    }
}

/// A group whose memory is limited.
#[derive(Debug)]
pub struct Memory {
    group: Group,
    processes: String,
    events: &'static str,
}

impl Memory {
    /// With so many bytes; `name` is for this test alone.
    pub fn make(name: &str, limit: u64) -> Self {
        let name = format!("memory-{}-{name}", std::process::id());
        let old = mount(|line| line.contains(" - cgroup ") && line.ends_with("memory"));
        let (mount, file, events) = match old {
            Some(mount) => (mount, "memory.limit_in_bytes", "memory.oom_control"),
            None => (with_memory(), "memory.max", "memory.events"),
        };
        let group = Group::make(&mount, &name);
        write(&format!("{}/{file}", group.0), &limit.to_string());
        let processes = format!("{}/cgroup.procs", group.0);
        Self { group, processes, events }
    }

    /// The file to which a process writes its number to get in.
    pub fn processes(&self) -> &str {
        &self.processes
    }

    /// Processes that the kernel has ended for want of memory.
    pub fn killed(&self) -> u64 {
        let path = format!("{}/{}", self.group.0, self.events);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.parse().ok()).expect("a number of killed processes")
    }
}

/// cgroup2 with the controller of memory for groups of the root.
fn with_memory() -> String {
    let mount = mount(|line| line.contains(" - cgroup2 ")).expect("live tests need cgroups");
    write(&format!("{mount}/cgroup.subtree_control"), "+memory");
    mount
}
