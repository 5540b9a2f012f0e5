// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who the host is, by CPUID leaves that it answers itself.
//!
//! A host that lies here is asked by calls that it then refuses, or is asked by fewer than it could
//! serve. It gains nothing.
//!
//! Spec: TLFS "Hypervisor Feature Identification".

use core::fmt;

use tdcall::td_params::CpuidValues;

/// The leaf of the vendor, and of how many leaves there are.
const VENDOR: u32 = 0x4000_0000;
/// The leaf of the interface.
const INTERFACE: u32 = 0x4000_0001;
/// The leaf of the features.
const FEATURES: u32 = 0x4000_0003;

/// "Microsoft Hv", in the order of EBX, ECX, EDX.
const MICROSOFT_HV: [u32; 3] = [0x7263_694d, 0x666f_736f, 0x7648_2074];
/// "Hv#1".
const HV_1: u32 = 0x3123_7648;

/// In EAX of the features: the SynIC's registers, those of hypercalls, the index of a CPU.
const REGISTERS: u32 = 1 << 2 | 1 << 5 | 1 << 6;
/// In EBX of the features: messages may be posted, events signalled.
const CALLS: u32 = 1 << 4 | 1 << 5;

/// Why a host is not asked in the ways of Hyper-V.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// It does not answer the leaf.
    Silent(u32),
    /// It is another host.
    Vendor,
    /// It has the vendor's name and another interface.
    Interface(u32),
    /// It lacks features: bits of EAX, of EBX.
    Lacks(u32, u32),
}

/// Asks by `cpuid` whether the host is one of Hyper-V's kind with all that L1 needs of it.
///
/// # Errors
/// What it is instead, or what it lacks.
pub fn identify(mut cpuid: impl FnMut(u32) -> Option<CpuidValues>) -> Result<(), Other> {
    let mut ask = |leaf| cpuid(leaf).ok_or(Other::Silent(leaf));
    let vendor = ask(VENDOR)?;
    if [vendor.ebx, vendor.ecx, vendor.edx] != MICROSOFT_HV || vendor.eax < FEATURES {
        return Err(Other::Vendor);
    }
    let interface = ask(INTERFACE)?.eax;
    if interface != HV_1 {
        return Err(Other::Interface(interface));
    }
    let features = ask(FEATURES)?;
    match (REGISTERS & !features.eax, CALLS & !features.ebx) {
        (0, 0) => Ok(()),
        (registers, calls) => Err(Other::Lacks(registers, calls)),
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(leaf) => write!(f, "host: no answer to cpuid leaf {leaf:#x}"),
            Self::Vendor => f.write_str("host: not of Hyper-V's kind"),
            Self::Interface(word) => write!(f, "host: unknown interface {word:#x}"),
            Self::Lacks(eax, ebx) => write!(f, "host: lacks features eax={eax:#x} ebx={ebx:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Other, identify};
    use tdcall::td_params::CpuidValues;

    fn text(name: &[u8; 12]) -> CpuidValues {
        let word = |at: usize| u32::from_le_bytes(name[at..at + 4].try_into().unwrap());
        CpuidValues { eax: 0x4000_000b, ebx: word(0), ecx: word(4), edx: word(8) }
    }

    fn host(leaf: u32, name: &[u8; 12], eax: u32, ebx: u32) -> Option<CpuidValues> {
        let rest = CpuidValues { eax: 0, ebx: 0, ecx: 0, edx: 0 };
        match leaf {
            0x4000_0000 => Some(text(name)),
            0x4000_0001 => Some(CpuidValues { eax: u32::from_le_bytes(*b"Hv#1"), ..rest }),
            0x4000_0003 => Some(CpuidValues { eax, ebx, ..rest }),
            _ => None,
        }
    }

    #[test]
    fn a_host_of_its_kind_is_known_by_name_interface_and_features() {
        assert_eq!(identify(|leaf| host(leaf, b"Microsoft Hv", 0x64, 0x30)), Ok(()));
        assert_eq!(identify(|leaf| host(leaf, b"Microsoft Hv", !0, !0)), Ok(()));
    }

    #[test]
    fn what_is_missing_is_said() {
        let other = identify(|leaf| host(leaf, b"KVMKVMKVM\0\0\0", 0x64, 0x30));
        assert_eq!(other, Err(Other::Vendor));
        let lacking = identify(|leaf| host(leaf, b"Microsoft Hv", 0x24, 0x10));
        assert_eq!(lacking, Err(Other::Lacks(0x40, 0x20)));
        assert_eq!(identify(|_| None), Err(Other::Silent(0x4000_0000)));
        let few = |leaf| host(leaf, b"Microsoft Hv", 0x64, 0x30).filter(|_| leaf != 0x4000_0003);
        assert_eq!(identify(few), Err(Other::Silent(0x4000_0003)));
    }

    #[test]
    fn a_vendor_with_too_few_leaves_is_not_asked_for_more() {
        let mut asked = 0;
        let other = identify(|leaf| {
            asked += 1;
            Some(CpuidValues { eax: 0x4000_0002, ..host(leaf, b"Microsoft Hv", 0x64, 0x30)? })
        });
        assert_eq!((other, asked), (Err(Other::Vendor), 1));
    }
}
