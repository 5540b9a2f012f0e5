// SPDX-License-Identifier: MIT OR Apache-2.0
//! The instruction behind an intercepted access, fetched through L2's own page tables.

use paravisor::{
    guest_memory::GuestMemory,
    mmio::{Access, MAX_LENGTH, decode},
};
use tdcall::L2Exit;

use super::Refused;
use crate::{
    l2::vcpu::{Vcpu, code_bits, is_long},
    memory::guest::GuestRam,
};

const PAGE: u64 = 0x1000;

/// Fetches and decodes it. `None` if it is gone, or no plain move.
pub(super) fn fetch(vcpu: &mut Vcpu, report: &L2Exit) -> Result<Option<Access>, Refused> {
    let paging = Vcpu::paging()?;
    let rip = vcpu.state().rip;
    let linear = if is_long(report) { rip } else { report.cs_base.wrapping_add(rip) & 0xffff_ffff };
    let ram = GuestRam::get();
    let mut bytes = [0; MAX_LENGTH];
    let mut length = 0;
    while length < MAX_LENGTH {
        let at = linear.wrapping_add(length as u64);
        let in_page = paravisor::width::index(PAGE - at % PAGE).min(MAX_LENGTH - length);
        let Some(part) = bytes.get_mut(length..length + in_page) else { break };
        if !paging.translate(&ram, at).is_some_and(|gpa| ram.read(gpa, part)) {
            break;
        }
        length += in_page;
    }
    Ok(decode(code_bits(report), bytes.get(..length).unwrap_or_default()))
}
