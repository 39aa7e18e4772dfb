//! A thread of another process, stopped alone, as no signal can: the others go on.

use std::{
    fs, io, thread,
    time::{Duration, Instant},
};

use crate::sockets::eventually;

/// A stopped thread; goes on when dropped, which the thread that stopped it must do.
#[derive(Debug)]
pub struct Held {
    id: i32,
}

impl Held {
    /// Stops the thread with a name.
    pub fn stop(process: u32, name: &str) -> Self {
        let mut id = None;
        eventually("its thread", || {
            id = named(process, name);
            id.is_some()
        });
        Self::of(id.expect("it has been found"))
    }

    fn of(id: i32) -> Self {
        let held = Self { id };
        held.ptrace(libc::PTRACE_SEIZE, 0);
        held.ptrace(libc::PTRACE_INTERRUPT, 0);
        // SAFETY: waits for a thread that this one traces; nothing is written.
        let waited = unsafe { libc::waitpid(held.id, std::ptr::null_mut(), libc::__WALL) };
        assert_eq!(waited, held.id, "{}", io::Error::last_os_error());
        held
    }

    fn ptrace(&self, request: libc::c_uint, data: usize) {
        // SAFETY: `data` is what the request takes: nothing, or registers that live through it.
        let result = unsafe { libc::ptrace(request, self.id, 0, data) };
        assert_eq!(result, 0, "{request}: {}", io::Error::last_os_error());
    }

    #[cfg(target_arch = "x86_64")]
    fn registers(&self) -> libc::user_regs_struct {
        // SAFETY: integers only.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        self.ptrace(libc::PTRACE_GETREGS, (&raw mut registers).addr());
        registers
    }

    /// Lets the thread vanish, without a panic and without a word, from a system call in which it
    /// waits: from others, as those of the allocator are, it would take locks with it.
    #[cfg(target_arch = "x86_64")]
    pub fn vanish(mut self, process: u32) {
        use libc::{
            SYS_clock_nanosleep, SYS_epoll_pwait, SYS_epoll_wait, SYS_futex, SYS_nanosleep,
            SYS_poll, SYS_ppoll, SYS_recvfrom,
        };
        const WAITS: [i64; 8] = [
            SYS_futex,
            SYS_epoll_wait,
            SYS_epoll_pwait,
            SYS_poll,
            SYS_ppoll,
            SYS_nanosleep,
            SYS_clock_nanosleep,
            SYS_recvfrom,
        ];
        const INSTRUCTION: u64 = 2;
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut registers = self.registers();
        while !WAITS.contains(&registers.orig_rax.cast_signed()) {
            assert!(Instant::now() < deadline, "it never waits");
            let id = self.id;
            drop(self);
            thread::sleep(Duration::from_millis(1));
            self = Self::of(id);
            registers = self.registers();
        }
        registers.rip -= INSTRUCTION;
        registers.rax = libc::SYS_exit.cast_unsigned();
        registers.rdi = 0;
        // Nothing is to be restarted.
        registers.orig_rax = u64::MAX;
        self.ptrace(libc::PTRACE_SETREGS, (&raw mut registers).addr());
        let task = format!("/proc/{process}/task/{}", self.id);
        drop(self);
        eventually("its end", || fs::metadata(&task).is_err());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: takes nothing. Where the process has ended, there is nothing to let go.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.id, 0, 0) };
    }
}

/// The number of the thread with a name.
fn named(process: u32, name: &str) -> Option<i32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten();
    let mut threads = threads.filter(|entry| {
        let comm = fs::read_to_string(entry.path().join("comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    });
    threads.next()?.file_name().to_str()?.parse().ok()
}
