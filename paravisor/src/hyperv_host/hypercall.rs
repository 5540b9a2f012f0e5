// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is asked of the host, as it stands in the page that the call names.
//!
//! Spec: TLFS "Hypercall Interface", "HvCallPostMessage", "HvCallSignalEvent",
//! "HvCallGetVpRegisters", "HvCallRetargetDeviceInterrupt".

use core::num::NonZeroU64;

use zerocopy::{Immutable, IntoBytes};

use crate::{
    hyperv::status::HvStatus,
    pci::{address::Bdf, message::Message},
    width,
};

/// The input value of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control(NonZeroU64);

impl Control {
    /// `HvCallPostMessage`.
    pub const POST_MESSAGE: Self = Self::new(0x5c);
    /// `HvCallSignalEvent`, whose argument is in a register.
    pub const SIGNAL_EVENT: Self = Self::new(FAST | 0x5d);
    /// `HvCallGetVpRegisters`, of one register.
    pub const GET_VP_REGISTER: Self = Self::new(ONE_ELEMENT | 0x50);
    /// `HvCallRetargetDeviceInterrupt`. Of its header two words vary: which banks there are, and one bank.
    pub const RETARGET: Self = Self::new(2 << VARIABLE_WORDS | 0x7e);

    const fn new(value: u64) -> Self {
        match NonZeroU64::new(value) {
            Some(value) => Self(value),
            // Evaluated by the compiler only.
            None => unreachable!(),
        }
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> NonZeroU64 {
        self.0
    }
}

const FAST: u64 = 1 << 16;
const VARIABLE_WORDS: u64 = 17;
const ONE_ELEMENT: u64 = 1 << 32;

/// The caller's own partition.
const SELF: u64 = u64::MAX;
/// The caller's own CPU.
const THIS_VP: u32 = 0xffff_fffe;
/// `HvRegisterVsmCapabilities`.
const VSM_CAPABILITIES: u32 = 0x000d_0006;
/// In it: the host can redirect proxied interrupts, that is post them.
const PROXY_INTERRUPT_REDIRECT: u64 = 1 << 34;

/// A device is named by its number on the PCI bus.
const PCI_DEVICE: u64 = 1 << 62;
/// The source of a message-signalled interrupt.
const MSI: u32 = 1;
/// The target is a set of CPUs.
const PROCESSOR_SET: u32 = 1 << 1;
/// The vector is L1's own, and is posted.
const PROXY_REDIRECT: u32 = 1 << 2;
/// CPUs of a bank.
const BANK: u32 = 64;

/// Returns the status in the result of a call.
#[must_use]
pub const fn status(result: u64) -> HvStatus {
    HvStatus(width::low16(result))
}

/// The input of [`Control::GET_VP_REGISTER`].
#[repr(C)]
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
pub struct GetVpRegister {
    partition: u64,
    vp: u32,
    vtl: u32,
    name: u32,
    padding: u32,
}

impl GetVpRegister {
    /// Asks what the host can do for a paravisor.
    pub const VSM_CAPABILITIES: Self =
        Self { partition: SELF, vp: THIS_VP, vtl: 0, name: VSM_CAPABILITIES, padding: 0 };

    /// Whether the host posts, by the register's value.
    #[must_use]
    pub const fn says_redirect(value: u64) -> bool {
        value & PROXY_INTERRUPT_REDIRECT != 0
    }
}

/// How a device's interrupt is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Posted, on this vector of L1's.
    Posted(u8),
    /// As a message that asks for this vector of L2's.
    Proxied(u8),
}

/// The input of [`Control::RETARGET`]: from now on, the interrupt that a device raises by a message comes
/// to a CPU in a way.
#[repr(C)]
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
pub struct Retarget {
    partition: u64,
    device: u64,
    source: u32,
    reserved: u32,
    address: u32,
    data: u32,
    reserved_2: u64,
    vector: u32,
    flags: u32,
    format: u64,
    valid_banks: u64,
    bank: u64,
}

const _: () = assert!(size_of::<Retarget>() == 72);
const _: () = assert!(size_of::<GetVpRegister>() == 24);

impl Retarget {
    /// The interrupt that `device` raises by `message` comes to `cpu` in `way`.
    #[must_use]
    pub fn new(device: Bdf, message: Message, cpu: u32, way: Way) -> Self {
        let (vector, redirect) = match way {
            Way::Posted(vector) => (vector, PROXY_REDIRECT),
            Way::Proxied(vector) => (vector, 0),
        };
        Self {
            partition: SELF,
            device: PCI_DEVICE | u64::from(device.0),
            source: MSI,
            reserved: 0,
            address: width::low32(message.address),
            data: message.data,
            reserved_2: 0,
            vector: vector.into(),
            flags: PROCESSOR_SET | redirect,
            format: 0,
            valid_banks: 1 << (cpu / BANK),
            bank: 1 << (cpu % BANK),
        }
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes;

    use super::{Control, GetVpRegister, Retarget, Way, status};
    use crate::{
        hyperv::status::HvStatus,
        pci::{address::Bdf, message::Message},
    };

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    /// Transcribed from the layout, independently of the declarations above.
    #[test]
    fn a_retarget_has_each_field_in_its_place() {
        let message = Message { address: 0xfee0_0000, data: 0x4007 };
        let call = Retarget::new(Bdf(0x18), message, 3, Way::Posted(0x41));
        let bytes = call.as_bytes();
        assert_eq!(bytes[..8], [0xff; 8]);
        let words = [8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68];
        assert_eq!(
            words.map(|at| word(bytes, at)),
            [0x18, 1 << 30, 1, 0, 0xfee0_0000, 0x4007, 0, 0, 0x41, 6, 0, 0, 1, 0, 8, 0]
        );
        let call = Retarget::new(Bdf(0x18), message, 65, Way::Proxied(0x51));
        let bytes = call.as_bytes();
        assert_eq!((word(bytes, 40), word(bytes, 44)), (0x51, 2));
        assert_eq!((word(bytes, 56), word(bytes, 64)), (2, 2));
    }

    #[test]
    fn control_words_are_as_the_specification_has_them() {
        assert_eq!(Control::POST_MESSAGE.get().get(), 0x5c);
        assert_eq!(Control::SIGNAL_EVENT.get().get(), 0x1_005d);
        assert_eq!(Control::GET_VP_REGISTER.get().get(), 0x1_0000_0050);
        assert_eq!(Control::RETARGET.get().get(), 0x4_007e);
        assert_eq!(status(0x0001_0000_0000), HvStatus::SUCCESS);
        assert_eq!(status(0x13), HvStatus::INSUFFICIENT_BUFFERS);
    }

    #[test]
    fn the_capability_is_one_bit_of_one_register() {
        let bytes = GetVpRegister::VSM_CAPABILITIES;
        assert_eq!(word(bytes.as_bytes(), 8), 0xffff_fffe);
        assert_eq!(word(bytes.as_bytes(), 16), 0x000d_0006);
        assert!(GetVpRegister::says_redirect(1 << 34));
        assert!(!GetVpRegister::says_redirect(!(1 << 34)));
    }
}
