// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run came to: table or JSON, verdict, the console's end after a failure.

use std::{fs, path::Path, process::ExitCode};

use serde_json::json;

use crate::{
    Result, failure::Context, guest_counts, machine::Outcome, progress::say, report::DmaFault,
    table::table, trace,
};

/// Lines of the console that are shown after a failure.
const LAST_LINES: usize = 60;

pub(super) fn write_trace(path: &Path, outcome: &Outcome) -> Result<()> {
    let report = &outcome.report;
    fs::write(path, trace::convert(&report.trace))
        .context(|| format!("cannot write {}", path.display()))?;
    say("trace", &format!("{} events in {}", report.trace.len(), path.display()));
    let dropped: u64 = report.cpus.iter().map(|cpu| cpu.trace_dropped).sum();
    if dropped > 0 {
        say("trace", &format!("{dropped} earlier events did not fit"));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the results, which are what the command is for")]
pub(super) fn present(options: &super::Options, outcome: &Outcome, disk: Result<()>) -> ExitCode {
    let verdict = outcome.judge();
    let verdict = verdict.and_then(|line| match disk {
        Ok(()) => Ok(line),
        Err(failure) => Err(format!("FAILED: {failure}")),
    });
    if verdict.is_err() && !options.verbose {
        let skipped = outcome.console.len().saturating_sub(LAST_LINES);
        eprintln!("console{}:", if skipped > 0 { ", last lines" } else { "" });
        outcome.console.iter().skip(skipped).for_each(|line| eprintln!("  {line}"));
    }
    for error in &outcome.peer.errors {
        say("doorbell", error);
    }
    let seconds = outcome.duration.as_secs_f32();
    if options.json {
        println!("{:#}", document(outcome, &verdict));
    } else {
        if options.guest.is_linux() {
            let told = |line: &&String| !line.starts_with("result interrupts ");
            outcome.report.guest.iter().filter(told).for_each(|line| println!("{line}"));
        }
        if !outcome.report.rows.is_empty() {
            print!("{}", table(&outcome.report));
        }
        if !outcome.report.guest_counts.is_empty() {
            print!("\n{}", guest_counts::table(&outcome.report));
        }
        for DmaFault { bdf, address, write, count, .. } in &outcome.report.dma_faults {
            let direction = if *write { "write" } else { "read" };
            println!("{bdf} was refused to {direction} at {address:#x}: {count} record(s)");
        }
        let (Ok(line) | Err(line)) = &verdict;
        println!("{line} ({seconds:.1} s)");
    }
    if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn document(
    outcome: &Outcome,
    verdict: &core::result::Result<String, String>,
) -> serde_json::Value {
    let (Ok(line) | Err(line)) = verdict;
    let total = outcome.report.total();
    json!({
        "passed": verdict.is_ok(),
        "verdict": line,
        "exit": outcome.exit.to_string(),
        "seconds": outcome.duration.as_secs_f64(),
        "rows": outcome.report.rows,
        "total": {
            "messages": total.messages, "relayed": total.relayed, "merged": total.merged,
            "lost": total.lost, "host_exits": total.host_exits, "tdvmcalls": total.tdvmcalls,
            "interruptions": total.interruptions,
        },
        "cpus": outcome.report.cpus,
        "dma_faults": outcome.report.dma_faults,
        "guest": outcome.report.guest,
        "guest_interrupts": outcome.report.guest_counts,
        "end": outcome.report.end,
        "doorbell": {"rung": outcome.peer.rung, "errors": outcome.peer.errors},
    })
}
