// SPDX-License-Identifier: MIT OR Apache-2.0
//! The relay of posted device interrupts from L1 to L2.
//!
//! The promise: *relay software at the physical floor; wait-free; nothing lost; nothing that L2 did
//! not ask for.* The crate knows no hardware: the binary brings the interrupt handlers, the entry into
//! L2, the kick and the lock of the control plane.
//!
//! ```text
//!  device message on reserved vector r                 other CPU, host's message, L2's IPI
//!         │ interrupt of the owner                               │
//!         ▼                                                      ▼
//!  slots[r]: one word  ── RelayBlock::on_posted       remote bank, then flag ── post_remote
//!         │                                                      │        └─▶ kick, if needed
//!         ▼                                                      │
//!  page[index] |= mask                                           │
//!   ├─ VIRR of L2, at once                                       ▼
//!   └─ bank in the same page ── RelayBlock::drain ◀────────── filter
//!                                    │
//!                                    └─▶ VIRR, RVI ──▶ try_enter_l2 ──▶ TDG.VP.ENTER
//!
//!  Relay::map, unmap, mask ──▶ slots, or mailbox ──▶ RelayBlock::service ──▶ Ticket::poll
//! ```
//!
//! # Invariants
//!
//! Comments cite them by name.
//!
//! - **`OWNER-BANKS`**: VIRR, banks and dirty flag are touched by the owner CPU alone: in its interrupt
//!   handlers, which do not nest, and in its main context with IF=0 while L2 is out. So a plain load
//!   and store is a modification, and the local path has no lock prefix.
//! - **`ONE-WORD`**: a slot is one 64-bit word. It is read once per interrupt and never half-written;
//!   an unmapped slot is an ordinary word that points at the spurious bank.
//! - **`BANKED-FIRST`**: a new mapping posts into a bank, which is right in every mode. Only the owner
//!   redirects it into the VIRR, and back.
//! - **`BANKED-ANNOUNCED`**: that a slot may post into a bank of vectors is said before it can. As long as
//!   nobody says so, the drain does not look there.
//! - **`FLAG-BY-RMW`**: data before flag, and the flag only by a read-modify-write. The owner clears the
//!   flag before it reads the data. Who finds it set has nothing more to do.
//! - **`PUBLISH-FIRST`**: a slot or a grant is live before the host can learn of it.
//! - **`OWNER-UNMAPS`**: a mapping in use is changed by the owner's main context, which cannot run
//!   while a handler of that CPU is half done. An unmap is over when the owner says so.
//! - **`SILENCE-IS-NO-ANSWER`**: a timeout never counts as the owner's answer. The slot goes into
//!   quarantine; the untrusted host may have frozen the CPU between two instructions.
//! - **`EXACT-FILTER`**: of the vectors whose choice the host has a hand in, only those that L2 has
//!   configured on that very CPU reach its VIRR. The others are counted, per vector, and dropped.
//!
//! A wrong caller (another CPU, IF=1) can lose interrupts but cannot harm memory: there is no unsafe
//! code here.
//!
//! # Example
//!
//! ```
//! use proxy_irq::{Kick, L2Vector, Relay, RelayBlock, ReservedBlock, Source};
//!
//! static BLOCKS: [RelayBlock; 2] = [const { RelayBlock::new() }; 2];
//! let reserved = ReservedBlock::new(0x40).ok_or("not aligned")?;
//! let mut relay = Relay::new(&BLOCKS, reserved);
//!
//! // L2 routes a device's interrupt to vector 0x51 of CPU 1: the device gets a reserved vector.
//! let vector = L2Vector::new(0x51).ok_or("not a vector")?;
//! let mapping = relay.map(1, vector, Source { device: 0x10, entry: 0 })?;
//! let message = mapping.reserved_vector().get();
//! assert_eq!(message, 0x40);
//!
//! // The interrupt arrives on CPU 1, whose loop then moves it into L2's virtual APIC.
//! let block = &BLOCKS[1];
//! block.on_posted(reserved.slot(message).ok_or("not ours")?);
//! block.service(|| 0);
//! let drained = block.drain(0);
//! assert_eq!((drained.rvi, block.page().deliverable()), (0x51, Some(vector)));
//! assert!(block.try_enter_l2().is_ok());
//!
//! // CPU 0 unmaps. CPU 1 is in L2, so it must be kicked; when it has served, the ticket is ready.
//! let ticket = relay.unmap(mapping)?;
//! assert_eq!(ticket.kick(), Kick::Needed);
//! block.resume();
//! block.service(|| 0);
//! assert!(ticket.poll().is_ready());
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(all(test, not(loom)))]
extern crate self as proxy_irq;

mod sync;

/// A drain that tells all that it did.
#[cfg(all(test, not(loom)))]
#[path = "../tests/told/mod.rs"]
mod told;

/// Reserved vectors of L1, their slots, vectors of L2.
pub mod reserved_vector;

/// The word that says where an interrupt goes.
pub mod slot;

/// The state of one virtual CPU.
pub mod block;

/// Interrupt → pending bit.
pub mod post;

/// Pending bit → L2's virtual APIC.
pub mod drain;

/// L2's virtual APIC.
pub mod virtual_apic;

/// Straight into the virtual APIC, or by way of a bank.
pub mod redirect;

/// Running, in L2, halted: who must be kicked.
pub mod enter_state;

/// Requests to the owner of a block.
pub mod mailbox;

/// Interrupts that one CPU takes for another.
pub mod forward;

/// The control plane: map, unmap, retarget, mask, grant.
pub mod map;

/// What becomes of a mapping when slots run out.
pub mod ladder;

/// The end of a device.
pub mod teardown;

mod cpu_book;

mod unposted;

/// Handles, errors, and what is said about a mapping.
pub mod mapping;

/// The list of all mappings.
pub mod listing;

/// What was done, in figures.
pub mod counters;

pub use block::RelayBlock;
pub use counters::Figures;
pub use drain::{Aside, Drained};
pub use enter_state::{EnterState, Kick, Work};
pub use mailbox::{Arrived, Filter, Messages, Ticket};
pub use map::Relay;
pub use mapping::{
    Grant, Listed, MapError, Mapping, Masking, Mode, Promotion, Reason, Source, Stale,
};
pub use redirect::ApicMode;
pub use reserved_vector::{L2Vector, ReservedBlock, ReservedVector, SLOTS, Slot};
pub use slot::{RemoteWord, SlotWord, Target};
pub use teardown::Teardown;
pub use virtual_apic::{Ended, Register, Trigger, VirtualApicPage};
