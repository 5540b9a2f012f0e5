// SPDX-License-Identifier: MIT OR Apache-2.0
//! L1's end of VMBus: what is done about each thing that the host says.
//!
//! The protocol is the crate `vmbus`; here are the decisions: ask for offers as soon as there is contact, open
//! the channels that L1 knows, let go of what the host takes back. A message that the host has no room for now waits,
//! with all after it, until [`bus::Bus::retry`]; one that it refuses ends the connection. A message of the host
//! that cannot be right ends what it was about, and never more than the connection.
//!
//! Spec: VMBUS "Channel messages"; TLFS "HvCallPostMessage".

use alloc::{collections::VecDeque, vec::Vec};

use log::{info, warn};
use vmbus::{
    Client, Config, Event, Features, Guid, Refused, SharedMemory, Version,
    client::{ChannelHandle, ChannelState, ConnectionState, MonitorPages, Open, Signal},
    message::{ConnectionId, GpadlId, GpadlRange, Outgoing},
    ring::Notify,
    synic::SintIndex,
};

use super::echo::{self, Broken, Echo};
use crate::hyperv::status::HvStatus;

/// Channels that are remembered.
const CHANNELS: usize = 16;
/// Channels that are open at a time.
const OPEN: usize = 4;
/// Messages that wait for room at the host. Each of the host's causes one, and so does each of L1's pieces of memory.
const QUEUE: usize = 64;

/// The interfaces of channels that answer: a plain one, and one that is signalled by the monitor page.
const ECHO: [Guid; 2] =
    [Guid::new(0x6c79_6368, 0x6563, 0x686f, 1), Guid::new(0x6c79_6368, 0x6563, 0x686f, 2)];
/// L1's level of trust, as the host counts.
const VTL: u8 = 2;

/// Memory of a channel: half of it for each direction.
#[derive(Debug)]
pub struct Rings<M> {
    /// What L1 writes.
    pub to_host: M,
    /// What the host writes.
    pub from_host: M,
    /// The page numbers of both, as the host has them, in this order.
    pub pages: Vec<u64>,
}

/// The way to the host.
pub trait Host<M> {
    /// Posts a message.
    fn post(&mut self, message: &Outgoing) -> HvStatus;

    /// Signals a channel.
    fn signal(&mut self, signal: Signal);

    /// Fresh memory for a channel, if there is more.
    fn rings(&mut self) -> Option<Rings<M>>;
}

/// One channel.
#[derive(Debug)]
struct Channel<M> {
    handle: ChannelHandle,
    gpadl: GpadlId,
    downstream: u32,
    echo: Echo<M>,
}

/// L1's end.
#[derive(Debug)]
pub struct Bus<M> {
    client: Client<CHANNELS, OPEN>,
    queue: VecDeque<Outgoing>,
    channels: [Option<Channel<M>>; OPEN],
    /// Packets to send over each channel that answers.
    goal: u64,
    /// What closed channels have done.
    closed: echo::Figures,
    figures: Figures,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages of the host.
    pub messages: u64,
    /// Those that cannot be right.
    pub faults: u64,
    /// Channels that the host has offered and still does.
    pub channels: usize,
    /// Channels that were opened.
    pub opened: u64,
    /// Channels that ended because of what the host did in their rings.
    pub broken: u64,
    /// Event flags that no open channel has.
    pub stray_flags: u64,
    /// Packets over channels that answer.
    pub echo: echo::Figures,
}

/// How contact is made.
#[must_use]
pub fn config(monitor_pages: Option<MonitorPages>) -> Config {
    Config {
        contact: ConnectionId::REDIRECTED_CONTACT,
        newest: Version::V6_0,
        oldest: Version::V5_2,
        features: Features::GUEST_SPECIFIED_SIGNAL_PARAMETERS
            | Features::CHANNEL_INTERRUPT_REDIRECTION
            | Features::MODIFY_CONNECTION,
        target_vp: 0,
        sint: SintIndex::REDIRECTED_VMBUS.get(),
        vtl: VTL,
        monitor_pages,
        client_id: Guid::default(),
    }
}

impl<M: SharedMemory> Bus<M> {
    /// An end without contact, that will send `goal` packets over each channel that answers.
    #[must_use]
    pub const fn new(config: Config, goal: u64) -> Self {
        Self {
            client: Client::new(config),
            queue: VecDeque::new(),
            channels: [const { None }; OPEN],
            goal,
            closed: echo::Figures { sent: 0, answered: 0, wrong: 0 },
            figures: Figures {
                messages: 0,
                faults: 0,
                channels: 0,
                opened: 0,
                broken: 0,
                stray_flags: 0,
                echo: echo::Figures { sent: 0, answered: 0, wrong: 0 },
            },
        }
    }

    /// Makes contact.
    pub fn begin(&mut self, host: &mut impl Host<M>) {
        let message = self.client.initiate_contact();
        self.say(host, message);
    }

    /// Takes a message of the host, copied out of its reach.
    pub fn message(&mut self, host: &mut impl Host<M>, bytes: &[u8]) {
        self.figures.messages = self.figures.messages.saturating_add(1);
        match self.client.handle(bytes) {
            Ok(event) => self.follow(host, event),
            Err(fault) => {
                self.figures.faults = self.figures.faults.saturating_add(1);
                if self.figures.faults.is_power_of_two() {
                    warn!("vmbus: {fault}");
                }
                self.forget_failed(host);
            }
        }
    }

    /// Takes an event flag.
    pub fn flag(&mut self, host: &mut impl Host<M>, flag: u16) -> echo::Left {
        let handle = self.client.signalled(flag);
        match handle.and_then(|handle| self.position(|channel| channel.handle == handle)) {
            Some(index) => self.turn(host, index),
            None => {
                self.figures.stray_flags = self.figures.stray_flags.saturating_add(1);
                echo::Left::Nothing
            }
        }
    }

    /// Gives each open channel a turn.
    pub fn turn_all(&mut self, host: &mut impl Host<M>) -> echo::Left {
        let mut left = echo::Left::Nothing;
        for index in 0..OPEN {
            if self.turn(host, index) == echo::Left::Turn {
                left = echo::Left::Turn;
            }
        }
        left
    }

    /// Posts what waits, as far as the host has room.
    pub fn retry(&mut self, host: &mut impl Host<M>) {
        while let Some(message) = self.queue.front() {
            match host.post(message) {
                HvStatus::SUCCESS => _ = self.queue.pop_front(),
                HvStatus::INSUFFICIENT_BUFFERS => return,
                status => return self.give_up(status),
            }
        }
    }

    /// Whether messages wait for room at the host.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether L1 may still get something out of the connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.client.connection(), ConnectionState::Connected(_))
    }

    /// What happened.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let open = self.channels.iter().flatten().map(|channel| channel.echo.figures());
        let echo = open.fold(self.closed, add);
        Figures { channels: self.client.channels().count(), echo, ..self.figures }
    }

    fn follow(&mut self, host: &mut impl Host<M>, event: Event) {
        match event {
            Event::Connected(_) => {
                let message = self.client.request_offers();
                self.say(host, message);
            }
            Event::VersionRefused(_) => self.begin(host),
            Event::ContactFailed(state) => warn!("vmbus: host: no contact: state={state}"),
            Event::Offered(handle) => self.offered(host, handle),
            Event::OfferDropped(id) => {
                let message = self.client.release_dropped(id);
                self.say(host, message);
            }
            Event::GpadlCreated(gpadl) => self.open(host, gpadl),
            Event::GpadlRefused(gpadl, _) => self.forget(|channel| channel.gpadl == gpadl),
            Event::Opened(handle) => {
                self.figures.opened = self.figures.opened.saturating_add(1);
                if let Some(index) = self.position(|channel| channel.handle == handle) {
                    self.turn(host, index);
                }
            }
            Event::OpenRefused(handle, _) => self.forget(|channel| channel.handle == handle),
            Event::Rescinded(handle) => {
                self.forget(|channel| channel.handle == handle);
                let message = self.client.release(handle);
                self.say(host, message);
            }
            Event::Unloaded => self.forget(|_| true),
            _ => {}
        }
    }

    /// Begins to open a channel that L1 knows, if there is room for it.
    fn offered(&mut self, host: &mut impl Host<M>, handle: ChannelHandle) {
        let Some(channel) = self.client.channel(handle) else { return };
        let (interface, goal) = (channel.offer().interface, self.goal);
        if !ECHO.contains(&interface) || goal == 0 {
            return;
        }
        let Some(index) = self.channels.iter().position(Option::is_none) else { return };
        let Some(Rings { to_host, from_host, pages }) = host.rings() else { return };
        let downstream = u32::try_from(pages.len() / 2).unwrap_or(0);
        let Some(echo) = Echo::new(to_host, from_host, goal) else { return };
        let ranges: Vec<_> = GpadlRange::pages(&pages).into_iter().collect();
        let (gpadl, messages) = match self.client.create_gpadl(handle, &ranges) {
            Ok(created) => created,
            Err(refused) => return warn!("vmbus: channel {interface}: {refused}"),
        };
        let messages: Vec<_> = messages.collect();
        self.channels[index] = Some(Channel { handle, gpadl, downstream, echo });
        for message in messages {
            self.say(host, Ok(message));
        }
    }

    fn open(&mut self, host: &mut impl Host<M>, gpadl: GpadlId) {
        let found = self.channels.iter().flatten().find(|channel| channel.gpadl == gpadl);
        let Some(Channel { handle, downstream, .. }) = found else { return };
        let (handle, open) = (*handle, Open::new(gpadl, *downstream, 0));
        let message = self.client.open(handle, &open);
        self.say(host, message);
    }

    /// Gives channel `index` a turn, if it is open.
    fn turn(&mut self, host: &mut impl Host<M>, index: usize) -> echo::Left {
        let Some(channel) = self.channels.get_mut(index).and_then(Option::as_mut) else {
            return echo::Left::Nothing;
        };
        let Some(known) = self.client.channel(channel.handle) else { return echo::Left::Nothing };
        if known.state() != ChannelState::Open {
            return echo::Left::Nothing;
        }
        match channel.echo.turn() {
            Ok((notify, left)) => {
                if notify == Notify::Signal {
                    let monitor = match self.client.connection() {
                        ConnectionState::Connected(negotiated) => negotiated.monitor_pages,
                        _ => None,
                    };
                    host.signal(known.signal(monitor));
                }
                left
            }
            Err(Broken(fault)) => {
                self.figures.broken = self.figures.broken.saturating_add(1);
                warn!("vmbus: host: {fault}");
                let handle = channel.handle;
                let message = self.client.close(handle);
                self.say(host, message);
                self.forget(|channel| channel.handle == handle);
                echo::Left::Nothing
            }
        }
    }

    /// Lets go of the channels that a fault has ended.
    fn forget_failed(&mut self, host: &mut impl Host<M>) {
        for index in 0..OPEN {
            let Some(handle) = self.channels[index].as_ref().map(|channel| channel.handle) else {
                continue;
            };
            match self.client.channel(handle).map(vmbus::client::Channel::state) {
                Some(ChannelState::Failed) => {
                    if let Ok(message) = self.client.close(handle) {
                        self.say(host, Ok(message));
                    }
                }
                Some(_) if self.is_connected() => continue,
                _ => {}
            }
            self.forget(|channel| channel.handle == handle);
        }
    }

    /// Lets go of channels; their memory stays the host's.
    fn forget(&mut self, which: impl Fn(&Channel<M>) -> bool) {
        for entry in &mut self.channels {
            if entry.as_ref().is_some_and(&which)
                && let Some(channel) = entry.take()
            {
                self.closed = add(self.closed, channel.echo.figures());
            }
        }
    }

    fn position(&self, which: impl Fn(&Channel<M>) -> bool) -> Option<usize> {
        self.channels.iter().position(|entry| entry.as_ref().is_some_and(&which))
    }

    /// Posts a message, or has it wait behind others.
    fn say(&mut self, host: &mut impl Host<M>, message: Result<Outgoing, Refused>) {
        match message {
            Ok(message) if self.queue.len() < QUEUE => {
                self.queue.push_back(message);
                if self.queue.len() == 1 {
                    self.retry(host);
                }
            }
            Ok(_) => self.give_up(HvStatus::INSUFFICIENT_BUFFERS),
            Err(refused) => warn!("vmbus: {refused}"),
        }
    }

    /// Nothing more is said to this host, and nothing of it believed.
    fn give_up(&mut self, status: HvStatus) {
        info!("vmbus: host: takes no messages: status={:#x}", status.0);
        self.queue.clear();
        self.forget(|_| true);
        self.client.reset();
    }
}

fn add(one: echo::Figures, other: echo::Figures) -> echo::Figures {
    echo::Figures {
        sent: one.sent.saturating_add(other.sent),
        answered: one.answered.saturating_add(other.answered),
        wrong: one.wrong.saturating_add(other.wrong),
    }
}

#[cfg(test)]
mod tests;
