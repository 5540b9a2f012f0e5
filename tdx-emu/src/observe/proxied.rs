// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages of devices that the host takes and asks L1 to pass on.
//!
//! They count in rows of their own, by the vector of L2, from the device to the delivery. What the host merged on
//! its way is told like what was merged at the delivery: one was relayed, the others with it.

use super::{
    Event, note, of,
    rows::{Key, Row},
};

/// The device behind `irte_source` sent a message; L1 will be asked to pass `vector` on to L2.
pub(crate) fn proxied(irte_source: u8, cpu: usize, vector: u8) {
    note(cpu, Event::Device, vector, u64::from(irte_source));
    if let Some(row) = row_of(irte_source, cpu, vector) {
        row.messages.bump();
        row.in_flight.bump();
    }
}

/// For that message the host made the virtual CPU exit, or end its halt.
pub(crate) fn proxy_called(irte_source: u8, cpu: usize, vector: u8) {
    if let Some(row) = row_of(irte_source, cpu, vector) {
        row.kicks.bump();
    }
}

/// When the run ends, L1 has not taken the host's request for this vector.
pub(crate) fn proxied_in_vain(cpu: usize, vector: u8) {
    let rows = of(cpu).rows.used();
    for (_, row) in rows.filter(|(key, _)| key.is_proxied() && key.vector == vector) {
        row.waiting.add(row.in_flight.take());
    }
}

fn row_of(source: u8, cpu: usize, vector: u8) -> Option<&'static Row> {
    let rows = &of(cpu).rows;
    let found = rows.open(Key::proxied(source, vector));
    if found.is_none() {
        rows.untold.bump();
    }
    found.map(|(_, row)| row)
}
