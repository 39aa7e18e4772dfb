//! The container image for several architectures (`cargo xtask image`): what a client of a registry
//! gets for its platform is a program of that architecture, which runs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// Rust's name of an architecture, Go's, and the kernel's number of it (include/uapi/linux/elf-em.h).
const ARCHITECTURES: [(&str, &str, u16); 2] = [("x86_64", "amd64", 62), ("aarch64", "arm64", 183)];
/// The largest layer, bytes: more than the binary has no place in it.
const LARGEST: u64 = 24 << 20;
/// What asks a registry, or a file, for the image of a platform.
const CLIENT: &str = "skopeo";

fn image() -> PathBuf {
    let name = format!("tracer-{}-linux.oci.tar", env!("CARGO_PKG_VERSION"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/image").join(name);
    assert!(path.exists(), "{}: made by `cargo xtask image`", path.display());
    path
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Has the client take the image for a platform; what it says of it, and its files.
fn fetched(architecture: &str, to: &Path) -> (Value, PathBuf) {
    let (image, copy, root) = (image(), to.join("copy"), to.join("root"));
    let from = format!("oci-archive:{}", image.display());
    let chosen = ["--insecure-policy", "--override-os", "linux", "--override-arch", architecture];
    let mut client = Command::new(CLIENT);
    run(client.args(chosen).args(["copy", &from]).arg(format!("dir:{}", copy.display())));
    let read = |name: &str| fs::read_to_string(copy.join(name)).unwrap();
    let manifest: Value = serde_json::from_str(&read("manifest.json")).unwrap();
    let blob = |named: &Value| named["digest"].as_str().unwrap()["sha256:".len()..].to_owned();
    let config: Value = serde_json::from_str(&read(&blob(&manifest["config"]))).unwrap();
    assert_eq!(config["config"]["Labels"], manifest["annotations"]);
    let [layer] = &manifest["layers"].as_array().unwrap()[..] else { panic!("{manifest}") };
    assert!(layer["size"].as_u64().unwrap() < LARGEST, "{layer}");
    fs::create_dir(&root).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--gzip", "--file"]).arg(copy.join(blob(layer)));
    run(tar.arg("--directory").arg(&root));
    (config, root)
}

/// The machine that a program is for, and whether it wants a loader and its libraries.
fn elf(program: &Path) -> (u16, bool) {
    let bytes = fs::read(program).unwrap();
    assert_eq!(&bytes[..4], b"\x7fELF");
    let number = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
    let start = u64::from_le_bytes(bytes[32..40].try_into().unwrap()) as usize;
    let segments = (0..number(56)).map(|one| start + usize::from(one * number(54)));
    // PT_INTERP
    let has_loader = segments.into_iter().any(|at| bytes[at..at + 4] == 3_u32.to_le_bytes());
    (number(18), has_loader)
}

/// What the program says, by an emulator where it is not for this machine.
fn said(architecture: &str, program: &Path, arguments: &[&str]) -> String {
    let mut command = if architecture == env::consts::ARCH {
        Command::new(program)
    } else {
        let mut emulator = Command::new(format!("qemu-{architecture}-static"));
        emulator.arg(program);
        emulator
    };
    String::from_utf8(run(command.args(arguments)).stdout).unwrap()
}

#[test]
#[ignore = "wants the image of cargo xtask image, which takes minutes to compile"]
fn each_platform_gets_a_program_that_runs_there_and_says_the_same() {
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/../tracer/tests/views.jsonl");
    let mut all = Vec::new();
    for (architecture, go, machine) in ARCHITECTURES {
        let place = tempfile::tempdir().unwrap();
        let (config, root) = fetched(go, place.path());
        assert_eq!((&config["architecture"], &config["os"]), (&go.into(), &"linux".into()));
        let program = root.join("usr/bin/tracer");
        assert_eq!(elf(&program), (machine, false), "{architecture}");
        let documents = root.join("usr/share/doc/tracer");
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            assert!(documents.join(licence).exists(), "{architecture}: {licence}");
        }
        let bill = fs::read_to_string(documents.join("tracer.cdx.json")).unwrap();
        let bill: Value = serde_json::from_str(&bill).unwrap();
        assert!(bill["components"].as_array().unwrap().len() > 100, "{architecture}");
        let version = said(architecture, &program, &["--version"]);
        assert!(version.contains(env!("CARGO_PKG_VERSION")), "{architecture}: {version}");
        let replay = ["replay", recording, "--format"];
        let formats = ["text", "json", "csv"];
        let formats =
            formats.map(|format| said(architecture, &program, &[&replay[..], &[format]].concat()));
        assert!(formats.iter().all(|text| text.lines().count() > 1), "{architecture}");
        all.push((version, formats));
    }
    assert_eq!(all[0], all[1], "one architecture says what the other does not");
}
