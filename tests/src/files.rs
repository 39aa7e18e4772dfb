//! Files of tests.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

/// Says who may read and write a file.
///
/// # Panics
///
/// Where it is not there, or not ours.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a file of the test");
}
