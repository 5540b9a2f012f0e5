// SPDX-License-Identifier: MIT OR Apache-2.0
//! Non-maskable interrupts for L2: at once if it can take one, else as soon as it can.
//!
//! Whether it can is read, not assumed: an NMI into a blocked state fails the entry. Only one waits,
//! as on a processor.
//!
//! Spec: SDM "NMI-Window Exiting", "Guest Non-Register State".

use paravisor::exit::event::Event;
use tdcall::{InterruptionInfo, md::l2_vmcs::Field};

use super::Refused;
use crate::l2::{
    fields::{read, write_masked},
    vcpu::Vcpu,
};

/// Interruptibility: after STI, after MOV SS, in SMM, in an NMI handler.
const BLOCKED: u64 = 0xf;
/// Primary control: exit when an NMI can be taken.
const NMI_WINDOW: u64 = 1 << 22;

/// Gives L2 an NMI.
pub(in crate::l2) fn give(vcpu: &mut Vcpu) -> Result<(), Refused> {
    if vcpu.event.is_none() && read(Field::INTERRUPTIBILITY_STATE)? & BLOCKED == 0 {
        let information = InterruptionInfo::nmi();
        vcpu.event = Some(Event { information, error_code: 0, length: 0 });
        return Ok(());
    }
    vcpu.nmi_waits = true;
    write_masked(Field::PROCESSOR_BASED_CONTROLS, NMI_WINDOW, NMI_WINDOW)
}

/// L2 halts. If an NMI has waited for nothing but the shadow of STI, it wakes L2 at once: the module would
/// tell only after an entry. True if it did.
pub(in crate::l2) fn wakes(vcpu: &mut Vcpu) -> Result<bool, Refused> {
    if !vcpu.nmi_waits || read(Field::INTERRUPTIBILITY_STATE)? & BLOCKED != 0 {
        return Ok(false);
    }
    window_open(vcpu)?;
    Ok(true)
}

/// No NMI waits any more.
pub(in crate::l2) fn forget(vcpu: &mut Vcpu) -> Result<(), Refused> {
    vcpu.nmi_waits = false;
    write_masked(Field::PROCESSOR_BASED_CONTROLS, 0, NMI_WINDOW)
}

/// L2 can take the NMI that waited. The control would make it exit for ever if it stayed.
pub(super) fn window_open(vcpu: &mut Vcpu) -> Result<(), Refused> {
    vcpu.nmi_waits = false;
    write_masked(Field::PROCESSOR_BASED_CONTROLS, 0, NMI_WINDOW)?;
    give(vcpu)
}
