// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtual-machine control structure on top of a VMCB.
//!
//! Guest state lives in the VMCB. What SVM has no room for (masks, shadows, controls, exit
//! information) lives here. CR0, CR4 and EFER live in both: here what VMX hardware would hold, in the
//! VMCB what makes the guest's reads come out right. Bits in which the two may differ (NE, CD, NW,
//! ET; MCE, VMXE) mean nothing to TCG.
//!
//! Spec: SDM "Virtual Machine Control Structures".

use alloc::collections::BTreeMap;

use tdcall::{interruption_info::InterruptionInfo, md::l2_vmcs::Field};

use crate::{
    machine::{clock, deadlines},
    svm::{
        exit::VmxExit,
        permission_maps::MsrPermissionMap,
        virtual_apic::InterruptStatus,
        vmcb::{Segment, Vmcb, efer},
    },
};

/// A VMCS.
#[derive(Debug)]
pub(crate) struct Vmcs {
    /// The SVM side.
    pub(crate) vmcb: Vmcb,
    /// Which MSRs exit.
    pub(crate) msr_map: MsrPermissionMap,
    /// Guest interrupt status.
    pub(crate) status: InterruptStatus,
    /// CR0 as hardware would hold it.
    pub(crate) cr0: u64,
    /// CR4 as hardware would hold it.
    pub(crate) cr4: u64,
    /// EFER as the guest sees it.
    pub(crate) efer: u64,
    /// Bits of CR0 that L1 owns.
    pub(crate) cr0_mask: u64,
    /// What the guest reads of them.
    pub(crate) cr0_shadow: u64,
    /// Bits of CR4 that L1 owns.
    pub(crate) cr4_mask: u64,
    /// What the guest reads of them.
    pub(crate) cr4_shadow: u64,
    /// Primary processor-based controls.
    pub(crate) primary: u32,
    /// Secondary processor-based controls.
    pub(crate) secondary: u32,
    /// Exceptions that exit.
    pub(crate) exception_bitmap: u32,
    /// Page-fault error-code mask.
    pub(crate) page_fault_mask: u32,
    /// Page-fault error-code match.
    pub(crate) page_fault_match: u32,
    /// Vectors whose EOI exits.
    pub(crate) eoi_exit: [u64; 4],
    /// Event to inject.
    pub(crate) entry_interruption: InterruptionInfo,
    /// Its error code.
    pub(crate) entry_error_code: u32,
    /// Its instruction length.
    pub(crate) entry_length: u32,
    /// What ended the last run.
    pub(crate) exit: VmxExit,
    /// Event whose delivery that interrupted.
    pub(crate) idt_vectoring: InterruptionInfo,
    /// Its error code.
    pub(crate) idt_vectoring_error: u32,
    /// Whether an NMI is being handled.
    pub(crate) nmi: NmiState,
    /// Whether the software interrupt at RIP was looked at and may be raised.
    pub(crate) raises_software_interrupt: bool,
    /// RIP of the instruction that stands in the shadow of STI.
    shadowed: Option<u64>,
    /// Fields that are stored and have no effect here.
    stored: BTreeMap<u32, u64>,
}

/// Virtual-NMI blocking, which SVM does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NmiState {
    /// None is being handled.
    Idle,
    /// One is: IRET exits.
    InHandler,
    /// The handler's IRET is there.
    Returning(u64),
}

impl NmiState {
    /// An NMI is delivered.
    pub(crate) fn begin(&mut self) {
        *self = Self::InHandler;
    }

    /// The handler's IRET at `rip` comes next.
    pub(crate) fn end(&mut self, rip: u64) {
        *self = Self::Returning(rip);
    }

    /// Whether IRET has to exit.
    pub(crate) fn in_handler(self) -> bool {
        self == Self::InHandler
    }
}

/// Bits of the primary processor-based controls.
pub(crate) mod primary {
    /// Interrupt-window exiting.
    pub(crate) const INTERRUPT_WINDOW: u32 = 1 << 2;
    /// INVLPG exiting.
    pub(crate) const INVLPG: u32 = 1 << 9;
    /// RDTSC exiting.
    pub(crate) const RDTSC: u32 = 1 << 12;
    /// CR3-load exiting.
    pub(crate) const CR3_LOAD: u32 = 1 << 15;
    /// CR3-store exiting.
    pub(crate) const CR3_STORE: u32 = 1 << 16;
    /// CR8-load exiting.
    pub(crate) const CR8_LOAD: u32 = 1 << 19;
    /// CR8-store exiting.
    pub(crate) const CR8_STORE: u32 = 1 << 20;
    /// NMI-window exiting.
    pub(crate) const NMI_WINDOW: u32 = 1 << 22;
    /// Monitor trap flag.
    pub(crate) const MONITOR_TRAP: u32 = 1 << 27;
    /// PAUSE exiting.
    pub(crate) const PAUSE: u32 = 1 << 30;
    /// What an L2 VM starts with.
    /// (MWAIT, RDPMC and MONITOR exit because the TD has none of them).
    pub(crate) const INITIAL: u32 = 0x9122_0088 | 1 << 10 | 1 << 11 | 1 << 29;
}

/// Bits of the secondary processor-based controls.
pub(crate) mod secondary {
    /// Descriptor-table exiting.
    pub(crate) const DESCRIPTOR_TABLES: u32 = 1 << 2;
    /// RDTSCP enabled.
    pub(crate) const RDTSCP: u32 = 1 << 3;
    /// Virtual-interrupt delivery.
    pub(crate) const VIRTUAL_INTERRUPT_DELIVERY: u32 = 1 << 9;
    /// What an L2 VM starts with.
    pub(crate) const INITIAL: u32 = 0x1338_b3fa;
}

/// CR0.PG.
pub(crate) const CR0_PG: u64 = 1 << 31;
/// CR0.PE.
pub(crate) const CR0_PE: u64 = 1 << 0;
/// CR0.NE.
pub(crate) const CR0_NE: u64 = 1 << 5;
/// CR4.MCE.
pub(crate) const CR4_MCE: u64 = 1 << 6;
/// CR4.VMXE.
pub(crate) const CR4_VMXE: u64 = 1 << 13;

/// Bits of CR0 that TCG gives a meaning, so that a guest's view of them must be the truth.
const CR0_EFFECTIVE: u64 = 0x8005_000f;

/// Stored fields that do not start as 0: unused addresses and bitmaps, PDPTEs, and of the tertiary
/// controls the one that is always on.
const INITIALLY_STORED: [(u32, u64); 12] = [
    (0x2000, u64::MAX),
    (0x2002, u64::MAX),
    (0x2016, u64::MAX),
    (0x202a, u64::MAX),
    (0x202e, u64::MAX),
    (0x2036, u64::MAX),
    (0x2034, 0x80),
    (0x2040, u64::MAX),
    (0x280a, u64::MAX),
    (0x280c, u64::MAX),
    (0x280e, u64::MAX),
    (0x2810, u64::MAX),
];

impl Vmcs {
    /// The state in which every virtual CPU starts, before the registers that differ.
    ///
    /// Spec: TDX-BASE "Initial State of TD Guest VCPU".
    pub(crate) fn new(vmcb: Vmcb, msr_map: MsrPermissionMap) -> Self {
        let vmcs = Self {
            vmcb,
            msr_map,
            status: InterruptStatus::default(),
            cr0: CR0_PE | CR0_NE,
            cr4: CR4_MCE | CR4_VMXE,
            efer: efer::SCE | efer::LME | efer::NXE,
            cr0_mask: u64::MAX,
            cr0_shadow: 0,
            cr4_mask: u64::MAX,
            cr4_shadow: 0,
            primary: primary::INITIAL,
            secondary: secondary::INITIAL,
            exception_bitmap: 1 << 18,
            page_fault_mask: 0,
            page_fault_match: 0,
            eoi_exit: [0; 4],
            entry_interruption: InterruptionInfo::new(),
            entry_error_code: 0,
            entry_length: 0,
            exit: VmxExit::default(),
            idt_vectoring: InterruptionInfo::new(),
            idt_vectoring_error: 0,
            nmi: NmiState::Idle,
            raises_software_interrupt: false,
            shadowed: None,
            stored: INITIALLY_STORED.into(),
        };
        for segment in Segment::ALL {
            let (rights, limit) = match segment {
                Segment::Cs => (0xc09b, u32::MAX),
                Segment::Ldtr => (0x1_0082, 0xffff),
                Segment::Tr => (0x8b, 0xffff),
                _ => (0xc093, u32::MAX),
            };
            vmcb.set_access_rights(segment, rights);
            vmcb.set_limit(segment, limit);
        }
        vmcb.set_gdtr_limit(0xffff);
        vmcb.set_rip(0xffff_fff0);
        vmcb.set_rflags(2);
        vmcb.set_g_pat(0x0007_0406_0007_0406);
        vmcb.set_dr6(0xffff_0ff0);
        vmcb.set_dr7(0x400);
        vmcb.set_sfmask(0x2_0200);
        vmcb.set_cr0(vmcs.cr0);
        vmcb.set_cr4(vmcs.cr4 & !CR4_VMXE);
        vmcs
    }

    /// Whether virtual-interrupt delivery is on.
    pub(crate) const fn delivers_virtual_interrupts(&self) -> bool {
        self.secondary & secondary::VIRTUAL_INTERRUPT_DELIVERY != 0
    }

    /// CR0 as the guest reads it.
    pub(crate) const fn cr0_seen(&self) -> u64 {
        (self.cr0 & !self.cr0_mask) | (self.cr0_shadow & self.cr0_mask)
    }

    /// CR4 as the guest reads it.
    pub(crate) const fn cr4_seen(&self) -> u64 {
        (self.cr4 & !self.cr4_mask) | (self.cr4_shadow & self.cr4_mask)
    }

    /// Puts CR0, CR4 and EFER into the VMCB: true where TCG acts on them, as seen everywhere else.
    /// Tells whether the guest would then read something wrong, so that its reads must exit.
    pub(crate) fn load_control_registers(&self) -> bool {
        let cr0 = (self.cr0 & CR0_EFFECTIVE) | (self.cr0_seen() & !CR0_EFFECTIVE & 0xffff_ffff);
        let cr4 = (self.cr4 & !(CR4_MCE | CR4_VMXE)) | (self.cr4_seen() & CR4_MCE);
        self.vmcb.set_cr0(cr0);
        self.vmcb.set_cr4(cr4);
        // When an unpaged guest with LME but without PAE exits, QEMU does not restore the host's
        // CR0.PG. LME has no effect before paging, and the guest reads EFER by an exit.
        let lme = if self.cr0 & CR0_PG == 0 { self.efer & !efer::LME } else { self.efer };
        self.vmcb.set_efer(lme | efer::SVME);
        cr0 != self.cr0_seen() || cr4 != self.cr4_seen()
    }

    /// Restores the interrupt shadow if the guest exited again before the instruction in it ran:
    /// QEMU 7.2 forgets it at VMRUN.
    pub(crate) fn keep_shadow(&mut self) {
        let rip = self.vmcb.rip();
        if self.vmcb.int_state() & 1 != 0 {
            self.shadowed = Some(rip);
        } else if self.shadowed == Some(rip) {
            self.vmcb.set_int_state(1);
        } else {
            self.shadowed = None;
        }
    }

    /// Whether the guest cannot take an NMI at its next instruction.
    pub(crate) fn blocks_nmi(&self) -> bool {
        self.is_blocked_by_nmi() || self.vmcb.int_state() & 1 != 0
    }

    /// Whether an NMI is being handled: until its IRET is done, not until it comes next. One that got in
    /// between would take the stack that the IRET still has to read.
    fn is_blocked_by_nmi(&self) -> bool {
        match self.nmi {
            NmiState::Idle => false,
            NmiState::InHandler => true,
            NmiState::Returning(rip) => rip == self.vmcb.rip(),
        }
    }

    /// Makes the guest stop after a moment. Nothing tells when a shadow or the injection of an event
    /// is over; a handler of an NMI that returns does, but not when its IRET is done.
    pub(crate) fn look_again_soon(&self) {
        const MOMENT_NS: u64 = 20_000;
        if self.nmi != NmiState::InHandler {
            deadlines::set_guest(Some(clock::now_ns() + MOMENT_NS));
        }
    }

    /// Interruptibility state.
    pub(crate) fn interruptibility(&self) -> u64 {
        const BY_NMI: u64 = 1 << 3;
        let by_nmi = if self.is_blocked_by_nmi() { BY_NMI } else { 0 };
        self.vmcb.int_state() & 1 | by_nmi
    }

    /// Sets the interruptibility state. SVM has one shadow for STI and MOV SS.
    pub(crate) fn set_interruptibility(&mut self, value: u64) {
        self.vmcb.set_int_state(u64::from(value & 3 != 0));
        let handled = value & 1 << 3 != 0;
        self.nmi = if handled { NmiState::InHandler } else { NmiState::Idle };
    }

    /// Ends the interrupt shadow: an interrupt window has opened. On QEMU 7.2 it opens before the
    /// instruction in the shadow; to insist on the shadow then would keep the guest there for ever.
    pub(crate) fn end_shadow(&mut self) {
        self.shadowed = None;
        self.vmcb.set_int_state(0);
    }

    /// Writes CR0, and what long mode makes of it.
    pub(crate) fn set_cr0(&mut self, value: u64) {
        self.cr0 = value;
        let long = value & CR0_PG != 0 && self.efer & efer::LME != 0;
        self.efer = if long { self.efer | efer::LMA } else { self.efer & !efer::LMA };
    }

    /// A field that is only remembered.
    pub(crate) fn stored(&self, field: Field) -> u64 {
        self.stored.get(&field.0).copied().unwrap_or(0)
    }

    /// Remembers a field.
    pub(crate) fn store(&mut self, field: Field, value: u64) {
        self.stored.insert(field.0, value);
    }
}
