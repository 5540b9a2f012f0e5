// SPDX-License-Identifier: MIT OR Apache-2.0
//! `HvCallRetargetDeviceInterrupt`: where a device's message goes.
//!
//! | offset | size | input                                                            |
//! |--------|------|------------------------------------------------------------------|
//! | 0      | 8    | partition: all ones                                              |
//! | 8      | 8    | device: bits 63:62 = 1 (PCI), bits 15:0 = bus, device, function  |
//! | 16     | 4    | source: 1 for an MSI                                             |
//! | 20     | 4    | zero                                                             |
//! | 24     | 4    | address of the MSI                                               |
//! | 28     | 4    | data of the MSI                                                  |
//! | 32     | 8    | zero                                                             |
//! | 40     | 4    | vector                                                           |
//! | 44     | 4    | flags: 1 multicast, 2 set of processors, 4 redirected            |
//! | 48     | 8    | mask of processors; with flag 2, format of the set: 0            |
//! | 56     | 8    | banks that follow, a bit each                                    |
//! | 64     | 8 each | a bank: 64 processors                                          |
//!
//! Redirected means that the vector is L1's own, and posted. Otherwise it is L2's, and L1 is asked to pass
//! it on. One processor only: nothing else can be posted.
//!
//! Spec: TLFS "HvCallRetargetDeviceInterrupt"; `PROXY_REDIRECT` is not public and follows openvmm.

use super::{
    guest::{Guest, Retarget, Way},
    hypercall::Hypercall,
    status::HvStatus,
};

const MULTICAST: u32 = 1;
const PROCESSOR_SET: u32 = 2;
const PROXY_REDIRECT: u32 = 4;
const SOURCE_MSI: u64 = 1;
const DEVICE_PCI: u64 = 1 << 62;

/// Banks that can have a processor of a TD.
const BANKS: usize = 64;

/// Whether devices can be redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirection {
    /// They can.
    Offered,
    /// They cannot.
    Absent,
}

/// Routes the message.
pub(crate) fn retarget(
    guest: impl Guest,
    call: &Hypercall,
    redirection: Redirection,
) -> Result<(), HvStatus> {
    let word = |offset| call.read::<8>(guest, offset).map(u64::from_le_bytes);
    if call.control.fast() {
        return Err(HvStatus::INVALID_HYPERCALL_INPUT);
    }
    let (partition, device, source) = (word(0)?, word(8)?, word(16)?);
    let [message, zero, target] = [word(24)?, word(32)?, word(40)?];
    let [vector, flags] = [target & 0xffff_ffff, target >> 32];
    let flags = u32::try_from(flags).unwrap_or(u32::MAX);
    if partition != u64::MAX {
        return Err(HvStatus::INVALID_PARTITION_ID);
    }
    let is_known = flags & !(PROCESSOR_SET | PROXY_REDIRECT) == 0;
    let redirect = flags & PROXY_REDIRECT != 0;
    let offered = !redirect || redirection == Redirection::Offered;
    if source != SOURCE_MSI || zero != 0 || flags & MULTICAST != 0 || !is_known || !offered {
        return Err(HvStatus::INVALID_PARAMETER);
    }
    let devfn = devfn(device).ok_or(HvStatus::INVALID_PARAMETER)?;
    let vector = u8::try_from(vector).ok().filter(|vector| *vector >= 16);
    let vector = vector.ok_or(HvStatus::INVALID_PARAMETER)?;
    let cpu = if flags & PROCESSOR_SET != 0 {
        one_of_a_set(call, guest)?
    } else {
        one_of_a_mask(word(48)?).ok_or(HvStatus::INVALID_PARAMETER)?
    };
    if cpu >= guest.cpus() {
        return Err(HvStatus::INVALID_VP_INDEX);
    }
    let way = if redirect { Way::Posted } else { Way::Proxied };
    let [address, data] = [message & 0xffff_ffff, message >> 32];
    let [address, data] = [address, data].map(|half| u32::try_from(half).unwrap_or(0));
    let found = guest.retarget(Retarget { devfn, address, data, cpu, vector, way });
    if found { Ok(()) } else { Err(HvStatus::INVALID_PARAMETER) }
}

/// The function on bus 0.
fn devfn(device: u64) -> Option<u8> {
    let function = device.checked_sub(DEVICE_PCI)?;
    u8::try_from(function).ok()
}

fn one_of_a_mask(mask: u64) -> Option<usize> {
    mask.is_power_of_two().then(|| mask.trailing_zeros() as usize)
}

fn one_of_a_set(call: &Hypercall, guest: impl Guest) -> Result<usize, HvStatus> {
    let word = |index: u64| call.read::<8>(guest, 48 + index * 8).map(u64::from_le_bytes);
    let (format, valid) = (word(0)?, word(1)?);
    let banks = usize::try_from(valid.count_ones()).unwrap_or(BANKS);
    // The variable header: the word of banks, and the banks.
    if format != 0 || usize::from(call.control.variable_header()) != banks + 1 {
        return Err(HvStatus::INVALID_PARAMETER);
    }
    let mut only = None;
    for (place, bank) in (0..BANKS).filter(|bank| valid >> bank & 1 != 0).enumerate() {
        let mask = word(2 + place as u64)?;
        if mask == 0 {
            continue;
        }
        let cpu = one_of_a_mask(mask).filter(|_| only.is_none());
        only = Some(bank * 64 + cpu.ok_or(HvStatus::INVALID_PARAMETER)?);
    }
    only.ok_or(HvStatus::INVALID_PARAMETER)
}

#[cfg(test)]
mod tests {
    use vmbus::SharedMemory;

    use super::{HvStatus, Redirection, Retarget, Way, retarget};
    use crate::host::hyperv::{
        guest::{SHARED_BIT, fake::Fake},
        hypercall::{Control, Hypercall},
    };

    /// Device 4, function 0; MSI of CPU 1, vector 0x45; vector 0x52 on CPU 1 as a set.
    const INPUT: [u64; 9] =
        [u64::MAX, 1 << 62 | 0x20, 1, 0x45 << 32 | 0xfee0_1000, 0, 0x52 | 2 << 32, 0, 1, 0b10];

    fn call(guest: Fake, input: [u64; 9], redirection: Redirection) -> Result<(), HvStatus> {
        let page = guest.share();
        for (word, offset) in input.iter().zip((0..).step_by(8)) {
            guest.page(page).write(offset, &word.to_le_bytes());
        }
        let control = Control::from_bits(2 << 17 | 0x7e);
        let call = Hypercall { control, input: page | SHARED_BIT, output: 0 };
        retarget(guest, &call, redirection)
    }

    #[test]
    fn a_message_goes_where_it_is_sent_and_the_flag_says_how() {
        let guest = Fake::new(2);
        assert_eq!(call(guest, INPUT, Redirection::Absent), Ok(()));
        let mut wanted = Retarget {
            devfn: 0x20,
            address: 0xfee0_1000,
            data: 0x45,
            cpu: 1,
            vector: 0x52,
            way: Way::Proxied,
        };
        assert_eq!(guest.retargets(), [wanted]);
        let mut input = INPUT;
        input[5] = 0x42 | 6 << 32;
        assert_eq!(call(guest, input, Redirection::Offered), Ok(()));
        (wanted.vector, wanted.way) = (0x42, Way::Posted);
        assert_eq!(guest.retargets(), [wanted]);
        // The older form: a mask.
        (input[5], input[6]) = (0x42 | 4 << 32, 0b01);
        assert_eq!(call(guest, input, Redirection::Offered), Ok(()));
        assert_eq!(guest.retargets().first().map(|retarget| retarget.cpu), Some(0));
    }

    #[test]
    fn nonsense_is_refused_with_the_status_that_names_it() {
        let guest = Fake::new(2);
        let wrong = HvStatus::INVALID_PARAMETER;
        for (word, value, status) in [
            (0, 5, HvStatus::INVALID_PARTITION_ID),
            (1, 0x20, wrong),
            (1, 1 << 62 | 0x120, wrong),
            (2, 2, wrong),
            (2, 1 << 32 | 1, wrong),
            (4, 1, wrong),
            (5, 0xf | 2 << 32, wrong),
            (5, 0x100 | 2 << 32, wrong),
            (5, 0x52 | 3 << 32, wrong),
            (5, 0x52 | 6 << 32, wrong),
            (5, 0x52 | 8 << 32, wrong),
            (6, 1, wrong),
            (7, 0, wrong),
            (7, 0b11, wrong),
            (8, 0, wrong),
            (8, 0b11, wrong),
            (8, 0b100, HvStatus::INVALID_VP_INDEX),
            (7, 1 << 63, HvStatus::INVALID_VP_INDEX),
        ] {
            let mut input = INPUT;
            input[word] = value;
            let refused = call(guest, input, Redirection::Absent);
            assert_eq!(refused, Err(status), "{word} {value:#x}");
            assert!(guest.retargets().is_empty());
        }
        let mut input = INPUT;
        input[1] = 1 << 62 | 0x28;
        assert_eq!(call(guest, input, Redirection::Offered), Err(wrong), "no such device");
    }
}
