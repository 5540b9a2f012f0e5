// SPDX-License-Identifier: MIT OR Apache-2.0
//! `HvCallGetVpRegisters` and `HvCallSetVpRegisters`: registers by name, a list at a time.
//!
//! | offset | size | input                                                      |
//! |--------|------|------------------------------------------------------------|
//! | 0      | 8    | partition: all ones                                        |
//! | 8      | 4    | virtual processor; 0xfffffffe is the caller                |
//! | 12     | 1    | trust level: bit 4 says that bits 3:0 name one             |
//! | 13     | 3    | zero                                                       |
//! | 16     |      | get: names of 4 bytes; set: name, 12 bytes, 16 bytes value |
//!
//! Values that are read are 16 bytes each. A call ends at the first register that is refused and tells how
//! many it has done. A TD reaches registers of the caller only: the others' are not the host's to show.
//!
//! Spec: TLFS "HvCallGetVpRegisters", "HvCallSetVpRegisters", "Virtual Processor Register Names".

use super::{guest::Guest, hypercall::Hypercall, status::HvStatus};

const SELF: u32 = 0xffff_fffe;
const USE_VTL: u8 = 1 << 4;
/// The trust level of L1.
const OWN_VTL: u8 = 2;

const GUEST_OS_ID: u32 = 0x0009_0002;
const VP_INDEX: u32 = 0x0009_0003;
const SINT0: u32 = 0x000a_0000;
const SINT15: u32 = 0x000a_000f;
const SCONTROL: u32 = 0x000a_0010;
const EOM: u32 = 0x000a_0014;
const VSM_CAPABILITIES: u32 = 0x000d_0006;

/// In the capabilities: interrupts of devices can be redirected to vectors of L1.
pub(crate) const PROXY_INTERRUPT_REDIRECT: u64 = 1 << 34;

/// A register, as the rest of the host knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    /// It is this MSR, too.
    Msr(u32),
    /// What the host can do for trust levels.
    VsmCapabilities,
}

impl Register {
    fn named(name: u32) -> Option<Self> {
        Some(match name {
            GUEST_OS_ID => Self::Msr(0x4000_0000),
            VP_INDEX => Self::Msr(0x4000_0002),
            SINT0..=SINT15 => Self::Msr(0x4000_0090 + (name - SINT0)),
            // Sifp, Sipp and so on are in the order of the MSRs.
            SCONTROL..=EOM => Self::Msr(0x4000_0080 + (name - SCONTROL)),
            VSM_CAPABILITIES => Self::VsmCapabilities,
            _ => return None,
        })
    }
}

/// Reads registers by `read`, which has no value for some.
pub(crate) fn get(
    guest: impl Guest,
    cpu: usize,
    call: &Hypercall,
    read: impl Fn(Register) -> Option<u64>,
) -> u64 {
    each(guest, cpu, call, |index| {
        let name = u32::from_le_bytes(call.read(guest, 16 + index * 4)?);
        let register = Register::named(name).ok_or(HvStatus::INVALID_PARAMETER)?;
        let value = read(register).ok_or(HvStatus::ACCESS_DENIED)?;
        call.write(guest, index * 16, u128::from(value).to_le_bytes())
    })
}

/// Writes registers by `write`, which refuses some.
pub(crate) fn set(
    guest: impl Guest,
    cpu: usize,
    call: &Hypercall,
    mut write: impl FnMut(Register, u64) -> Option<()>,
) -> u64 {
    each(guest, cpu, call, |index| {
        let element = call.read::<32>(guest, 16 + index * 32)?;
        let ([name, _, _, _, low, high, ..], _) = element.as_chunks::<4>() else {
            return Err(HvStatus::INVALID_HYPERCALL_INPUT);
        };
        let high_half = element.iter().skip(24).any(|byte| *byte != 0);
        let value =
            u64::from(u32::from_le_bytes(*high)) << 32 | u64::from(u32::from_le_bytes(*low));
        let register = Register::named(u32::from_le_bytes(*name));
        let register = register.ok_or(HvStatus::INVALID_PARAMETER)?;
        if register == Register::VsmCapabilities {
            return Err(HvStatus::ACCESS_DENIED);
        }
        let written = if high_half { None } else { write(register, value) };
        written.ok_or(HvStatus::INVALID_REGISTER_VALUE)
    })
}

/// Does something for each element; returns the result value.
fn each(
    guest: impl Guest,
    cpu: usize,
    call: &Hypercall,
    mut one: impl FnMut(u64) -> Result<(), HvStatus>,
) -> u64 {
    let (start, elements) = (call.control.start(), call.control.elements());
    if let Err(status) = header(guest, cpu, call) {
        return status.result(start);
    }
    for index in start..elements {
        if let Err(status) = one(u64::from(index)) {
            return status.result(index);
        }
    }
    HvStatus::SUCCESS.result(elements)
}

fn header(guest: impl Guest, cpu: usize, call: &Hypercall) -> Result<(), HvStatus> {
    let partition = u64::from_le_bytes(call.read(guest, 0)?);
    let [a, b, c, d, vtl, zeros @ ..] = call.read::<8>(guest, 8)?;
    let vp = u32::from_le_bytes([a, b, c, d]);
    if partition != u64::MAX {
        return Err(HvStatus::INVALID_PARTITION_ID);
    }
    if vp != SELF && usize::try_from(vp).ok() != Some(cpu) {
        let there = usize::try_from(vp).is_ok_and(|vp| vp < guest.cpus());
        return Err(if there { HvStatus::ACCESS_DENIED } else { HvStatus::INVALID_VP_INDEX });
    }
    let level = vtl == 0 || vtl == USE_VTL | OWN_VTL;
    if level && zeros == [0; 3] { Ok(()) } else { Err(HvStatus::INVALID_PARAMETER) }
}

#[cfg(test)]
mod tests {
    use vmbus::SharedMemory;

    use super::{Register, get, set};
    use crate::host::hyperv::{
        guest::fake::Fake,
        hypercall::{Control, Hypercall},
    };

    fn call(guest: Fake, control: u64, input: &[u8]) -> (Hypercall, u64) {
        let (page, output) = (guest.share(), guest.share());
        guest.page(page).write(0, input);
        (Hypercall { control: Control::from_bits(control), input: page, output }, output)
    }

    fn header(vp: u32, vtl: u8) -> Vec<u8> {
        let mut bytes = vec![0xff; 8];
        bytes.extend(vp.to_le_bytes());
        bytes.extend([vtl, 0, 0, 0]);
        bytes
    }

    #[test]
    fn a_list_is_read_up_to_the_first_that_is_refused() {
        let guest = Fake::new(2);
        let mut input = header(0xffff_fffe, 0);
        for name in [0x000d_0006_u32, 0x0009_0003, 0x000a_0007, 0x1234] {
            input.extend(name.to_le_bytes());
        }
        let (call, output) = call(guest, 4 << 32 | 0x50, &input);
        let result = get(guest, 1, &call, |register| match register {
            Register::VsmCapabilities => Some(1 << 34),
            Register::Msr(msr) => Some(u64::from(msr)),
        });
        assert_eq!(result, 3 << 32 | 5);
        let mut words = [0; 48];
        guest.page(output).read(0, &mut words);
        let words: Vec<_> =
            words.as_chunks::<16>().0.iter().map(|word| u128::from_le_bytes(*word)).collect();
        assert_eq!(words, [1 << 34, 0x4000_0002, 0x4000_0097]);
    }

    #[test]
    fn values_are_written_whole_or_not() {
        let guest = Fake::new(2);
        let mut input = header(1, 0x12);
        for (name, value) in
            [(0x000a_0000_u32, 0xf0_u128), (0x000a_0010, 1), (0x000a_0010, 1 << 64)]
        {
            input.extend(u128::from(name).to_le_bytes());
            input.extend(value.to_le_bytes());
        }
        let (call, _) = call(guest, 3 << 32 | 0x51, &input);
        let mut written = Vec::new();
        let result = set(guest, 1, &call, |register, value| {
            written.push((register, value));
            Some(())
        });
        assert_eq!(result, 2 << 32 | 0x50);
        let [sint, control] = [Register::Msr(0x4000_0090), Register::Msr(0x4000_0080)];
        assert_eq!(written, [(sint, 0xf0), (control, 1)]);
    }

    #[test]
    fn others_registers_and_levels_are_refused() {
        let guest = Fake::new(2);
        for (head, status) in [
            (header(0, 0), 6),
            (header(2, 0), 0xe),
            (header(1, 0x10), 5),
            (header(1, 2), 5),
            ([vec![0; 8], header(1, 0)[8..].to_vec()].concat(), 0xd),
        ] {
            let (call, _) = call(guest, 1 << 32 | 0x50, &head);
            assert_eq!(get(guest, 1, &call, |_| Some(0)), status, "{head:x?}");
        }
    }
}
