//! Lists the texts: each directory of `texts` is a language, each file in it is Fluent.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("texts");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut list = String::from("const LANGUAGES: &[(&str, &[(&str, &str)])] = &[\n");
    for language in sorted(&root) {
        let _ = writeln!(list, "({:?}, &[", name(&language));
        println!("cargo::rerun-if-changed={}", language.display());
        for file in sorted(&language) {
            let path = file.display().to_string();
            let _ = writeln!(list, "({:?}, include_str!({path:?})),", name(&file));
        }
        list.push_str("]),\n");
    }
    list.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    fs::write(out.join("languages.rs"), list).expect("a file of the build's own");
}

fn sorted(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory of texts");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
