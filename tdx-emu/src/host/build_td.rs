// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds the TD: the SEAMCALLs from TDH.MNG.CREATE to TDH.MR.FINALIZE, in the order that the
//! architecture wants.
//!
//! Spec: TDX-BASE "TD Life Cycle Management", "TD Build and Boot"; TDVF "TDVF Descriptor".

use core::fmt;

use tdcall::{
    Status, VmIndex,
    md::tdcs,
    td_params::{ConfigFlags, CpuidValues, EptpControls, TdAttributes, TdParams},
};
use tdvf::{Image, SectionType, hob};
use x86_64::registers::xcontrol::XCr0;

use super::{hand_off, private_memory::PrivateMemory, staging::Staging, td::PAGE};
use crate::{
    iommu::dma,
    machine::{clock, memory},
    module,
};

/// L2 VMs of the TD: the one that L1 is there for, and one for code that it does not trust.
pub(crate) const L2_VMS: u8 = 2;

/// Pages of TDCS, of which the last one without L2 VMs is the root of the secure EPT.
const TDCS_PAGES: u8 = 6;

/// The key of the TD; 1 is the module's own.
const KEY: u16 = 2;

/// Bytes that one TDH.MR.EXTEND measures.
const CHUNK: usize = 256;

/// Why a TD cannot be built.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The module refused a SEAMCALL.
    Refused(&'static str, Status),
    /// Memory could not be given.
    Memory(super::private_memory::Failure),
    /// The list of memory does not fit into the image's section for it.
    Hob(hob::Error),
    /// Devices cannot be confined.
    Iommu(dma::Failure),
    /// The machine has no more memory.
    NoMemory,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(name, status) => write!(f, "{name}: {status}"),
            Self::Memory(failure) => write!(f, "{failure}"),
            Self::Hob(error) => write!(f, "{error}"),
            Self::Iommu(failure) => write!(f, "{failure}"),
            Self::NoMemory => f.write_str("the machine has no memory left"),
        }
    }
}

/// Says which SEAMCALL failed.
pub(crate) trait Named<T> {
    /// Names the SEAMCALL.
    fn named(self, name: &'static str) -> Result<T, Failure>;
}

impl<T> Named<T> for Result<T, Status> {
    fn named(self, name: &'static str) -> Result<T, Failure> {
        self.map_err(|status| Failure::Refused(name, status))
    }
}

/// A page of the machine.
pub(crate) fn page() -> Result<u64, Failure> {
    memory::alloc_page().ok_or(Failure::NoMemory)
}

/// Creates and configures the TD; returns the page that names it.
pub(crate) fn create(vcpus: usize) -> Result<u64, Failure> {
    let tdr = page()?;
    module::tdh_mng_create(tdr, KEY).named("TDH.MNG.CREATE")?;
    module::tdh_mng_key_config(tdr).named("TDH.MNG.KEY.CONFIG")?;
    for _ in 0..TDCS_PAGES + L2_VMS {
        module::tdh_mng_addcx(page()?, tdr).named("TDH.MNG.ADDCX")?;
    }
    module::tdh_mng_init(tdr, &parameters(vcpus)).named("TDH.MNG.INIT")?;
    for vm in (1..=L2_VMS).filter_map(VmIndex::new) {
        // L1 shall not have to ask for tables of its L2: the host adds them when it sees the need.
        const EXIT_ON_MISSING_TABLE: u64 = 1;
        let field = tdcs::vm_ctls(vm).into_bits();
        module::tdh_mng_wr(tdr, field, EXIT_ON_MISSING_TABLE, EXIT_ON_MISSING_TABLE)
            .named("TDH.MNG.WR")?;
    }
    Ok(tdr)
}

fn parameters(vcpus: usize) -> TdParams {
    const WRITE_BACK: u8 = 6;
    const FOUR_LEVELS: u8 = 3;
    const TSC_UNIT_MHZ: u64 = 25;
    let eptp = EptpControls::new()
        .with_memory_type(WRITE_BACK)
        .with_page_walk_length_minus_one(FOUR_LEVELS);
    let tsc_frequency = (clock::mhz() + TSC_UNIT_MHZ / 2) / TSC_UNIT_MHZ;
    TdParams {
        attributes: TdAttributes::SEPT_VE_DISABLE,
        xfam: XCr0::read_raw(),
        max_vcpus: u16::try_from(vcpus).unwrap_or(u16::MAX),
        num_l2_vms: L2_VMS,
        msr_config_ctls: 0,
        reserved_20: [0; 4],
        eptp_controls: eptp.into_bits(),
        config_flags: ConfigFlags::empty(),
        tsc_frequency: u16::try_from(tsc_frequency).unwrap_or(u16::MAX),
        reserved_42: [0; 38],
        mrconfigid: [0; 48],
        mrowner: [0; 48],
        mrownerconfig: [0; 48],
        ia32_arch_capabilities_config: 0,
        reserved_232: [0; 24],
        cpuid_config: [CpuidValues::default(); 48],
    }
}

/// Adds what the image brings along, page by page, each measured as it is added.
pub(crate) fn add_image(
    tdr: u64,
    image: &Image<'_>,
    private: &PrivateMemory,
    memory_size: u64,
) -> Result<(), Failure> {
    let hob = hand_off::list(image, memory_size).map_err(Failure::Hob)?;
    let mut staging = Staging::new().ok_or(Failure::NoMemory)?;
    for section in image.sections() {
        let mut hob = hob.chunks(memory::size(PAGE));
        for (gpa, bytes) in image.pages(section) {
            let bytes = match bytes {
                Some(bytes) => bytes,
                None if section.kind() == SectionType::TD_HOB => hob.next().unwrap_or_default(),
                None => &[],
            };
            private.add_tables(gpa, 1, [false; 3]).map_err(Failure::Memory)?;
            let source = staging.fill(bytes);
            module::tdh_mem_page_add(gpa, tdr, page()?, source).named("TDH.MEM.PAGE.ADD")?;
            if section.measured() {
                for chunk in (gpa..gpa + PAGE).step_by(CHUNK) {
                    module::tdh_mr_extend(chunk, tdr).named("TDH.MR.EXTEND")?;
                }
            }
        }
    }
    Ok(())
}

/// Reads the measurement of the TD.
pub(crate) fn mrtd(tdr: u64) -> Result<[u64; 6], Failure> {
    let mut words = [0; 6];
    for (word, index) in words.iter_mut().zip(0..) {
        let field = tdcs::MRTD.element(index).into_bits();
        *word = module::tdh_mng_rd(tdr, field).named("TDH.MNG.RD")?;
    }
    Ok(words)
}
