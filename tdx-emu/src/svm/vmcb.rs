// SPDX-License-Identifier: MIT OR Apache-2.0
//! The virtual-machine control block (VMCB): a page whose first 1 KiB is control, the rest state.
//!
//! Fields are named as in the manual and listed with their offsets, so that the list can be read
//! against it. A `Vmcb` is a handle; the page itself belongs to the processor while VMRUN runs.
//!
//! Spec: APM appendix "Layout of VMCB".

use core::sync::atomic::Ordering::Relaxed;

use super::physical::{self, Hpa};

/// A handle to one VMCB page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vmcb {
    page: Hpa,
}

/// One accessor of a field: `get` or `set`, name, type, width of the access, offset.
macro_rules! fields {
    ($($(#[$doc:meta])* $kind:ident $name:ident: $type:ty = $view:ident $offset:literal;)*) => {
        impl Vmcb {
            $(fields!(@$kind $(#[$doc])* $name $type, $view, $offset);)*
        }
    };
    (@get $(#[$doc:meta])* $name:ident $type:ty, $view:ident, $offset:literal) => {
        $(#[$doc])*
        pub(crate) fn $name(self) -> $type {
            physical::$view(self.page + $offset).load(Relaxed)
        }
    };
    (@set $(#[$doc:meta])* $name:ident $type:ty, $view:ident, $offset:literal) => {
        $(#[$doc])*
        pub(crate) fn $name(self, value: $type) {
            physical::$view(self.page + $offset).store(value, Relaxed);
        }
    };
}

fields! {
    /// Intercepts of CR reads in bits 15:0, of CR writes in bits 31:16.
    set set_intercept_cr: u32 = word 0x000;
    /// Intercepts of exceptions 0 to 31.
    set set_intercept_exceptions: u32 = word 0x008;
    /// First word of instruction intercepts.
    get intercept_misc1: u32 = word 0x00c;
    /// First word of instruction intercepts.
    set set_intercept_misc1: u32 = word 0x00c;
    /// Second word of instruction intercepts.
    set set_intercept_misc2: u32 = word 0x010;
    /// I/O permission map.
    set set_iopm_base_pa: u64 = quad 0x040;
    /// MSR permission map.
    set set_msrpm_base_pa: u64 = quad 0x048;
    /// Added to RDTSC.
    set set_tsc_offset: u64 = quad 0x050;
    /// Address-space identifier, and TLB control in bits 39:32.
    set set_asid: u32 = word 0x058;
    /// V_TPR, V_IRQ, V_INTR_PRIO, V_IGN_TPR, V_INTR_MASKING.
    set set_int_ctl: u32 = word 0x060;
    /// Vector of the virtual interrupt.
    set set_int_vector: u32 = word 0x064;
    /// Bit 0: interrupt shadow.
    get int_state: u64 = quad 0x068;
    /// Bit 0: interrupt shadow.
    set set_int_state: u64 = quad 0x068;
    /// Why the guest stopped.
    get exit_code: u64 = quad 0x070;
    /// First word of exit information.
    get exit_info1: u64 = quad 0x078;
    /// Second word of exit information.
    get exit_info2: u64 = quad 0x080;
    /// Event whose delivery the exit interrupted.
    get exit_int_info: u64 = quad 0x088;
    /// Bit 0: nested paging.
    set set_np_enable: u64 = quad 0x090;
    /// Event to inject.
    get event_inj: u64 = quad 0x0a8;
    /// Event to inject.
    set set_event_inj: u64 = quad 0x0a8;
    /// Root of the nested page tables.
    get n_cr3: u64 = quad 0x0b0;
    /// Root of the nested page tables.
    set set_n_cr3: u64 = quad 0x0b0;

    /// GDT base.
    get gdtr_base: u64 = quad 0x468;
    /// GDT base.
    set set_gdtr_base: u64 = quad 0x468;
    /// GDT limit.
    get gdtr_limit: u32 = word 0x464;
    /// GDT limit.
    set set_gdtr_limit: u32 = word 0x464;
    /// IDT base.
    get idtr_base: u64 = quad 0x488;
    /// IDT base.
    set set_idtr_base: u64 = quad 0x488;
    /// IDT limit.
    get idtr_limit: u32 = word 0x484;
    /// IDT limit.
    set set_idtr_limit: u32 = word 0x484;
    /// Current privilege level.
    set set_cpl: u8 = byte 0x4cb;
    /// EFER.
    get efer: u64 = quad 0x4d0;
    /// EFER.
    set set_efer: u64 = quad 0x4d0;
    /// CR4.
    get cr4: u64 = quad 0x548;
    /// CR4.
    set set_cr4: u64 = quad 0x548;
    /// CR3.
    get cr3: u64 = quad 0x550;
    /// CR3.
    set set_cr3: u64 = quad 0x550;
    /// CR0.
    get cr0: u64 = quad 0x558;
    /// CR0.
    set set_cr0: u64 = quad 0x558;
    /// DR7.
    get dr7: u64 = quad 0x560;
    /// DR7.
    set set_dr7: u64 = quad 0x560;
    /// DR6.
    get dr6: u64 = quad 0x568;
    /// DR6.
    set set_dr6: u64 = quad 0x568;
    /// RFLAGS.
    get rflags: u64 = quad 0x570;
    /// RFLAGS.
    set set_rflags: u64 = quad 0x570;
    /// RIP.
    get rip: u64 = quad 0x578;
    /// RIP.
    set set_rip: u64 = quad 0x578;
    /// RSP.
    get rsp: u64 = quad 0x5d8;
    /// RSP.
    set set_rsp: u64 = quad 0x5d8;
    /// RAX.
    get rax: u64 = quad 0x5f8;
    /// RAX.
    set set_rax: u64 = quad 0x5f8;
    /// STAR.
    get star: u64 = quad 0x600;
    /// STAR.
    set set_star: u64 = quad 0x600;
    /// LSTAR.
    get lstar: u64 = quad 0x608;
    /// LSTAR.
    set set_lstar: u64 = quad 0x608;
    /// CSTAR.
    get cstar: u64 = quad 0x610;
    /// CSTAR.
    set set_cstar: u64 = quad 0x610;
    /// SFMASK.
    get sfmask: u64 = quad 0x618;
    /// SFMASK.
    set set_sfmask: u64 = quad 0x618;
    /// KernelGsBase.
    get kernel_gs_base: u64 = quad 0x620;
    /// KernelGsBase.
    set set_kernel_gs_base: u64 = quad 0x620;
    /// SYSENTER_CS.
    get sysenter_cs: u64 = quad 0x628;
    /// SYSENTER_CS.
    set set_sysenter_cs: u64 = quad 0x628;
    /// SYSENTER_ESP.
    get sysenter_esp: u64 = quad 0x630;
    /// SYSENTER_ESP.
    set set_sysenter_esp: u64 = quad 0x630;
    /// SYSENTER_EIP.
    get sysenter_eip: u64 = quad 0x638;
    /// SYSENTER_EIP.
    set set_sysenter_eip: u64 = quad 0x638;
    /// CR2.
    get cr2: u64 = quad 0x640;
    /// CR2.
    set set_cr2: u64 = quad 0x640;
    /// Guest PAT.
    get g_pat: u64 = quad 0x668;
    /// Guest PAT.
    set set_g_pat: u64 = quad 0x668;
}

/// A segment register, in the order of the VMCS encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Segment {
    /// ES.
    Es = 0,
    /// CS.
    Cs = 1,
    /// SS.
    Ss = 2,
    /// DS.
    Ds = 3,
    /// FS.
    Fs = 4,
    /// GS.
    Gs = 5,
    /// LDTR.
    Ldtr = 6,
    /// TR.
    Tr = 7,
}

impl Segment {
    /// All segment registers, in the order of the VMCS encodings.
    pub(crate) const ALL: [Self; 8] =
        [Self::Es, Self::Cs, Self::Ss, Self::Ds, Self::Fs, Self::Gs, Self::Ldtr, Self::Tr];

    /// Offset in the VMCB.
    const fn offset(self) -> u64 {
        match self {
            Self::Es => 0x400,
            Self::Cs => 0x410,
            Self::Ss => 0x420,
            Self::Ds => 0x430,
            Self::Fs => 0x440,
            Self::Gs => 0x450,
            Self::Ldtr => 0x470,
            Self::Tr => 0x490,
        }
    }
}

/// Access rights in VMX form that say "unusable".
pub(crate) const UNUSABLE: u32 = 1 << 16;

impl Vmcb {
    /// The VMCB in `page`, all zeros.
    pub(crate) fn new(page: Hpa) -> Self {
        physical::zero_page(page);
        Self { page }
    }

    /// Host-physical address of the page.
    pub(crate) const fn page(self) -> Hpa {
        self.page
    }

    /// Selector of `segment`.
    pub(crate) fn selector(self, segment: Segment) -> u16 {
        physical::half(self.page + segment.offset()).load(Relaxed)
    }

    /// Sets the selector of `segment`.
    pub(crate) fn set_selector(self, segment: Segment, value: u16) {
        physical::half(self.page + segment.offset()).store(value, Relaxed);
    }

    /// Access rights of `segment` in VMX form: type, S, DPL, P in bits 7:0, AVL, L, D/B, G in
    /// bits 15:12, unusable in bit 16. SVM packs the same twelve bits and says "not present".
    pub(crate) fn access_rights(self, segment: Segment) -> u32 {
        let packed = u32::from(physical::half(self.page + segment.offset() + 2).load(Relaxed));
        let rights = (packed & 0xff) | (packed & 0xf00) << 4;
        if packed & 0x80 == 0 { rights | UNUSABLE } else { rights }
    }

    /// Sets the access rights of `segment` from VMX form.
    pub(crate) fn set_access_rights(self, segment: Segment, rights: u32) {
        let mut packed = (rights & 0xff) | (rights >> 4 & 0xf00);
        if rights & UNUSABLE != 0 {
            packed &= !0x80;
        }
        physical::half(self.page + segment.offset() + 2).store((packed & 0xfff) as u16, Relaxed);
    }

    /// Limit of `segment`.
    pub(crate) fn limit(self, segment: Segment) -> u32 {
        physical::word(self.page + segment.offset() + 4).load(Relaxed)
    }

    /// Sets the limit of `segment`.
    pub(crate) fn set_limit(self, segment: Segment, value: u32) {
        physical::word(self.page + segment.offset() + 4).store(value, Relaxed);
    }

    /// Base of `segment`.
    pub(crate) fn base(self, segment: Segment) -> u64 {
        physical::read(self.page + segment.offset() + 8)
    }

    /// Sets the base of `segment`.
    pub(crate) fn set_base(self, segment: Segment, value: u64) {
        physical::write(self.page + segment.offset() + 8, value);
    }

    /// Whether the guest runs 64-bit code.
    pub(crate) fn in_64_bit_mode(self) -> bool {
        self.efer() & efer::LMA != 0 && self.access_rights(Segment::Cs) & 1 << 13 != 0
    }

    /// Moves RIP behind an instruction of `length` bytes and ends the interrupt shadow, which
    /// QEMU ≥ 10 would otherwise restore at the next VMRUN.
    pub(crate) fn advance(self, length: u64) {
        let next = self.rip().wrapping_add(length);
        let next = if self.in_64_bit_mode() { next } else { next & 0xffff_ffff };
        self.set_rip(next);
        self.set_int_state(0);
    }

    /// Whether the guest would take an external interrupt at its next instruction.
    pub(crate) fn interruptible(self) -> bool {
        self.rflags() & rflags::IF != 0 && self.int_state() & 1 == 0
    }
}

/// Bits of EFER.
pub(crate) mod efer {
    /// SYSCALL enable.
    pub(crate) const SCE: u64 = 1 << 0;
    /// Long-mode enable.
    pub(crate) const LME: u64 = 1 << 8;
    /// Long mode active.
    pub(crate) const LMA: u64 = 1 << 10;
    /// No-execute enable.
    pub(crate) const NXE: u64 = 1 << 11;
    /// SVM enable: VMRUN demands it of a guest that must not see it.
    pub(crate) const SVME: u64 = 1 << 12;
}

/// Bits of RFLAGS.
pub(crate) mod rflags {
    /// Trap flag.
    pub(crate) const TF: u64 = 1 << 8;
    /// Interrupt flag.
    pub(crate) const IF: u64 = 1 << 9;
    /// Resume flag.
    pub(crate) const RF: u64 = 1 << 16;
}

/// Bits of `int_ctl`.
pub(crate) mod int_ctl {
    /// A virtual interrupt is pending.
    pub(crate) const V_IRQ: u32 = 1 << 8;
    /// The virtual interrupt ignores the TPR.
    pub(crate) const V_IGN_TPR: u32 = 1 << 20;
    /// Guest RFLAGS.IF masks virtual interrupts only; physical ones exit.
    pub(crate) const V_INTR_MASKING: u32 = 1 << 24;
}

/// Bits of `intercept_misc1`.
pub(crate) mod misc1 {
    /// Physical interrupts.
    pub(crate) const INTR: u32 = 1 << 0;
    /// NMIs.
    pub(crate) const NMI: u32 = 1 << 1;
    /// System-management interrupts.
    pub(crate) const SMI: u32 = 1 << 2;
    /// INIT signals.
    pub(crate) const INIT: u32 = 1 << 3;
    /// Window for a virtual interrupt.
    pub(crate) const VINTR: u32 = 1 << 4;
    /// LGDT, LIDT, LLDT, LTR and their stores.
    pub(crate) const DESCRIPTOR_TABLES: u32 = 0xff << 6;
    /// RDTSC.
    pub(crate) const RDTSC: u32 = 1 << 14;
    /// RDPMC.
    pub(crate) const RDPMC: u32 = 1 << 15;
    /// CPUID.
    pub(crate) const CPUID: u32 = 1 << 18;
    /// RSM.
    pub(crate) const RSM: u32 = 1 << 19;
    /// IRET.
    pub(crate) const IRET: u32 = 1 << 20;
    /// INT3, INTO, INT.
    pub(crate) const SOFTWARE_INTERRUPT: u32 = 1 << 21;
    /// INVD.
    pub(crate) const INVD: u32 = 1 << 22;
    /// PAUSE.
    pub(crate) const PAUSE: u32 = 1 << 23;
    /// HLT.
    pub(crate) const HLT: u32 = 1 << 24;
    /// INVLPG.
    pub(crate) const INVLPG: u32 = 1 << 25;
    /// INVLPGA.
    pub(crate) const INVLPGA: u32 = 1 << 26;
    /// Ports by the permission map.
    pub(crate) const IOIO_PROT: u32 = 1 << 27;
    /// MSRs by the permission map.
    pub(crate) const MSR_PROT: u32 = 1 << 28;
    /// Task switches.
    pub(crate) const TASK_SWITCH: u32 = 1 << 29;
    /// Shutdown.
    pub(crate) const SHUTDOWN: u32 = 1 << 31;
}

/// Bits of `intercept_misc2`.
pub(crate) mod misc2 {
    /// VMRUN, VMMCALL, VMLOAD, VMSAVE, STGI, CLGI, SKINIT: a TD has no SVM.
    pub(crate) const SVM: u32 = 0x7f;
    /// RDTSCP.
    pub(crate) const RDTSCP: u32 = 1 << 7;
    /// WBINVD.
    pub(crate) const WBINVD: u32 = 1 << 9;
    /// MONITOR.
    pub(crate) const MONITOR: u32 = 1 << 10;
    /// MWAIT.
    pub(crate) const MWAIT: u32 = 3 << 11;
    /// XSETBV; QEMU 7.2 ignores it.
    pub(crate) const XSETBV: u32 = 1 << 13;
}
