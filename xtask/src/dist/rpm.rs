//! The package for Fedora, SUSE and their relatives, from deploy/package/rpm/tracer.spec.

use std::path::Path;

use anyhow::Result;

use super::tree::{self, Places};
use super::{MAINTAINER, Release, URL};
use crate::{process, workspace};

const PLACES: Places = Places { zsh: "usr/share/zsh/site-functions/_tracer" };

pub(super) fn make(release: &Release) -> Result<()> {
    let workshop = release.workshop("rpm")?;
    let tree = workshop.join("tree");
    tree::lay(release, &PLACES, &tree)?;
    let mut rpmbuild = release.command("rpmbuild");
    let define = |name: &str, value: &Path| format!("--define={name} {}", value.display());
    rpmbuild.args([
        define("_topdir", &workshop),
        define("_rpmdir", &release.directory),
        define("tree", &tree),
        format!("--define=version_of_tracer {}", release.version),
        format!("--define=date_of_tracer {}", release.date("%a %b %d %Y")?),
        format!("--define=packager {MAINTAINER}"),
        format!("--define=url_of_tracer {URL}"),
        "--define=_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm".to_owned(),
        "--define=use_source_date_epoch_as_buildtime 1".to_owned(),
        "--define=clamp_mtime_to_source_date_epoch 1".to_owned(),
        "--define=_buildhost localhost".to_owned(),
    ]);
    rpmbuild.args(["--target", release.architecture, "-bb"]);
    rpmbuild.arg(workspace::root().join("deploy/package/rpm/tracer.spec"));
    process::silently(&mut rpmbuild, None)?;
    release.remove("rpm")
}
