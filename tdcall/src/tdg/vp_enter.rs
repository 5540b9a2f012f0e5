// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.ENTER` (leaf 25): run an L2 VM on this virtual CPU.
//!
//! | in  |                                     | out |                                       |
//! |-----|-------------------------------------|-----|---------------------------------------|
//! | RCX | VM, what to invalidate first        | RAX | status, and the exit reason           |
//! | RDX | GPA of [`L2EnterGuestState`]        | …   | all other registers: see [`L2Exit`]   |
//!
//! The call returns when the L2 VM has to be left, or at once. Whether L2 ran at all is in the high
//! half of RAX alone; only if it did are the other registers a report. Interrupts should be
//! disabled from the last look for work until here: `PENDING_INTERRUPT` then says that something
//! came in between.
//!
//! [`L2EnterGuestState`]: crate::L2EnterGuestState
//! [`L2Exit`]: crate::L2Exit
//!
//! Spec: TDX-ABI, "TDG.VP.ENTER Leaf"; TDX-TDP, "L2 VM Entry and Exit".

#![expect(unsafe_code, reason = "code that is not ours runs")]

use crate::{EntryFlags, L2Exit, Registers, Status, Tdcall};

/// How an attempt to run an L2 VM ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the L2 VM may not have run"]
pub enum L2Return {
    /// L2 ran and did what only L1 can handle.
    Exit(L2Exit),
    /// L2 ran, was left to the host, and the host sent it to L1. The report is what the host was
    /// told about; as a rule it is up to the host, and L2 can be entered again.
    HostRoutedAsync(L2Exit),
    /// L2 ran and asked the host by `TDG.VP.VMCALL`, and the host sent the answer through L1. The
    /// state page is as after the call.
    HostRoutedTdvmcall(L2Exit),
    /// L2 ran until an interrupt for L1 arrived. The vector in the report is the one that notifies;
    /// it is of no use to L2.
    PendingInterruptExit(L2Exit),
    /// L2 did not run, because L1 has an interrupt to take. The state page is untouched.
    NotEntered,
    /// L2 did not run, because the entry was refused. Nothing becomes better by trying again.
    Error(Status),
}

impl L2Return {
    /// Takes the registers after the call apart.
    ///
    /// A status that is not known is an error even if bit 63 does not say so: what it means for the
    /// other registers is unknown too.
    #[inline]
    pub const fn from_registers(r: &Registers) -> Self {
        let status = Status(r.rax);
        let exit = L2Exit::from_registers(r);
        if status.is(Status::SUCCESS) {
            Self::Exit(exit)
        } else if status.is(Status::L2_EXIT_HOST_ROUTED_ASYNC) {
            Self::HostRoutedAsync(exit)
        } else if status.is(Status::L2_EXIT_HOST_ROUTED_TDVMCALL) {
            Self::HostRoutedTdvmcall(exit)
        } else if status.is(Status::L2_EXIT_PENDING_INTERRUPT) {
            Self::PendingInterruptExit(exit)
        } else if status.is(Status::PENDING_INTERRUPT) {
            Self::NotEntered
        } else {
            Self::Error(status)
        }
    }

    /// Returns the report, if L2 ran.
    #[must_use]
    pub const fn exit(&self) -> Option<&L2Exit> {
        match self {
            Self::Exit(exit)
            | Self::HostRoutedAsync(exit)
            | Self::HostRoutedTdvmcall(exit)
            | Self::PendingInterruptExit(exit) => Some(exit),
            Self::NotEntered | Self::Error(_) => None,
        }
    }
}

/// Runs the L2 VM in `flags` with the state page at guest-physical address `state`.
///
/// It is not repeated when busy: the caller looks for work first.
///
/// # Safety
///
/// As for [`Tdcall::enter`].
#[inline]
pub unsafe fn vp_enter(call: &impl Tdcall, flags: EntryFlags, state: u64) -> L2Return {
    // SAFETY: The caller gives the state page and has saved what the L2 VM shares with it.
    let r = unsafe { call.enter(flags.into_bits(), state) };
    L2Return::from_registers(&r)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{L2Return, vp_enter};
    use crate::{
        EntryFlags, ExitReason, InterruptionInfo, OperandId, Registers, Status, VmIndex, fake::Fake,
    };

    fn enter(answer: Registers) -> L2Return {
        let asked = Registers { rax: 25, rcx: 1 << 52, rdx: 0x1_0000, ..Registers::ZERO };
        let fake = Fake::new().enter(asked, answer);
        // SAFETY: The fake touches no memory.
        unsafe { vp_enter(&fake, EntryFlags::to(VmIndex::VM1), 0x1_0000) }
    }

    fn enter_with(rax: u64) -> L2Return {
        enter(Registers { rax, ..Registers::ZERO })
    }

    #[test]
    fn an_exit_is_reported_in_full() {
        let answer = Registers {
            rax: 30,
            rcx: 0x03F8_0000,
            rsi: 0xFFFF_FFFF_A09B_0010,
            r9: 0xAB_0000_0000,
            r10: 0x8000_0051,
            r11: 0x0000_0001_0000_0000,
            r12: 3,
            ..Registers::ZERO
        };
        let L2Return::Exit(exit) = enter(answer) else { panic!("an exit") };
        assert_eq!(exit.reason, ExitReason::IO_INSTRUCTION);
        assert_eq!((exit.cs_selector, exit.cs_access_rights, exit.cs_limit), (0x10, 0xA09B, !0));
        assert_eq!(exit.interruption_error_code, 0xAB);
        assert_eq!(exit.idt_vectoring, InterruptionInfo::external_interrupt(0x51));
        assert_eq!((exit.instruction_length, exit.cpl), (1, 3));
    }

    #[test]
    fn the_ways_to_return_are_told_apart() {
        let reason = |exit: L2Return| exit.exit().map(|exit| exit.reason);
        let host = enter_with(0x0000_1100_0000_0030);
        assert!(matches!(host, L2Return::HostRoutedAsync(_)));
        assert_eq!(reason(host), Some(ExitReason::EPT_VIOLATION));
        let call = enter_with(0x0000_1101_0000_004D);
        assert!(matches!(call, L2Return::HostRoutedTdvmcall(_)));
        assert_eq!(reason(call), Some(ExitReason::TDCALL));
        let interrupt = enter_with(0x0000_1102_0000_0001);
        assert!(matches!(interrupt, L2Return::PendingInterruptExit(_)));
        assert_eq!(reason(interrupt), Some(ExitReason::EXTERNAL_INTERRUPT));
        assert_eq!(enter_with(0x0000_1120_0000_0000), L2Return::NotEntered);
    }

    #[test]
    fn a_failed_vm_entry_is_an_exit() {
        let L2Return::Exit(exit) = enter_with(0x8000_0021) else { panic!("an exit") };
        assert!(exit.reason.is_vm_entry_failure());
    }

    #[test]
    fn an_error_never_looks_like_a_pending_interrupt() {
        let missing = Status::OPERAND_INVALID.with_operand(OperandId::L2_VAPIC_GPA);
        assert_eq!(enter_with(missing.0), L2Return::Error(missing));
        let busy = Status::OPERAND_BUSY;
        assert_eq!(enter_with(busy.0), L2Return::Error(busy));
        let trap = Status::from_trap(6);
        assert_eq!(enter_with(trap.0), L2Return::Error(trap));
        let unknown = Status(0x0000_1103_0000_0000);
        assert_eq!(enter_with(unknown.0), L2Return::Error(unknown));
    }

    proptest! {
        #[test]
        fn whatever_has_bit_63_is_an_error(rax in any::<u64>(), high in any::<bool>()) {
            let rax = if high { rax | 1 << 63 } else { rax };
            let returned = enter_with(rax);
            if rax >> 63 != 0 {
                prop_assert_eq!(returned, L2Return::Error(Status(rax)));
            }
            if returned == L2Return::NotEntered {
                prop_assert!(Status(rax).is(Status::PENDING_INTERRUPT));
            }
        }
    }
}
