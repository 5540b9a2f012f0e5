// SPDX-License-Identifier: MIT OR Apache-2.0
//! `HvCallModifySparseGpaPageHostVisibility`: which pages the host may see.
//!
//! Input: partition id, visibility, and a list of page numbers, which never have the shared bit. What
//! becomes visible is the guest's at the same address with the shared bit; what becomes invisible is
//! usable at once, with undefined content.
//!
//! Spec: TLFS "HvCallModifySparseGpaPageHostVisibility".

use super::status::HvStatus;
use crate::page_set::Visibility;

/// Bytes before the list.
pub const HEADER: usize = 16;
/// The longest list: what fits into a page.
pub const MAX_PAGES: usize = 510;

const PARTITION_SELF: u64 = u64::MAX;
const NOT_VISIBLE: u32 = 0;
const READ_WRITE: u32 = 3;

/// What the input asks for, apart from the list.
///
/// # Errors
/// The status to answer with. A page that the host may only read does not exist in a TD.
pub fn wanted(header: [u8; HEADER]) -> Result<Visibility, HvStatus> {
    let [p0, p1, p2, p3, p4, p5, p6, p7, v0, v1, v2, v3, reserved @ ..] = header;
    if u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7]) != PARTITION_SELF {
        return Err(HvStatus::INVALID_PARTITION_ID);
    }
    match (u32::from_le_bytes([v0, v1, v2, v3]), u32::from_le_bytes(reserved)) {
        (NOT_VISIBLE, 0) => Ok(Visibility::Private),
        (READ_WRITE, 0) => Ok(Visibility::Shared),
        _ => Err(HvStatus::INVALID_PARAMETER),
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER, wanted};
    use crate::{hyperv::status::HvStatus, page_set::Visibility};

    fn header(partition: u64, visibility: u32, reserved: u32) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&partition.to_le_bytes());
        header[8..12].copy_from_slice(&visibility.to_le_bytes());
        header[12..].copy_from_slice(&reserved.to_le_bytes());
        header
    }

    #[test]
    fn a_page_is_visible_for_all_uses_or_not_at_all() {
        assert_eq!(wanted(header(u64::MAX, 0, 0)), Ok(Visibility::Private));
        assert_eq!(wanted(header(u64::MAX, 3, 0)), Ok(Visibility::Shared));
        for (visibility, reserved) in [(1, 0), (2, 0), (7, 0), (3, 1), (u32::MAX, 0)] {
            let answer = wanted(header(u64::MAX, visibility, reserved));
            assert_eq!(answer, Err(HvStatus::INVALID_PARAMETER));
        }
        assert_eq!(wanted(header(1, 0, 0)), Err(HvStatus::INVALID_PARTITION_ID));
    }
}
