// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the emulation ends: what it does not support is named once, with the guest's RIP, and the
//! run is over. Going on with a guess would look like the guest's bug.

use core::fmt;

use super::vcpu::Vcpu;
use crate::{machine::console, svm::guest_memory::GuestMemory};

/// Exit value of a run that met something unsupported.
const EXIT_UNSUPPORTED: u8 = 0x14;

/// Names `what` and ends the run.
pub(crate) fn stop(vcpu: &Vcpu, what: fmt::Arguments<'_>) -> ! {
    let who = if vcpu.current == 0 { "L1" } else { "L2" };
    let rip = GuestMemory(vcpu.vmcb()).instruction_pointer();
    let (index, vm) = (vcpu.index, vcpu.current);
    console::error_exit(
        EXIT_UNSUPPORTED,
        format_args!(
            "not supported by the emulation: {what}: {who} vcpu={index} vm={vm} rip={rip:#x}"
        ),
    )
}
