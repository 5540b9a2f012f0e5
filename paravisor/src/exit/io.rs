// SPDX-License-Identifier: MIT OR Apache-2.0
//! What IN leaves in RAX.
//!
//! Spec: SDM volume 1, "General-Purpose Registers in 64-Bit Mode".

use crate::width::ones;

/// RAX after an IN of `size` bytes that read `value`: EAX clears the upper half, AX and AL keep the
/// rest.
#[must_use]
pub const fn received(rax: u64, size: u8, value: u64) -> u64 {
    let mask = ones(size);
    if size >= 4 { value & mask } else { (rax & !mask) | (value & mask) }
}

#[cfg(test)]
mod tests {
    use super::received;

    #[test]
    fn an_input_changes_as_much_of_rax_as_the_instruction_does() {
        let rax = 0x1122_3344_5566_7788;
        assert_eq!(received(rax, 1, 0xffff_ffff), 0x1122_3344_5566_77ff);
        assert_eq!(received(rax, 2, 0xffff_ffff), 0x1122_3344_5566_ffff);
        assert_eq!(received(rax, 4, 0xffff_ffff), 0xffff_ffff);
    }
}
