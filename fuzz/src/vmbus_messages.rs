// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that sends messages, and a client that goes on as if nothing had happened.
//!
//! An input is a list of steps. The first byte of a step says which: below 32 a command to the client,
//! with one byte for the channel and one for the memory; else a message of the host, with one byte of
//! type, one of length, and the body.

use vmbus::{
    Client, Config, Ends, Event, Features, Guid, Version,
    client::{ChannelState, ConnectionState, Interrupt, MonitorPages, Open, SignalParameters},
    message::{ConnectionId, GpadlId, GpadlRange, MAX_MESSAGE, Outgoing},
    synic::SintIndex,
};

use crate::Input;

type Small = Client<4, 4>;

const CONFIG: Config = Config {
    contact: ConnectionId::CONTACT,
    newest: Version::V6_0,
    oldest: Version::V5_2,
    features: Features::all(),
    target_vp: 0,
    sint: 2,
    vtl: 0,
    monitor_pages: Some(MonitorPages { parent_to_child: 0x1000, child_to_parent: 0x2000 }),
    client_id: Guid::from_bytes([7; 16]),
};

/// Carries out the steps; after each, checks what holds.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let mut client = Small::new(CONFIG);
    while let Some(step) = input.byte() {
        if step < 32 {
            command(&mut client, step, &mut input);
        } else {
            message(&mut client, step, &mut input);
        }
        check(&client);
    }
}

/// Hands over a message. What the client drops must leave it as it was.
fn message(client: &mut Small, step: u8, input: &mut Input<'_>) {
    let mut bytes = [0; MAX_MESSAGE];
    if let Some(kind) = input.byte() {
        bytes[0] = kind & 31;
    }
    let length = input.byte().map_or(0, usize::from).min(MAX_MESSAGE - 8);
    let body = input.bytes(length);
    // A body may begin at the end of an offer, where its numbers are.
    let start = if step & 1 == 0 { 8 } else { 184 };
    let room = &mut bytes[start..];
    let length = body.len().min(room.len());
    room[..length].copy_from_slice(&body[..length]);
    let end = if step & 2 == 0 { MAX_MESSAGE } else { start + length };
    let before = *client.connection();
    let result = client.handle(&bytes[..end]);
    if !matches!(before, ConnectionState::Connected(_) | ConnectionState::Contacting) {
        // There is nothing that could end, and nothing begins; an unload can be answered.
        assert!(!result.is_err_and(|fault| fault.ends != Ends::Nothing));
        let after = *client.connection();
        assert!(after == before || result == Ok(Event::Unloaded));
    }
}

fn command(client: &mut Small, which: u8, input: &mut Input<'_>) {
    let channel = input.byte().map_or(0, usize::from) % 4;
    let gpadl = GpadlId::new(u32::from(input.byte().unwrap_or(0)) % 8);
    let handle = client.channels().nth(channel).map(|(handle, _)| handle);
    let plain = Open::new(gpadl, 1, 0);
    let interrupt = Interrupt::Redirected;
    let connection = ConnectionId::new(9);
    let signal = Some(SignalParameters { connection, event_flag: 77, interrupt });
    let sent = match (which, handle) {
        (0, _) => client.initiate_contact(),
        (1, _) => client.request_offers(),
        (2, Some(handle)) => return describe(client, handle),
        (3, Some(handle)) => client.open(handle, &plain),
        (4, Some(handle)) => client.close(handle),
        (5, _) => client.teardown_gpadl(gpadl),
        (6, Some(handle)) => client.release(handle),
        (7, Some(handle)) => client.modify_channel(handle, 1),
        (8, _) => client.modify_connection(None),
        (9, Some(handle)) => client.open_reserved(handle, &plain, SintIndex::VMBUS),
        (10, Some(handle)) => client.close_reserved(handle, 0, SintIndex::VMBUS),
        (11, _) => client.pause(),
        (12, _) => client.resume(),
        (13, _) => client.unload(),
        (14, Some(handle)) => client.open(handle, &Open { signal, ..plain }),
        (15, _) => return client.reset(),
        _ => return,
    };
    if let Ok(message) = sent {
        sane(&message);
    }
}

fn describe(client: &mut Small, handle: vmbus::client::ChannelHandle) {
    let pages: Vec<u64> = (0..60).collect();
    let ranges = GpadlRange::pages(&pages).into_iter().collect::<Vec<_>>();
    if let Ok((_, messages)) = client.create_gpadl(handle, &ranges) {
        assert_eq!(messages.inspect(sane).count(), 3);
    }
}

fn sane(message: &Outgoing) {
    assert!((8..=MAX_MESSAGE).contains(&message.bytes().len()));
}

fn check(client: &Small) {
    let mut ids: Vec<_> =
        client.channels().map(|(_, channel)| channel.offer().channel.get()).collect();
    let channels = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), channels, "two channels with one number");
    let connected =
        !matches!(client.connection(), ConnectionState::Disconnected | ConnectionState::Contacting);
    assert!(connected || channels == 0, "a channel without a connection");
    for (handle, channel) in client.channels() {
        assert!(client.channel(handle).is_some());
        let in_use = matches!(channel.state(), ChannelState::Opening | ChannelState::Open);
        assert!(!in_use || channel.ring().is_some(), "an open channel has its memory");
        let _ = channel.signal(CONFIG.monitor_pages);
    }
}
