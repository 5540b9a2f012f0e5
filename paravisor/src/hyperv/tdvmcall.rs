// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest asks for by TDCALL, which L1 answers in the host's place.
//!
//! A guest with a paravisor uses it for little: it tells its name once more, may convert memory, and may
//! ask for a quote.
//! Everything else a TD could ask its host for comes from L1 in other ways, and is refused. A register
//! that the mask in RCX leaves out is not the call's: it reads as zero, and is never written.
//!
//! Spec: TDX-ABI "TDG.VP.VMCALL Leaf"; GHCI "`TDG.VP.VMCALL<MapGPA>`", "`Instruction.RDMSR`",
//! "`Instruction.WRMSR`"; TLFS "Isolation".

use tdcall::{
    GprMask, L2EnterGuestState, OperandId, Status,
    tdvmcall::{SubFunction, VmcallStatus},
};

use crate::width::low32;

/// A call that L1 serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Read a register.
    ReadMsr(u32),
    /// Write a register.
    WriteMsr(u32, u64),
    /// Make memory shared or, without the shared bit, private.
    MapGpa {
        /// Where it begins.
        gpa: u64,
        /// Its length.
        size: u64,
    },
    /// Tell which calls are served.
    Services {
        /// 0: the base set; 1: the rest.
        leaf: u64,
    },
    /// Turn a report into a quote.
    GetQuote {
        /// Where the buffer begins.
        gpa: u64,
        /// Its length.
        size: u64,
    },
    /// Interrupt this CPU by a vector when a quote is there.
    Notify {
        /// The vector.
        vector: u64,
    },
    /// A call to the host that nobody serves.
    Unserved,
}

/// Understands the registers of a TDCALL.
///
/// # Errors
/// What the module would answer in RAX: no leaf but that of the calls to the host exists for L2.
pub fn parse(state: &L2EnterGuestState) -> Result<Request, Status> {
    if state.rax != 0 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RAX));
    }
    let forbidden = u64::from(GprMask::FORBIDDEN.bits());
    if state.rcx >> 32 != 0 || state.rcx & forbidden != 0 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX));
    }
    let shown = |mask: GprMask, value| if is_shown(state, mask) { value } else { 0 };
    let (r12, r13) = (shown(GprMask::R12, state.r12), shown(GprMask::R13, state.r13));
    if shown(GprMask::R10, state.r10) != 0 {
        return Ok(Request::Unserved);
    }
    Ok(match SubFunction(shown(GprMask::R11, state.r11)) {
        SubFunction::INSTRUCTION_RDMSR => Request::ReadMsr(low32(r12)),
        SubFunction::INSTRUCTION_WRMSR => Request::WriteMsr(low32(r12), r13),
        SubFunction::MAP_GPA => Request::MapGpa { gpa: r12, size: r13 },
        SubFunction::GET_TD_VM_CALL_INFO => Request::Services { leaf: r12 },
        SubFunction::GET_QUOTE => Request::GetQuote { gpa: r12, size: r13 },
        SubFunction::SETUP_EVENT_NOTIFY_INTERRUPT => Request::Notify { vector: r12 },
        _ => Request::Unserved,
    })
}

/// Answers a call: the module's success, the host's status, and a result.
pub fn answer(state: &mut L2EnterGuestState, status: VmcallStatus, result: u64) {
    state.rax = Status::SUCCESS.0;
    if is_shown(state, GprMask::R10) {
        state.r10 = status.0;
    }
    if is_shown(state, GprMask::R11) {
        state.r11 = result;
    }
}

const fn is_shown(state: &L2EnterGuestState, register: GprMask) -> bool {
    state.rcx & register.bits() as u64 != 0
}

#[cfg(test)]
mod tests {
    use super::{Request, answer, parse};
    use tdcall::{L2EnterGuestState, OperandId, Status, tdvmcall::VmcallStatus};

    const fn call(r11: u64, r12: u64, r13: u64) -> L2EnterGuestState {
        L2EnterGuestState { rcx: 0xffcc, r11, r12, r13, ..L2EnterGuestState::new() }
    }

    #[test]
    fn linux_tells_its_name_once_more() {
        let name = 0x8100_060c_7500_0000;
        let mut state = call(32, 0x4000_0000, name);
        assert_eq!(parse(&state), Ok(Request::WriteMsr(0x4000_0000, name)));
        answer(&mut state, VmcallStatus::SUCCESS, 7);
        assert_eq!((state.rax, state.r10, state.r11), (0, 0, 7));
        assert_eq!(parse(&call(31, 0x4000_0002, 0)), Ok(Request::ReadMsr(0x4000_0002)));
    }

    #[test]
    fn memory_is_converted_by_address_and_size() {
        let request = Request::MapGpa { gpa: 1 << 47 | 0x1000, size: 0x2000 };
        assert_eq!(parse(&call(0x1_0001, 1 << 47 | 0x1000, 0x2000)), Ok(request));
    }

    #[test]
    fn a_quote_is_asked_for_and_notified_of() {
        let quote = Request::GetQuote { gpa: 0x5000, size: 0x2000 };
        assert_eq!(parse(&call(0x1_0002, 0x5000, 0x2000)), Ok(quote));
        assert_eq!(parse(&call(0x1_0004, 84, 7)), Ok(Request::Notify { vector: 84 }));
        assert_eq!(parse(&call(0x1_0000, 1, 7)), Ok(Request::Services { leaf: 1 }));
    }

    #[test]
    fn other_calls_to_the_host_are_not_served() {
        for function in [10, 12, 30, 48, 0x1_0003, u64::MAX] {
            assert_eq!(parse(&call(function, 0, 0)), Ok(Request::Unserved));
        }
        let hypercall = L2EnterGuestState { r10: 0x5c, ..call(32, 0x4000_0000, 1) };
        assert_eq!(parse(&hypercall), Ok(Request::Unserved));
    }

    #[test]
    fn leaves_of_the_module_and_impossible_masks_are_refused_as_it_would() {
        let with = |rax, rcx| parse(&L2EnterGuestState { rax, rcx, ..call(32, 0, 0) });
        let rax = Err(Status::OPERAND_INVALID.with_operand(OperandId::RAX));
        let rcx = Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX));
        for leaf in [1, 3, 6, 25, 1 << 16, 1 << 63] {
            assert_eq!(with(leaf, 0xffcc), rax);
        }
        for mask in [1, 2, 1 << 4, 1 << 32] {
            assert_eq!(with(0, 0xffcc | mask), rcx);
        }
    }

    #[test]
    fn a_register_that_is_not_shown_is_zero_and_stays_as_it_is() {
        let mut state = L2EnterGuestState { rcx: 1 << 11 | 1 << 12, r10: 9, ..call(32, 5, 6) };
        assert_eq!(parse(&state), Ok(Request::WriteMsr(5, 0)));
        answer(&mut state, VmcallStatus::INVALID_OPERAND, 1);
        assert_eq!((state.r10, state.r11), (9, 1));
    }
}
