// SPDX-License-Identifier: MIT OR Apache-2.0
//! Root and context entries: which address space a device is in.
//!
//! There is one domain, the TD's shared memory. A device is in it or in none; a device in none has a
//! context entry that is not present, and every request of it is a fault.
//!
//! Spec: VT-D "Root Entry", "Context Entry".

const PRESENT: u64 = 1 << 0;

/// The number of the one domain. Zero is left to hardware that caches what is not present.
pub(super) const DOMAIN: u64 = 1;

/// Offset of the context entry of a device in the table of its bus.
pub(super) fn context_offset(devfn: u8) -> u64 {
    u64::from(devfn) * 16
}

/// The lower half of a root entry; the upper one is zero.
pub(super) fn root(context_table: u64) -> u64 {
    context_table | PRESENT
}

/// The two halves of a context entry: requests are translated by the second-level tables at `root`.
pub(super) fn context(root: u64, levels: u8) -> (u64, u64) {
    let width = u64::from(levels) - 2;
    (root | PRESENT, width | DOMAIN << 8)
}

#[cfg(test)]
mod tests {
    use super::{context, context_offset, root};

    #[test]
    fn entries_have_the_hardware_s_format() {
        assert_eq!(root(0x5000), 0x5001);
        assert_eq!(context(0x7000, 3), (0x7001, 0x101)); // 39 bits
        assert_eq!(context(0x7000, 4), (0x7001, 0x102)); // 48 bits
        assert_eq!(context_offset(0x1f << 3 | 2), 0xfa * 16);
    }
}
