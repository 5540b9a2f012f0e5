// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a TD exit asks of the host, as KVM has it.
//!
//! | exit                                     | what                                             |
//! |------------------------------------------|--------------------------------------------------|
//! | external interrupt, SMI, C-state SMI     | taken before the module returned: enter again    |
//! | NMI, machine check                       | the same                                         |
//! | any other exception                      | not a TD's: the run ends                         |
//! | EPT violation, TDCALL                    | handled                                          |
//! | INIT, I/O SMI and all else               | not supported: the run ends                      |
//! | not success                              | the TD is dead; a machine check is told as such  |
//!
//! Spec: TDX-ABI "TDH.VP.ENTER Leaf".

use tdcall::{
    ExitReason, Registers, Status,
    interruption_info::{InterruptionInfo, InterruptionType},
};

/// Vector of the machine check.
const MACHINE_CHECK: u8 = 18;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Enter again.
    Enter,
    /// Memory.
    EptViolation,
    /// A call.
    Call,
    /// The TD is dead, for this reason.
    Dead(&'static str),
    /// The host does not know it.
    Unknown,
}

/// Which exit it was.
pub(crate) fn reason(registers: &Registers) -> ExitReason {
    ExitReason(u32::try_from(registers.rax & 0xffff_ffff).unwrap_or(u32::MAX))
}

/// Judges the exit that `registers` tell of.
pub(crate) fn judge(registers: &Registers) -> Verdict {
    let (status, reason) = (Status(registers.rax), reason(registers).basic());
    if !status.is(Status::SUCCESS) {
        return Verdict::Dead(why(status, reason));
    }
    match reason {
        ExitReason::EXTERNAL_INTERRUPT | ExitReason::OTHER_SMI | ExitReason::C_STATE_SMI => {
            Verdict::Enter
        }
        ExitReason::EXCEPTION_OR_NMI if is_the_hosts(registers.r9) => Verdict::Enter,
        ExitReason::EPT_VIOLATION => Verdict::EptViolation,
        ExitReason::TDCALL => Verdict::Call,
        _ => Verdict::Unknown,
    }
}

/// Whether an exception is the host's business: NMI or machine check.
fn is_the_hosts(information: u64) -> bool {
    let information = u32::try_from(information).map(InterruptionInfo::from_bits);
    information.is_ok_and(|event| {
        event.kind() == InterruptionType::NMI
            || event.kind() == InterruptionType::HARDWARE_EXCEPTION
                && event.vector() == MACHINE_CHECK
    })
}

fn why(status: Status, reason: ExitReason) -> &'static str {
    let is_inaccessible = status.is(Status::NON_RECOVERABLE_TD_NON_ACCESSIBLE);
    match reason {
        ExitReason::OTHER_SMI | ExitReason::IO_SMI if is_inaccessible => "a machine-check SMI",
        ExitReason::EXCEPTION_OR_NMI if is_inaccessible => "a machine check",
        _ if is_inaccessible => "its memory is not accessible",
        ExitReason::TRIPLE_FAULT => "a triple fault",
        _ => "of no fault of the host's",
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge};
    use tdcall::{ExitReason, Registers, Status};

    const NMI: u64 = 0x8000_0202;
    const MACHINE_CHECK: u64 = 0x8000_0312;
    const PAGE_FAULT: u64 = 0x8000_030e;

    fn exit(status: Status, reason: ExitReason, r9: u64) -> Verdict {
        judge(&Registers { rax: status.0 | u64::from(reason.0), r9, ..Registers::default() })
    }

    #[test]
    fn what_the_host_has_taken_already_leads_to_the_next_entry() {
        for reason in
            [ExitReason::EXTERNAL_INTERRUPT, ExitReason::OTHER_SMI, ExitReason::C_STATE_SMI]
        {
            assert_eq!(exit(Status::SUCCESS, reason, 0), Verdict::Enter);
        }
        for event in [NMI, MACHINE_CHECK] {
            let verdict = exit(Status::SUCCESS, ExitReason::EXCEPTION_OR_NMI, event);
            assert_eq!(verdict, Verdict::Enter);
        }
    }

    #[test]
    fn an_exception_that_is_not_the_hosts_and_an_init_are_not_known() {
        let exception = exit(Status::SUCCESS, ExitReason::EXCEPTION_OR_NMI, PAGE_FAULT);
        assert_eq!(exception, Verdict::Unknown);
        assert_eq!(exit(Status::SUCCESS, ExitReason::INIT_SIGNAL, 0), Verdict::Unknown);
        assert_eq!(exit(Status::SUCCESS, ExitReason::IO_SMI, 0), Verdict::Unknown);
    }

    #[test]
    fn a_machine_check_kills_the_td_and_is_told_as_such() {
        let dead = Status::NON_RECOVERABLE_TD_NON_ACCESSIBLE;
        let smi = exit(dead, ExitReason::OTHER_SMI, 0);
        assert_eq!(smi, Verdict::Dead("a machine-check SMI"));
        let exception = exit(dead, ExitReason::EXCEPTION_OR_NMI, MACHINE_CHECK);
        assert_eq!(exception, Verdict::Dead("a machine check"));
        let fault = exit(Status::NON_RECOVERABLE_VCPU, ExitReason::TRIPLE_FAULT, 0);
        assert_eq!(fault, Verdict::Dead("a triple fault"));
    }
}
