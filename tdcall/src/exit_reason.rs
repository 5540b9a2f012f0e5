// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a virtual machine stopped: the VMX exit reasons, with the ones TDX adds.
//!
//! The emulator speaks in these terms too, although it runs on SVM.
//!
//! Spec: SDM, "VMX Basic Exit Reasons"; TDX-ABI, "TDG.VP.ENTER Leaf".

use core::fmt;

/// A VMX exit reason: the basic reason in bits 15:0, flags above.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ExitReason(pub u32);

/// Defines the constants and the table that [`ExitReason::name`] searches.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl ExitReason {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Every basic reason with its name.
            pub const ALL: &[(Self, &str)] = &[$((Self::$name, stringify!($name))),*];
        }
    };
}

reasons! {
    /// An exception that the exception bitmap selects, or an NMI.
    EXCEPTION_OR_NMI = 0;
    /// An external interrupt.
    EXTERNAL_INTERRUPT = 1;
    /// A triple fault.
    TRIPLE_FAULT = 2;
    /// An INIT signal.
    INIT_SIGNAL = 3;
    /// A start-up IPI.
    STARTUP_IPI = 4;
    /// An SMI right after an I/O instruction.
    IO_SMI = 5;
    /// Any other SMI.
    OTHER_SMI = 6;
    /// Interrupts can be taken now.
    INTERRUPT_WINDOW = 7;
    /// NMIs can be taken now.
    NMI_WINDOW = 8;
    /// A task switch.
    TASK_SWITCH = 9;
    /// `CPUID`.
    CPUID = 10;
    /// `GETSEC`.
    GETSEC = 11;
    /// `HLT`.
    HLT = 12;
    /// `INVD`.
    INVD = 13;
    /// `INVLPG`.
    INVLPG = 14;
    /// `RDPMC`.
    RDPMC = 15;
    /// `RDTSC`.
    RDTSC = 16;
    /// `RSM`.
    RSM = 17;
    /// `VMCALL`.
    VMCALL = 18;
    /// `VMCLEAR`.
    VMCLEAR = 19;
    /// `VMLAUNCH`.
    VMLAUNCH = 20;
    /// `VMPTRLD`.
    VMPTRLD = 21;
    /// `VMPTRST`.
    VMPTRST = 22;
    /// `VMREAD`.
    VMREAD = 23;
    /// `VMRESUME`.
    VMRESUME = 24;
    /// `VMWRITE`.
    VMWRITE = 25;
    /// `VMXOFF`.
    VMXOFF = 26;
    /// `VMXON`.
    VMXON = 27;
    /// An access to CR0, CR3, CR4 or CR8.
    CONTROL_REGISTER_ACCESS = 28;
    /// `MOV` to or from a debug register.
    MOV_DR = 29;
    /// `IN`, `OUT`, `INS` or `OUTS`.
    IO_INSTRUCTION = 30;
    /// `RDMSR`.
    RDMSR = 31;
    /// `WRMSR`.
    WRMSR = 32;
    /// VM entry failed: invalid guest state.
    VM_ENTRY_FAILURE_GUEST_STATE = 33;
    /// VM entry failed: MSR loading.
    VM_ENTRY_FAILURE_MSR_LOADING = 34;
    /// `MWAIT`.
    MWAIT = 36;
    /// The monitor trap flag.
    MONITOR_TRAP_FLAG = 37;
    /// `MONITOR`.
    MONITOR = 39;
    /// `PAUSE`.
    PAUSE = 40;
    /// VM entry failed: machine check.
    VM_ENTRY_FAILURE_MACHINE_CHECK = 41;
    /// An SMI that asks for a C state (TDX).
    C_STATE_SMI = 42;
    /// The task priority fell below the threshold.
    TPR_BELOW_THRESHOLD = 43;
    /// An access to the APIC page.
    APIC_ACCESS = 44;
    /// An EOI of a vector whose bit is set in the EOI-exit bitmap.
    VIRTUALIZED_EOI = 45;
    /// `LGDT`, `LIDT`, `SGDT` or `SIDT`.
    ACCESS_TO_GDTR_OR_IDTR = 46;
    /// `LLDT`, `LTR`, `SLDT` or `STR`.
    ACCESS_TO_LDTR_OR_TR = 47;
    /// An EPT violation.
    EPT_VIOLATION = 48;
    /// An EPT misconfiguration.
    EPT_MISCONFIGURATION = 49;
    /// `INVEPT`.
    INVEPT = 50;
    /// `RDTSCP`.
    RDTSCP = 51;
    /// The VMX preemption timer; for an L2 VM its TSC deadline.
    PREEMPTION_TIMER_EXPIRED = 52;
    /// `INVVPID`.
    INVVPID = 53;
    /// `WBINVD` or `WBNOINVD`.
    WBINVD = 54;
    /// `XSETBV`.
    XSETBV = 55;
    /// A write to the virtual-APIC page that needs software.
    APIC_WRITE = 56;
    /// `RDRAND`.
    RDRAND = 57;
    /// `INVPCID`.
    INVPCID = 58;
    /// `VMFUNC`.
    VMFUNC = 59;
    /// `ENCLS`.
    ENCLS = 60;
    /// `RDSEED`.
    RDSEED = 61;
    /// The page-modification log is full.
    PAGE_MODIFICATION_LOG_FULL = 62;
    /// `XSAVES`.
    XSAVES = 63;
    /// `XRSTORS`.
    XRSTORS = 64;
    /// `PCONFIG`.
    PCONFIG = 65;
    /// Sub-page permissions.
    SPP_RELATED_EVENT = 66;
    /// `UMWAIT`.
    UMWAIT = 67;
    /// `TPAUSE`.
    TPAUSE = 68;
    /// `LOADIWKEY`.
    LOADIWKEY = 69;
    /// `ENCLV`.
    ENCLV = 70;
    /// A conflict of SGX enclaves (reserved by TDX).
    SGX_CONFLICT = 71;
    /// `ENQCMD` with a PASID that cannot be translated.
    ENQCMD_PASID_TRANSLATION_FAILURE = 72;
    /// `ENQCMDS` with a PASID that cannot be translated.
    ENQCMDS_PASID_TRANSLATION_FAILURE = 73;
    /// A bus lock.
    BUS_LOCK = 74;
    /// The notification window passed without a boundary for events.
    INSTRUCTION_TIMEOUT = 75;
    /// `SEAMCALL`.
    SEAMCALL = 76;
    /// `TDCALL`.
    TDCALL = 77;
}

impl ExitReason {
    const BUS_LOCK_DETECTED: u32 = 1 << 26;
    const ENCLAVE_MODE: u32 = 1 << 27;
    const VM_ENTRY_FAILURE: u32 = 1 << 31;

    /// Returns the basic reason, which can be matched against the constants.
    #[must_use]
    pub const fn basic(self) -> Self {
        Self(self.0 & 0xFFFF)
    }

    /// Tells whether a bus lock was seen during this run, whatever the exit is about.
    #[must_use]
    pub const fn bus_lock_detected(self) -> bool {
        self.0 & Self::BUS_LOCK_DETECTED != 0
    }

    /// Tells whether the exit came from enclave mode.
    #[must_use]
    pub const fn enclave_mode(self) -> bool {
        self.0 & Self::ENCLAVE_MODE != 0
    }

    /// Tells whether the VM was not entered at all.
    #[must_use]
    pub const fn is_vm_entry_failure(self) -> bool {
        self.0 & Self::VM_ENTRY_FAILURE != 0
    }

    /// Returns the same reason, marked as a failed VM entry.
    #[must_use]
    pub const fn with_vm_entry_failure(self) -> Self {
        Self(self.0 | Self::VM_ENTRY_FAILURE)
    }

    /// Returns the same reason, marked as having seen a bus lock.
    #[must_use]
    pub const fn with_bus_lock_detected(self) -> Self {
        Self(self.0 | Self::BUS_LOCK_DETECTED)
    }

    /// Returns the name of the basic reason.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Self::ALL.iter().find(|(reason, _)| *reason == self.basic()).map(|(_, name)| *name)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "exit reason {}", self.basic().0)?,
        }
        if self.is_vm_entry_failure() { f.write_str(" (VM entry failed)") } else { Ok(()) }
    }
}

impl fmt::Debug for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExitReason({:#x} {self})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::ExitReason;

    #[test]
    fn flags_do_not_change_the_basic_reason() {
        let reason = ExitReason(0x8400_0021);
        assert_eq!(reason.basic(), ExitReason::VM_ENTRY_FAILURE_GUEST_STATE);
        assert!(reason.is_vm_entry_failure() && reason.bus_lock_detected());
        assert!(!reason.enclave_mode());
        assert_eq!(reason.to_string(), "VM_ENTRY_FAILURE_GUEST_STATE (VM entry failed)");
    }

    #[test]
    fn a_reason_without_name_prints_its_number() {
        assert_eq!(ExitReason(38).to_string(), "exit reason 38");
    }
}
