// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for every interrupt that was relayed.
//!
//! Three parties count: the guest's handlers, the emulator (which sees the devices' messages and
//! the deliveries) and the doorbell's outside end. Their books must agree.

use xtask::machine::{Exit, Outcome};
use xtask::report::Row;

use crate::figures::{Figures, Vector};
use crate::stand::{Verdict, check, ended};

/// PCI identifier of the doorbell device.
pub(crate) const DOORBELL: &str = "1af4:1110";

/// Checks the books of a run in which interrupts may merge; returns the guest's figures.
pub(crate) fn balanced(outcome: &Outcome) -> Result<Figures, String> {
    ended(outcome, &Exit::SUCCESS)?;
    let end = outcome.report.end.as_ref().ok_or("the report has no end")?;
    check!(end.status == "success", "the report ends with {end:?}");
    let figures = Figures::read(&outcome.report)?;
    check!(figures.ok, "the guest is not content");
    check!(!figures.vectors.is_empty(), "the guest had no interrupt at all");
    check!(outcome.peer.errors.is_empty(), "the doorbell's peer is not content");
    outcome.report.rows.iter().try_for_each(row_is_sound)?;
    figures.vectors.iter().try_for_each(|vector| books_agree(outcome, vector))?;
    let relayed = outcome.report.total().relayed;
    check!(
        relayed == figures.handled,
        "{relayed} relayed, but the guest handled {}",
        figures.handled
    );
    Ok(figures)
}

/// Checks the books of a run in which every message is an interrupt of its own.
pub(crate) fn exact(outcome: &Outcome) -> Result<Figures, String> {
    exact_but_for(outcome, u64::MAX)
}

/// The same for a run in which entries from `first` on were rung in vain, too.
pub(crate) fn exact_but_for(outcome: &Outcome, first: u64) -> Result<Figures, String> {
    let figures = balanced(outcome)?;
    let total = outcome.report.total();
    check!(total.merged == 0, "{} merged", total.merged);
    check!(
        total.messages == figures.handled,
        "{} messages, but the guest handled {}",
        total.messages,
        figures.handled
    );
    for (entry, rung) in (0..first).zip(&outcome.peer.rung) {
        let rows = outcome.report.rows.iter();
        let messages: u64 = rows
            .filter(|row| row.device == DOORBELL && u64::from(row.entry) == entry)
            .map(|row| row.messages)
            .sum();
        check!(
            messages == *rung,
            "entry {entry} was rung {rung} times but sent {messages} messages"
        );
    }
    Ok(figures)
}

/// Checks what holds for each way by itself: nothing lost, and the host not asked. To wake the CPU that
/// an interrupt is for, one that takes it for that CPU has to ask the host; that is a figure of its own. What the
/// host takes itself is not a way of L1's at all: no vector is set aside for it, and the host wakes the CPU.
fn row_is_sound(row: &Row) -> Verdict {
    let (mode, kicks) = match row.reserved {
        0 => ("proxied", row.messages),
        _ if row.taker == row.cpu => ("posted", 0),
        _ => ("remote", row.messages),
    };
    check!(row.mode == mode, "not {mode}: {row:?}");
    check!(row.kicks <= kicks, "more kicks than interrupts that were passed on: {row:?}");
    let accounted = row.relayed + row.merged;
    check!(row.lost == 0 && row.messages == accounted, "lost or invented: {row:?}");
    check!(row.host_exits == 0 && row.tdvmcalls == 0, "a detour by the host: {row:?}");
    Ok(())
}

/// Checks that the guest handled what the emulator relayed to this vector.
fn books_agree(outcome: &Outcome, vector: &Vector) -> Verdict {
    let ways = outcome.report.rows.iter().filter(|row| {
        (row.vector, row.cpu, row.entry) == (vector.vector, vector.cpu, vector.entry)
            && row.bdf == vector.device
    });
    let relayed: u64 = ways.map(|row| row.relayed).sum();
    check!(relayed == vector.handled, "{relayed} relayed to {vector:?}");
    Ok(())
}
