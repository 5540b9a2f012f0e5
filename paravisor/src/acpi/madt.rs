// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processors and interrupt controllers.
//!
//! A local APIC's id is its processor's index. There is no 8259 and no line of it to be redirected.
//!
//! Spec: ACPI "Multiple APIC Description Table", "Multiprocessor Wakeup Structure".

use acpi_tables::{
    Aml, AmlSink,
    madt::{EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic},
};
use zerocopy::{
    Immutable, IntoBytes, Unaligned,
    little_endian::{U16, U32, U64},
};

use super::{OEM, OEM_REVISION, OEM_TABLE};
use crate::{io_apic, width::low32};

const LOCAL_APIC: u32 = 0xfee0_0000;
const WAKEUP: u8 = 0x10;

#[derive(Clone, Copy, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Wakeup {
    kind: u8,
    length: u8,
    mailbox_version: U16,
    reserved: U32,
    mailbox: U64,
}

const _: () = assert!(size_of::<Wakeup>() == 16);

impl Aml for Wakeup {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(self.as_bytes());
    }
}

/// Makes the table.
pub(super) fn table(cpus: u32, mailbox: Option<u64>) -> MADT {
    let local = LocalInterruptController::Address(LOCAL_APIC);
    let mut madt = MADT::new(OEM, OEM_TABLE, OEM_REVISION, local);
    // 255 is the broadcast address: the structure has no room for more.
    for id in (0..=254).take(crate::width::index(cpus.into())) {
        madt.add_structure(ProcessorLocalApic::new(id, id, EnabledStatus::Enabled));
    }
    madt.add_structure(IoApic::new(0, low32(io_apic::BASE), 0));
    if let Some(mailbox) = mailbox {
        madt.add_structure(Wakeup {
            kind: WAKEUP,
            length: 16,
            mailbox_version: 0.into(),
            reserved: 0.into(),
            mailbox: mailbox.into(),
        });
    }
    madt
}

#[cfg(test)]
mod tests {
    use super::table;
    use acpi_tables::Aml;
    use alloc::vec::Vec;

    fn structures(cpus: u32, mailbox: Option<u64>) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        table(cpus, mailbox).to_aml_bytes(&mut bytes);
        let mut rest = &bytes[44..];
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (structure, after) = rest.split_at(rest[1].into());
            all.push(structure.to_vec());
            rest = after;
        }
        all
    }

    #[test]
    fn every_processor_has_an_enabled_local_apic_of_its_index() {
        let all = structures(2, None);
        assert_eq!(all[0], [0, 8, 0, 0, 1, 0, 0, 0]);
        assert_eq!(all[1], [0, 8, 1, 1, 1, 0, 0, 0]);
        assert_eq!(all[2], [1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn the_mailbox_is_told_only_when_there_is_one() {
        let all = structures(1, Some(0x1234_5678_9000));
        assert_eq!(
            all.last().unwrap()[..],
            [0x10, 16, 0, 0, 0, 0, 0, 0, 0, 0x90, 0x78, 0x56, 0x34, 0x12, 0, 0]
        );
    }
}
