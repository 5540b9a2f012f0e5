// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who the host says it is.
//!
//! L1 runs on it without a paravisor below, isolated by TDX; it has what L1 needs to be one itself.
//!
//! Spec: TLFS "Hypervisor Discovery", "Feature and Interface Discovery".

/// First leaf.
const SIGNATURE: u64 = 0x4000_0000;
/// Last leaf.
const LAST: u64 = 0x4000_000c;

const INTERFACE: u64 = 0x4000_0001;
const VERSION: u64 = 0x4000_0002;
const FEATURES: u64 = 0x4000_0003;
const LIMITS: u64 = 0x4000_0005;

/// SynIC MSRs, hypercall MSRs, number of the virtual processor.
const PRIVILEGES: u64 = 1 << 2 | 1 << 5 | 1 << 6;
/// Messages, signals, trust levels, registers of virtual processors.
const MORE_PRIVILEGES: u64 = 1 << 4 | 1 << 5 | 1 << 16 | 1 << 17;
/// The partition is isolated.
const ISOLATION: u64 = 1 << 22;
const TDX: u64 = 3;
/// The most processors that a partition can have.
const MAX_VPS: u64 = 2048;

/// EAX, EBX, ECX, EDX of a leaf; `None` if it is not one of the hypervisor's.
pub(crate) fn leaf(leaf: u64) -> Option<[u64; 4]> {
    let words = |text: &[u8; 12]| {
        let (words, _) = text.as_chunks::<4>();
        core::array::from_fn(|index| words.get(index).copied().map_or(0, u32::from_le_bytes))
            .map(u64::from)
    };
    Some(match leaf {
        SIGNATURE => {
            let [ebx, ecx, edx] = words(b"Microsoft Hv");
            [LAST, ebx, ecx, edx]
        }
        INTERFACE => [u64::from(u32::from_le_bytes(*b"Hv#1")), 0, 0, 0],
        VERSION => [26100, 10 << 16, 0, 0],
        FEATURES => [PRIVILEGES, MORE_PRIVILEGES | ISOLATION, 0, 0],
        LIMITS => [MAX_VPS, MAX_VPS, 0, 0],
        LAST => [0, TDX, 0, 0],
        other if (SIGNATURE..LAST).contains(&other) => [0; 4],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::leaf;

    #[test]
    fn the_signature_reads_as_text() {
        let [last, words @ ..] = leaf(0x4000_0000).unwrap();
        let text: Vec<_> =
            words.iter().flat_map(|word| u32::try_from(*word).unwrap().to_le_bytes()).collect();
        assert_eq!((last, &text[..]), (0x4000_000c, &b"Microsoft Hv"[..]));
        assert_eq!(leaf(0x4000_0001).unwrap()[0], 0x3123_7648);
        assert_eq!(leaf(0x4000_000c).unwrap()[1] & 0xf, 3);
        assert_eq!((leaf(0x4000_000d), leaf(0x3fff_ffff)), (None, None));
    }
}
