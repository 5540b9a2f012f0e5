// SPDX-License-Identifier: MIT OR Apache-2.0
//! One interrupt of a device: the message that the TD wrote, and the route made from it.
//!
//! The TD's message never reaches the device. The device interrupts the host with a vector of the
//! host's, and the IOMMU posts the TD's vector to the TD's virtual CPU. The route outlives masking:
//! a message that the device sent before it was masked still arrives, as with interrupt remapping.
//!
//! Spec: PCI "Message Signaled Interrupts"; SDM "Message Signalled Interrupts".

use super::platform::{PhysicalMessage, Platform, Target};
use crate::{iommu::remapping::Way, observe::Source};

/// A message as the TD wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Address.
    pub(crate) address: u64,
    /// Data.
    pub(crate) data: u32,
}

impl Message {
    /// The virtual CPU and vector meant. Only fixed or lowest-priority edge interrupts to one CPU
    /// can be posted.
    fn target(self, way: Way) -> Option<Target> {
        const WINDOW: u64 = 0xfee;
        const LOGICAL: u64 = 1 << 2;
        const LEVEL: u32 = 1 << 15;
        let delivery_mode = self.data >> 8 & 7;
        let postable = self.address >> 20 == WINDOW
            && self.address & LOGICAL == 0
            && self.data & LEVEL == 0
            && delivery_mode <= 1;
        let cpu = usize::try_from(self.address >> 12 & 0xff).ok()?;
        let vector = u8::try_from(self.data & 0xff).ok()?;
        postable.then_some(Target { cpu, vector, way })
    }
}

/// One interrupt of a device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    source: Source,
    /// What the TD wrote.
    pub(crate) message: Message,
    vector: Option<u8>,
    /// Where the TD had this message sent, other than the message says.
    redirected: Option<(Message, Target)>,
}

impl Entry {
    /// An interrupt that the TD did not set up yet.
    pub(crate) const fn new(source: Source) -> Self {
        Self { source, message: Message { address: 0, data: 0 }, vector: None, redirected: None }
    }

    /// Routes the interrupt where the TD wants it; returns what the device is to be programmed with,
    /// or `None`, with a line in the log, if it must stay silent.
    pub(crate) fn route(&mut self, platform: &mut impl Platform) -> Option<PhysicalMessage> {
        let routed = self.try_route(platform);
        if routed.is_none() {
            let Message { address, data } = self.message;
            log::warn!(
                "interrupt stays masked: entry={} address={address:#x} data={data:#x}",
                self.source.entry
            );
        }
        routed
    }

    /// Sends this message elsewhere from now on, as long as it is not written anew; `false` if it is not the one
    /// that is meant, or cannot go there.
    pub(crate) fn redirect(
        &mut self,
        message: Message,
        target: Target,
        platform: &mut impl Platform,
    ) -> bool {
        if self.message != message || message.target(target.way).is_none() {
            return false;
        }
        let before = self.redirected.replace((message, target));
        let routed = self.try_route(platform).is_some();
        if !routed {
            self.redirected = before;
        }
        routed
    }

    fn try_route(&mut self, platform: &mut impl Platform) -> Option<PhysicalMessage> {
        let written = self.message.target(platform.usual_way())?;
        self.redirected = self.redirected.filter(|(message, _)| *message == self.message);
        let target = self.redirected.map_or(written, |(_, target)| target);
        if self.vector.is_none() {
            self.vector = platform.allocate_vector(self.source);
        }
        platform.route(self.vector?, target)
    }
}

#[cfg(test)]
mod tests {
    use super::{Message, Target, Way};

    #[test]
    fn a_fixed_message_names_cpu_and_vector() {
        let message = Message { address: 0xfee0_3000, data: 0x45 };
        let way = Way::Posted;
        assert_eq!(message.target(way), Some(Target { cpu: 3, vector: 0x45, way }));
    }

    #[test]
    fn what_cannot_be_posted_has_no_target() {
        for (address, data) in [
            (0xfed0_0000, 0x45),   // not the interrupt window
            (0x1_fee0_0000, 0x45), // above 4 GiB
            (0xfee0_0004, 0x45),   // logical destination
            (0xfee0_0000, 0x445),  // NMI
            (0xfee0_0000, 0x8045), // level
        ] {
            let target = Message { address, data }.target(Way::Posted);
            assert_eq!(target, None, "{address:#x} {data:#x}");
        }
    }
}
