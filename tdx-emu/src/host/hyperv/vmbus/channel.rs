// SPDX-License-Identifier: MIT OR Apache-2.0
//! A channel: what it is offered as, and the device behind it while it is open.
//!
//! # Orderings
//! A bit of the monitor page is taken with Acquire, which pairs with the Release of the client that set it.
//!
//! Spec: VMBUS "Channel", "Monitor page".

use core::sync::atomic::{AtomicU32, Ordering::Acquire};

use vmbus::{Guid, ring::RingFault};
use zerocopy::IntoBytes;

use super::{
    echo::{Done, Echo},
    wire::{Offer, Open},
};
use crate::host::hyperv::guest::{Guest, Pages, SHARED_BIT};

/// No interrupt is wanted.
const NO_INTERRUPT: u32 = u32::MAX;

/// The bit of the monitored channel.
const MONITOR_ID: u8 = 5;

/// Which of the two devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// Signalled by calls.
    Echo,
    /// Signalled by a bit of the monitor page, too.
    MonitoredEcho,
}

impl Device {
    /// The number in interface and instance.
    const fn number(self) -> u64 {
        match self {
            Self::Echo => 1,
            Self::MonitoredEcho => 2,
        }
    }

    fn monitor(self) -> Option<u8> {
        (self == Self::MonitoredEcho).then_some(MONITOR_ID)
    }
}

/// A channel that is open.
#[derive(Debug)]
struct Opened<G> {
    gpadl: u32,
    connection: u32,
    flag: u16,
    target_vp: u32,
    /// The source, if it was opened as a reserved one.
    reserved: Option<u8>,
    /// `None` once the client broke a ring.
    echo: Option<Echo<G>>,
    more: bool,
    packets: u64,
}

/// A channel.
#[derive(Debug)]
pub(super) struct Channel<G> {
    id: u32,
    device: Device,
    /// Where the host is signalled if the client does not choose.
    connection: u32,
    opened: Option<Opened<G>>,
    /// Taken away; the client has not given the number back.
    pub(super) rescinded: bool,
}

impl<G: Guest> Channel<G> {
    /// A channel that is not open, for messages to a source.
    pub(super) fn new(id: u32, device: Device, sint: u8) -> Self {
        const TRUST_LEVEL: u32 = 2 << 16;
        let connection = TRUST_LEVEL | u32::from(sint) << 12 | id;
        Self { id, device, connection, opened: None, rescinded: false }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn device(&self) -> Device {
        self.device
    }

    /// What it is offered as.
    pub(super) fn offer(&self) -> Offer {
        let (mut interface, mut instance) = ([0; 16], [0; 16]);
        let number = self.device.number();
        interface.copy_from_slice(Guid::new(0x6c79_6368, 0x6563, 0x686f, number).as_bytes());
        instance.copy_from_slice(Guid::new(0x6c79_6368, 0x6563, 0x686f, number << 8).as_bytes());
        let (channel, monitor) = (self.id, self.device.monitor());
        Offer { interface, instance, channel, monitor, connection: self.connection }
    }

    /// Opens it, as a reserved one if a source is named; `None` if it is open already, taken away, or the rings
    /// are none.
    pub(super) fn open(
        &mut self,
        open: &Open,
        rings: Option<[Pages<G>; 2]>,
        reserved: Option<u8>,
    ) -> Option<()> {
        let (connection, flag) =
            open.signal.unwrap_or((self.connection, u16::try_from(self.id).unwrap_or(0)));
        if self.opened.is_some() || self.rescinded || flag >= crate::host::hyperv::synic::FLAGS {
            return None;
        }
        let echo = Some(Echo::new(rings?)?);
        let (gpadl, target_vp) = (open.gpadl, open.target_vp);
        let (more, packets) = (false, 0);
        self.opened =
            Some(Opened { gpadl, connection, flag, target_vp, reserved, echo, more, packets });
        Some(())
    }

    /// Whether it is open, and as a reserved one.
    pub(super) fn is_reserved(&self) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.reserved.is_some())
    }

    /// Closes it; returns the memory that it used.
    pub(super) fn close(&mut self) -> Option<u32> {
        self.opened.take().map(|opened| opened.gpadl)
    }

    /// Moves its interrupts; `None` if it is not open.
    pub(super) fn modify(&mut self, target_vp: u32) -> Option<()> {
        self.opened.as_mut().map(|opened| opened.target_vp = target_vp)
    }

    /// Whether it uses this memory.
    pub(super) fn uses(&self, gpadl: u32) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.gpadl == gpadl)
    }

    /// Whether a signal of this connection is for it.
    pub(super) fn listens_at(&self, connection: u32) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.connection == connection)
    }

    /// Whether it is open and has a bit of the monitor page.
    pub(super) fn is_monitored(&self) -> bool {
        self.device == Device::MonitoredEcho && self.opened.is_some()
    }

    /// Whether it is not done.
    pub(super) fn has_more(&self) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.more)
    }

    /// Packets since it was opened.
    pub(super) fn packets(&self) -> u64 {
        self.opened.as_ref().map_or(0, |opened| opened.packets)
    }

    /// Takes its bit of the client's monitor page; whether it was set.
    pub(super) fn is_triggered(&self, guest: G, page: u64) -> bool {
        let Some(id) = self.device.monitor().filter(|_| self.opened.is_some()) else {
            return false;
        };
        let (word, bit) = (usize::from(8 + (id >> 5) * 8) / 4, 1 << (id & 31));
        let take = |page: &[AtomicU32]| {
            page.get(word).is_some_and(|word| word.fetch_and(!bit, Acquire) & bit != 0)
        };
        guest.with_page(page & !SHARED_BIT, take).unwrap_or(false)
    }

    /// Lets the device work; `None` if the channel is not open, or its rings are broken.
    pub(super) fn serve(&mut self) -> Option<Result<Done, RingFault>> {
        let opened = self.opened.as_mut()?;
        let result = opened.echo.as_mut()?.serve();
        match result {
            Ok(done) => {
                opened.more = done.more;
                opened.packets += done.packets;
            }
            Err(_) => {
                opened.echo = None;
                opened.more = false;
            }
        }
        Some(result)
    }

    /// The virtual CPU, the source and the flag by which the client is signalled, if it wants to be. The source is
    /// that of its messages, `usual`, unless the channel has its own.
    pub(super) fn interrupt(&self, usual: u8) -> Option<(usize, usize, u16)> {
        let opened = self.opened.as_ref().filter(|opened| opened.target_vp != NO_INTERRUPT)?;
        let sint = usize::from(opened.reserved.unwrap_or(usual));
        Some((usize::try_from(opened.target_vp).ok()?, sint, opened.flag))
    }
}
