// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts of the edu device, one after the other, on each CPU in turn.

use super::machine::Machine;
use crate::console::line;
use crate::devices::edu::{Direction, Edu};
use crate::failure::Failure;
use crate::{handled, vectors, wait};

/// Interrupts on demand.
pub(crate) fn raise(machine: &mut Machine<'_>, default: u32) -> Result<(), Failure> {
    one_by_one(machine, default, Edu::raise)
}

/// Interrupts at the end of DMA transfers. A paravisor that shows no sign of TDX shares no page; then
/// the device is refused, and interrupts all the same.
pub(crate) fn transfer(machine: &mut Machine<'_>, default: u32) -> Result<(), Failure> {
    let page = machine.dma_page()?;
    if page.share().is_err() {
        line!("info  edu: no page can be shared: transfers will be refused");
    }
    one_by_one(machine, default, |edu| edu.transfer(Direction::ToDevice, page.address))
}

/// Causes an interrupt, waits for it, and so on; each CPU gets its share.
fn one_by_one(
    machine: &mut Machine<'_>,
    default: u32,
    cause: impl Fn(&Edu),
) -> Result<(), Failure> {
    let (count, cpus) = (machine.count(default), machine.cpus());
    let edu = *machine.edu()?;
    let before = handled::of(vectors::EDU);
    for cpu in 0..cpus {
        edu.assign(cpu);
        let share = (count + u32::from(cpu)) / u32::from(cpus);
        for _ in 0..share {
            let wanted = handled::on(vectors::EDU, cpu) + 1;
            cause(&edu);
            let arrived = || handled::on(vectors::EDU, cpu) >= wanted;
            if cpu == 0 {
                wait::halt_until("edu on this CPU", arrived)?;
            } else {
                wait::poll_until("edu on another CPU", arrived)?;
            }
            wait::poll_until("edu's acknowledgement", || edu.is_quiet())?;
        }
    }
    wait::until_quiet(wait::SHORT);
    match handled::of(vectors::EDU) - before {
        handled if handled == u64::from(count) => Ok(()),
        handled => Err(Failure::Count { entry: 0, wanted: count.into(), handled }),
    }
}
