// SPDX-License-Identifier: MIT OR Apache-2.0
//! The identifier of a metadata field.
//!
//! Reading or writing a single element uses class and field code alone; size, stride, context and
//! the non-architectural bit are ignored, and last element and last field must be zero.
//!
//! Spec: TDX-ABI, "MD_FIELD_ID: Metadata Field Identifier".

use bitfield_struct::bitfield;

/// The size of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldSize(pub u8);

impl FieldSize {
    /// 8 bits.
    pub const U8: Self = Self(0);
    /// 16 bits.
    pub const U16: Self = Self(1);
    /// 32 bits.
    pub const U32: Self = Self(2);
    /// 64 bits.
    pub const U64: Self = Self(3);

    /// Returns the size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << (self.0 & 3)
    }

    /// Returns a mask of all bits of an element.
    #[must_use]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }

    const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    const fn into_bits(self) -> u8 {
        self.0
    }
}

/// What a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldContext(pub u8);

impl FieldContext {
    /// The module.
    pub const SYS: Self = Self(0);
    /// A TD.
    pub const TD: Self = Self(1);
    /// A virtual CPU.
    pub const VP: Self = Self(2);

    const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    const fn into_bits(self) -> u8 {
        self.0
    }
}

/// `MD_FIELD_ID`.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct FieldId {
    /// Which field of its class.
    #[bits(24)]
    pub field_code: u32,
    /// Must be zero.
    pub reserved_24: u8,
    /// The size of an element.
    #[bits(2)]
    pub element_size: FieldSize,
    /// Elements of the field, less one.
    #[bits(4)]
    pub last_element_in_field: u8,
    /// Fields of the sequence, less one.
    #[bits(9)]
    pub last_field_in_sequence: u16,
    /// Must be zero.
    #[bits(3)]
    pub reserved_47: u8,
    /// Field codes advance by two (as VMCS encodings do), not by one.
    pub increment_two: bool,
    /// A write mask follows in a sequence.
    pub write_mask_valid: bool,
    /// What the field belongs to.
    #[bits(3)]
    pub context: FieldContext,
    /// Must be zero.
    pub reserved_55: bool,
    /// Which class of its context.
    #[bits(6)]
    pub class: u8,
    /// Must be zero.
    pub reserved_62: bool,
    /// The field is not part of the architecture.
    pub non_arch: bool,
}

impl FieldId {
    /// No field: asks for the first one, and marks the end.
    pub const NULL: Self = Self::from_bits(u64::MAX);

    /// Returns the id of element `index` of an array that starts at `self`.
    #[must_use]
    pub const fn element(self, index: u32) -> Self {
        let stride = if self.increment_two() { 2 } else { 1 };
        self.with_field_code(self.field_code().wrapping_add(index.wrapping_mul(stride)) & 0xFF_FFFF)
    }

    /// Tells whether `other` selects the same field for single-element access.
    #[must_use]
    pub const fn selects_same(self, other: Self) -> bool {
        self.class() == other.class() && self.field_code() == other.field_code()
    }

    /// Tells whether this may be used for single-element access: what must be zero is.
    #[must_use]
    pub const fn is_single_element(self) -> bool {
        self.last_element_in_field() == 0
            && self.last_field_in_sequence() == 0
            && self.reserved_24() == 0
            && self.reserved_47() == 0
            && !self.reserved_55()
            && !self.reserved_62()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{FieldContext, FieldId, FieldSize};

    #[test]
    fn an_id_taken_apart() {
        let id = FieldId::from_bits(0x2C24_0002_0000_4002);
        assert_eq!(id.class(), 0x2C);
        assert_eq!(id.context(), FieldContext::VP);
        assert!(id.increment_two() && !id.non_arch());
        assert_eq!(id.element_size(), FieldSize::U32);
        assert_eq!(id.field_code(), 0x4002);
        assert!(id.is_single_element());
        assert!(!FieldId::NULL.is_single_element());
    }

    #[test]
    fn elements_advance_by_the_stride_of_the_field() {
        assert_eq!(FieldId::from_bits(0x1310_0003_0000_0040).element(23).field_code(), 0x57);
        assert_eq!(FieldId::from_bits(0x2424_0003_0000_201C).element(3).field_code(), 0x2022);
    }

    #[test]
    fn masks_follow_sizes() {
        assert_eq!(FieldSize::U8.mask(), 0xFF);
        assert_eq!(FieldSize::U64.mask(), u64::MAX);
    }

    proptest! {
        #[test]
        fn the_ignored_bits_do_not_select(id in any::<u64>(), size in 0_u8..4) {
            let id = FieldId::from_bits(id);
            let other = id.with_element_size(FieldSize(size)).with_non_arch(!id.non_arch());
            prop_assert_eq!(id.selects_same(other), true);
            prop_assert_eq!(other.with_element_size(id.element_size()).with_non_arch(id.non_arch()), id);
        }
    }
}
