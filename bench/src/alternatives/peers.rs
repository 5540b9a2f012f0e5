// SPDX-License-Identifier: MIT OR Apache-2.0
//! The structures that another relay had, one after the other, made again from their description.
//!
//! All end alike: a filter word is read, the vector's bit is set by a locked OR, a flag is stored. What
//! a program cannot do is left out, in their favour: saving and clearing the interrupt flag around
//! the first one's lock, the generic interrupt entry before the third one's chain, and the EOI.
//!
//! # Orderings
//! Locks bring their own; what is read under none is Relaxed, as a bit carries nothing but itself.

use core::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, Release},
};

use crossbeam_utils::CachePadded;
use proxy_irq::{SLOTS, Slot};
use spin::Mutex;

use crate::{
    alternatives::atomics::{Bytes, Sequence},
    variant::{
        About, CPUS, Family, Pending, Scope, TOGGLED, Variant, full_table, toggled, vector_of,
    },
};

/// What all of them do once they know the vector.
#[inline(always)]
fn assert_filtered(pending: &Pending, vector: u8) {
    let (bank, mask) = (usize::from(vector >> 5), 1 << (vector & 31));
    if vector != 0 && pending.blocked[bank].load(Relaxed) & mask == 0 {
        pending.irr[bank].fetch_or(mask, Relaxed);
        pending.scan.store(1, Release);
    }
}

/// An array behind a spinlock.
#[derive(Debug)]
pub struct Spinlocked;

impl Variant for Spinlocked {
    const ABOUT: About = About {
        id: "peer-v1",
        name: "peer v1: spinlock",
        family: Family::Peer,
        scope: Scope::Shared,
    };
    type Table = CachePadded<Mutex<[u8; SLOTS]>>;
    type View = Mutex<[u8; SLOTS]>;
    type Local<'a> = &'a Mutex<[u8; SLOTS]>;
    type Key = Slot;

    fn table() -> Self::Table {
        CachePadded::new(Mutex::new(full_table()))
    }

    fn local(table: &Self::Table) -> &Mutex<[u8; SLOTS]> {
        table
    }

    fn key(slot: Slot) -> Slot {
        slot
    }

    #[inline(always)]
    fn post(view: &Mutex<[u8; SLOTS]>, pending: &Pending, slot: Slot) {
        let entries = view.lock();
        let vector = entries[slot.index()];
        drop(entries);
        assert_filtered(pending, vector);
    }

    fn write(table: &Self::Table, _cpus: &[Pending; CPUS], turn: u64) -> bool {
        table.lock()[TOGGLED] = toggled(turn);
        true
    }
}

/// An array under one sequence count.
#[derive(Debug)]
pub struct Counted {
    sequence: Sequence,
    bytes: Bytes,
}

/// The same with a sequence count.
#[derive(Debug)]
pub struct SequenceCounted;

impl Variant for SequenceCounted {
    const ABOUT: About = About {
        id: "peer-v2",
        name: "peer v2: seqcount",
        family: Family::Peer,
        scope: Scope::Shared,
    };
    type Table = Counted;
    type View = Counted;
    type Local<'a> = &'a Counted;
    type Key = Slot;

    fn table() -> Counted {
        Counted { sequence: Sequence::default(), bytes: Bytes::full() }
    }

    fn local(table: &Counted) -> &Counted {
        table
    }

    fn key(slot: Slot) -> Slot {
        slot
    }

    #[inline(always)]
    fn post(view: &Counted, pending: &Pending, slot: Slot) {
        assert_filtered(pending, view.sequence.read(|| view.bytes.get(slot)));
    }

    fn write(table: &Counted, _cpus: &[Pending; CPUS], turn: u64) -> bool {
        table.sequence.write(|| table.bytes.toggle(turn));
        true
    }
}

/// What an action's handler is given besides.
type Handler = fn(&Action, &Pending) -> bool;

/// What is to be done at an interrupt.
#[derive(Debug)]
pub struct Action {
    handler: Handler,
    vector: u8,
    next: Option<&'static Self>,
}

/// The generic description of one interrupt.
#[derive(Debug)]
#[repr(align(128))]
pub struct Description {
    flow: fn(&Self, &Pending),
    state: Mutex<State>,
    count: AtomicU64,
    unhandled: AtomicU64,
}

#[derive(Debug)]
struct State {
    action: Option<&'static Action>,
    is_pending: bool,
    is_in_progress: bool,
    is_disabled: bool,
}

/// A CPU's vectors.
#[derive(Debug)]
pub struct Vectors {
    descriptions: [Option<Box<Description>>; 256],
    toggled: &'static Action,
}

/// The first reserved vector; the slots follow it.
const FIRST: usize = 0x40;

/// Vector → description → flow handler → action → bit.
#[derive(Debug)]
pub struct Chain;

impl Variant for Chain {
    const ABOUT: About = About {
        id: "peer-chain",
        name: "vector → desc → action",
        family: Family::Peer,
        scope: Scope::PerCpu,
    };
    type Table = Vectors;
    type View = Vectors;
    type Local<'a> = &'a Vectors;
    type Key = u8;

    fn table() -> Vectors {
        let action = |slot: usize| -> &'static Action {
            Box::leak(Box::new(Action { handler: relay, vector: vector_of(slot), next: None }))
        };
        let description = |vector: usize| {
            let slot = vector.checked_sub(FIRST).filter(|slot| *slot < SLOTS)?;
            Some(Box::new(Description::new(action(slot))))
        };
        Vectors { descriptions: core::array::from_fn(description), toggled: action(TOGGLED) }
    }

    fn local(table: &Vectors) -> &Vectors {
        table
    }

    fn key(slot: Slot) -> u8 {
        0x40 + slot.get()
    }

    #[inline(always)]
    fn post(view: &Vectors, pending: &Pending, vector: u8) {
        if let Some(description) = &view.descriptions[usize::from(vector)] {
            (description.flow)(description, pending);
        }
    }

    fn write(table: &Vectors, _cpus: &[Pending; CPUS], turn: u64) -> bool {
        let Some(description) = &table.descriptions[FIRST + TOGGLED] else { return false };
        let mut state = description.state.lock();
        state.action = (toggled(turn) != 0).then_some(table.toggled);
        // An action is gone when no handler of it is under way.
        while state.is_in_progress {
            drop(state);
            core::hint::spin_loop();
            state = description.state.lock();
        }
        true
    }
}

impl Description {
    fn new(action: &'static Action) -> Self {
        let state = State {
            action: Some(action),
            is_pending: false,
            is_in_progress: false,
            is_disabled: false,
        };
        Self {
            flow: simple,
            state: Mutex::new(state),
            count: AtomicU64::new(0),
            unhandled: AtomicU64::new(0),
        }
    }
}

/// The flow of an interrupt that needs nothing of its controller.
fn simple(description: &Description, pending: &Pending) {
    let mut state = description.state.lock();
    if state.is_in_progress {
        return;
    }
    description.count.store(description.count.load(Relaxed) + 1, Relaxed);
    if state.is_disabled || state.action.is_none() {
        state.is_pending = true;
        return;
    }
    state.is_pending = false;
    state.is_in_progress = true;
    let mut action = state.action;
    drop(state);
    let mut handled = false;
    while let Some(this) = action {
        handled |= (this.handler)(this, pending);
        action = this.next;
    }
    if !handled {
        description.unhandled.store(description.unhandled.load(Relaxed) + 1, Relaxed);
    }
    description.state.lock().is_in_progress = false;
}

/// The relay's own handler at the end of the chain.
fn relay(action: &Action, pending: &Pending) -> bool {
    assert_filtered(pending, action.vector);
    true
}
