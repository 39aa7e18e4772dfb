//! The program's allocator: the system's, but memory that cannot be had is said in one line.
//!
//! The standard library would abort the process, with a backtrace and a core. Nothing can be
//! written any more but this; what a trace has not told by then is lost, as the missing summary
//! shows. That there is enough to start with is asked before
//! (`tracer_kernel::limits::address_space`).

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::Write as _,
};

/// Ends the process with status 2 where there is no more memory.
#[derive(Debug)]
pub struct OrEnd;

// SAFETY: all is done by the system's allocator; what it returns is handed on, or nobody gets it.
unsafe impl GlobalAlloc for OrEnd {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as our caller promises.
        or_end(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as our caller promises.
        or_end(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as our caller promises.
        or_end(unsafe { System.realloc(memory, layout, size) }, size)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn or_end(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() {
        end(size);
    }
    memory
}

#[cold]
fn end(size: usize) -> ! {
    let mut line = [0; 160];
    let mut rest = &mut line[..];
    // Nothing here takes memory; nobody may be left to read it.
    let _ = writeln!(
        rest,
        "tracer: out of memory: {size} bytes more cannot be had; raise the limit (ulimit -v, \
         ulimit -d)"
    );
    let left = rest.len();
    let said = &line[..line.len() - left];
    // SAFETY: the bytes are there while they are written; the process ends without anything of it
    // being run, so no lock that somebody holds is waited for.
    unsafe {
        libc::write(libc::STDERR_FILENO, said.as_ptr().cast(), said.len());
        libc::_exit(2)
    }
}
