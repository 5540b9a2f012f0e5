// SPDX-License-Identifier: MIT OR Apache-2.0
//! The MSI capability of a function with one message.

use super::{Function, message::Message};
use crate::failure::Failure;

/// Identifier of the capability.
const CAPABILITY: u8 = 0x05;

/// Bits of the message control word, which is the upper half of the first double word.
const ENABLE: u32 = 1 << 16;
const ADDRESS_64: u32 = 1 << 23;

/// A function's MSI capability.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Msi {
    function: Function,
    offset: u8,
}

impl Msi {
    /// Finds the capability.
    pub(crate) fn of(function: Function) -> Result<Self, Failure> {
        let offset = function.capability(CAPABILITY).ok_or(Failure::BadDevice("no MSI"))?;
        Ok(Self { function, offset })
    }

    /// Makes `message` the function's message and lets it be sent.
    pub(crate) fn program(self, message: Message) {
        let control = self.function.read(self.offset);
        self.function.write(self.offset, control & !ENABLE);
        self.function.write(self.offset + 4, message.address);
        if control & ADDRESS_64 != 0 {
            self.function.write(self.offset + 8, 0);
            self.function.write(self.offset + 12, message.data);
        } else {
            self.function.write(self.offset + 8, message.data);
        }
        self.function.write(self.offset, control | ENABLE);
    }
}
