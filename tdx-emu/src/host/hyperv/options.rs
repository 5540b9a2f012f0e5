// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be chosen of a host of Hyper-V's kind.

use super::{retarget::Redirection, vmbus::Manner};

/// How the host behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Whether interrupts of devices can be vectors of L1.
    pub(crate) redirection: Redirection,
    /// How VMBus behaves.
    pub(crate) vmbus: Manner,
}

impl Default for Options {
    fn default() -> Self {
        Self { redirection: Redirection::Offered, vmbus: Manner::default() }
    }
}

impl Options {
    /// Sets one of them from the command line; `None` if it cannot have the value.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match (key, value) {
            ("redirect", "0") => self.redirection = Redirection::Absent,
            ("redirect", "1") => self.redirection = Redirection::Offered,
            ("vmbus", "5.2") => self.vmbus.newest = 0x5_0002,
            ("vmbus", "5.3") => self.vmbus.newest = 0x5_0003,
            ("vmbus", "6.0") => self.vmbus.newest = 0x6_0000,
            ("rescind", packets) => self.vmbus.rescind_after = Some(packets.parse().ok()?),
            _ => return None,
        }
        Some(())
    }
}
