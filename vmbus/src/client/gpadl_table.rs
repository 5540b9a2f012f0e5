// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of memory that the host was told of.
//!
//! From the first message until [`Event::GpadlTornDown`] the pages are in the host's hands. They must
//! be shared before, and must not be made private, or used for anything else, in between.

use super::{
    Client, Event,
    channel::{ChannelHandle, ChannelState},
    open::ends_channel,
};
use crate::{
    fault::{Ends, HostFault, Refused, What},
    message::{
        ChannelId, GpadlId, GpadlMessages, GpadlRange, Kind, Outgoing, from_host::GpadlCreated,
        to_host::GpadlTeardown,
    },
};

/// Memory that the host was told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gpadl {
    id: GpadlId,
    channel: ChannelHandle,
    channel_id: ChannelId,
    state: GpadlState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GpadlState {
    Creating,
    Created,
    TearingDown,
}

impl<const CHANNELS: usize, const GPADLS: usize> Client<CHANNELS, GPADLS> {
    /// Describes memory to the host, for a channel.
    ///
    /// # Errors
    ///
    /// The channel is gone, the table is full, or the ranges are none or too many.
    pub fn create_gpadl<'a>(
        &mut self,
        handle: ChannelHandle,
        ranges: &'a [GpadlRange<'a>],
    ) -> Result<(GpadlId, GpadlMessages<'a>), Refused> {
        let connection = self.negotiated()?.connection;
        let channel = self.channel(handle).ok_or(Refused::NoChannel)?;
        if matches!(channel.state(), ChannelState::Rescinded | ChannelState::Failed) {
            return Err(Refused::ChannelState);
        }
        let channel_id = channel.offer().channel;
        let id = self.free_gpadl_id();
        let messages = GpadlMessages::new(connection, channel_id, id, ranges);
        let messages = messages.ok_or(Refused::Ranges)?;
        let entry = self.gpadls.iter_mut().find(|entry| entry.is_none()).ok_or(Refused::NoRoom)?;
        *entry = Some(Gpadl { id, channel: handle, channel_id, state: GpadlState::Creating });
        self.next_gpadl = id.get().wrapping_add(1);
        Ok((id, messages))
    }

    /// Takes memory back.
    ///
    /// # Errors
    ///
    /// The host does not know the memory, or an open channel has its rings there.
    pub fn teardown_gpadl(&mut self, id: GpadlId) -> Result<Outgoing, Refused> {
        let Gpadl { channel_id, state, .. } = *self.gpadl(id).ok_or(Refused::NoGpadl)?;
        if state != GpadlState::Created {
            return Err(Refused::GpadlState);
        }
        if self.channels().any(|(_, channel)| channel.ring() == Some(id)) {
            return Err(Refused::InUse);
        }
        let message = self.message(&GpadlTeardown { channel: channel_id, gpadl: id })?;
        if let Some(gpadl) = self.gpadl_mut(id) {
            gpadl.state = GpadlState::TearingDown;
        }
        Ok(message)
    }

    /// Checks that memory can hold the rings of a channel.
    pub(super) fn check_ring(&self, handle: ChannelHandle, id: GpadlId) -> Result<(), Refused> {
        let gpadl = self.gpadl(id).ok_or(Refused::NoGpadl)?;
        if gpadl.state != GpadlState::Created || gpadl.channel != handle {
            return Err(Refused::GpadlState);
        }
        Ok(())
    }

    pub(super) fn forget_gpadls_of(&mut self, handle: ChannelHandle) {
        for entry in &mut self.gpadls {
            if entry.is_some_and(|gpadl| gpadl.channel == handle) {
                *entry = None;
            }
        }
    }

    pub(super) fn on_gpadl_created(&mut self, created: &GpadlCreated) -> Result<Event, HostFault> {
        let (id, status) = (created.gpadl, created.status.get());
        let gpadl = self.gpadl_mut(id).ok_or(unknown(Kind::GPADL_CREATED, id))?;
        if gpadl.channel_id != created.channel {
            let what = What::WrongChannel(Kind::GPADL_CREATED, created.channel);
            return Err(ends_channel(what, gpadl.channel_id));
        }
        if gpadl.state != GpadlState::Creating {
            return Err(ends_channel(What::Unexpected(Kind::GPADL_CREATED), gpadl.channel_id));
        }
        if status == 0 {
            gpadl.state = GpadlState::Created;
            return Ok(Event::GpadlCreated(id));
        }
        self.remove_gpadl(id);
        Ok(Event::GpadlRefused(id, status))
    }

    pub(super) fn on_gpadl_torn_down(&mut self, id: GpadlId) -> Result<Event, HostFault> {
        let gpadl = self.gpadl(id).ok_or(unknown(Kind::GPADL_TORNDOWN, id))?;
        if gpadl.state != GpadlState::TearingDown {
            return Err(ends_channel(What::Unexpected(Kind::GPADL_TORNDOWN), gpadl.channel_id));
        }
        self.remove_gpadl(id);
        Ok(Event::GpadlTornDown(id))
    }

    /// Returns a number that no memory has; there is one, for there are fewer entries than numbers.
    fn free_gpadl_id(&self) -> GpadlId {
        let mut number = self.next_gpadl;
        for _ in 0..=GPADLS {
            if number != 0 && self.gpadl(GpadlId::new(number)).is_none() {
                break;
            }
            number = number.wrapping_add(1);
        }
        GpadlId::new(number)
    }

    fn gpadl(&self, id: GpadlId) -> Option<&Gpadl> {
        self.gpadls.iter().flatten().find(|gpadl| gpadl.id == id)
    }

    fn gpadl_mut(&mut self, id: GpadlId) -> Option<&mut Gpadl> {
        self.gpadls.iter_mut().flatten().find(|gpadl| gpadl.id == id)
    }

    fn remove_gpadl(&mut self, id: GpadlId) {
        for entry in &mut self.gpadls {
            if entry.is_some_and(|gpadl| gpadl.id == id) {
                *entry = None;
            }
        }
    }
}

fn unknown(kind: Kind, gpadl: GpadlId) -> HostFault {
    HostFault { what: What::UnknownGpadl(kind, gpadl), ends: Ends::Nothing }
}
