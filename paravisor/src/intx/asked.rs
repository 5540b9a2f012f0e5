// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which pins the host's tables are asked about, and what their answers add to the operator's statements.
//!
//! What the operator states of a device is what holds of it; the tables are asked about the others. A pin that
//! the tables do not know is told with the reason, and its device has no line for L2.
//!
//! Spec: PCI "Interrupt Pin", "Header Type".

use alloc::vec::Vec;
use core::fmt;

use acpi_routes::{Answer, Question, Unknown, request::MAX_QUESTIONS};

use super::{Pin, Route};
use crate::{
    pci::{address::Bdf, machine::Register},
    width::{low8, low16},
};

const IDS: u8 = 0x00;
const HEADER_TYPE: u8 = 0x0e;
const INTERRUPT_PIN: u8 = 0x3d;

const NO_VENDOR: u16 = 0xffff;
const MULTI_FUNCTION: u8 = 1 << 7;
const LAYOUT: u8 = 0x7f;

/// Functions of a bus: 32 devices of 8.
const FUNCTIONS: u16 = 256;
const SIBLINGS: u16 = 8;

/// A pin that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The device.
    pub bdf: Bdf,
    /// Its pin.
    pub pin: Pin,
    /// What is asked.
    pub question: Question,
}

/// A pin of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoute {
    /// The device.
    pub bdf: Bdf,
    /// Its pin.
    pub pin: Pin,
    /// Why.
    pub why: Unknown,
}

/// A function of the host's bus 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its address.
    pub bdf: Bdf,
    /// What it is: device 31:16, vendor 15:0.
    pub id: u32,
    /// Its pin, unless it has none or is a bridge, which L2 does not get.
    pub pin: Option<Pin>,
}

/// Looks which functions the host's bus 0 has. `config` reads the host's configuration space.
pub fn functions(mut config: impl FnMut(Register) -> u32) -> Vec<Function> {
    let mut found = Vec::new();
    let mut siblings = false;
    for bdf in (0..FUNCTIONS).map(Bdf) {
        let is_first = bdf.0.is_multiple_of(SIBLINGS);
        if !is_first && !siblings {
            continue;
        }
        let mut read = |offset, size| config(Register { bdf, offset, size });
        let id = read(IDS, 4);
        let is_there = low16(id.into()) != NO_VENDOR;
        let header = if is_there { low8(read(HEADER_TYPE, 1).into()) } else { 0 };
        if is_first {
            siblings = header & MULTI_FUNCTION != 0;
        }
        if is_there {
            let pin = if header & LAYOUT == 0 { read(INTERRUPT_PIN, 1) } else { 0 };
            found.push(Function { bdf, id, pin: Pin::from_register(low8(pin.into())) });
        }
    }
    found
}

/// Returns what is asked: of each function with a pin of which the operator has stated nothing.
#[must_use]
pub fn questions(functions: &[Function], stated: &[Route]) -> Vec<Asked> {
    let unknown = |function: &&Function| stated.iter().all(|route| route.bdf != function.bdf);
    let asked = functions.iter().filter(unknown).filter_map(Asked::about);
    asked.take(MAX_QUESTIONS).collect()
}

/// Returns what the tables answer, for each pin that was asked about.
pub fn routes(
    asked: &[Asked],
    answer: &Answer<'_>,
) -> impl Iterator<Item = Result<Route, NoRoute>> {
    asked.iter().zip(answer.routes()).map(|(asked, answer)| {
        let Asked { bdf, pin, .. } = *asked;
        let answer = answer.map_err(|why| NoRoute { bdf, pin, why })?;
        let acpi_routes::Route { gsi, trigger, polarity, .. } = answer;
        Ok(Route { bdf, pin, gsi, trigger, polarity })
    })
}

impl Asked {
    fn about(function: &Function) -> Option<Self> {
        let Function { bdf, pin: Some(pin), .. } = *function else { return None };
        let question = Question::new(0, 0, &[low8(bdf.0.into())], pin)?;
        Some(Self { bdf, pin, question })
    }
}

impl fmt::Display for NoRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bdf, pin, why } = self;
        write!(f, "device={bdf} pin={pin:?}: {why}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Function, NoRoute, functions, questions, routes};
    use crate::{
        intx::{Pin, Polarity, Route, Trigger},
        pci::{address::Bdf, machine::Register},
    };
    use acpi_routes::{Answer, Source, Unknown, encode};
    use alloc::{string::ToString, vec, vec::Vec};

    /// Functions with their header types and pins.
    const MACHINE: [(u16, u8, u8); 7] = [
        (0x00, 0, 0),
        (0x08, 0, 1),
        // Not looked at: the first function says that it is alone.
        (0x09, 0, 1),
        (0x10, 0x80, 2),
        (0x13, 0, 4),
        // A bridge, and a pin that makes no sense.
        (0x18, 1, 1),
        (0x20, 0, 5),
    ];

    fn config(register: Register) -> u32 {
        let found = MACHINE.iter().find(|(bdf, ..)| *bdf == register.bdf.0);
        let Some((_, header, pin)) = found else { return u32::MAX };
        match (register.offset, register.size) {
            (0, 4) => 0x1237_8086,
            (0x0e, 1) => u32::from(*header),
            (0x3d, 1) => u32::from(*pin),
            other => panic!("{other:?}"),
        }
    }

    const STATED: Route = Route {
        bdf: Bdf(0x10),
        pin: Pin::B,
        gsi: 20,
        trigger: Trigger::Level,
        polarity: Polarity::High,
    };

    fn asked(stated: &[Route]) -> Vec<Asked> {
        questions(&functions(config), stated)
    }

    fn pins(stated: &[Route]) -> Vec<(u16, Pin)> {
        asked(stated).iter().map(|asked| (asked.bdf.0, asked.pin)).collect()
    }

    #[test]
    fn every_function_is_found() {
        let found = functions(config);
        let bridge = Function { bdf: Bdf(0x18), id: 0x1237_8086, pin: None };
        assert_eq!((found.len(), found[4]), (6, bridge));
    }

    #[test]
    fn every_function_with_a_pin_is_asked_about() {
        assert_eq!(pins(&[]), [(0x08, Pin::A), (0x10, Pin::B), (0x13, Pin::D)]);
        let asked = asked(&[]);
        assert_eq!(asked[2].question.way(), [0x13]);
        assert_eq!(asked[2].question.pin(), Some(Pin::D));
    }

    #[test]
    fn what_the_operator_states_is_not_asked() {
        assert_eq!(pins(&[STATED]), [(0x08, Pin::A), (0x13, Pin::D)]);
    }

    #[test]
    fn an_answer_is_a_route_or_a_reason() {
        let asked = asked(&[STATED]);
        let route = acpi_routes::Route {
            gsi: 21,
            trigger: Trigger::Level,
            polarity: Polarity::Low,
            source: Source::Link,
        };
        let mut page = vec![0; 4096];
        encode(&mut page, &[Ok(route), Err(Unknown::NoEntry)]);
        let answer = Answer::check(&page, asked.len(), |_| true).unwrap();
        let found: Vec<_> = routes(&asked, &answer).collect();
        let polarity = Polarity::Low;
        let wanted = Route { bdf: Bdf(0x08), pin: Pin::A, gsi: 21, polarity, ..STATED };
        let unknown = NoRoute { bdf: Bdf(0x13), pin: Pin::D, why: Unknown::NoEntry };
        assert_eq!(found, [Ok(wanted), Err(unknown)]);
        let said = "device=00:02.3 pin=D: no routing table has an entry for the pin";
        assert_eq!(unknown.to_string(), said);
    }
}
