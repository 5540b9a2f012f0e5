// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host with any AML.

use acpi_routes::{Pin, Question};
use aml_routes::interpreter::{Interpreter, Limits};
use aml_routes::router::Router;
use aml_routes::{Location, Machine, Refused, Width};

/// Small, so that loops end soon.
const LIMITS: Limits = Limits { steps: 20_000, memory: 1 << 16, depth: 32 };

/// A machine that counts what is asked of it, and refuses memory.
struct Counting(u32);

impl Machine for Counting {
    fn read(&mut self, from: Location, width: Width) -> Result<u64, Refused> {
        self.0 += 1;
        if matches!(from, Location::Memory(_)) {
            return Err(Refused);
        }
        Ok(u64::from(self.0) << (8 * width.bytes() / 2))
    }

    fn write(&mut self, to: Location, width: Width, value: u64) -> Result<(), Refused> {
        assert!(width == Width::Qword || value >> (8 * width.bytes()) == 0, "{value:#x} {width:?}");
        self.read(to, width).map(|_| ())
    }
}

/// Takes the input for the code of a DSDT and asks about a few pins. What must hold: it ends, within the
/// limits, and the machine sees no more accesses than there were steps.
pub fn run(input: &[u8]) {
    let mut table = b"DSDT".to_vec();
    table.extend(u32::try_from(36 + input.len()).unwrap_or(0).to_le_bytes());
    table.resize(36, 0);
    table.extend(input);
    let Ok(interpreter) = Interpreter::load(&[&table], Counting(0), LIMITS) else { return };
    let mut router = Router::new(interpreter);
    for way in [&[0x10][..], &[0x08, 0x18], &[0xff; 8]] {
        for pin in Pin::ALL {
            if let Some(question) = Question::new(0, 0, way, pin) {
                let route = router.answer(&question);
                assert!(router.failure().is_none() || route.is_err());
            }
        }
    }
    let (left, seen) = (router.evaluator().left(), router.evaluator().machine().0);
    assert_eq!(left.depth, LIMITS.depth);
    assert!(seen <= 2 * (LIMITS.steps - left.steps), "{seen} accesses");
}
