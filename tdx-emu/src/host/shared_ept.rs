// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shared EPT: what the host maps into the TD's shared address space.
//!
//! Four levels in the format of AMD nested page tables, indexed by the guest-physical address
//! without its shared bit. An access of L1 to what is not mapped is a #VE (MMIO). Shared memory is
//! never executable.
//!
//! Spec: APM "Nested Paging"; TDX-BASE "Shared EPT".

use crate::machine::tables::{Format, Tables, Tree};

/// Present, writable, user: the processor wants the last one in nested tables.
const ACCESSIBLE: u64 = 0b111;
const NO_EXECUTE: u64 = 1 << 63;

/// The shared EPT of a TD.
pub(crate) type SharedEpt<T> = Tree<T>;

/// An empty shared EPT; `None` without memory.
pub(crate) fn empty<T: Tables>(tables: T) -> Option<SharedEpt<T>> {
    const FORMAT: Format = Format { levels: 4, table: ACCESSIBLE, page: ACCESSIBLE | NO_EXECUTE };
    Tree::new(tables, FORMAT)
}

#[cfg(test)]
mod tests {
    use super::empty;
    use crate::machine::tables::tests::{tables, walk};

    #[test]
    fn entries_have_the_processor_s_format() {
        let mut ept = empty(tables(9)).unwrap();
        ept.map(0x1000, &[0x9000_1000]).unwrap();
        assert_eq!(walk(&ept, 0x1000), [0x2007, 0x3007, 0x4007, 1 << 63 | 0x9000_1007]);
    }
}
