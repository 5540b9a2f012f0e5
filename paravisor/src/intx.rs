// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts of the host's devices that come by a line.
//!
//! A device without messages pulls a line that ends at a pin of the host's IO-APIC. Which pin, and
//! whether it works by edge or level, high or low, only ACPI knows, or an operator who says so on the
//! measured command line. Nothing is guessed: a device whose line nobody has told of has no pin for L2.
//!
//! | of the host                        | of L2                                            |
//! |------------------------------------|--------------------------------------------------|
//! | its IO-APIC's pin, any trigger     | pin 16 and on, by level                          |
//! | a vector of L1 for each line       | the vector that L2 has written into the entry    |
//! | EOI register                       | its own IO-APIC's register, or a CPU's EOI       |
//!
//! A TD ends no interrupt towards the host by itself: the host's chip learns of the end of a level from
//! L1, after L2 has ended its own.
//!
//! Spec: PCI "Interrupt Pin"; ACPI "_PRT (PCI Routing Table)"; IOAPIC "Register Description".

/// The lines that L2's devices have, from the host's chip to L2's.
pub mod lines;

/// What the host's chip is told.
pub mod host_chip;

/// What the host's tables are asked about, and answer.
pub mod asked;

/// The VM that runs AML.
pub mod aml_vm;

/// What AML reaches of the host's machine.
pub mod routing_registers;

use core::fmt;

pub use acpi_routes::{Pin, Polarity, Trigger};

use crate::pci::address::Bdf;

/// Where a device's pin leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The device.
    pub bdf: Bdf,
    /// Its pin.
    pub pin: Pin,
    /// The host's interrupt, counted over its IO-APICs.
    pub gsi: u32,
    /// What is an interrupt on the line.
    pub trigger: Trigger,
    /// Which voltage asks for it.
    pub polarity: Polarity,
}

impl Route {
    /// Reads an operator's statement: `00:05.0,A,21,level,low`. `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let bdf = Bdf::parse(parts.next()?)?;
        let pin = match parts.next()? {
            "A" => Pin::A,
            "B" => Pin::B,
            "C" => Pin::C,
            "D" => Pin::D,
            _ => return None,
        };
        let gsi = parts.next()?.parse().ok()?;
        let trigger = match parts.next()? {
            "edge" => Trigger::Edge,
            "level" => Trigger::Level,
            _ => return None,
        };
        let polarity = match parts.next()? {
            "high" => Polarity::High,
            "low" => Polarity::Low,
            _ => return None,
        };
        parts.next().is_none().then_some(Self { bdf, pin, gsi, trigger, polarity })
    }

    /// Whether `other` leads the same pin elsewhere: all functions of a device share its pins.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> bool {
        let device = |route: &Self| (route.bdf.0 >> 3, route.pin);
        let line = |route: &Self| (route.gsi, route.trigger, route.polarity);
        device(self) == device(other) && line(self) != line(other)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trigger = if self.trigger == Trigger::Edge { "edge" } else { "level" };
        let polarity = if self.polarity == Polarity::High { "high" } else { "low" };
        let Self { bdf, pin, gsi, .. } = self;
        write!(f, "device={bdf} pin={pin:?} gsi={gsi} trigger={trigger} polarity={polarity}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Pin, Polarity, Route, Trigger};
    use crate::pci::address::Bdf;
    use alloc::string::ToString;

    #[test]
    fn a_statement_says_all_that_is_to_be_known() {
        let route = Route::parse("00:05.1,B,21,level,low").unwrap();
        let (bdf, pin) = (Bdf(0x29), Pin::B);
        let (trigger, polarity) = (Trigger::Level, Polarity::Low);
        assert_eq!(route, Route { bdf, pin, gsi: 21, trigger, polarity });
        let text = "device=00:05.1 pin=B gsi=21 trigger=level polarity=low";
        assert_eq!(route.to_string(), text);
    }

    #[test]
    fn a_pin_of_a_device_leads_to_one_place() {
        let route = |text| Route::parse(text).unwrap();
        let first = route("00:05.0,A,21,level,low");
        assert!(route("00:05.1,A,20,level,low").contradicts(&first));
        assert!(route("00:05.0,A,21,level,high").contradicts(&first));
        for other in ["00:05.1,A,21,level,low", "00:05.1,B,20,level,low", "00:06.0,A,20,edge,low"] {
            assert!(!route(other).contradicts(&first), "{other}");
        }
    }

    #[test]
    fn what_is_left_out_is_not_guessed() {
        for text in [
            "",
            "00:05.0",
            "00:05.0,A,21",
            "00:05.0,A,21,level",
            "00:05.0,a,21,level,low",
            "00:05.0,E,21,level,low",
            "00:05.0,A,,level,low",
            "00:05.0,A,-1,level,low",
            "00:05.0,A,21,both,low",
            "00:05.0,A,21,level,weak",
            "00:05.0,A,21,level,low,",
            "00:20.0,A,21,level,low",
            "00:05.8,A,21,level,low",
            "05.0,A,21,level,low",
        ] {
            assert_eq!(Route::parse(text), None, "{text}");
        }
    }

    #[test]
    fn pins_are_counted_from_one() {
        assert_eq!(Pin::from_register(0), None);
        assert_eq!(Pin::from_register(5), None);
        for value in 1..=4 {
            assert_eq!(Pin::from_register(value).map(Pin::register), Some(value));
        }
    }
}
