// SPDX-License-Identifier: MIT OR Apache-2.0
//! Link devices: inputs that can be chosen.
//!
//! What a link says of itself (`_CRS`) is kept if it is one of the possibilities (`_PRS`), for somebody
//! chose it; firmware also does so without switching the link on. Otherwise it is given the last of its
//! possibilities, because tables list the shared ISA interrupts first. A link that was off is switched
//! on by that, and is then asked whether it took it.
//!
//! Spec: ACPI "_CRS (Current Resource Settings)", "_PRS (Possible Resource Settings)", "_SRS (Set
//! Resource Settings)", "_STA (Device Status)".

use acpi_routes::{Route, Source, Unknown};
use alloc::vec;

use crate::{Datum, Evaluator, Path, resource::Interrupts};

const PRESENT: u64 = 1 << 0;
const ENABLED: u64 = 1 << 1;

/// Returns what the link at `path` leads to, after switching it on if need be.
pub(crate) fn route(evaluator: &mut impl Evaluator, path: &Path) -> Result<Route, Unknown> {
    let state = status(evaluator, path)?;
    if state & PRESENT == 0 {
        return Err(Unknown::NoLink);
    }
    let possible = possible(evaluator, path)?;
    let is_possible = |gsi: u32| possible.as_ref().is_none_or(|one| one.numbers.contains(&gsi));
    let kept = current(evaluator, path)?.filter(|route| is_possible(route.gsi));
    match kept {
        Some(route) if state & ENABLED != 0 => Ok(route),
        _ => set(evaluator, path, kept, &possible.ok_or(Unknown::LinkFailed)?),
    }
}

/// Switches the link on with what was chosen already, or with the last possibility.
fn set(
    evaluator: &mut impl Evaluator,
    path: &Path,
    kept: Option<Route>,
    possible: &Interrupts,
) -> Result<Route, Unknown> {
    let wanted = kept.map(|route| route.gsi).or(possible.numbers.last().copied());
    let wanted = wanted.filter(|number| *number != 0).ok_or(Unknown::LinkFailed)?;
    let template = possible.choose(wanted).ok_or(Unknown::LinkFailed)?;
    let set = evaluator.evaluate(&path.child(b"_SRS"), vec![Datum::Bytes(template)]);
    set.map_err(|_| Unknown::LinkFailed)?;
    if status(evaluator, path)? & ENABLED == 0 {
        return Err(Unknown::LinkRefused);
    }
    let route = current(evaluator, path)?.filter(|route| route.gsi == wanted);
    route.map(|route| Route { source: Source::LinkSet, ..route }).ok_or(Unknown::LinkRefused)
}

/// Returns `_STA`; what has none is present and enabled.
fn status(evaluator: &mut impl Evaluator, path: &Path) -> Result<u64, Unknown> {
    let name = path.child(b"_STA");
    if !evaluator.exists(&name) {
        return Ok(PRESENT | ENABLED);
    }
    match evaluator.evaluate(&name, vec![]) {
        Ok(Datum::Integer(status)) => Ok(status),
        _ => Err(Unknown::LinkFailed),
    }
}

/// Returns what the link leads to now, if it leads anywhere: interrupt 0 is none.
fn current(evaluator: &mut impl Evaluator, path: &Path) -> Result<Option<Route>, Unknown> {
    let interrupts = template(evaluator, &path.child(b"_CRS"))?;
    let [gsi] = *interrupts.numbers else { return Err(Unknown::LinkFailed) };
    let Interrupts { trigger, polarity, .. } = interrupts;
    Ok((gsi != 0).then_some(Route { gsi, trigger, polarity, source: Source::Link }))
}

/// Returns what may be chosen, if the link says so.
fn possible(evaluator: &mut impl Evaluator, path: &Path) -> Result<Option<Interrupts>, Unknown> {
    let name = path.child(b"_PRS");
    if evaluator.exists(&name) { template(evaluator, &name).map(Some) } else { Ok(None) }
}

fn template(evaluator: &mut impl Evaluator, path: &Path) -> Result<Interrupts, Unknown> {
    match evaluator.evaluate(path, vec![]) {
        Ok(Datum::Bytes(bytes)) => Interrupts::parse(&bytes).ok_or(Unknown::LinkFailed),
        _ => Err(Unknown::LinkFailed),
    }
}
