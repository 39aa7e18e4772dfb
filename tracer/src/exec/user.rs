//! Who asked for the command: tracer runs as root, the command as the user behind sudo.
//!
//! sudo says who that is in `SUDO_UID` and `SUDO_GID`. The supplementary groups and the environment
//! are those of the processes from which it was started: no database of users is read, which may be
//! on another host.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use rustix::process::{geteuid, getppid};

type Environment = BTreeMap<OsString, OsString>;

/// Whom to become, and in which environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// All variables.
    pub environment: Environment,
}

/// What sudo sets to values of root or its own, so that the user's own count.
const OF_SUDO: [&str; 8] =
    ["HOME", "LOGNAME", "MAIL", "PATH", "PWD", "SHELL", "USER", "XDG_RUNTIME_DIR"];

/// The user for whom sudo has started this program; `None` where it was not sudo, or for root.
pub fn behind_sudo() -> Option<User> {
    let number = |name| env::var(name).ok()?.parse::<u32>().ok();
    let uid = number("SUDO_UID").filter(|uid| *uid != 0 && geteuid().is_root())?;
    let gid = number("SUDO_GID").unwrap_or(uid);
    let own: Environment = env::vars_os().collect();
    let asking = Asking::find(uid);
    let groups = asking.as_ref().map_or_else(|| vec![gid], |asking| asking.groups.clone());
    let environment = match asking.and_then(|asking| asking.environment) {
        Some(users) => merged(own, users),
        None => of_account(own, uid),
    };
    Some(User { uid, gid, groups, environment })
}

/// The user's process from which sudo was started.
struct Asking {
    groups: Vec<u32>,
    /// The environment that it has given to sudo.
    environment: Option<Environment>,
}

impl Asking {
    /// The nearest ancestor that runs as this user; below it is what the user started.
    fn find(uid: u32) -> Option<Self> {
        let (mut started, mut pid) = (None, getppid()?.as_raw_nonzero().get());
        while pid > 1 {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            if field(&status, "Uid")?.next() == Some(uid) {
                let groups = field(&status, "Groups")?.collect();
                return Some(Self { groups, environment: started.and_then(environment) });
            }
            started = Some(pid);
            pid = i32::try_from(field(&status, "PPid")?.next()?).ok()?;
        }
        None
    }
}

/// The numbers in a line of `/proc/PID/status`.
fn field<'a>(status: &'a str, name: &str) -> Option<impl Iterator<Item = u32> + use<'a>> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_ascii_whitespace().filter_map(|number| number.parse().ok()))
}

/// The environment with which sudo was started. Another program may have been started as root in
/// between, in which the user has gone on: then its environment is the one that counts.
fn environment(pid: i32) -> Option<Environment> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    (name == b"sudo\n").then_some(())?;
    Some(parse(&fs::read(format!("/proc/{pid}/environ")).ok()?))
}

fn parse(environ: &[u8]) -> Environment {
    let variable = |entry: &[u8]| {
        // The first byte may be `=`.
        let equals = entry.iter().skip(1).position(|&byte| byte == b'=')? + 1;
        let owned = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        Some((owned(&entry[..equals]), owned(&entry[equals + 1..])))
    };
    environ.split(|&byte| byte == 0).filter_map(variable).collect()
}

fn is_about_sudo(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b"SUDO_")
}

/// What sudo has passed on or was told on its command line, and what it has left out or replaced.
fn merged(own: Environment, users: Environment) -> Environment {
    let is_replaced = |name: &OsStr| OF_SUDO.iter().any(|one| *one == name) || is_about_sudo(name);
    let mut merged = users;
    merged.extend(own.into_iter().filter(|(name, _)| !is_replaced(name)));
    merged
}

/// Our own, with what `/etc/passwd` says of the user.
fn of_account(own: Environment, uid: u32) -> Environment {
    let passwd = fs::read(PASSWD).unwrap_or_default();
    let mut environment: Environment =
        own.into_iter().filter(|(name, _)| !is_about_sudo(name)).collect();
    environment.extend(account(&passwd, uid));
    environment
}

const PASSWD: &str = "/etc/passwd";

/// `name:password:uid:gid:comment:home:shell`
fn account(passwd: &[u8], uid: u32) -> Environment {
    let uid = uid.to_string();
    let entry = passwd.split(|&byte| byte == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b':').collect();
        match fields[..] {
            [name, _, number, _, _, home, shell] if number == uid.as_bytes() => {
                Some([("USER", name), ("LOGNAME", name), ("HOME", home), ("SHELL", shell)])
            }
            _ => None,
        }
    });
    let owned = |(name, value): (&str, &[u8])| (name.into(), OsString::from_vec(value.to_vec()));
    entry.into_iter().flatten().map(owned).collect()
}

impl User {
    /// Becomes the user, in a child process before it executes. Makes system calls only.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses.
    pub fn become_it(&self) -> io::Result<()> {
        let check = |result| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
        // SAFETY: the list lives longer than the call and is as long as it says.
        check(unsafe { libc::setgroups(self.groups.len(), self.groups.as_ptr()) })?;
        // SAFETY: these calls take numbers only.
        check(unsafe { libc::setresgid(self.gid, self.gid, self.gid) })?;
        // SAFETY: as above.
        check(unsafe { libc::setresuid(self.uid, self.uid, self.uid) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn an_environment_is_read_as_the_kernel_shows_it() {
        let read = parse(b"A=1\0B=x=y\0=C:=z\0empty=\0broken\0");
        let all = environment(&[("A", "1"), ("B", "x=y"), ("=C:", "z"), ("empty", "")]);
        assert_eq!(read, all);
    }

    #[test]
    fn what_sudo_replaces_is_the_user_s_again_and_what_it_was_told_stays() {
        let own = environment(&[
            ("HOME", "/root"),
            ("PATH", "/sbin"),
            ("SUDO_UID", "7"),
            ("FOR_ONCE", "1"),
            ("LANG", "C"),
        ]);
        let users = environment(&[("HOME", "/home/ann"), ("PATH", "/home/ann/bin"), ("VENV", "v")]);
        let merged = merged(own, users);
        let expected = [
            ("HOME", "/home/ann"),
            ("PATH", "/home/ann/bin"),
            ("VENV", "v"),
            ("FOR_ONCE", "1"),
            ("LANG", "C"),
        ];
        assert_eq!(merged, environment(&expected));
    }

    #[test]
    fn an_account_gives_home_and_shell() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nann:x:7:7:,,,:/home/ann:/bin/zsh\n";
        let expected =
            [("HOME", "/home/ann"), ("LOGNAME", "ann"), ("SHELL", "/bin/zsh"), ("USER", "ann")];
        assert_eq!(account(passwd, 7), environment(&expected));
        assert_eq!(account(passwd, 8), Environment::new());
    }

    #[test]
    fn numbers_of_a_status_are_found() {
        let status = "Name:\tbash\nUid:\t7\t7\t7\t7\nGroups:\t7 27 100 \nGroupsX:\t9\n";
        assert_eq!(field(status, "Uid").unwrap().next(), Some(7));
        assert_eq!(field(status, "Groups").unwrap().collect::<Vec<_>>(), [7, 27, 100]);
        assert!(field(status, "PPid").is_none());
    }
}
