// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each VM of the TD may do with a page of guest-physical memory.
//!
//! Sixteen bits a VM, four VMs a word. VM 0 is L1 itself, whose rights cannot be changed.
//!
//! Spec: TDX-ABI, "GPA_ATTR: GPA Attributes"; TDX-TDP, "L2 VM Memory Management".

use bitflags::bitflags;

bitflags! {
    /// The rights of one VM.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct GpaAttributes: u16 {
        /// Read.
        const R = 1 << 0;
        /// Write.
        const W = 1 << 1;
        /// Execute (in supervisor mode, if the VM uses mode-based execute control).
        const XS = 1 << 2;
        /// Execute in user mode; has a meaning with mode-based execute control only.
        const XU = 1 << 3;
        /// Verify guest paging.
        const VGP = 1 << 4;
        /// Paging-write access.
        const PWA = 1 << 5;
        /// Supervisor shadow stack.
        const SSS = 1 << 6;
        /// Suppress #VE; must be zero.
        const SVE = 1 << 7;
        /// The other bits mean something.
        const VALID = 1 << 15;

        /// Everything that ordinary memory of an L2 VM needs.
        const RWX = Self::R.bits() | Self::W.bits() | Self::XS.bits() | Self::XU.bits();
        /// The rights, without [`Self::VALID`].
        const RIGHTS = 0x00FF;
    }
}

impl GpaAttributes {
    /// Tells whether any kind of access is allowed, so that the VM has a mapping at all.
    #[must_use]
    pub const fn is_present(self) -> bool {
        self.intersects(Self::RWX)
    }

    /// Tells whether the module takes this combination.
    #[must_use]
    pub const fn is_legal(self) -> bool {
        let known = self.bits() & !(Self::RIGHTS.bits() | Self::VALID.bits()) == 0;
        let valid = self.contains(Self::VALID) || self.is_empty();
        let needs_read = self.intersects(Self::W.union(Self::PWA));
        known && valid && !self.intersects(Self::SVE) && (!needs_read || self.contains(Self::R))
    }
}

bitflags! {
    /// What `TDG.MEM.PAGE.ATTR.WR` changes for one VM.
    ///
    /// Bits 14:0 select rights, in the layout of [`GpaAttributes`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct GpaAttributesChange: u16 {
        /// All rights that exist are changed.
        const ALL_RIGHTS = 0x00FF;
        /// R, W, Xs and Xu are changed.
        const RWX = GpaAttributes::RWX.bits();
        /// Drop the cached translations of the VM on this logical processor afterwards.
        const DO_INVEPT = 1 << 15;

        const _ = !0;
    }
}

/// Four attribute words of 16 bits, one a VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PerVm(pub u64);

impl PerVm {
    /// Returns the sixteen bits of VM `vm` (0 to 3; others have none).
    #[must_use]
    pub const fn bits_of(self, vm: u8) -> u16 {
        if vm > 3 { 0 } else { (self.0 >> (16 * vm) & 0xFFFF) as u16 }
    }

    /// Returns the same word with other bits for VM `vm` (0 to 3; others have none).
    #[must_use]
    pub const fn with_bits_of(self, vm: u8, bits: u16) -> Self {
        if vm > 3 {
            return self;
        }
        let shift = 16 * vm;
        Self(self.0 & !(0xFFFF << shift) | (bits as u64) << shift)
    }

    /// Returns the rights of VM `vm`.
    #[must_use]
    pub const fn attributes(self, vm: u8) -> GpaAttributes {
        GpaAttributes::from_bits_retain(self.bits_of(vm))
    }

    /// Returns the same word with the rights of VM `vm` replaced.
    #[must_use]
    pub const fn with_attributes(self, vm: u8, attributes: GpaAttributes) -> Self {
        self.with_bits_of(vm, attributes.bits())
    }

    /// Returns the change for VM `vm`.
    #[must_use]
    pub const fn change(self, vm: u8) -> GpaAttributesChange {
        GpaAttributesChange::from_bits_retain(self.bits_of(vm))
    }

    /// Returns the same word with the change for VM `vm` replaced.
    #[must_use]
    pub const fn with_change(self, vm: u8, change: GpaAttributesChange) -> Self {
        self.with_bits_of(vm, change.bits())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{GpaAttributes, PerVm};

    #[test]
    fn legal_combinations_are_those_of_the_specification() {
        let valid = GpaAttributes::VALID;
        assert!(GpaAttributes::empty().is_legal());
        assert!(!GpaAttributes::R.is_legal(), "rights without VALID");
        assert!((valid | GpaAttributes::RWX).is_legal());
        assert!((valid | GpaAttributes::XS).is_legal(), "execute-only is allowed");
        assert!(!(valid | GpaAttributes::W).is_legal());
        assert!(!(valid | GpaAttributes::PWA).is_legal());
        assert!(!(valid | GpaAttributes::R | GpaAttributes::SVE).is_legal());
        assert!(!GpaAttributes::from_bits_retain(0x8100).is_legal());
    }

    #[test]
    fn vm_one_is_in_bits_31_to_16() {
        let word = PerVm::default().with_attributes(1, GpaAttributes::VALID | GpaAttributes::RWX);
        assert_eq!(word.0, 0x800F_0000);
    }

    proptest! {
        #[test]
        fn vms_do_not_disturb_each_other(word in any::<u64>(), vm in 0_u8..4, bits in any::<u16>()) {
            let changed = PerVm(word).with_bits_of(vm, bits);
            for other in 0..4 {
                let expected = if other == vm { bits } else { PerVm(word).bits_of(other) };
                prop_assert_eq!(changed.bits_of(other), expected);
            }
        }
    }
}
