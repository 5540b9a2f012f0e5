// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices as the firmware leaves them are not as a TD may get them: some still work for it.
//!
//! First no device masters the bus any more. Then a device for the TD is reset, if it can be reset by
//! itself; that ends what the firmware had running in it, queues and all. The reset takes the
//! device's addresses too, so they are put back.
//!
//! Spec: PCI "Command Register"; PCIE "Function-Level Reset (FLR)", "Device Control Register".

use super::{bars, capability, platform::Platform};

const COMMAND: u8 = 0x04;
const BUS_MASTER: u32 = 1 << 2;

/// Capability of PCI Express, and registers in it.
const EXPRESS: u8 = 0x10;
const DEVICE_CAPABILITIES: u8 = 4;
const DEVICE_CONTROL: u8 = 8;
const DEVICE_STATUS: u8 = 10;

const CAN_RESET: u32 = 1 << 28;
const INITIATE_RESET: u32 = 1 << 15;
const TRANSACTIONS_PENDING: u32 = 1 << 5;

/// How often a device is asked whether it is ready; each time takes a microsecond or more, and the
/// specification gives it 100 ms.
const PATIENCE: u32 = 200_000;

/// What could be done for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandedOver {
    /// It was reset.
    Reset,
    /// It cannot be reset by itself, and was only stopped from mastering the bus.
    Stopped,
}

/// Ends bus mastering of a function.
pub(super) fn stop(devfn: u8, platform: &mut impl Platform) {
    let command = platform.config_read(devfn, COMMAND, 2);
    platform.config_write(devfn, COMMAND, 2, command & !BUS_MASTER);
}

/// Resets a stopped function; `None` if it does not come back.
pub(super) fn reset(devfn: u8, platform: &mut impl Platform) -> Option<HandedOver> {
    let Some(express) = capability::find(devfn, EXPRESS, platform) else {
        return Some(HandedOver::Stopped);
    };
    if platform.config_read(devfn, express + DEVICE_CAPABILITIES, 4) & CAN_RESET == 0 {
        return Some(HandedOver::Stopped);
    }
    let mut asked = 0..PATIENCE;
    let status = express + DEVICE_STATUS;
    asked.find(|_| platform.config_read(devfn, status, 2) & TRANSACTIONS_PENDING == 0)?;
    let id = platform.config_read(devfn, 0, 4);
    let command = platform.config_read(devfn, COMMAND, 2);
    let addresses = BAR_OFFSETS.map(|offset| platform.config_read(devfn, offset, 4));
    let control = platform.config_read(devfn, express + DEVICE_CONTROL, 2);
    platform.config_write(devfn, express + DEVICE_CONTROL, 2, control | INITIATE_RESET);
    asked.find(|_| platform.config_read(devfn, 0, 4) == id)?;
    for (offset, address) in BAR_OFFSETS.into_iter().zip(addresses) {
        platform.config_write(devfn, offset, 4, address);
    }
    platform.config_write(devfn, COMMAND, 2, command);
    Some(HandedOver::Reset)
}

const BAR_OFFSETS: [u8; 6] = {
    let mut offsets = [bars::FIRST; 6];
    let mut index = 1;
    while index < offsets.len() {
        offsets[index] = offsets[index - 1] + 4;
        index += 1;
    }
    offsets
};
