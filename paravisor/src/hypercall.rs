// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypercalls of a host of Hyper-V's kind, by TDVMCALL, with this CPU's shared pages.
//!
//! Spec: GHCI "TDG.VP.VMCALL Interface"; TLFS "Hypercall Interface".

use core::sync::atomic::{AtomicBool, Ordering};

use log::info;
use paravisor::{
    hyperv::status::HvStatus,
    hyperv_host::hypercall::{Control, GetVpRegister, Retarget, status},
};
use tdcall::{Instruction, tdvmcall};
use vmbus::{SharedMemory, message::Outgoing};
use zerocopy::{Immutable, IntoBytes};

use crate::interrupt::synic;

/// Whether the host says that it posts.
static POSTS: AtomicBool = AtomicBool::new(false);

/// There was no call: the module passed it on to nobody, or this CPU has no pages.
const NO_CALL: HvStatus = HvStatus(u16::MAX);

/// Asks what the host can do. Context: the first CPU, before any other comes.
pub(crate) fn ask() {
    let posts = vsm_capabilities().is_some_and(GetVpRegister::says_redirect);
    POSTS.store(posts, Ordering::Relaxed);
    info!("hypercalls: posts={}", u8::from(posts));
}

/// Whether the host says that it posts interrupts to L1's vectors.
pub(crate) fn posts() -> bool {
    POSTS.load(Ordering::Relaxed)
}

/// Has a device's interrupt come another way.
pub(crate) fn retarget(retarget: &Retarget) -> HvStatus {
    call(Control::RETARGET, retarget)
}

/// Posts a message of VMBus.
pub(crate) fn post_message(message: &Outgoing) -> HvStatus {
    call(Control::POST_MESSAGE, &message.post_message())
}

/// Signals a channel.
pub(crate) fn signal_event(input: u64) -> HvStatus {
    tdvmcall::hyperv_hypercall(&Instruction, Control::SIGNAL_EVENT.get(), input, 0)
        .map_or(NO_CALL, status)
}

fn vsm_capabilities() -> Option<u64> {
    let [_, (output, _)] = synic::call_pages()?;
    if call(Control::GET_VP_REGISTER, &GetVpRegister::VSM_CAPABILITIES) != HvStatus::SUCCESS {
        return None;
    }
    let mut value = [0; 8];
    output.read(0, &mut value);
    Some(u64::from_le_bytes(value))
}

fn call<T: IntoBytes + Immutable>(control: Control, argument: &T) -> HvStatus {
    let Some([(input, from), (_, to)]) = synic::call_pages() else { return NO_CALL };
    input.write(0, argument.as_bytes());
    tdvmcall::hyperv_hypercall(&Instruction, control.get(), from, to).map_or(NO_CALL, status)
}
