//! What works here, for people and for machines.

use std::io::Write as _;

use serde::Serialize;

use crate::features::{Missing, Survey, Tried};
use tracer_event::{header::Mode, wall_clock::WallClock};
use tracer_output::{stamps::Stamps, text::Palette, wrap::broken};

/// What there is, in three lines; below them what is missing, what is lost without it, why, and how
/// to get it. Words go on below themselves on a terminal that is as narrow as `width`; commands
/// stay whole.
///
/// # Errors
///
/// Those of `out`.
pub fn text(
    survey: &Survey,
    palette: Palette,
    width: Option<usize>,
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    let Survey { kernel, mode, features, .. } = survey;
    let missing: Vec<&Tried> = features.iter().filter(|tried| tried.missing.is_some()).collect();
    let (total, bad) = (features.len(), palette.warning);
    match missing.len() {
        0 => writeln!(out, "{}all {total} features are available{:#}", palette.open, palette.open)?,
        some => writeln!(out, "{bad}{some} of {total} features missing{bad:#}")?,
    }
    writeln!(out, "kernel   Linux {kernel}")?;
    writeln!(out, "tracing  {}", traced(*mode))?;
    for Tried { feature, missing } in &missing {
        let Some(Missing { reason, remedy }) = missing else { continue };
        let title = format!("no {}:", feature.name);
        let words = below(2, &format!("{title} {reason}"), width);
        let reason = words.strip_prefix(&title).unwrap_or(&words);
        writeln!(out, "\n{bad}{title}{bad:#}{reason}")?;
        writeln!(out, "  if missing: {}", below(14, feature.lost, width))?;
        if let Some(remedy) = remedy {
            writeln!(out, "  to get it:  {remedy}")?;
        }
    }
    at_once(survey, out)?;
    if missing.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}the whole list: tracer features -v{:#}", palette.dim, palette.dim)
}

/// The command for all privileges that are missing.
fn at_once(survey: &Survey, out: &mut Vec<u8>) -> std::io::Result<()> {
    let Some(all) = &survey.all else { return Ok(()) };
    writeln!(out, "\nall that takes privileges, at once:\n  {all}")
}

/// Words that begin behind `indent` columns and go on below themselves.
fn below(indent: usize, words: &str, width: Option<usize>) -> String {
    let room = width.map(|width| width.saturating_sub(indent).max(20));
    broken(words, room).join(&format!("\n{:indent$}", ""))
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
pub fn whole(
    survey: &Survey,
    palette: Palette,
    width: Option<usize>,
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    let Survey { kernel, lockdown, capabilities, mode, features, .. } = survey;
    let dim = palette.dim;
    writeln!(out, "kernel        {kernel}")?;
    match lockdown {
        Ok(mode) => writeln!(out, "lockdown      {mode}")?,
        Err(remedy) => writeln!(out, "lockdown      unknown; to know: {remedy}")?,
    }
    let held = if capabilities.is_empty() { "none".into() } else { capabilities.join(" ") };
    writeln!(out, "capabilities  {}", below(14, &held, width))?;
    writeln!(out, "tracing       {}\n", traced(*mode))?;
    let name_width = features.iter().map(|tried| tried.feature.name.len()).max().unwrap_or(0);
    let indent = name_width + 7;
    for Tried { feature, missing } in features {
        let (answer, style) =
            if missing.is_some() { ("no ", palette.warning) } else { ("yes", palette.plain) };
        let lost = below(indent, &format!("if missing: {}", feature.lost), width);
        writeln!(
            out,
            "{style}{answer}{style:#}  {:name_width$}  {dim}{lost}{dim:#}",
            feature.name
        )?;
        let Some(Missing { reason, remedy }) = missing else { continue };
        let why = below(indent, &format!("why: {reason}"), width);
        writeln!(out, "{:indent$}{why}", "")?;
        if let Some(remedy) = remedy {
            writeln!(out, "{:indent$}to get it: {remedy}", "")?;
        }
    }
    at_once(survey, out)
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
