// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine: which CPUs there are, and staying on one of them.

use std::fs;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::{results::Machine, ticks::Clock};

/// Returns what is known of this machine.
#[must_use]
pub fn this(clock: Clock) -> Machine {
    let first = |path: &str, key: &str| -> Option<String> {
        let text = fs::read_to_string(path).ok()?;
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.rsplit(": ").next().unwrap_or(line).trim().to_owned())
    };
    let load = first("/proc/loadavg", "").and_then(|line| line.split(' ').next()?.parse().ok());
    Machine {
        cpu: first("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
        cpus: cpus().len(),
        load: load.unwrap_or(0.0),
        kernel: first("/proc/sys/kernel/osrelease", "").unwrap_or_else(|| "unknown".to_owned()),
        clock,
    }
}

/// Returns the CPUs that this program may use.
#[must_use]
pub fn cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect()
}

/// Keeps the calling thread on `cpu`.
pub fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    // Without it the figures are worse, not wrong.
    let _refused = sched_setaffinity(None, &set);
}
