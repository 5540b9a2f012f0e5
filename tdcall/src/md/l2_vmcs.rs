// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fields of the VMCS of an L2 VM, named by their architectural encodings.
//!
//! Every L2 VM has its own VMCS on each virtual CPU. L1 reads most of it; what it may write is told
//! by the write mask of the field, and the module checks the value.
//!
//! Spec: TDX-ABI, "L2 VMCS Fields"; SDM, "Field Encoding in VMCS".

use super::{FieldContext, FieldId, FieldSize};
use crate::VmIndex;

/// A field of a VMCS, by its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(pub u32);

/// Defines the constants and the table that [`Field::name`] searches.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl Field {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Every field with its name.
            pub const ALL: &[(Self, &str)] = &[$((Self::$name, stringify!($name))),*];
        }
    };
}

fields! {
    /// Posted-interrupt notification vector; posting to an L2 VM does not exist.
    POSTED_INTERRUPT_NOTIFICATION_VECTOR = 0x0002;
    /// HLAT prefix size.
    HLAT_PREFIX_SIZE = 0x0006;
    /// Selector of ES.
    ES_SELECTOR = 0x0800;
    /// Selector of CS.
    CS_SELECTOR = 0x0802;
    /// Selector of SS.
    SS_SELECTOR = 0x0804;
    /// Selector of DS.
    DS_SELECTOR = 0x0806;
    /// Selector of FS.
    FS_SELECTOR = 0x0808;
    /// Selector of GS.
    GS_SELECTOR = 0x080A;
    /// Selector of LDTR.
    LDTR_SELECTOR = 0x080C;
    /// Selector of TR.
    TR_SELECTOR = 0x080E;
    /// Guest interrupt status; taken from the state page at entry.
    GUEST_INTERRUPT_STATUS = 0x0810;
    /// User-interrupt notification vector.
    UINV = 0x0814;
    /// Address of I/O bitmap A; not used.
    IO_BITMAP_A_ADDRESS = 0x2000;
    /// Address of I/O bitmap B; not used.
    IO_BITMAP_B_ADDRESS = 0x2002;
    /// Address of the MSR bitmap; for the host.
    MSR_BITMAP_ADDRESS = 0x2004;
    /// TSC offset; for the host.
    TSC_OFFSET = 0x2010;
    /// GPA of the virtual-APIC page. Must be set before the first entry.
    VIRTUAL_APIC_ADDRESS = 0x2012;
    /// Posted-interrupt descriptor address; not used.
    POSTED_INTERRUPT_DESCRIPTOR_ADDRESS = 0x2016;
    /// VM-function controls.
    VM_FUNCTION_CONTROLS = 0x2018;
    /// EPT pointer; L1 may set bit 7 only.
    EPTP = 0x201A;
    /// EOI-exit bitmap, vectors 0 to 63.
    EOI_EXIT_BITMAP_0 = 0x201C;
    /// EOI-exit bitmap, vectors 64 to 127.
    EOI_EXIT_BITMAP_1 = 0x201E;
    /// EOI-exit bitmap, vectors 128 to 191.
    EOI_EXIT_BITMAP_2 = 0x2020;
    /// EOI-exit bitmap, vectors 192 to 255.
    EOI_EXIT_BITMAP_3 = 0x2022;
    /// Virtualization-exception information address; not used.
    VE_INFORMATION_ADDRESS = 0x202A;
    /// XSS-exiting bitmap.
    XSS_EXITING_BITMAP = 0x202C;
    /// ENCLS-exiting bitmap.
    ENCLS_EXITING_BITMAP = 0x202E;
    /// TSC multiplier; for the host.
    TSC_MULTIPLIER = 0x2032;
    /// Tertiary processor-based controls.
    TERTIARY_PROCESSOR_BASED_CONTROLS = 0x2034;
    /// ENCLV-exiting bitmap.
    ENCLV_EXITING_BITMAP = 0x2036;
    /// Shared EPT pointer; for the host.
    SHARED_EPTP = 0x203C;
    /// Hypervisor-managed linear-address translation pointer.
    HLAT_POINTER = 0x2040;
    /// Guest-physical address of the exit.
    GUEST_PHYSICAL_ADDRESS = 0x2400;
    /// `IA32_DEBUGCTL`.
    IA32_DEBUGCTL = 0x2802;
    /// `IA32_PAT`.
    IA32_PAT = 0x2804;
    /// `IA32_EFER`; NXE is always set.
    IA32_EFER = 0x2806;
    /// `IA32_PERF_GLOBAL_CTRL`.
    IA32_PERF_GLOBAL_CTRL = 0x2808;
    /// Page-directory-pointer-table entry 0.
    PDPTE0 = 0x280A;
    /// Page-directory-pointer-table entry 1.
    PDPTE1 = 0x280C;
    /// Page-directory-pointer-table entry 2.
    PDPTE2 = 0x280E;
    /// Page-directory-pointer-table entry 3.
    PDPTE3 = 0x2810;
    /// `IA32_RTIT_CTL`.
    IA32_RTIT_CTL = 0x2814;
    /// `IA32_LBR_CTL`.
    IA32_LBR_CTL = 0x2816;
    /// `IA32_PKRS`.
    IA32_PKRS = 0x2818;
    /// Pin-based controls; read only.
    PIN_BASED_CONTROLS = 0x4000;
    /// Primary processor-based controls.
    PROCESSOR_BASED_CONTROLS = 0x4002;
    /// Exception bitmap.
    EXCEPTION_BITMAP = 0x4004;
    /// Page-fault error-code mask.
    PAGE_FAULT_ERROR_CODE_MASK = 0x4006;
    /// Page-fault error-code match.
    PAGE_FAULT_ERROR_CODE_MATCH = 0x4008;
    /// CR3-target count; at most 4.
    CR3_TARGET_COUNT = 0x400A;
    /// VM-exit controls; read only.
    VM_EXIT_CONTROLS = 0x400C;
    /// VM-entry controls; L1 may change bit 9, IA-32e mode guest, only.
    VM_ENTRY_CONTROLS = 0x4012;
    /// VM-entry interruption information: an [`InterruptionInfo`](crate::InterruptionInfo).
    VM_ENTRY_INTERRUPTION_INFO = 0x4016;
    /// VM-entry exception error code.
    VM_ENTRY_EXCEPTION_ERROR_CODE = 0x4018;
    /// VM-entry instruction length.
    VM_ENTRY_INSTRUCTION_LENGTH = 0x401A;
    /// TPR threshold.
    TPR_THRESHOLD = 0x401C;
    /// Secondary processor-based controls.
    SECONDARY_PROCESSOR_BASED_CONTROLS = 0x401E;
    /// PAUSE-loop exiting gap, in ticks of the TSC of the TD.
    PLE_GAP = 0x4020;
    /// PAUSE-loop exiting window, in ticks of the TSC of the TD.
    PLE_WINDOW = 0x4022;
    /// Notify window; for the host.
    NOTIFY_WINDOW = 0x4024;
    /// VM-instruction error.
    VM_INSTRUCTION_ERROR = 0x4400;
    /// Exit reason: an [`ExitReason`](crate::ExitReason).
    EXIT_REASON = 0x4402;
    /// VM-exit interruption information.
    VM_EXIT_INTERRUPTION_INFO = 0x4404;
    /// VM-exit interruption error code.
    VM_EXIT_INTERRUPTION_ERROR_CODE = 0x4406;
    /// IDT-vectoring information.
    IDT_VECTORING_INFO = 0x4408;
    /// IDT-vectoring error code.
    IDT_VECTORING_ERROR_CODE = 0x440A;
    /// VM-exit instruction length.
    VM_EXIT_INSTRUCTION_LENGTH = 0x440C;
    /// VM-exit instruction information.
    VM_EXIT_INSTRUCTION_INFO = 0x440E;
    /// Limit of ES.
    ES_LIMIT = 0x4800;
    /// Limit of CS.
    CS_LIMIT = 0x4802;
    /// Limit of SS.
    SS_LIMIT = 0x4804;
    /// Limit of DS.
    DS_LIMIT = 0x4806;
    /// Limit of FS.
    FS_LIMIT = 0x4808;
    /// Limit of GS.
    GS_LIMIT = 0x480A;
    /// Limit of LDTR.
    LDTR_LIMIT = 0x480C;
    /// Limit of TR.
    TR_LIMIT = 0x480E;
    /// Limit of GDTR.
    GDTR_LIMIT = 0x4810;
    /// Limit of IDTR.
    IDTR_LIMIT = 0x4812;
    /// Access rights of ES.
    ES_ACCESS_RIGHTS = 0x4814;
    /// Access rights of CS.
    CS_ACCESS_RIGHTS = 0x4816;
    /// Access rights of SS.
    SS_ACCESS_RIGHTS = 0x4818;
    /// Access rights of DS.
    DS_ACCESS_RIGHTS = 0x481A;
    /// Access rights of FS.
    FS_ACCESS_RIGHTS = 0x481C;
    /// Access rights of GS.
    GS_ACCESS_RIGHTS = 0x481E;
    /// Access rights of LDTR.
    LDTR_ACCESS_RIGHTS = 0x4820;
    /// Access rights of TR.
    TR_ACCESS_RIGHTS = 0x4822;
    /// Interruptibility state.
    INTERRUPTIBILITY_STATE = 0x4824;
    /// Activity state; read only, always active.
    ACTIVITY_STATE = 0x4826;
    /// `IA32_SYSENTER_CS`.
    IA32_SYSENTER_CS = 0x482A;
    /// Bits of CR0 that L1 owns.
    CR0_GUEST_HOST_MASK = 0x6000;
    /// Bits of CR4 that L1 owns.
    CR4_GUEST_HOST_MASK = 0x6002;
    /// What the L2 VM reads in the bits of CR0 that L1 owns.
    CR0_READ_SHADOW = 0x6004;
    /// What the L2 VM reads in the bits of CR4 that L1 owns.
    CR4_READ_SHADOW = 0x6006;
    /// CR3-target value 0.
    CR3_TARGET_VALUE_0 = 0x6008;
    /// CR3-target value 1.
    CR3_TARGET_VALUE_1 = 0x600A;
    /// CR3-target value 2.
    CR3_TARGET_VALUE_2 = 0x600C;
    /// CR3-target value 3.
    CR3_TARGET_VALUE_3 = 0x600E;
    /// Exit qualification.
    EXIT_QUALIFICATION = 0x6400;
    /// I/O RCX.
    IO_RCX = 0x6402;
    /// I/O RSI.
    IO_RSI = 0x6404;
    /// I/O RDI.
    IO_RDI = 0x6406;
    /// I/O RIP.
    IO_RIP = 0x6408;
    /// Guest linear address of the exit.
    GUEST_LINEAR_ADDRESS = 0x640A;
    /// CR0.
    CR0 = 0x6800;
    /// CR3; must be a private GPA.
    CR3 = 0x6802;
    /// CR4.
    CR4 = 0x6804;
    /// Base of ES.
    ES_BASE = 0x6806;
    /// Base of CS.
    CS_BASE = 0x6808;
    /// Base of SS.
    SS_BASE = 0x680A;
    /// Base of DS.
    DS_BASE = 0x680C;
    /// Base of FS.
    FS_BASE = 0x680E;
    /// Base of GS.
    GS_BASE = 0x6810;
    /// Base of LDTR.
    LDTR_BASE = 0x6812;
    /// Base of TR.
    TR_BASE = 0x6814;
    /// Base of GDTR.
    GDTR_BASE = 0x6816;
    /// Base of IDTR.
    IDTR_BASE = 0x6818;
    /// DR7.
    DR7 = 0x681A;
    /// RSP; taken from the state page at entry.
    RSP = 0x681C;
    /// RIP; taken from the state page at entry.
    RIP = 0x681E;
    /// RFLAGS; taken from the state page at entry.
    RFLAGS = 0x6820;
    /// Pending debug exceptions.
    PENDING_DEBUG_EXCEPTIONS = 0x6822;
    /// `IA32_SYSENTER_ESP`.
    IA32_SYSENTER_ESP = 0x6824;
    /// `IA32_SYSENTER_EIP`.
    IA32_SYSENTER_EIP = 0x6826;
    /// `IA32_S_CET`.
    IA32_S_CET = 0x6828;
    /// SSP; taken from the state page at entry.
    SSP = 0x682A;
    /// `IA32_INTERRUPT_SSP_TABLE_ADDR`.
    IA32_INTERRUPT_SSP_TABLE_ADDR = 0x682C;
}

impl Field {
    /// Returns the name.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Self::ALL.iter().find(|(field, _)| *field == self).map(|(_, name)| *name)
    }

    /// Returns the size that metadata access uses: fields of natural width have 64 bits.
    #[must_use]
    pub const fn size(self) -> FieldSize {
        match self.0 >> 13 & 3 {
            0 => FieldSize::U16,
            2 => FieldSize::U32,
            _ => FieldSize::U64,
        }
    }

    /// Tells whether this is the upper half of a 64-bit field, which metadata access refuses.
    #[must_use]
    pub const fn is_high(self) -> bool {
        self.0 & 1 != 0
    }
}

/// Returns the identifier of `field` in the VMCS of `vm`.
#[must_use]
pub const fn field_id(vm: VmIndex, field: Field) -> FieldId {
    FieldId::new()
        .with_class(36 + 8 * (vm.get() - 1))
        .with_context(FieldContext::VP)
        .with_increment_two(true)
        .with_element_size(field.size())
        .with_field_code(field.0 & 0xFF_FFFF)
}

#[cfg(test)]
mod tests {
    use super::{Field, field_id};
    use crate::VmIndex;

    #[test]
    fn ids_are_those_of_the_specification() {
        let id = |vm, field| field_id(vm, field).into_bits();
        assert_eq!(id(VmIndex::VM1, Field::CR0), 0x2424_0003_0000_6800);
        assert_eq!(id(VmIndex::VM1, Field::VM_ENTRY_INTERRUPTION_INFO), 0x2424_0002_0000_4016);
        assert_eq!(id(VmIndex::VM2, Field::PROCESSOR_BASED_CONTROLS), 0x2C24_0002_0000_4002);
        assert_eq!(id(VmIndex::VM1, Field::GUEST_INTERRUPT_STATUS), 0x2424_0001_0000_0810);
        assert_eq!(id(VmIndex::VM3, Field::VIRTUAL_APIC_ADDRESS), 0x3424_0003_0000_2012);
    }

    #[test]
    fn no_field_is_an_upper_half() {
        assert!(Field::ALL.iter().all(|(field, _)| !field.is_high()));
    }
}
