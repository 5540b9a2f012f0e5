// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels of other kinds, and of other people.

/// Files that are none.
mod bad;

/// A kernel without a format.
mod flat;

use libtest_mimic::Trial;
use xtask::debian_kernel::{self, Series};
use xtask::guest::Guest;
use xtask::initramfs;
use xtask::machine::{Exit, Outcome, Scratch};
use xtask::xen;

use crate::account;
use crate::bad_guest::written;
use crate::stand::{Stand, Verdict, check, ended, relay_file, said, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let multiboot = [1, 2, 4].map(|cpus| {
        let name = format!("kernels::a_multiboot_guest_relays_each_device_on_{cpus}_cpus");
        scenario(name, move || by_multiboot(cpus))
    });
    let pvh = Series::ALL.map(|series| {
        let name = format!("kernels::debian_{series}_reaches_user_space_by_pvh_on_2_cpus");
        scenario(name, move || by_pvh(series))
    });
    let xen = scenario("kernels::xen_is_told_its_machine_by_multiboot", xen_by_multiboot);
    let flat = scenario("kernels::a_flat_multiboot_guest_relays_each_device", by_flat_multiboot);
    multiboot.into_iter().chain(pvh).chain([xen, flat]).chain(bad::scenarios()).collect()
}

/// Our own guest, which starts by either protocol, by the one that is not its first choice.
fn by_multiboot(cpus: u32) -> Verdict {
    let stand = Stand::new(cpus, "scenario=demo").paravisor_option("entry=multiboot");
    stand.run(each_device_by_multiboot)
}

/// The same as a file that only its header tells about.
fn by_flat_multiboot() -> Verdict {
    let file = flat::flat(&relay_file()?).ok_or("the guest's file is not as it was")?;
    let scratch = Scratch::new().map_err(|failure| failure.to_string())?;
    let path = written(&scratch, "flat", &file)?;
    let guest = Guest::file(&path, None).map_err(|failure| failure.to_string())?;
    let stand = Stand::of_guest(2, guest, "scenario=demo cpus=2");
    stand.paravisor_option("tell=shared_bit").run(each_device_by_multiboot)
}

fn each_device_by_multiboot(outcome: &Outcome) -> Verdict {
    said(outcome, "L1 | ", "start=multiboot")?;
    let figures = account::exact(outcome)?;
    let wanted = 20 + 3 + 8 * (20 + 20);
    check!(figures.handled == wanted, "{} interrupts, not {wanted}", figures.handled);
    Ok(())
}

/// Linux once more, by another way in: not its 64-bit entry but the 32-bit one of PVH, from the ELF
/// file that is inside the bzImage, with what the start info says of memory, ACPI and RAM disk.
fn by_pvh(series: Series) -> Verdict {
    const CPUS: u32 = 2;
    let guest = || -> xtask::Result<Guest> {
        let kernel = debian_kernel::kernel(series)?;
        Guest::linux_by_pvh(&kernel.path, Some(initramfs::build(None)?))
    };
    let guest = guest().map_err(|failure| failure.to_string())?;
    Stand::of_guest(CPUS, guest, initramfs::COMMAND_LINE).memory(256).run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(outcome, "L1 | ", "start=pvh")?;
        said(outcome, "L2 | result boot=ok", &format!("kernel={series}."))?;
        said(outcome, "L2 | result boot=ok", &format!(" cpus={CPUS}"))
    })
}

/// Xen is told all that multiboot tells, and prints it. It goes on until it misses a timer chip,
/// which this machine has not got, and resets the machine by the way that ACPI names.
fn xen_by_multiboot() -> Verdict {
    const WORDS: &str = "xen com1=115200,8n1 console=com1 no-real-mode sync_console loglvl=all";
    // Xen wants a kernel to start, and takes what is at its end for the size of what is packed in it.
    let module = vec![0; 0x4321];
    let guest = xen::xen().and_then(|path| Guest::file(&path, Some(module)));
    let guest = guest.map_err(|failure| failure.to_string())?;
    Stand::of_guest(2, guest, WORDS).run(|outcome| {
        said(outcome, "L1 | ", "start=multiboot")?;
        for line in [
            "Xen version 4.17",
            "Bootloader: Lychgate",
            "Command line: com1=115200,8n1 console=com1 no-real-mode sync_console loglvl=all",
            "Multiboot-e820 RAM map:",
            "[0000000000000000, 000000000009efff] (usable)",
            "[000000000009f000, 00000000000fffff] (reserved)",
            "[0000000006bf0000, 0000000006bf7fff] (ACPI data)",
            "[0000000006bf8000, 0000000006bf8fff] (ACPI NVS)",
            "ACPI: RSDP 000E0000",
            "IOAPIC[0]: apic_id 0",
            "SMP: Allowing 2 CPUs",
            "Unable to find usable platform timer",
        ] {
            said(outcome, "L2 | (XEN)", line)?;
        }
        said(outcome, "L1 | ", "guest reset")?;
        ended(outcome, &Exit::FAILURE)
    })
}
