// SPDX-License-Identifier: MIT OR Apache-2.0
//! An L2 that makes L1 decode any bytes, with any registers, found by any page tables.
//!
//! An input is a byte for the width of the code, the bytes of an instruction, a value for it to load, and registers.
//! What is accepted is compared with a second reading, written by hand from the opcode maps: see `second_reading`.

/// Which instructions are plain moves, and how long they are.
mod second_reading;

use paravisor::mmio::{MAX_LENGTH, decode};
use tdcall::L2EnterGuestState;

use self::second_reading::{Direction, read};
use crate::Input;

/// Decodes the input and carries out what it says.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let Some(choice) = input.byte() else { return };
    let bits = [16, 32, 64, 64][usize::from(choice & 3)];
    let length = usize::from(choice >> 2) % 24;
    let bytes = input.bytes(length);
    let Some(access) = decode(bits, bytes) else { return };
    let used = usize::from(access.length);
    assert!((2..=MAX_LENGTH.min(bytes.len())).contains(&used));
    assert!(matches!(access.size, 1 | 2 | 4 | 8) && (bits == 64 || access.size < 8));
    assert_eq!(decode(bits, &bytes[..used]), Some(access), "it does not depend on what follows");
    assert_eq!(decode(bits, &bytes[..used - 1]), None, "it takes no byte too many");
    let second = read(bits, bytes).expect("a second reading accepts it too");
    assert_eq!((usize::from(access.size), used), (second.size, second.length));

    let value = input.long();
    let mut state = L2EnterGuestState::new();
    for number in 0..16 {
        if let Some(register) = state.gpr_mut(number) {
            *register = input.long();
        }
    }
    (state.rip, state.rflags) = (input.long(), input.long());
    let before = state.clone();
    let stored = access.stored(&state);
    assert_eq!(state, before, "a look changes nothing");
    access.complete_load(&mut state, value);
    let mask = u64::MAX >> (64 - 8 * u32::from(access.size));
    match second.direction {
        Direction::Store(register) => {
            assert_eq!(state, before, "a store changes no register");
            let stored = stored.expect("it stores");
            assert_eq!(stored & !mask, 0);
            if let Some(register) = register {
                let whole = before.gpr(register.number).expect("there are 16");
                assert_eq!(stored, whole >> register.shift & mask);
            }
        }
        Direction::Load { register, size, sign } => {
            assert_eq!(stored, None);
            let loaded = second_reading::loaded(value & mask, access.size, sign);
            let slot = before.gpr(register.number).expect("there are 16");
            let after = match size {
                8 => loaded,
                4 => loaded & 0xffff_ffff,
                _ => {
                    let part = (u64::MAX >> (64 - 8 * size)) << register.shift;
                    slot & !part | loaded << register.shift & part
                }
            };
            assert_eq!(state.gpr(register.number), Some(after));
            if let Some(register) = state.gpr_mut(register.number) {
                *register = slot;
            }
            assert_eq!(state, before, "one register changes, and nothing else");
        }
    }
}
