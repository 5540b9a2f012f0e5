// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reserved channels: opened and closed by messages that carry their own return address, so that a
//! crash handler can use one when nothing else works any more.
//!
//! This client uses them while it is connected, and in no other state.

use zerocopy::little_endian::U32;

use super::{
    Client, Event, Open,
    channel::{ChannelHandle, ChannelState, Opened},
    open::ends_channel,
};
use crate::{
    fault::{HostFault, Refused, What},
    message::{
        ChannelId, Kind, Outgoing,
        to_host::{CloseReservedChannel, OpenReservedChannel},
    },
    synic::SintIndex,
};

impl<const CHANNELS: usize, const GPADLS: usize> Client<CHANNELS, GPADLS> {
    /// Opens a reserved channel; the answer comes to `sint` of the CPU that `open` names.
    ///
    /// # Errors
    ///
    /// As for [`Client::open`]; nothing but ring and CPU can be chosen.
    pub fn open_reserved(
        &mut self,
        handle: ChannelHandle,
        open: &Open,
        sint: SintIndex,
    ) -> Result<Outgoing, Refused> {
        self.check_ring(handle, open.ring)?;
        if open.signal.is_some() {
            return Err(Refused::NotGranted);
        }
        let message = self.message(&OpenReservedChannel {
            channel: self.openable(handle)?,
            target_vp: U32::new(open.target_vp),
            target_sint: U32::new(u32::from(sint.get())),
            ring: open.ring,
            downstream_page: U32::new(open.downstream_page),
        })?;
        let channel = self.channel_mut(handle)?;
        channel.state = ChannelState::Opening;
        channel.opened = Opened::Reserved;
        channel.ring = Some(open.ring);
        channel.signal = None;
        channel.target_vp = open.target_vp;
        Ok(message)
    }

    /// Closes a reserved channel; the answer comes to `sint` of `target_vp`.
    ///
    /// # Errors
    ///
    /// The channel is not open, or not as a reserved one.
    pub fn close_reserved(
        &mut self,
        handle: ChannelHandle,
        target_vp: u32,
        sint: SintIndex,
    ) -> Result<Outgoing, Refused> {
        let channel = self.channel(handle).ok_or(Refused::NoChannel)?;
        if channel.state != ChannelState::Open || channel.opened != Opened::Reserved {
            return Err(Refused::ChannelState);
        }
        let message = self.message(&CloseReservedChannel {
            channel: channel.offer.channel,
            target_vp: U32::new(target_vp),
            target_sint: U32::new(u32::from(sint.get())),
        })?;
        self.channel_mut(handle)?.state = ChannelState::ClosingReserved;
        Ok(message)
    }

    pub(super) fn on_reserved_closed(&mut self, id: ChannelId) -> Result<Event, HostFault> {
        let (handle, channel) = self.meant(Kind::CLOSE_RESERVED_CHANNEL_RESPONSE, id)?;
        match channel.state {
            ChannelState::ClosingReserved => {
                channel.state = ChannelState::Offered;
                channel.ring = None;
                Ok(Event::ReservedClosed(handle))
            }
            ChannelState::Rescinded | ChannelState::Failed => Ok(Event::Late),
            _ => {
                let what = What::Unexpected(Kind::CLOSE_RESERVED_CHANNEL_RESPONSE);
                Err(ends_channel(what, id))
            }
        }
    }

    /// Returns the host's number of a channel that can be opened.
    pub(super) fn openable(&self, handle: ChannelHandle) -> Result<ChannelId, Refused> {
        let channel = self.channel(handle).ok_or(Refused::NoChannel)?;
        match channel.state {
            ChannelState::Offered => Ok(channel.offer.channel),
            _ => Err(Refused::ChannelState),
        }
    }
}
