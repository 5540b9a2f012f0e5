// SPDX-License-Identifier: MIT OR Apache-2.0
//! Open, close, and the CPU that a channel interrupts.

use zerocopy::little_endian::{U16, U32};

use super::{
    Client, Event,
    channel::{ChannelHandle, ChannelState, Opened},
};
use crate::{
    fault::{Ends, HostFault, Refused, What},
    message::{
        ConnectionId, GpadlId, Kind, Outgoing,
        from_host::{ModifyChannelResponse, OpenResult},
        to_host::{CloseChannel, ModifyChannel, OpenChannel, OpenChannelWithSignal},
    },
    synic::event_flags::FLAGS,
    version::Features,
};

/// How to open a channel.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// The memory of both rings, which the host must know already.
    pub ring: GpadlId,
    /// The page at which the host's ring begins, behind the client's.
    pub downstream_page: u32,
    /// The CPU to interrupt; [`Open::NO_INTERRUPT`] for none.
    pub target_vp: u32,
    /// Data for the device.
    pub user_data: [u8; 120],
    /// How both sides are signalled, if the client chooses.
    pub signal: Option<SignalParameters>,
}

/// How both sides of a channel are signalled, chosen by the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalParameters {
    /// Where the host is signalled.
    pub connection: ConnectionId,
    /// The event flag by which the client is.
    pub event_flag: u16,
    /// Where that flag is raised.
    pub interrupt: Interrupt,
}

/// Where a channel's event flag is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Where the host raises those of all channels.
    AsUsual,
    /// At the trust level and the source of the client's messages.
    Redirected,
}

impl Open {
    /// Interrupts no CPU.
    pub const NO_INTERRUPT: u32 = u32::MAX;

    /// Opens with rings in `ring`, interrupts on `target_vp`, and nothing special.
    #[must_use]
    pub const fn new(ring: GpadlId, downstream_page: u32, target_vp: u32) -> Self {
        Self { ring, downstream_page, target_vp, user_data: [0; 120], signal: None }
    }
}

impl<const CHANNELS: usize, const GPADLS: usize> Client<CHANNELS, GPADLS> {
    /// Opens a channel.
    ///
    /// # Errors
    ///
    /// The channel is open or gone, the host does not know the memory, the memory belongs to another
    /// channel, the host does not let the client choose what it chooses, or there is no such flag.
    pub fn open(&mut self, handle: ChannelHandle, open: &Open) -> Result<Outgoing, Refused> {
        self.check_ring(handle, open.ring)?;
        let open_id = self.next_generation();
        let id = self.openable(handle)?;
        let base = OpenChannel {
            channel: id,
            open_id: U32::new(open_id),
            ring: open.ring,
            target_vp: U32::new(open.target_vp),
            downstream_page: U32::new(open.downstream_page),
            user_data: open.user_data,
        };
        let signal = self.signal_of(handle, open)?;
        let message = match signal {
            None => self.message(&base)?,
            Some(signal) => self.message(&OpenChannelWithSignal {
                base,
                connection: signal.connection,
                event_flag: U16::new(signal.event_flag),
                flags: U16::new(u16::from(signal.interrupt == Interrupt::Redirected)),
            })?,
        };
        let channel = self.channel_mut(handle)?;
        channel.state = ChannelState::Opening;
        channel.open_id = open_id;
        channel.opened = Opened::Ordinary;
        channel.ring = Some(open.ring);
        channel.signal = signal;
        channel.target_vp = open.target_vp;
        Ok(message)
    }

    /// Returns what to say of signals. A host that granted a choice reads these fields in any case, so
    /// without a choice they say what holds without the feature.
    fn signal_of(
        &self,
        handle: ChannelHandle,
        open: &Open,
    ) -> Result<Option<SignalParameters>, Refused> {
        let chosen = self.granted(Features::GUEST_SPECIFIED_SIGNAL_PARAMETERS);
        let redirectable = self.granted(Features::CHANNEL_INTERRUPT_REDIRECTION);
        let signal = match open.signal {
            Some(signal) => {
                let redirected = signal.interrupt == Interrupt::Redirected;
                if !chosen || redirected && !redirectable {
                    return Err(Refused::NotGranted);
                }
                signal
            }
            None if chosen || redirectable => {
                let offer = self.channel(handle).ok_or(Refused::NoChannel)?.offer();
                SignalParameters {
                    connection: offer.connection,
                    event_flag: u16::try_from(offer.channel.get()).unwrap_or(u16::MAX),
                    interrupt: Interrupt::AsUsual,
                }
            }
            None => return Ok(None),
        };
        if signal.event_flag < FLAGS { Ok(Some(signal)) } else { Err(Refused::EventFlag) }
    }

    /// Closes a channel. The host does not answer; it may touch the rings until it has torn their
    /// memory down.
    ///
    /// # Errors
    ///
    /// The channel is not open.
    pub fn close(&mut self, handle: ChannelHandle) -> Result<Outgoing, Refused> {
        let channel = self.channel(handle).ok_or(Refused::NoChannel)?;
        let open = matches!(channel.state, ChannelState::Open | ChannelState::Failed);
        if !open || channel.ring.is_none() || channel.opened == Opened::Reserved {
            return Err(Refused::ChannelState);
        }
        let message = self.message(&CloseChannel { channel: channel.offer.channel })?;
        let channel = self.channel_mut(handle)?;
        channel.ring = None;
        if channel.state == ChannelState::Open {
            channel.state = ChannelState::Offered;
        }
        Ok(message)
    }

    /// Moves the interrupts of an open channel to another CPU. Interrupts may come to the old one
    /// until [`Event::ChannelModified`]; before version 5.3 the host does not say when.
    ///
    /// # Errors
    ///
    /// The channel is not open, or its last move is not answered.
    pub fn modify_channel(
        &mut self,
        handle: ChannelHandle,
        target_vp: u32,
    ) -> Result<Outgoing, Refused> {
        let channel = self.channel(handle).ok_or(Refused::NoChannel)?;
        if channel.state != ChannelState::Open {
            return Err(Refused::ChannelState);
        }
        if channel.modifying.is_some() {
            return Err(Refused::Busy);
        }
        let body = ModifyChannel { channel: channel.offer.channel, target_vp: U32::new(target_vp) };
        let message = self.message(&body)?;
        let answered = self.negotiated()?.version.answers_modify_channel();
        let channel = self.channel_mut(handle)?;
        if answered {
            channel.modifying = Some(target_vp);
        } else {
            channel.target_vp = target_vp;
        }
        Ok(message)
    }

    pub(super) fn on_open_result(&mut self, result: &OpenResult) -> Result<Event, HostFault> {
        let (id, open_id, status) = (result.channel, result.open_id.get(), result.status.get());
        let (handle, channel) = self.meant(Kind::OPEN_CHANNEL_RESULT, id)?;
        match channel.state {
            ChannelState::Opening => {}
            ChannelState::Rescinded | ChannelState::Failed => return Ok(Event::Late),
            _ => return Err(ends_channel(What::Unexpected(Kind::OPEN_CHANNEL_RESULT), id)),
        }
        if channel.opened == Opened::Ordinary && channel.open_id != open_id {
            return Err(ends_channel(What::WrongOpen(id, open_id), id));
        }
        if status == 0 {
            channel.state = ChannelState::Open;
            return Ok(Event::Opened(handle));
        }
        channel.state = ChannelState::Offered;
        channel.ring = None;
        Ok(Event::OpenRefused(handle, status))
    }

    pub(super) fn on_channel_modified(
        &mut self,
        response: &ModifyChannelResponse,
    ) -> Result<Event, HostFault> {
        let (id, status) = (response.channel, response.status.get());
        let (handle, channel) = self.meant(Kind::MODIFY_CHANNEL_RESPONSE, id)?;
        match (channel.modifying.take(), channel.state, status) {
            (Some(target_vp), _, 0) => {
                channel.target_vp = target_vp;
                Ok(Event::ChannelModified(handle))
            }
            (Some(_), _, status) => Ok(Event::ModifyRefused(handle, status)),
            (None, ChannelState::Rescinded | ChannelState::Failed, _) => Ok(Event::Late),
            (None, ..) => Err(ends_channel(What::Unexpected(Kind::MODIFY_CHANNEL_RESPONSE), id)),
        }
    }
}

/// A fault that ends a channel.
pub(super) fn ends_channel(what: What, channel: crate::message::ChannelId) -> HostFault {
    HostFault { what, ends: Ends::Channel(channel) }
}
