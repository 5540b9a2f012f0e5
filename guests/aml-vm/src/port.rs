// SPDX-License-Identifier: MIT OR Apache-2.0
//! IN and OUT, which L1 may refuse: then they come back with the carry flag set.
#![expect(unsafe_code, reason = "port I/O")]

use core::arch::asm;

use aml_routes::Refused;

use crate::reach::Ports;

/// The ports that L1 shows.
#[derive(Debug)]
pub(crate) struct Filtered;

macro_rules! input {
    ($instruction:literal, $port:expr) => {{
        let (value, refused): (u32, u8);
        // SAFETY: All ports end in L1, which changes EAX and the carry flag.
        unsafe {
            asm!(
                "clc",
                $instruction,
                "setc {refused}",
                refused = out(reg_byte) refused,
                in("dx") $port,
                inout("eax") 0_u32 => value,
                options(nostack),
            );
        }
        if refused == 0 { Ok(value) } else { Err(Refused) }
    }};
}

macro_rules! output {
    ($instruction:literal, $port:expr, $value:expr) => {{
        let refused: u8;
        // SAFETY: All ports end in L1, which changes the carry flag.
        unsafe {
            asm!(
                "clc",
                $instruction,
                "setc {refused}",
                refused = out(reg_byte) refused,
                in("dx") $port,
                in("eax") $value,
                options(nostack),
            );
        }
        if refused == 0 { Ok(()) } else { Err(Refused) }
    }};
}

impl Ports for Filtered {
    fn input(&mut self, port: u16, size: u8) -> Result<u32, Refused> {
        match size {
            1 => input!("in al, dx", port),
            2 => input!("in ax, dx", port),
            _ => input!("in eax, dx", port),
        }
    }

    fn output(&mut self, port: u16, size: u8, value: u32) -> Result<(), Refused> {
        match size {
            1 => output!("out dx, al", port, value),
            2 => output!("out dx, ax", port, value),
            _ => output!("out dx, eax", port, value),
        }
    }
}
