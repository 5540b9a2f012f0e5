// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device's interrupt changes its way, from messages of the host to a reserved vector and back, while
//! it is being raised: it arrives, and is never filtered.
//!
//! The host is a lock: what it was told counts for the next interrupt, and the last one has arrived in
//! L1's IRR or in the message slot by then.

use loom::{
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicBool,
            Ordering::{AcqRel, Acquire},
        },
    },
    thread,
};
use proxy_irq::{
    Arrived, Filter, Grant, Mapping, Messages, Register, Relay, RelayBlock, ReservedBlock, Source,
    Work,
};

use crate::{explore_bounded, fails_with, slot, told, vector};

const SOURCE: Source = Source { device: 1, entry: 0 };

/// The way that the host was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Proxied,
    Posted,
}

/// The host, and what it has brought to L1's CPU.
struct Host {
    way: Mutex<Way>,
    irr: AtomicBool,
    message: AtomicBool,
}

impl Host {
    fn new(way: Way) -> Self {
        Self { way: Mutex::new(way), irr: AtomicBool::new(false), message: AtomicBool::new(false) }
    }

    /// The device raises its interrupt. By exchanges, because loom could have a plain store be undone by an
    /// exchange that came before it.
    fn raise(&self) {
        let way = self.way.lock().unwrap();
        match *way {
            Way::Proxied => _ = self.message.swap(true, AcqRel),
            Way::Posted => _ = self.irr.swap(true, AcqRel),
        }
    }

    fn retarget(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    /// The CPU lets its interrupts through: the reserved vector's handler, and the SynIC's.
    fn let_through(&self, block: &RelayBlock) {
        if self.irr.swap(false, Acquire) {
            block.on_posted(slot(0));
        }
        self.take_message(block);
    }

    fn take_message(&self, block: &RelayBlock) {
        if self.message.swap(false, Acquire) {
            let _ = block.post_remote(vector(0x51));
        }
    }

    fn reserved_irr(&self) -> u32 {
        u32::from(self.irr.load(Acquire))
    }
}

/// How the owner serves requests.
type Serve = fn(&Host, &RelayBlock);

/// As the loop around L2 does.
fn serve(host: &Host, block: &RelayBlock) {
    block.service_after(|filter| {
        if filter == Filter::Shrinks {
            host.take_message(block);
        }
        Arrived { reserved_irr: host.reserved_irr(), messages: Messages::Taken }
    });
}

/// Looks for interrupts first, and executes whatever has been asked for by the end of that.
fn serve_after_a_look(host: &Host, block: &RelayBlock) {
    host.take_message(block);
    if host.reserved_irr() == 0 {
        block.service(|| 0);
    }
}

/// One interrupt is raised while the control plane does `switch`, which raises another at the worst moment: to
/// find that by switches alone takes minutes.
fn switched(
    first: Way,
    serve: Serve,
    switch: fn(&mut Relay<'_, 1>, &Host, Option<Mapping>, Option<Grant>),
) {
    let blocks = Arc::new([RelayBlock::new()]);
    let host = Arc::new(Host::new(first));
    let device = {
        let host = Arc::clone(&host);
        thread::spawn(move || host.raise())
    };
    let mut relay = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
    let (mapping, grant) = match first {
        Way::Posted => (Some(relay.map(0, vector(0x51), SOURCE).unwrap()), None),
        Way::Proxied => (None, Some(relay.grant(0, vector(0x51), SOURCE).unwrap())),
    };
    drop(relay);
    let control = {
        let (blocks, host) = (Arc::clone(&blocks), Arc::clone(&host));
        thread::spawn(move || {
            // A book of its own, which begins with the same.
            let mut relay = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
            match first {
                Way::Posted => drop(relay.map(0, vector(0x51), SOURCE).unwrap()),
                Way::Proxied => drop(relay.grant(0, vector(0x51), SOURCE).unwrap()),
            }
            switch(&mut relay, &host, mapping, grant);
        })
    };
    let block = &blocks[0];
    let turn = || {
        host.let_through(block);
        if block.work().contains(Work::MAILBOX) {
            serve(&host, block);
        }
        let _ = told::drain(block, 0);
    };
    turn();
    device.join().unwrap();
    control.join().unwrap();
    turn();
    turn();
    let pends = block.page().read_bank(Register::IRR, 2) & vector(0x51).mask() != 0;
    assert!(pends, "the interrupt was lost");
    let figures = block.figures();
    assert_eq!((figures.filtered, figures.spurious), (0, 0), "an interrupt was lost");
}

fn to_posted(relay: &mut Relay<'_, 1>, host: &Host, _: Option<Mapping>, grant: Option<Grant>) {
    let _live = relay.map(0, vector(0x51), SOURCE).unwrap();
    host.raise();
    host.retarget(Way::Posted);
    let _ = relay.revoke(grant.unwrap()).unwrap();
}

fn to_proxied(relay: &mut Relay<'_, 1>, host: &Host, mapping: Option<Mapping>, _: Option<Grant>) {
    let _live = relay.grant(0, vector(0x51), SOURCE).unwrap();
    host.raise();
    host.retarget(Way::Proxied);
    let _ = relay.unmap(mapping.unwrap()).unwrap();
}

fn to_proxied_too_late(
    relay: &mut Relay<'_, 1>,
    host: &Host,
    mapping: Option<Mapping>,
    _: Option<Grant>,
) {
    host.retarget(Way::Proxied);
    host.raise();
    let _live = relay.grant(0, vector(0x51), SOURCE).unwrap();
    let _ = relay.unmap(mapping.unwrap()).unwrap();
}

#[test]
fn nothing_is_lost_on_the_way_to_a_reserved_vector() {
    explore_bounded(3, || switched(Way::Proxied, serve, to_posted));
}

#[test]
fn nothing_is_lost_on_the_way_to_messages() {
    explore_bounded(3, || switched(Way::Posted, serve, to_proxied));
}

#[test]
fn a_look_before_the_requests_are_known_loses_a_message() {
    fails_with(3, "lost", || switched(Way::Proxied, serve_after_a_look, to_posted));
}

#[test]
fn a_look_before_the_requests_are_known_loses_a_posted_interrupt() {
    fails_with(3, "lost", || switched(Way::Posted, serve_after_a_look, to_proxied));
}

#[test]
fn a_filter_that_opens_after_the_host_was_told_loses_a_message() {
    fails_with(3, "lost", || switched(Way::Posted, serve, to_proxied_too_late));
}
