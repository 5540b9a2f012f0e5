// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interrupt by which the host says that it has finished something.
//!
//! It is asked for on the CPU that will get it, only where the host says that it has the service, and
//! with one vector that is never used for anything else. A refusal leaves things as they were: nobody
//! waits for a notification that was not set up. The interrupt itself is a hint to look, since the
//! host can raise it at will.
//!
//! Spec: GHCI "TDG.VP.VMCALL<SetupEventNotifyInterrupt>", "TDG.VP.VMCALL<GetTdVmCallInfo>".

use log::{info, warn};
use tdcall::{Instruction, tdvmcall};

use super::vectors;

const VECTOR: Option<tdvmcall::EventNotifyVector> =
    tdvmcall::EventNotifyVector::new(vectors::EVENT_NOTIFY);

/// Asks the host to notify this CPU.
pub(crate) fn set_up() {
    match tdvmcall::has_setup_event_notify_interrupt(&Instruction) {
        Ok(true) => {}
        Ok(false) => return info!("event notification: not offered"),
        Err(error) => return info!("event notification: the host lists no services: {error}"),
    }
    let Some(vector) = VECTOR else { return };
    match tdvmcall::setup_event_notify_interrupt(&Instruction, vector) {
        Ok(()) => info!("event notification: vector={}", vector.get()),
        Err(error) => warn!("event notification: refused: {error}"),
    }
}
