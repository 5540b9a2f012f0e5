// SPDX-License-Identifier: MIT OR Apache-2.0
//! The input value of a hypercall, and where its input and output are.
//!
//! | bits  | input value                                            |
//! |-------|--------------------------------------------------------|
//! | 15:0  | call code                                              |
//! | 16    | fast: the input is in registers                        |
//! | 26:17 | size of a variable header in words of 8 bytes          |
//! | 31    | nested                                                 |
//! | 43:32 | elements, for calls that repeat                        |
//! | 59:48 | the element to begin with                              |
//!
//! In a TD the input value comes in R10, input and output in RDX and R8: addresses of shared memory, or
//! of a fast call the input itself. The result value goes back in R11.
//!
//! Spec: TLFS "Hypercall Inputs", "Hypercall Outputs"; GHCI "TDG.VP.VMCALL Interface".

use bitfield_struct::bitfield;

use super::{
    guest::{self, Guest, PAGE, SHARED_BIT},
    status::HvStatus,
};

/// The call that sends a message.
pub(crate) const POST_MESSAGE: u16 = 0x5c;
/// The call that signals a channel.
pub(crate) const SIGNAL_EVENT: u16 = 0x5d;
/// The call that routes a device's interrupt.
pub(crate) const RETARGET_DEVICE_INTERRUPT: u16 = 0x7e;
/// The call that reads registers of a virtual processor.
pub(crate) const GET_VP_REGISTERS: u16 = 0x50;
/// The call that writes them.
pub(crate) const SET_VP_REGISTERS: u16 = 0x51;

/// The input value.
#[bitfield(u64)]
pub(crate) struct Control {
    /// Call code.
    pub(crate) code: u16,
    /// The input is in registers.
    pub(crate) fast: bool,
    /// Words of variable header.
    #[bits(10)]
    pub(crate) variable_header: u16,
    #[bits(4)]
    reserved_low: u8,
    /// For the hypervisor below.
    pub(crate) nested: bool,
    /// Elements.
    #[bits(12)]
    pub(crate) elements: u16,
    #[bits(4)]
    reserved_middle: u8,
    /// The element to begin with.
    #[bits(12)]
    pub(crate) start: u16,
    #[bits(4)]
    reserved_high: u8,
}

/// A hypercall as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hypercall {
    /// The input value.
    pub(crate) control: Control,
    /// Input, or its address.
    pub(crate) input: u64,
    /// Second word of the input, or address of the output.
    pub(crate) output: u64,
}

impl Hypercall {
    /// Checks the input value: nothing reserved is set, and a call has elements if it repeats.
    pub(crate) fn check(&self, repeats: Repeats) -> Result<(), HvStatus> {
        let control = self.control;
        let reserved = control.reserved_low() | control.reserved_middle() | control.reserved_high()
            != 0
            || control.nested();
        let repeated = match repeats {
            Repeats::No => control.elements() == 0 && control.start() == 0,
            Repeats::Yes => control.start() < control.elements() && !control.fast(),
        };
        let header = control.variable_header() == 0 || control.code() == RETARGET_DEVICE_INTERRUPT;
        if reserved || !repeated || !header {
            return Err(HvStatus::INVALID_HYPERCALL_INPUT);
        }
        Ok(())
    }

    /// Reads bytes of the input of a slow call, which lies in one shared page.
    pub(crate) fn read<const BYTES: usize>(
        &self,
        guest: impl Guest,
        offset: u64,
    ) -> Result<[u8; BYTES], HvStatus> {
        let gpa = place::<BYTES>(self.input, offset)?;
        guest::read(guest, gpa).ok_or(HvStatus::INVALID_PARAMETER)
    }

    /// Writes a part of the output, which lies in one shared page.
    pub(crate) fn write<const BYTES: usize>(
        &self,
        guest: impl Guest,
        offset: u64,
        bytes: [u8; BYTES],
    ) -> Result<(), HvStatus> {
        let gpa = place::<BYTES>(self.output, offset)? & !SHARED_BIT;
        let at = usize::try_from(gpa % PAGE).map_err(|_| HvStatus::INVALID_PARAMETER)?;
        let write = |page: &[_]| vmbus::SharedMemory::write(page, at, &bytes);
        guest.with_page(gpa - gpa % PAGE, write).ok_or(HvStatus::INVALID_PARAMETER)
    }
}

/// Whether a call repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    /// It does not.
    No,
    /// It does.
    Yes,
}

/// Where bytes at an offset are: parameters are aligned and do not leave their page.
fn place<const BYTES: usize>(start: u64, offset: u64) -> Result<u64, HvStatus> {
    if !start.is_multiple_of(8) {
        return Err(HvStatus::INVALID_ALIGNMENT);
    }
    if start % PAGE + offset + BYTES as u64 > PAGE || start >= SHARED_BIT << 1 {
        return Err(HvStatus::INVALID_HYPERCALL_INPUT);
    }
    Ok(start + offset)
}

#[cfg(test)]
mod tests {
    use super::{Control, HvStatus, Hypercall, Repeats};
    use crate::host::hyperv::guest::{SHARED_BIT, fake::Fake};

    fn call(control: u64, input: u64, output: u64) -> Hypercall {
        Hypercall { control: Control::from_bits(control), input, output }
    }

    #[test]
    fn reserved_bits_and_elements_that_do_not_fit_are_refused() {
        for good in [0x5c, 0x1_005d, 3 << 17 | 0x7e] {
            assert_eq!(call(good, 0, 0).check(Repeats::No), Ok(()), "{good:#x}");
        }
        for bad in [1 << 27 | 0x5c, 1 << 31 | 0x5c, 1 << 60 | 0x5c, 1 << 44 | 0x5c, 1 << 32 | 0x5c]
        {
            let refused = Err(HvStatus::INVALID_HYPERCALL_INPUT);
            assert_eq!(call(bad, 0, 0).check(Repeats::No), refused, "{bad:#x}");
        }
        let twice = |bits: u64| call(bits | 2 << 32 | 0x50, 0, 0).check(Repeats::Yes).is_ok();
        assert!(twice(0) && twice(1 << 48) && !twice(2 << 48) && !twice(1 << 16));
        assert!(call(0x50, 0, 0).check(Repeats::Yes).is_err());
    }

    #[test]
    fn parameters_lie_in_one_shared_page() {
        let guest = Fake::new(1);
        let (page, private) = (guest.share(), guest.share());
        guest.unshare(private);
        let read = |input| call(0, input, 0).read::<16>(guest, 8);
        assert_eq!(read(page), Ok([0; 16]));
        assert_eq!(read(page | SHARED_BIT | 0xfe8), Ok([0; 16]));
        assert_eq!(read(page + 0xff0), Err(HvStatus::INVALID_HYPERCALL_INPUT));
        assert_eq!(read(page + 4), Err(HvStatus::INVALID_ALIGNMENT));
        assert_eq!(read(private), Err(HvStatus::INVALID_PARAMETER));
        assert_eq!(read(u64::MAX - 7), Err(HvStatus::INVALID_HYPERCALL_INPUT));
        let write = |output| call(0, 0, output).write(guest, 8, [7_u8; 8]);
        assert_eq!(write(page | SHARED_BIT), Ok(()));
        assert_eq!(read(page).map(|bytes| bytes[0]), Ok(7));
        assert_eq!(write(private), Err(HvStatus::INVALID_PARAMETER));
    }
}
