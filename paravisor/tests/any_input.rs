// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nothing that an L2 or the host can write makes a decoder panic or a model lose a mapping.

use std::collections::BTreeSet;

use paravisor::{
    command_line,
    exit::event::Event,
    guest_memory::GuestMemory,
    io_apic::{IoApic, Line, PINS},
    kernel,
    linux::{
        boot_params::{self, Told},
        setup_header::{HEAD, SetupHeader},
    },
    mailbox, mmio,
    page_walk::Paging,
    pci::{
        bus::Bus,
        machine::{Location, Machine, Refusal, Register, Source},
        message::{Message, Target},
        ports::FIRST,
    },
    segment::Room,
    uart::Uart,
};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use tdcall::{InterruptionInfo, L2EnterGuestState};

/// A host that answers with whatever comes next, and a relay with `room` reserved vectors.
struct Liar {
    answers: Vec<u32>,
    next: usize,
    room: u8,
    mapped: BTreeSet<u32>,
    made: u32,
}

impl Liar {
    fn answer(&mut self) -> u32 {
        self.next += 1;
        self.answers.get(self.next % self.answers.len().max(1)).copied().unwrap_or(0)
    }
}

impl Machine for Liar {
    type Mapping = u32;

    fn config_read(&mut self, _: Register) -> u32 {
        self.answer()
    }

    fn config_write(&mut self, _: Register, _: u32) {}

    fn memory_read(&mut self, _: Location) -> u64 {
        self.answer().into()
    }

    fn memory_write(&mut self, _: Location, _: u64) {}

    fn port_read(&mut self, port: u16, size: u8) -> u32 {
        assert!(port >= FIRST && u32::from(port) + u32::from(size) <= 0x1_0000, "{port:#x}");
        self.answer()
    }

    fn port_write(&mut self, port: u16, size: u8, _: u32) {
        assert!(port >= FIRST && u32::from(port) + u32::from(size) <= 0x1_0000, "{port:#x}");
    }

    fn cpus(&self) -> u32 {
        4
    }

    fn map(&mut self, target: Target, _: Source) -> Result<u32, Refusal> {
        if self.mapped.len() >= usize::from(self.room) {
            return Err(Refusal::Full(target));
        }
        self.made += 1;
        self.mapped.insert(self.made);
        Ok(self.made)
    }

    fn message(&self, _: Source, mapping: &u32) -> Message {
        assert!(self.mapped.contains(mapping), "a message for what is not mapped");
        Message::to_l1(0, 0x40)
    }

    fn is_detour(&self, _: &Self::Mapping) -> bool {
        false
    }

    fn is_same_way(&self, _: &u32, _: &u32) -> bool {
        true
    }

    fn unmap(&mut self, mapping: u32) {
        assert!(self.mapped.remove(&mapping), "unmapped twice");
    }

    fn unmap_all(&mut self, _: paravisor::pci::address::Bdf, mappings: Vec<u32>) {
        mappings.into_iter().for_each(|mapping| self.unmap(mapping));
    }

    fn refused(&mut self, _: Source, _: Refusal) {}

    fn forget_refusal(&mut self, _: Target, _: Source) {}
}

/// Memory whose every byte is a function of its address.
struct Noise(u64);

impl GuestMemory for Noise {
    fn read(&self, gpa: u64, buffer: &mut [u8]) -> bool {
        for (byte, at) in buffer.iter_mut().zip(gpa..) {
            [.., *byte] = (at ^ self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        }
        true
    }

    fn write(&mut self, _: u64, _: &[u8]) -> bool {
        true
    }
}

#[derive(Clone, Debug)]
enum Access {
    Port { port: u16, size: u8, value: Option<u32> },
    Memory { at: u64, size: u8, value: Option<u64> },
}

/// Any word, and often one that means something: a capability, a message's address or data.
fn word() -> impl prop::strategy::Strategy<Value = u32> {
    use prop::strategy::Strategy;
    let known =
        vec![0xc041, 0xffff_fff9, 0x0010_4005, 0x0190_4011, 0x8001_0000, 0xfee0_1000, 0x51, 1, 0];
    prop::strategy::Union::new([any::<u32>().boxed(), prop::sample::select(known).boxed()])
}

/// Bytes of an access to memory.
fn size_of_access() -> impl prop::strategy::Strategy<Value = u8> {
    prop::sample::select(vec![1_u8, 2, 4, 8])
}

fn access() -> impl prop::strategy::Strategy<Value = Access> {
    use prop::{sample::select, strategy::Strategy};
    let size = || select(vec![1_u8, 2, 4]);
    let ports = prop::strategy::Union::new([(0xcf8_u16..0xd00).boxed(), any::<u16>().boxed()]);
    let port = (ports, size(), prop::option::of(word()))
        .prop_map(|(port, size, value)| Access::Port { port, size, value });
    let address = (0_u32..0x100, any::<u8>()).prop_map(|(bdf, register)| Access::Port {
        port: 0xcf8,
        size: 4,
        value: Some(1 << 31 | (bdf & 7) << 8 | u32::from(register)),
    });
    let memory = (any::<u32>(), select(vec![1_u8, 4, 8]), any::<Option<u64>>())
        .prop_map(|(at, size, value)| Access::Memory { at: at.into(), size, value });
    prop::strategy::Union::new([port.boxed(), address.boxed(), memory.boxed()])
}

proptest! {
    #[test]
    fn a_lying_host_and_a_wild_guest_keep_the_bus_consistent(
        answers in prop::collection::vec(word(), 1..64),
        room in 0_u8..8,
        accesses in prop::collection::vec(access(), 0..200),
    ) {
        let mut host = Liar { answers, next: 0, room, mapped: BTreeSet::new(), made: 0 };
        let mut bus = Bus::new();
        for access in accesses {
            match access {
                Access::Port { port, size, value: Some(value) } => {
                    bus.write(&mut host, (port, size), value);
                    let _ = bus.port_write(&mut host, (port, size), value);
                }
                Access::Port { port, size, value: None } => {
                    let read = bus.read(&mut host, port, size);
                    prop_assert!(size == 4 || read >> (8 * size) == 0);
                    let read = bus.port_read(&mut host, port, size).unwrap_or(0);
                    prop_assert!(size == 4 || read >> (8 * size) == 0);
                }
                Access::Memory { at, size, value: Some(value) } => {
                    let _ = bus.memory_write(&mut host, Location { gpa: at, size }, value);
                }
                Access::Memory { at, size, value: None } => {
                    let _ = bus.memory_read(&mut host, Location { gpa: at, size });
                }
            }
        }
        prop_assert!(host.mapped.len() <= usize::from(room));
    }

    #[test]
    fn an_io_apic_sends_vectors_that_exist_and_one_a_pin_until_it_is_ended(
        steps in prop::collection::vec(
            (0_u64..0x40, size_of_access(), any::<u32>(), 0..PINS + 2),
            0..300,
        ),
    ) {
        let mut chip = IoApic::new();
        let mut high = false;
        for (offset, size, value, pin) in steps {
            // Half the accesses hit a register, so that entries are really written.
            let offset = if value & 1 == 0 { offset & 0x10 } else { offset };
            let _ = chip.read(offset, size);
            high = !high;
            let line = if high { Line::High } else { Line::Low };
            for sent in [chip.write(offset, size, value), chip.set_line(pin, line)] {
                prop_assert!(sent.iter().all(|delivery| delivery.vector.get() >= 16));
                for delivery in sent.iter() {
                    let again = chip.end_of_interrupt(delivery.vector);
                    prop_assert!(again.iter().all(|other| other.vector == delivery.vector));
                }
            }
        }
    }

    #[test]
    fn a_serial_port_takes_any_access(
        steps in prop::collection::vec((any::<u8>(), any::<Option<u8>>()), 0..200),
    ) {
        let mut uart = Uart::new();
        for (register, value) in steps {
            match value {
                Some(value) => {
                    let sent = uart.write(register, value);
                    prop_assert!(sent.is_none_or(|byte| register == 0 && byte == value));
                }
                None => _ = uart.read(register),
            }
            let _ = uart.interrupts();
        }
    }

    #[test]
    fn any_kernel_header_is_refused_or_gives_boot_parameters(
        mut head in prop::collection::vec(any::<u8>(), HEAD),
        valid in any::<u16>(),
        length in any::<u64>(),
    ) {
        // Each bit of `valid` puts one of the fields right that random bytes never are.
        let right: [(usize, &[u8]); 5] = [
            (0x1fe, &[0x55, 0xaa]),
            (0x202, b"HdrS\x0f\x02"),
            (0x211, &[1]),
            (0x236, &[1, 0]),
            (0x258, &[0, 0, 0x20, 1, 0, 0, 0, 0]),
        ];
        for (bit, (at, bytes)) in right.into_iter().enumerate() {
            if valid & 1 << bit == 0 || valid & 0x300 != 0 {
                head[at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
        if let Ok(header) = SetupHeader::parse(&head, length) {
            let used = header.used(length);
            prop_assert!(used.contains(&header.entry()));
            let told = Told { memory: &[], command_line: 0, initrd: (0, 0), acpi_root: 0 };
            prop_assert!(boot_params::make(&header, &told).is_some());
        }
    }

    #[test]
    fn any_mailbox_calls_nobody_or_one_cpu(seed in any::<u64>(), gpa in any::<u32>(), id in any::<u32>()) {
        let _ = mailbox::take(&mut Noise(seed), gpa.into(), id);
    }

    #[test]
    fn any_bytes_decode_to_a_sane_access_or_to_none(
        bytes in prop::collection::vec(any::<u8>(), 0..20),
        bits in prop::sample::select(vec![16_u32, 32, 64]),
        value in any::<u64>(),
    ) {
        if let Some(access) = mmio::decode(bits, &bytes) {
            prop_assert!(matches!(access.size, 1 | 2 | 4 | 8));
            prop_assert!(usize::from(access.length) <= bytes.len().min(mmio::MAX_LENGTH));
            let mut state = L2EnterGuestState::new();
            let stored = access.stored(&state);
            access.complete_load(&mut state, value);
            prop_assert!(stored.is_none() || state == L2EnterGuestState::new());
        }
    }

    #[test]
    fn any_file_is_loaded_inside_ram_or_refused(
        mut file in prop::collection::vec(any::<u8>(), 64..512),
        whole in any::<bool>(),
    ) {
        file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        file[18..20].copy_from_slice(&62_u16.to_le_bytes());
        if whole {
            file[32..40].copy_from_slice(&64_u64.to_le_bytes());
            file[54..58].copy_from_slice(&[56, 0, 2, 0]);
        }
        let room = Room { end: 0x100_0000, taken: &[] };
        if let Ok(plan) = kernel::plan(&file, &room, None) {
            for segment in plan.segments() {
                prop_assert!(segment.range().end <= 0x100_0000);
                prop_assert!(segment.bytes.len() as u64 <= segment.size);
            }
        }
    }

    #[test]
    fn any_tables_translate_or_do_not(words in any::<[u64; 4]>(), linear in any::<u64>()) {
        let [cr0, cr3, cr4, seed] = words;
        for efer in [0, 1 << 10] {
            let _ = Paging { cr0, cr3, cr4, efer }.translate(&Noise(seed), linear);
        }
    }

    #[test]
    fn any_exit_gives_back_an_event_that_entry_takes(raw in any::<u32>(), code in any::<u32>(), length in 0_u32..20) {
        if let Some(event) = Event::from_exit(InterruptionInfo::from_bits(raw), code, length) {
            let bits = event.information.into_bits();
            prop_assert_eq!(bits & 0x7fff_f000, 0, "reserved bits");
            prop_assert!(!matches!(bits >> 8 & 7, 1 | 7), "reserved types");
        }
    }

    #[test]
    fn any_command_line_is_parsed_or_refused(line in ".*") {
        let _ = command_line::parse(line.as_bytes());
    }
}
