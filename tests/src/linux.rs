// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels of Debian's, unmodified.

use std::env;
use std::process::Command;

use libtest_mimic::Trial;
use xtask::debian_kernel::{self, Series};
use xtask::guest::Guest;
use xtask::initramfs;
use xtask::machine::{Exit, Scratch};

use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// CPUs, and how those but the first start, of each boot.
const BOOTS: [(u32, &str); 3] = [(1, "mailbox"), (2, "sipi"), (4, "mailbox")];

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let boots = Series::ALL.into_iter().flat_map(|series| BOOTS.map(|boot| (series, boot)));
    let boots = boots.map(|(series, (cpus, wake))| {
        let name = format!("linux::debian_{series}_reaches_user_space_on_{cpus}_cpus_by_{wake}");
        scenario(name, move || boot(series, cpus, wake))
    });
    let cpus_off = [(Series::V6_1, "mailbox"), (Series::V6_1, "sipi"), (Series::V6_12, "sipi")];
    let cpus_off = cpus_off.map(|(series, wake)| {
        let name = format!("linux::debian_{series}_takes_a_cpu_off_and_on_again_by_{wake}");
        scenario(name, move || cpu_off(series, wake))
    });
    let patches = Series::ALL.map(|series| {
        let name = format!("linux::debian_{series}_patches_code_that_another_cpu_runs");
        scenario(name, move || patch(series))
    });
    boots
        .chain(cpus_off)
        .chain(patches)
        .chain([
            scenario("linux::a_kernel_without_an_init_resets_and_that_is_a_failure", no_init),
            scenario("linux::a_test_that_fails_in_the_guest_is_a_failure", failed_script),
            scenario("linux::a_script_of_ones_own_is_run", own_script),
            scenario("linux::without_cache_and_network_it_says_what_to_do", offline),
        ])
        .collect()
}

/// The kernel finds all CPUs, runs our first program and switches the machine off.
fn boot(series: Series, cpus: u32, wake: &str) -> Verdict {
    let stand = Stand::linux(cpus, series, "", None)?;
    stand.paravisor_option(&format!("wake={wake}")).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let said = outcome.report.guest.first().map(String::as_str).unwrap_or_default();
        let kernel = format!("result boot=ok kernel={series}.");
        let found = format!(" cpus={cpus}");
        let warning = outcome.console.iter().find(|line| line.starts_with("L1 | warn"));
        check!(warning.is_none(), "an ordinary boot, and yet {warning:?}");
        check!(said.starts_with(&kernel) && said.ends_with(&found), "the guest said \"{said}\"");
        Ok(())
    })
}

/// The second CPU stops for good, and is started like at boot, more than once.
fn cpu_off(series: Series, wake: &str) -> Verdict {
    const SCRIPT: &[u8] = b"#!/bin/sh
/bin/busybox mkdir -p /sys && /bin/busybox mount -t sysfs sys /sys || exit 1
cpus=/sys/devices/system/cpu
for i in 1 2 3; do
    echo 0 >$cpus/cpu1/online || exit 2
    read -r off <$cpus/online
    echo 1 >$cpus/cpu1/online || exit 3
    read -r on <$cpus/online
    echo \"result off=$off on=$on\"
done
";
    let stand = Stand::linux(2, series, "", Some(SCRIPT))?;
    stand.paravisor_option(&format!("wake={wake}")).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let told = &outcome.report.guest;
        let turns = told.iter().filter(|line| *line == "result off=0 on=0-1").count();
        check!(turns == 3, "the guest said {told:?}");
        Ok(())
    })
}

/// The scheduler's statistics are switched on and off by patching the code that takes them, while both
/// CPUs run it.
fn patch(series: Series) -> Verdict {
    const SCRIPT: &[u8] = b"#!/bin/sh
statistics=/proc/sys/kernel/sched_schedstats
/bin/busybox mkdir -p /proc && /bin/busybox mount -t proc proc /proc || exit 1
[ -w $statistics ] || exit 2
/bin/busybox yes | /bin/busybox cat >/dev/null &
for turn in $(/bin/busybox seq 200); do
    echo 1 >$statistics
    echo 0 >$statistics
done
echo result turns=$turn
";
    Stand::linux(2, series, "", Some(SCRIPT))?.run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let told = &outcome.report.guest;
        check!(told.iter().any(|line| line == "result turns=200"), "the guest said {told:?}");
        Ok(())
    })
}

/// What should be the initial RAM disk is none, so the kernel panics and resets the machine.
fn no_init() -> Verdict {
    let guest = || -> xtask::Result<Guest> {
        let kernel = debian_kernel::kernel(Series::V6_12)?;
        Guest::linux(&kernel.path, Some(vec![0x5a; 0x1_0000]))
    };
    let guest = guest().map_err(|failure| failure.to_string())?;
    let stand = Stand::of_guest(1, guest, initramfs::COMMAND_LINE).memory(256);
    stand.emulator_option("devices=").run(|outcome| {
        ended(outcome, &Exit::FAILURE)?;
        said(outcome, "L2 | ", "kernel panic")
    })
}

/// A script that is content.
fn own_script() -> Verdict {
    let script = b"#!/bin/sh\necho result own=$((6 * 7))\n";
    Stand::linux(1, Series::V6_12, "", Some(script))?.run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let told = &outcome.report.guest;
        check!(told.iter().any(|line| line == "result own=42"), "the guest said {told:?}");
        Ok(())
    })
}

/// A script that is not.
fn failed_script() -> Verdict {
    Stand::linux(1, Series::V6_1, "", Some(b"#!/bin/sh\nexit 3\n"))?.run(|outcome| {
        ended(outcome, &Exit::FAILURE)?;
        said(outcome, "L2 | result failure", "/script ended with status 3")
    })
}

/// Debian's archive cannot be reached, and nothing of it is in the cache.
fn offline() -> Verdict {
    let scratch = Scratch::new().map_err(|failure| failure.to_string())?;
    let configuration = scratch.path().join("apt.conf");
    // The port of a service that is long gone.
    std::fs::write(&configuration, "Acquire::http::Proxy \"http://127.0.0.1:9\";\n")
        .map_err(|error| error.to_string())?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--package", "xtask", "--", "run", "--guest", "linux"])
        .env("APT_CONFIG", &configuration)
        .env("XDG_CACHE_HOME", scratch.path())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    check!(output.status.code() == Some(1), "{}: {text}", output.status);
    for part in ["error: Debian's linux-6.12 is not in the cache", "--kernel PATH"] {
        check!(text.contains(part), "not \"{part}\": {text}");
    }
    Ok(())
}
