// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels of other kinds, and of other people.

use libtest_mimic::Trial;

use crate::account;
use crate::stand::{Stand, Verdict, check, said, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let multiboot = [1, 2, 4].map(|cpus| {
        let name = format!("kernels::a_multiboot_guest_relays_each_device_on_{cpus}_cpus");
        scenario(name, move || by_multiboot(cpus))
    });
    multiboot.into_iter().collect()
}

/// Our own guest, which starts by either protocol, by the one that is not its first choice.
fn by_multiboot(cpus: u32) -> Verdict {
    Stand::new(cpus, "scenario=demo").paravisor_option("entry=multiboot").run(|outcome| {
        said(outcome, "L1 | ", "start=multiboot")?;
        let figures = account::exact(outcome)?;
        let wanted = 20 + 3 + 8 * (20 + 20);
        check!(figures.handled == wanted, "{} interrupts, not {wanted}", figures.handled);
        Ok(())
    })
}
