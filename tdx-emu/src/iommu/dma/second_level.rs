// SPDX-License-Identifier: MIT OR Apache-2.0
//! Second-level tables: where the addresses that devices name lie in the machine.
//!
//! What is mapped may be read and written; what is not is a fault. QEMU's unit reads entries as the
//! processor wrote them; hardware that reads past the caches would want them written back after each
//! change.
//!
//! Spec: VT-D "Second-Level Paging Entries".

use crate::machine::tables::Format;

const READ_WRITE: u64 = 0b11;

/// The entries of second-level tables.
pub(super) const fn format(levels: u8) -> Format {
    Format { levels, table: READ_WRITE, page: READ_WRITE }
}

#[cfg(test)]
mod tests {
    use super::format;
    use crate::machine::tables::tests::{tree, walk};

    #[test]
    fn entries_have_the_hardware_s_format() {
        let mut tree = tree(format(3), 9);
        tree.map(0x1000, &[0x9000_1000]).unwrap();
        assert_eq!(walk(&tree, 0x1000), [0x2003, 0x3003, 0x9000_1003]);
        assert_eq!(walk(&tree, 0x2000), [0x2003, 0x3003, 0]);
    }
}
