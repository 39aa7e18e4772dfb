//! Whether a function begins by keeping the frame pointer.
//!
//! The kernel takes the first return address from the frame that the frame pointer shows. In a
//! function that makes a system call without a frame of its own, that is the frame of its caller:
//! the caller itself is skipped.

use std::{fs::File, os::unix::fs::FileExt as _};

/// `endbr64`, which may come first.
const LANDING: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
/// `push %rbp; mov %rsp, %rbp`, in both encodings of the move.
const PUSH: u8 = 0x55;
const MOVES: [[u8; 3]; 2] = [[0x48, 0x89, 0xe5], [0x48, 0x8b, 0xec]];

/// Whether the function that begins at an offset of a file does. True also where that is not known:
/// of another architecture, or a file that cannot be read.
pub(super) fn keeps_frame(file: &File, start: u64) -> bool {
    let mut code = [0; 8];
    !cfg!(target_arch = "x86_64")
        || file.read_exact_at(&mut code, start).is_err()
        || begins_with_frame(&code)
}

fn begins_with_frame(code: &[u8; 8]) -> bool {
    let code = code.strip_prefix(&LANDING).unwrap_or(code);
    let [PUSH, rest @ ..] = code else { return false };
    MOVES.iter().any(|known| rest.starts_with(known))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::frame([0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10], true)]
    #[case::after_endbr64([0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5], true)]
    #[case::debian_accept([0x80, 0x3d, 0x81, 0xd1, 0x0e, 0x00, 0x00, 0x74], false)]
    #[case::saves_it_only([0x55, 0x48, 0x83, 0xec, 0x10, 0x90, 0x90, 0x90], false)]
    fn a_frame_is_known_by_its_first_instructions(#[case] code: [u8; 8], #[case] keeps: bool) {
        assert_eq!(begins_with_frame(&code), keeps);
    }
}
