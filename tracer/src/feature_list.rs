//! What works here, for people and for machines.

use std::io::Write as _;

use serde::Serialize;

use crate::features::{Missing, Survey, Tried};
use tracer_event::{header::Mode, wall_clock::WallClock};
use tracer_output::{stamps::Stamps, text::Palette};

/// What there is, in three lines; below them what is missing, what is lost without it, why, and how
/// to get it.
///
/// # Errors
///
/// Those of `out`.
pub fn text(survey: &Survey, palette: Palette, out: &mut Vec<u8>) -> std::io::Result<()> {
    let Survey { kernel, mode, features, all, .. } = survey;
    let missing: Vec<&Tried> = features.iter().filter(|tried| tried.missing.is_some()).collect();
    let (total, bad) = (features.len(), palette.warning);
    match missing.len() {
        0 => writeln!(out, "{}all {total} features are available{:#}", palette.open, palette.open)?,
        some => writeln!(out, "{bad}{some} of {total} features missing{bad:#}")?,
    }
    writeln!(out, "kernel   Linux {kernel}")?;
    writeln!(out, "tracing  {}", traced(*mode))?;
    for Tried { feature, missing } in missing {
        let Some(Missing { reason, remedy }) = missing else { continue };
        writeln!(out, "\n{bad}no {}{bad:#}: {reason}", feature.name)?;
        writeln!(out, "  without: {}", feature.lost)?;
        if let Some(remedy) = remedy {
            writeln!(out, "  to get it: {remedy}")?;
        }
    }
    if let Some(all) = all {
        writeln!(out, "\nall that takes privileges, at once: {all}")?;
    }
    if survey.features.iter().all(|tried| tried.missing.is_none()) {
        return Ok(());
    }
    writeln!(out, "\n{}the whole list: tracer features -v{:#}", palette.dim, palette.dim)
}

fn traced(mode: Option<Mode>) -> &'static str {
    match mode {
        Some(Mode::Btf) => "with BTF: all that the kernel knows of a socket",
        Some(Mode::Tracepoint) => "by the classic tracepoint: addresses, ports and states",
        None => "not possible",
    }
}

/// One line a feature; below those that are missing, why, and how to get them.
///
/// # Errors
///
/// Those of `out`.
pub fn whole(survey: &Survey, palette: Palette, out: &mut Vec<u8>) -> std::io::Result<()> {
    let Survey { kernel, lockdown, capabilities, mode, features, all } = survey;
    let dim = palette.dim;
    writeln!(out, "kernel        {kernel}")?;
    match lockdown {
        Ok(mode) => writeln!(out, "lockdown      {mode}")?,
        Err(remedy) => writeln!(out, "lockdown      unknown; to know: {remedy}")?,
    }
    let held = if capabilities.is_empty() { "none".into() } else { capabilities.join(" ") };
    writeln!(out, "capabilities  {held}")?;
    writeln!(out, "tracing       {}\n", traced(*mode))?;
    let width = features.iter().map(|tried| tried.feature.name.len()).max().unwrap_or(0);
    for Tried { feature, missing } in features {
        let (answer, style) =
            if missing.is_some() { ("no ", palette.warning) } else { ("yes", palette.plain) };
        let (name, lost) = (feature.name, feature.lost);
        writeln!(out, "{style}{answer}{style:#}  {name:width$}  {dim}without: {lost}{dim:#}")?;
        let Some(Missing { reason, remedy }) = missing else { continue };
        writeln!(out, "     {:width$}  why: {reason}", "")?;
        if let Some(remedy) = remedy {
            writeln!(out, "     {:width$}  to get it: {remedy}", "")?;
        }
    }
    if let Some(all) = all {
        writeln!(out, "\nall that takes privileges, at once: {all}")?;
    }
    Ok(())
}

#[derive(Serialize)]
struct HostLine<'a> {
    kind: &'static str,
    time: &'a str,
    kernel: &'a str,
    mode: Option<Mode>,
    lockdown: Option<&'a str>,
    capabilities: &'a [String],
}

#[derive(Serialize)]
struct FeatureLine<'a> {
    kind: &'static str,
    time: &'a str,
    feature: &'static str,
    available: bool,
    lost: &'static str,
    reason: Option<&'a str>,
    remedy: Option<&'a str>,
}

/// An object of kind `host`, then one of kind `feature` for each.
///
/// # Errors
///
/// None that can happen.
pub fn json(survey: &Survey, clock: WallClock, out: &mut Vec<u8>) -> std::io::Result<()> {
    let mut stamps = Stamps::utc();
    let time = stamps.write(clock.at(clock.now));
    let Survey { kernel, lockdown, capabilities, mode, features, .. } = survey;
    let lockdown = lockdown.as_deref().ok();
    let host = HostLine { kind: "host", time, kernel, mode: *mode, lockdown, capabilities };
    serde_json::to_writer(&mut *out, &host)?;
    out.push(b'\n');
    for Tried { feature, missing } in features {
        let line = FeatureLine {
            kind: "feature",
            time,
            feature: feature.name,
            available: missing.is_none(),
            lost: feature.lost,
            reason: missing.as_ref().map(|missing| &*missing.reason),
            remedy: missing.as_ref().and_then(|missing| missing.remedy.as_deref()),
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.push(b'\n');
    }
    Ok(())
}
