// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an operand error is about: a register or a structure of the module.
//!
//! Spec: TDX-ABI, "Function Completion Status Codes", "Operand ID".

use core::fmt;

/// Identifies an operand in the details of a [`Status`](super::Status).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperandId(pub u32);

/// Defines the constants and the table that [`OperandId::name`] searches.
macro_rules! operands {
    ($($name:ident = $value:literal;)*) => {
        impl OperandId {
            $(
                #[doc = concat!("`", stringify!($name), "` (", stringify!($value), ").")]
                pub const $name: Self = Self($value);
            )*

            /// Every operand with its name.
            pub const ALL: &[(Self, &str)] = &[$((Self::$name, stringify!($name))),*];
        }
    };
}

operands! {
    RAX = 0;
    RCX = 1;
    RDX = 2;
    RBX = 3;
    RBP = 5;
    RSI = 6;
    RDI = 7;
    R8 = 8;
    R9 = 9;
    R10 = 10;
    R11 = 11;
    R12 = 12;
    R13 = 13;
    R14 = 14;
    R15 = 15;
    ATTRIBUTES = 64;
    XFAM = 65;
    EXEC_CONTROLS = 66;
    EPTP_CONTROLS = 67;
    MAX_VCPUS = 68;
    CPUID_CONFIG = 69;
    TSC_FREQUENCY = 70;
    NUM_L2_VMS = 71;
    IA32_ARCH_CAPABILITIES_CONFIG = 72;
    PAGE = 95;
    TDMR_INFO_PA = 96;
    GPA_LIST_ENTRY = 97;
    MIG_BUFF_LIST_ENTRY = 98;
    NEW_PAGE_LIST_ENTRY = 99;
    TDR = 128;
    TDCX = 129;
    TDVPR = 130;
    REG_PAGE = 132;
    TDCS = 144;
    TDVPS = 145;
    SEPT_TREE = 146;
    SEPT_ENTRY = 147;
    RTMR = 168;
    TD_EPOCH = 169;
    L2_VAPIC_GPA = 170;
    MIGSC = 171;
    OP_STATE = 172;
    MIG = 173;
    SERVTD_BINDINGS = 174;
    METADATA_FIELD = 176;
    SYS = 184;
    TDMR = 185;
    KOT = 186;
    KET = 187;
    WBCACHE = 188;
}

impl OperandId {
    /// Returns the name as the specification spells it.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Self::ALL.iter().find(|(id, _)| *id == self).map(|(_, name)| *name)
    }
}

impl fmt::Display for OperandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "operand {}", self.0),
        }
    }
}
