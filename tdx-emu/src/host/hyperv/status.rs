// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a hypercall answers: a status, and for calls that repeat how many elements were done.
//!
//! Spec: TLFS "Hypercall Status Codes", "Hypercall Outputs".

/// A status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HvStatus(pub(crate) u16);

impl HvStatus {
    pub(crate) const SUCCESS: Self = Self(0);
    pub(crate) const INVALID_HYPERCALL_CODE: Self = Self(2);
    pub(crate) const INVALID_HYPERCALL_INPUT: Self = Self(3);
    pub(crate) const INVALID_ALIGNMENT: Self = Self(4);
    pub(crate) const INVALID_PARAMETER: Self = Self(5);
    pub(crate) const ACCESS_DENIED: Self = Self(6);
    pub(crate) const INVALID_PARTITION_ID: Self = Self(0xd);
    pub(crate) const INVALID_VP_INDEX: Self = Self(0xe);
    pub(crate) const INVALID_CONNECTION_ID: Self = Self(0x12);
    pub(crate) const INSUFFICIENT_BUFFERS: Self = Self(0x13);
    pub(crate) const INVALID_REGISTER_VALUE: Self = Self(0x50);

    /// The result value of a call of which `done` elements were done.
    pub(crate) fn result(self, done: u16) -> u64 {
        u64::from(self.0) | u64::from(done) << 32
    }
}

/// The status of what went well or not.
impl From<Result<(), Self>> for HvStatus {
    fn from(result: Result<(), Self>) -> Self {
        result.map_or_else(|status| status, |()| Self::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::HvStatus;

    #[test]
    fn a_result_has_the_elements_in_its_upper_half() {
        assert_eq!(HvStatus::SUCCESS.result(0), 0);
        assert_eq!(HvStatus::INVALID_REGISTER_VALUE.result(3), 0x3_0000_0050);
        assert_eq!(HvStatus::from(Err(HvStatus::ACCESS_DENIED)), HvStatus(6));
    }
}
