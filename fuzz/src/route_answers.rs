// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whoever evaluates AML for L1, and answers with any page; a host with any MADT.

use acpi_routes::{Answer, Polarity, Trigger, madt::Madt};

/// Inputs that exist.
const INPUTS: u32 = 24;

/// Checks the input as a page for as many questions as its first byte says, and as a MADT.
pub fn run(input: &[u8]) {
    let Some((questions, page)) = input.split_first() else { return };
    let questions = usize::from(*questions);
    if let Ok(answer) = Answer::check(page, questions, |gsi| gsi < INPUTS) {
        assert_eq!(answer.routes().count(), questions);
        // A second account, by the bytes: each input triggers in one way.
        let mut inputs = [None; 24];
        for (index, answer) in answer.routes().enumerate() {
            let bytes = &page[16 + 16 * index..][..16];
            assert_eq!(answer.is_err(), bytes[2] != 0, "{bytes:x?}");
            let Ok(route) = answer else { continue };
            assert_eq!(bytes[8..12], route.gsi.to_le_bytes());
            assert_eq!(bytes[3], if route.trigger == Trigger::Edge { 1 } else { 2 });
            assert_eq!(bytes[4], if route.polarity == Polarity::High { 1 } else { 2 });
            let way = (route.trigger, route.polarity);
            let input = &mut inputs[usize::try_from(route.gsi).expect("less than 24")];
            assert!(input.is_none_or(|other| other == way), "{inputs:?}");
            inputs[usize::try_from(route.gsi).expect("less than 24")] = Some(way);
        }
    }
    if let Ok(madt) = Madt::check(page) {
        assert!((0..16).all(|irq| madt.isa(irq).is_some()));
        assert!(madt.io_apics().count() <= 16);
    }
}
