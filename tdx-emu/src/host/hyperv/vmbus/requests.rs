// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host does for each message of the client.
//!
//! Each returns whether the message made sense.

use super::{
    Channel, Connection, MESSAGES, Port, Vmbus,
    channel::Device,
    memory::Outcome,
    wire::{Answer, Contact, Open, Request},
};
use crate::host::hyperv::{
    guest::{Guest, SHARED_BIT, is_shared},
    synic::SINTS,
};

/// Versions: changes of a channel are answered, and features exist.
const V5_2: u32 = 0x5_0002;
const V5_3: u32 = 0x5_0003;
const V6_0: u32 = 0x6_0000;
const VERSIONS: [u32; 3] = [V6_0, V5_3, V5_2];

/// Signals chosen by the client, redirection, other monitor pages, the client's name, silence.
const FEATURES: u32 = 1 | 2 | 4 | 8 | 0x20;
const CHOICE_OF_SIGNALS: u32 = 1;
const REDIRECTION: u32 = 2;
const MODIFY_CONNECTION: u32 = 4;
const PAUSE_RESUME: u32 = 0x20;

/// What is said of something that fails: NTSTATUS invalid parameter.
const FAILURE: u32 = 0xc000_000d;

/// The first number of a channel.
const FIRST_CHANNEL: u32 = 1;

impl<G: Guest> Vmbus<G> {
    pub(super) fn obey(&mut self, guest: G, port: Port, request: Request) -> bool {
        match (port, request) {
            (Port::Contact, Request::Contact(contact)) => self.contact(guest, contact),
            (_, Request::Unload) => self.unload(),
            (Port::Messages, request) if self.connection.is_some() => {
                self.connected(guest, request)
            }
            _ => false,
        }
    }

    fn connected(&mut self, guest: G, request: Request) -> bool {
        match request {
            Request::Offers => self.offer_all(),
            Request::Memory { channel, gpadl, bytes, ranges, words } => {
                if self.find(channel).is_none() {
                    return self.created(Outcome::Refused(channel), gpadl);
                }
                let size = (bytes, ranges);
                let outcome = self.memory.begin(guest, (channel, gpadl), size, &words);
                self.created(outcome, gpadl)
            }
            Request::MoreMemory { gpadl, words } => {
                let outcome = self.memory.go_on(guest, gpadl, &words);
                self.created(outcome, gpadl)
            }
            Request::ForgetMemory { channel: _, gpadl } => self.forget(gpadl),
            Request::Open(open) => self.open(guest, open),
            Request::Close(channel) => self.close(channel),
            Request::Released(channel) => self.released(channel),
            Request::Modify { channel, target_vp } => self.modify(guest, channel, target_vp),
            Request::ModifyConnection(pages) => self.modify_connection(guest, pages),
            Request::Pause => self.pause(),
            Request::Resume => self.resume(),
            Request::OpenReserved { open, sint } => self.open_reserved(guest, &open, sint),
            Request::CloseReserved { channel, target_vp, sint } => {
                self.close_reserved(guest, channel, (target_vp, sint))
            }
            Request::Contact(_) | Request::Unload => false,
        }
    }

    /// A version is proposed. Whoever proposes one anew begins anew.
    fn contact(&mut self, guest: G, contact: Contact) -> bool {
        if !self.is_there(guest, contact.target_vp) || usize::from(contact.sint) >= SINTS {
            return false;
        }
        self.forget_all();
        let supported = VERSIONS.contains(&contact.version)
            && contact.version <= self.manner.newest
            && are_pages(guest, contact.monitor_pages);
        let has_features = contact.version >= V6_0;
        let features = if has_features { contact.features & FEATURES } else { 0 };
        if supported {
            let (monitor_pages, paused, offered) = (contact.monitor_pages, false, false);
            self.connection =
                Some(Connection { contact, features, monitor_pages, paused, offered });
            log::info!("vmbus: contact: version={:#x} features={features:#x}", contact.version);
        }
        let features = has_features.then_some(features);
        self.answer_to(contact, Answer::Version { supported, connection: MESSAGES, features });
        true
    }

    fn offer_all(&mut self) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        if connection.offered {
            return false;
        }
        connection.offered = true;
        for (id, device) in (FIRST_CHANNEL..).zip([Device::Echo, Device::MonitoredEcho]) {
            self.offer(id, device);
        }
        self.answer(Answer::AllOffersDelivered);
        true
    }

    fn offer(&mut self, id: u32, device: Device) {
        let Some(connection) = &self.connection else { return };
        let channel = Channel::new(id, device, connection.contact.sint);
        let offer = channel.offer();
        self.channels.push(channel);
        self.answer(Answer::Offer(offer));
    }

    fn created(&mut self, outcome: Outcome, gpadl: u32) -> bool {
        let (channel, status) = match outcome {
            Outcome::More => return true,
            Outcome::Nonsense => return false,
            Outcome::Created(channel) => (channel, 0),
            Outcome::Refused(channel) => (channel, FAILURE),
        };
        self.answer(Answer::GpadlCreated { channel, gpadl, status });
        true
    }

    fn forget(&mut self, gpadl: u32) -> bool {
        let in_use = |id| self.channels.iter().any(|channel| channel.uses(id));
        match self.memory.forget(gpadl, in_use) {
            Outcome::Created(_) => self.answer(Answer::GpadlTorndown(gpadl)),
            Outcome::More => {}
            Outcome::Nonsense | Outcome::Refused(_) => return false,
        }
        true
    }

    fn open(&mut self, guest: G, mut open: Open) -> bool {
        let Some(connection) = self.connection else { return false };
        if connection.features & (CHOICE_OF_SIGNALS | REDIRECTION) == 0 {
            open.signal = None;
        } else if open.signal.is_none() {
            return false;
        }
        let (channel, open_id) = (open.channel, open.open_id);
        let rings = self.memory.rings(guest, (channel, open.gpadl), open.downstream_page);
        let target = self.is_target(guest, open.target_vp);
        let taken = open.signal.is_some_and(|(connection, _)| {
            self.channels.iter().any(|channel| channel.listens_at(connection))
        });
        let opened = self
            .find(channel)
            .filter(|_| target && !taken)
            .and_then(|channel| channel.open(&open, rings, None));
        let status = if opened.is_some() { 0 } else { FAILURE };
        self.answer(Answer::OpenResult { channel, open_id, status });
        true
    }

    /// A reserved channel says itself where it is answered and interrupted.
    fn open_reserved(&mut self, guest: G, open: &Open, sint: u32) -> bool {
        let Some(source) = source(sint).filter(|_| self.is_there(guest, open.target_vp)) else {
            return false;
        };
        let channel = open.channel;
        let rings = self.memory.rings(guest, (channel, open.gpadl), open.downstream_page);
        let opened = self.find(channel).and_then(|found| found.open(open, rings, Some(source)));
        let status = if opened.is_some() { 0 } else { FAILURE };
        let answer = Answer::OpenResult { channel, open_id: open.open_id, status };
        self.answer_at((open.target_vp, sint), answer);
        true
    }

    fn close_reserved(&mut self, guest: G, channel: u32, at: (u32, u32)) -> bool {
        let reserved = self.find(channel).is_some_and(|found| found.is_reserved());
        if !reserved || source(at.1).is_none() || !self.is_there(guest, at.0) {
            return false;
        }
        let closed = self.close_any(channel);
        self.answer_at(at, Answer::ReservedClosed(channel));
        closed
    }

    fn close(&mut self, channel: u32) -> bool {
        let reserved = self.find(channel).is_some_and(|found| found.is_reserved());
        !reserved && self.close_any(channel)
    }

    fn close_any(&mut self, channel: u32) -> bool {
        let Some(gpadl) = self.find(channel).and_then(Channel::close) else { return false };
        if self.memory.unused(gpadl) {
            self.answer(Answer::GpadlTorndown(gpadl));
        }
        true
    }

    /// The number of a channel that was taken away is free; its device comes back with another.
    fn released(&mut self, id: u32) -> bool {
        let gone = |channel: &Channel<G>| channel.id() == id && channel.rescinded;
        let Some(index) = self.channels.iter().position(gone) else { return false };
        let device = self.channels.remove(index).device();
        self.memory.forget_channel(id);
        let last = self.channels.iter().map(Channel::id).max().unwrap_or(0).max(id);
        self.offer(last.wrapping_add(1), device);
        true
    }

    fn modify(&mut self, guest: G, channel: u32, target_vp: u32) -> bool {
        let target = self.is_target(guest, target_vp);
        let moved = self.find(channel).filter(|_| target).and_then(|found| found.modify(target_vp));
        let status = if moved.is_some() { 0 } else { FAILURE };
        if self.connection.is_some_and(|connection| connection.contact.version >= V5_3) {
            self.answer(Answer::Modified { channel, status });
        }
        moved.is_some()
    }

    fn modify_connection(&mut self, guest: G, pages: [u64; 2]) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        if connection.features & MODIFY_CONNECTION == 0 {
            return false;
        }
        let good = are_pages(guest, pages);
        if good {
            connection.monitor_pages = pages;
        }
        self.answer(Answer::ConnectionModified { state: u8::from(!good) });
        true
    }

    /// Silence, of which the beginning is told.
    fn pause(&mut self) -> bool {
        let asked =
            |connection: &Connection| connection.features & PAUSE_RESUME != 0 && !connection.paused;
        if !self.connection.as_ref().is_some_and(asked) {
            return false;
        }
        self.answer(Answer::Paused);
        if let Some(connection) = &mut self.connection {
            connection.paused = true;
        }
        true
    }

    fn resume(&mut self) -> bool {
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.paused)
        else {
            return false;
        };
        connection.paused = false;
        self.outgoing.append(&mut self.held);
        true
    }

    fn unload(&mut self) -> bool {
        let Some(contact) = self.connection.map(|connection| connection.contact) else {
            return false;
        };
        self.forget_all();
        self.answer_to(contact, Answer::UnloadComplete);
        true
    }

    pub(super) fn forget_all(&mut self) {
        self.connection = None;
        self.memory.clear();
        self.channels.clear();
        self.outgoing.clear();
        self.held.clear();
    }

    /// Takes the first channel away when its time has come.
    pub(super) fn rescind_if_due(&mut self, index: usize) {
        let Some(after) = self.manner.rescind_after else { return };
        let Some(channel) = self.channels.get_mut(index) else { return };
        if channel.device() != Device::Echo || channel.packets() < after {
            return;
        }
        channel.rescinded = true;
        let (id, gpadl) = (channel.id(), channel.close());
        self.manner.rescind_after = None;
        if gpadl.is_some_and(|gpadl| self.memory.unused(gpadl)) {
            log::debug!("vmbus: memory is gone with channel {id}");
        }
        self.answer(Answer::Rescind(id));
    }

    fn find(&mut self, id: u32) -> Option<&mut Channel<G>> {
        self.channels.iter_mut().find(|channel| channel.id() == id)
    }

    fn is_target(&self, guest: G, target_vp: u32) -> bool {
        target_vp == u32::MAX || self.is_there(guest, target_vp)
    }

    fn is_there(&self, guest: G, target_vp: u32) -> bool {
        usize::try_from(target_vp).is_ok_and(|vp| vp < guest.cpus())
    }
}

/// A source, if there is one of that number.
fn source(sint: u32) -> Option<u8> {
    u8::try_from(sint).ok().filter(|sint| usize::from(*sint) < SINTS)
}

/// Whether monitor pages are shared, or absent.
fn are_pages(guest: impl Guest, pages: [u64; 2]) -> bool {
    pages.iter().all(|gpa| {
        *gpa == 0 || gpa.is_multiple_of(4096) && *gpa < SHARED_BIT << 1 && is_shared(guest, *gpa)
    })
}
