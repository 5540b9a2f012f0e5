// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds a virtual CPU: TDH.VP.CREATE to the fields that the host writes.
//!
//! Spec: TDX-BASE "VCPU Creation and Initialization"; TDX-ABI "TDH.VP.WR Leaf".

use tdcall::{
    PostedInterruptDescriptor, VmIndex,
    md::{FieldId, l2_vmcs, tdvps},
};

use super::{
    apic::Apic,
    build_td::{Failure, L2_VMS, Named, page},
    vcpu::Vcpu,
};
use crate::module;

/// Pages of TDVPS besides the one that names the virtual CPU.
const TDVPS_PAGES: u8 = 5;

/// Further ones for each L2 VM.
const TDVPS_PAGES_PER_L2_VM: u8 = 3;

/// Creates virtual CPU `index` of `vcpus`, which finds `start_argument` in RCX and R8.
pub(crate) fn create(
    tdr: u64,
    (index, vcpus): (usize, usize),
    start_argument: u64,
    descriptor: &'static PostedInterruptDescriptor,
) -> Result<Vcpu, Failure> {
    let tdvpr = page()?;
    module::tdh_vp_create(tdvpr, tdr).named("TDH.VP.CREATE")?;
    for _ in 0..TDVPS_PAGES + TDVPS_PAGES_PER_L2_VM * L2_VMS {
        module::tdh_vp_addcx(page()?, tdvpr).named("TDH.VP.ADDCX")?;
    }
    module::tdh_vp_init(tdvpr, start_argument).named("TDH.VP.INIT")?;
    let number = |value| u32::try_from(value).unwrap_or(u32::MAX);
    Ok(Vcpu::new(index, tdvpr, descriptor, Apic::new(number(index), number(vcpus))))
}

/// The machine's time-stamp counter when that of the TD was 0.
pub(crate) fn tsc_origin(vcpu: &Vcpu) -> Result<u64, Failure> {
    const L1_TSC_OFFSET: u64 = 0x0024_0003_0000_2010;
    let offset = module::tdh_vp_rd(vcpu.tdvpr, L1_TSC_OFFSET).named("TDH.VP.RD")?;
    Ok(offset.wrapping_neg())
}

/// Enables posted interrupts: vector and descriptor first, or the module refuses.
pub(crate) fn enable_posting(vcpu: &Vcpu) -> Result<(), Failure> {
    const PROCESS_POSTED_INTERRUPTS: u64 = 1 << 7;
    let vector = u64::from(vcpu.descriptor.control().notification_vector());
    let address = core::ptr::from_ref(vcpu.descriptor).expose_provenance() as u64;
    write(vcpu, tdvps::L1_POSTED_INTERRUPT_NOTIFICATION_VECTOR, vector, u64::MAX)?;
    write(vcpu, tdvps::L1_POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, address, u64::MAX)?;
    let enable = PROCESS_POSTED_INTERRUPTS;
    write(vcpu, tdvps::L1_PIN_BASED_CONTROLS, enable, enable)
}

/// Gives L1 and every L2 VM the same shared address space.
pub(crate) fn set_shared_ept(vcpu: &Vcpu, root: u64) -> Result<(), Failure> {
    const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    write(vcpu, tdvps::L1_SHARED_EPTP, root, ADDRESS)?;
    for vm in (1..=L2_VMS).filter_map(VmIndex::new) {
        let field = l2_vmcs::field_id(vm, l2_vmcs::Field::SHARED_EPTP);
        write(vcpu, field, root, ADDRESS)?;
    }
    Ok(())
}

fn write(vcpu: &Vcpu, field: FieldId, value: u64, mask: u64) -> Result<(), Failure> {
    module::tdh_vp_wr(vcpu.tdvpr, field.into_bits(), value, mask).named("TDH.VP.WR").map(|_| ())
}
