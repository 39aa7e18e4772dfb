//! The packages of `cargo xtask dist`: the .deb is installed into a clean Debian, traces a
//! connection there and is purged without a trace; the others hold the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// Installs, traces and purges, in namespaces of its own; `$1` is the clean Debian, `$2` the
/// package, `$3` an empty directory that gets what the steps write.
const LIFE: &str = r#"
root="$1" package="$2" out="$3"
ip link set lo up
mkdir "$out/disk"
mount -t tmpfs tmpfs "$out/disk"
mkdir "$out/disk/upper" "$out/disk/scratch" "$out/disk/root"
mount -t overlay overlay \
    -o "lowerdir=$root,upperdir=$out/disk/upper,workdir=$out/disk/scratch" "$out/disk/root"
root="$out/disk/root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
cp "$package" "$root/tmp/tracer.deb"
files() { (cd "$root"; find . -xdev -path ./tmp -prune -o -print | sort); }
files > "$out/before"
in_debian() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
in_debian dpkg --install /tmp/tracer.deb > "$out/install" 2>&1
files > "$out/installed"
in_debian tracer --version > "$out/version"
in_debian tracer features --format json > "$out/features"
in_debian tracer daemon --check
in_debian bash -c 'tracer --format json --no-snapshot --duration 20s --netns /proc/self/ns/net > /tmp/trace & tracer=$!
    until grep -q hello /tmp/trace; do sleep 0.1; done
    perl -MIO::Socket::INET -e '"'"'
        my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die;
        my $client = IO::Socket::INET->new("127.0.0.1:" . $listener->sockport) or die;
        my $server = $listener->accept or die;
        close $client; close $server;'"'"'
    sleep 0.5; kill -INT $tracer; wait $tracer'
cp "$root/tmp/trace" "$out/trace"
# What the unit's LogsDirectory= makes of a service with a dynamic user.
mkdir -p "$root/var/log/private/tracer"
ln -s private/tracer "$root/var/log/tracer"
touch "$root/var/log/tracer/tracer.json"
in_debian dpkg --remove tracer > "$out/remove" 2>&1
files > "$out/removed"
in_debian dpkg --purge tracer > "$out/purge" 2>&1
rmdir "$root/var/log/private" || true
files > "$out/after"
"#;

/// Where `cargo xtask test` has put something.
fn given(variable: &str, otherwise: PathBuf) -> PathBuf {
    let path = env::var_os(variable).map_or(otherwise, PathBuf::from);
    assert!(path.exists(), "{}: made by `cargo xtask test`", path.display());
    path
}

fn packages() -> PathBuf {
    given("TRACER_PACKAGES", concat!(env!("CARGO_MANIFEST_DIR"), "/../target/dist").into())
}

/// The package whose name ends so.
fn package(end: &str) -> PathBuf {
    let files = fs::read_dir(packages()).unwrap().map(|file| file.unwrap().path());
    let mut found = files.filter(|path| path.to_string_lossy().ends_with(end));
    found.next().unwrap_or_else(|| panic!("no package *{end}"))
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
    output
}

fn shell(script: &str, arguments: &[&Path]) -> String {
    let mut shell = Command::new("bash");
    shell.args(["-euc", script, "bash"]).args(arguments);
    String::from_utf8(run(&mut shell).stdout).unwrap()
}

fn lines(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.lines().map(str::to_owned).collect()
}

/// What is in one list and not in the other, but for what dpkg notes for itself.
fn more(than: &BTreeSet<String>, list: &BTreeSet<String>) -> Vec<String> {
    let noted = ["./var/log/dpkg.log", "./var/log/alternatives.log", "./var/lib/dpkg/status-old"];
    list.difference(than).filter(|path| !noted.contains(&path.as_str())).cloned().collect()
}

#[test]
fn the_deb_traces_in_a_clean_debian_and_leaves_nothing_when_it_is_purged() {
    let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
    let debian = given("TRACER_DEBIAN", home.join(".cache/tracer-xtask/debian-bookworm"));
    let out = tempfile::tempdir().unwrap();
    let mut apart = Command::new("unshare");
    apart.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-euc", LIFE]);
    run(apart.arg("bash").arg(debian).arg(package(".deb")).arg(out.path()));
    let list = |name| lines(&out.path().join(name));
    let (before, installed) = (list("before"), list("installed"));
    for path in [
        "./usr/bin/tracer",
        "./etc/tracer/tracer.toml",
        "./usr/lib/systemd/system/tracer.service",
        "./usr/share/man/man1/tracer-diagnose.1.gz",
        "./usr/share/bash-completion/completions/tracer",
    ] {
        assert!(installed.contains(path), "{path} is not installed");
    }
    let enabled = installed.iter().find(|path| path.contains(".wants/tracer.service"));
    assert_eq!(enabled, None, "the service is not enabled");
    let left = more(&before, &list("removed"));
    assert!(left.contains(&"./etc/tracer/tracer.toml".to_owned()), "{left:?}");
    assert!(!left.contains(&"./usr/bin/tracer".to_owned()), "{left:?}");
    let after = list("after");
    assert_eq!((more(&before, &after), more(&after, &before)), (vec![], vec![]));
    let version = fs::read_to_string(out.path().join("version")).unwrap();
    assert_eq!(version.trim(), concat!("tracer ", env!("CARGO_PKG_VERSION")));
    connection_is_told(&fs::read_to_string(out.path().join("trace")).unwrap());
}

/// Both ends of perl's connection, from handshake to the end.
fn connection_is_told(trace: &str) {
    let records = trace.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records: Vec<Value> = records.collect();
    let states = |role: &str| -> Vec<&str> {
        let of_role = records.iter().filter(|record| {
            record["kind"] == "transition"
                && record["tcp"]["role"] == role
                && record["process"]["name"] == "perl"
        });
        of_role.filter_map(|record| record["tcp"]["to"].as_str()).collect()
    };
    let client = ["SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"];
    assert_eq!(states("client"), client, "{trace}");
    let server = ["SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK", "CLOSED"];
    assert_eq!(states("server"), server, "{trace}");
    assert_eq!(records.last().unwrap()["kind"], "summary");
}

#[test]
fn lintian_has_nothing_to_say_of_the_deb() {
    let said = shell(
        "lintian --allow-root --no-cfg --fail-on error,warning --info \"$1\" 2>&1",
        &[&package(".deb")],
    );
    assert!(!said.contains("E: ") && !said.contains("W: "), "{said}");
}

#[test]
fn rpmlint_has_nothing_to_say_of_the_rpm() {
    let told = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/package/rpm/rpmlint.toml");
    let said =
        shell("rpmlint --strict --config \"$1\" \"$2\" 2>&1", &[Path::new(told), &package(".rpm")]);
    assert!(said.contains("0 errors, 0 warnings"), "{said}");
}

#[test]
fn the_rpm_is_not_installed_beside_another_program_of_that_name() {
    let conflicts = shell("rpm --query --conflicts --package \"$1\"", &[&package(".rpm")]);
    assert_eq!(conflicts.trim(), "python3-tracer");
}

#[test]
fn the_maintainer_is_named_by_cargo_toml_alone() {
    let [deb, rpm] = [
        ("dpkg-deb --field \"$1\" Maintainer Homepage", ".deb"),
        ("rpm --query --queryformat '%{PACKAGER}\n%{URL}\n' --package \"$1\"", ".rpm"),
    ]
    .map(|(query, end)| shell(query, &[&package(end)]));
    let [who, place] = [env!("CARGO_PKG_AUTHORS"), env!("CARGO_PKG_REPOSITORY")];
    assert_eq!(deb, format!("Maintainer: {who}\nHomepage: {place}\n"));
    assert_eq!(rpm, format!("{who}\n{place}\n"));
}

#[test]
fn manual_pages_and_completions_can_be_read() {
    let root = tempfile::tempdir().unwrap();
    let share = root.path().join("usr/share");
    shell("dpkg-deb --extract \"$1\" \"$2\"", &[&package(".deb"), root.path()]);
    let pages = shell("gunzip --keep \"$1\"/*.gz; ls \"$1\"/*.1", &[&share.join("man/man1")]);
    assert!(pages.lines().count() > 10, "{pages}");
    for page in pages.lines() {
        // `base` is what a linter of pages written by hand asks for besides.
        run(Command::new("mandoc").args(["-Tlint", "-Wwarning", page]));
    }
    let bash = share.join("bash-completion/completions/tracer");
    run(Command::new("bash").arg("-n").arg(&bash));
    run(Command::new("zsh").arg("-n").arg(share.join("zsh/vendor-completions/_tracer")));
    run(Command::new("fish").arg("-n").arg(share.join("fish/vendor_completions.d/tracer.fish")));
    let complete = "source \"$1\"; PATH=\"$2:$PATH\"; COMP_WORDS=(tracer diag); COMP_CWORD=1; \
        COMP_TYPE=9; _clap_complete_tracer tracer diag tracer; echo \"${COMPREPLY[@]}\"";
    let programs = root.path().join("usr/bin");
    assert_eq!(shell(&format!("set +u; {complete}"), &[&bash, &programs]).trim(), "diagnose");
}

#[test]
fn the_rpm_and_the_tarball_hold_the_same_binary() {
    let rpm = package(".rpm");
    let files = shell("rpm --query --list --package \"$1\"", &[&rpm]);
    for path in [
        "/usr/bin/tracer",
        "/etc/tracer/tracer.toml",
        "/usr/lib/systemd/system/tracer.service",
        "/usr/share/man/man1/tracer.1.gz",
        "/usr/share/zsh/site-functions/_tracer",
    ] {
        assert!(files.lines().any(|line| line == path), "{path} is not in {files}");
    }
    let configuration = shell("rpm --query --configfiles --package \"$1\"", &[&rpm]);
    assert_eq!(configuration.trim(), "/etc/tracer/tracer.toml");
    let sums = "
        { rpm2cpio \"$1\" | cpio --quiet --to-stdout -i ./usr/bin/tracer | sha256sum
        tar -xzOf \"$2\" --wildcards '*-linux/tracer' | sha256sum
        dpkg-deb --fsys-tarfile \"$3\" | tar -xO ./usr/bin/tracer | sha256sum
        sha256sum < \"$4\"; } | sort -u";
    let same = [rpm, package(".tar.gz"), package(".deb"), package("-linux")];
    let same = shell(sums, &same.each_ref().map(PathBuf::as_path));
    assert_eq!(same.lines().count(), 1, "{same}");
    shell("cd \"$1\" && sha256sum --check --strict SHA256SUMS", &[&packages()]);
}

#[test]
fn the_binary_needs_no_library() {
    let said = shell("ldd \"$1\" 2>&1 || true", &[&package("-linux")]);
    assert!(said.contains("statically linked") || said.contains("not a dynamic"), "{said}");
}

#[test]
fn the_bill_of_materials_names_both_halves_and_the_c_library() {
    let bill: Value = serde_json::from_slice(&fs::read(package(".cdx.json")).unwrap()).unwrap();
    let components = bill["components"].as_array().unwrap();
    let names: BTreeSet<&str> =
        components.iter().filter_map(|component| component["name"].as_str()).collect();
    for name in ["aya", "aya-ebpf", "tracer-ebpf", "zstd-sys", "parquet", "glibc"] {
        assert!(names.contains(name), "{name} is missing");
    }
    assert!(!names.contains("proptest"), "tests are no part of it");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut known: BTreeSet<String> =
        components.iter().filter_map(|component| text(&component["bom-ref"])).collect();
    known.insert("tracer".to_owned());
    for dependency in bill["dependencies"].as_array().unwrap() {
        let ends = dependency["dependsOn"].as_array().unwrap().iter().chain([&dependency["ref"]]);
        for end in ends.filter_map(text) {
            assert!(known.contains(&end), "{end}");
        }
    }
}

/// Unpacks the image `$1` below `$2` and traces a connection with nothing but its files, in a mount
/// namespace of its own.
const CONTAINER: &str = r#"
image="$1" out="$2"
ip link set lo up
mkdir "$out/layout" "$out/root"
tar --extract --file "$image" --directory "$out/layout"
blob() { echo "$out/layout/blobs/sha256/${1#sha256:}"; }
manifest=$(blob "$(jq -r '.manifests[0].digest' "$out/layout/index.json")")
config=$(blob "$(jq -r .config.digest "$manifest")")
layer=$(blob "$(jq -r '.layers[0].digest' "$manifest")")
cp "$manifest" "$out/manifest"; cp "$config" "$out/config"
for blob in "$out"/layout/blobs/sha256/*; do
    echo "$(basename "$blob")  $blob" | sha256sum --check --strict --quiet
done
gzip --decompress --stdout "$layer" | sha256sum | cut -d ' ' -f 1 > "$out/diff"
tar --extract --gzip --file "$layer" --directory "$out/root"
(cd "$out/root"; find . -type f | sort) > "$out/files"
entry=$(jq -r '.config.Entrypoint[0]' "$config")
mkdir "$out/root/proc" "$out/root/sys"
mount -t proc proc "$out/root/proc"
mount --rbind /sys "$out/root/sys"
chroot "$out/root" "$entry" --format json --no-snapshot --duration 20s \
    --netns /proc/self/ns/net > "$out/trace" & tracer=$!
until grep -q hello "$out/trace"; do sleep 0.1; done
perl -MIO::Socket::INET -e '
    my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die;
    my $client = IO::Socket::INET->new("127.0.0.1:" . $listener->sockport) or die;
    my $server = $listener->accept or die;
    close $client; close $server;'
sleep 0.5; kill -INT $tracer; wait $tracer
"#;

#[test]
fn the_image_holds_the_binary_alone_and_runs() {
    let out = tempfile::tempdir().unwrap();
    let mut apart = Command::new("unshare");
    apart.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-euc", CONTAINER]);
    run(apart.arg("bash").arg(package(".oci.tar")).arg(out.path()));
    let read = |name| fs::read_to_string(out.path().join(name)).unwrap();
    let json = |name| serde_json::from_str::<Value>(&read(name)).unwrap();
    let files = ["usr/bin/tracer", "usr/share/doc/tracer/LICENSE-APACHE"]
        .into_iter()
        .chain(["usr/share/doc/tracer/LICENSE-MIT", "usr/share/doc/tracer/tracer.cdx.json"]);
    let files: String = files.map(|path| format!("./{path}\n")).collect();
    assert_eq!(read("files"), files);
    let (manifest, config) = (json("manifest"), json("config"));
    let unpacked = format!("sha256:{}", read("diff").trim());
    assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([unpacked]));
    let labels = &config["config"]["Labels"];
    assert_eq!(labels, &manifest["annotations"]);
    assert_eq!(labels["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
    let here = [("x86_64", "amd64"), ("aarch64", "arm64")];
    let here = here.iter().find(|(rust, _)| *rust == env::consts::ARCH);
    assert_eq!(config["architecture"], here.map_or("", |(_, go)| go));
    connection_is_told(&read("trace"));
}
