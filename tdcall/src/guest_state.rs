// SPDX-License-Identifier: MIT OR Apache-2.0
//! The part of an L2 VM's state that `TDG.VP.ENTER` takes from memory and puts back there.
//!
//! All other state of an L2 VM is in its VMCS ([`md::l2_vmcs`](crate::md::l2_vmcs)) or is shared
//! with L1. The module reads the page at entry and rewrites it, in the same layout, at each exit to
//! L1 and at each asynchronous exit to the host: RVI goes both ways.
//!
//! Spec: TDX-ABI, "L2_ENTER_GUEST_STATE".

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `L2_ENTER_GUEST_STATE`, in private memory of L1.
#[repr(C, align(256))]
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[expect(missing_docs, reason = "the names are the architecture's own")]
pub struct L2EnterGuestState {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub rsp: u64,
    pub rbp: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rflags: u64,
    pub rip: u64,
    pub ssp: u64,
    /// Requesting virtual interrupt: the highest vector that waits in the virtual-APIC page.
    pub rvi: u8,
    /// Servicing virtual interrupt.
    pub svi: u8,
    /// Not used by the module.
    pub reserved: [u8; 102],
}

const _: () = assert!(size_of::<L2EnterGuestState>() == 256);
const _: () = assert!(align_of::<L2EnterGuestState>() == 256);
const _: () = assert!(offset_of!(L2EnterGuestState, rsp) == 32);
const _: () = assert!(offset_of!(L2EnterGuestState, rbp) == 40);
const _: () = assert!(offset_of!(L2EnterGuestState, r8) == 64);
const _: () = assert!(offset_of!(L2EnterGuestState, r15) == 120);
const _: () = assert!(offset_of!(L2EnterGuestState, rflags) == 128);
const _: () = assert!(offset_of!(L2EnterGuestState, rip) == 136);
const _: () = assert!(offset_of!(L2EnterGuestState, ssp) == 144);
const _: () = assert!(offset_of!(L2EnterGuestState, rvi) == 152);
const _: () = assert!(offset_of!(L2EnterGuestState, svi) == 153);

impl L2EnterGuestState {
    /// Returns a state of zeros, but for the bit of RFLAGS that is always one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rax: 0,
            rcx: 0,
            rdx: 0,
            rbx: 0,
            rsp: 0,
            rbp: 0,
            rsi: 0,
            rdi: 0,
            r8: 0,
            r9: 0,
            r10: 0,
            r11: 0,
            r12: 0,
            r13: 0,
            r14: 0,
            r15: 0,
            rflags: 2,
            rip: 0,
            ssp: 0,
            rvi: 0,
            svi: 0,
            reserved: [0; 102],
        }
    }

    /// Returns general register `number`, numbered as instructions do (RSP is 4).
    #[must_use]
    pub const fn gpr(&self, number: u8) -> Option<u64> {
        Some(match number {
            0 => self.rax,
            1 => self.rcx,
            2 => self.rdx,
            3 => self.rbx,
            4 => self.rsp,
            5 => self.rbp,
            6 => self.rsi,
            7 => self.rdi,
            8 => self.r8,
            9 => self.r9,
            10 => self.r10,
            11 => self.r11,
            12 => self.r12,
            13 => self.r13,
            14 => self.r14,
            15 => self.r15,
            _ => return None,
        })
    }

    /// Returns general register `number` to be changed, numbered as instructions do (RSP is 4).
    pub const fn gpr_mut(&mut self, number: u8) -> Option<&mut u64> {
        Some(match number {
            0 => &mut self.rax,
            1 => &mut self.rcx,
            2 => &mut self.rdx,
            3 => &mut self.rbx,
            4 => &mut self.rsp,
            5 => &mut self.rbp,
            6 => &mut self.rsi,
            7 => &mut self.rdi,
            8 => &mut self.r8,
            9 => &mut self.r9,
            10 => &mut self.r10,
            11 => &mut self.r11,
            12 => &mut self.r12,
            13 => &mut self.r13,
            14 => &mut self.r14,
            15 => &mut self.r15,
            _ => return None,
        })
    }
}

impl Default for L2EnterGuestState {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::L2EnterGuestState;

    #[test]
    fn registers_are_numbered_as_in_memory() {
        let mut state = L2EnterGuestState::new();
        for number in 0..16 {
            *state.gpr_mut(number).expect("one of 16") = 0x100 + u64::from(number);
        }
        let bytes = zerocopy::IntoBytes::as_bytes(&state);
        for number in 0..16_u8 {
            let at = usize::from(number) * 8;
            let word = u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
            assert_eq!(Some(word), state.gpr(number));
        }
        assert_eq!(state.gpr(16), None);
        assert_eq!(state.gpr_mut(16), None);
    }
}
