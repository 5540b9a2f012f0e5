// SPDX-License-Identifier: MIT OR Apache-2.0
//! The crate `acpi`, which reads the fixed tables and interprets AML: one more witness.
//!
//! It trusts the tables, so it runs in a test and nowhere else. It wants them in memory; whatever it maps
//! becomes a copy of its own, aligned, because it reads some of it as integers.
#![expect(unsafe_code, reason = "the crate reads memory that it is told of by address")]

use core::{
    cell::{Cell, RefCell},
    ptr::NonNull,
    str::FromStr as _,
};
use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use acpi::aml::{
    AmlError, Interpreter,
    namespace::{AmlName, NamespaceLevelKind},
    object::{Object, WrappedObject},
};
use acpi::{
    AcpiTables, Handle, Handler, PhysicalMapping,
    registers::FixedRegisters,
    sdt::{
        fadt::Fadt,
        madt::{Madt, MadtEntry},
    },
};
use acpi_routes::{Polarity, Trigger, madt::IsaInterrupt};
use aml_routes::{Datum, Evaluator, Fault, Location, Machine as _, Path, Width};
use pci_types::PciAddress;

use super::described::{Described, Space};

/// Where the tables lie, as far as the crate knows.
const DSDT: u32 = 0x10_0000;
const FADT: u32 = 0x20_0000;
const MADT: u32 = 0x20_1000;
const ROOT_TABLE: u32 = 0x20_2000;
const ROOT_POINTER: usize = 0x20_3000;

const HEADER: usize = 36;
/// The DSDT's address in the FADT.
const DSDT_ADDRESS: core::ops::Range<usize> = 40..44;

/// Memory with tables, and configuration space.
#[derive(Clone)]
struct Door {
    memory: Rc<BTreeMap<usize, Vec<u8>>>,
    space: Rc<Cell<Option<Space>>>,
    refused: Rc<Cell<bool>>,
    mapped: Rc<RefCell<Vec<Vec<u64>>>>,
}

/// The crate with tables loaded.
pub(super) struct ByAcpi {
    door: Door,
    interpreter: Interpreter<Door>,
}

/// What the crate reads in the MADT: the first input of each I/O APIC, and the overrides by their ISA
/// interrupt.
pub(super) type FixedTables = (Vec<u32>, BTreeMap<u8, IsaInterrupt>);

/// Reads the fixed tables.
pub(super) fn fixed_tables(described: &Described) -> Result<FixedTables, String> {
    let tables = tables(&Door::new(described))?;
    let madt = tables.find_table::<Madt>().ok_or("the crate finds no MADT")?;
    let (mut bases, mut overrides) = (vec![], BTreeMap::new());
    for entry in madt.get().entries() {
        match entry {
            MadtEntry::IoApic(io_apic) => bases.push(io_apic.global_system_interrupt_base),
            MadtEntry::InterruptSourceOverride(entry) => {
                let polarity = if entry.flags & 3 == 3 { Polarity::Low } else { Polarity::High };
                let is_level = entry.flags >> 2 & 3 == 3;
                let trigger = if is_level { Trigger::Level } else { Trigger::Edge };
                let gsi = entry.global_system_interrupt;
                overrides.insert(entry.irq, IsaInterrupt { gsi, trigger, polarity });
            }
            _ => {}
        }
    }
    Ok((bases, overrides))
}

fn tables(door: &Door) -> Result<AcpiTables<Door>, String> {
    // SAFETY: `Door` has a root pointer at this address.
    let tables = unsafe { AcpiTables::from_rsdp(door.clone(), ROOT_POINTER) };
    tables.map_err(|error| format!("{error:?}"))
}

impl ByAcpi {
    /// Loads the machine's tables.
    #[expect(clippy::arc_with_non_send_sync, reason = "the crate wants an `Arc`")]
    pub(super) fn load(described: &Described) -> Result<Self, String> {
        let door = Door::new(described);
        let tables = tables(&door)?;
        let fadt = tables.find_table::<Fadt>().ok_or("the crate finds no FADT")?;
        let registers = FixedRegisters::new(&fadt, door.clone());
        let registers = Arc::new(registers.map_err(|error| format!("{error:?}"))?);
        let dsdt = tables.dsdt().map_err(|error| format!("{error:?}"))?;
        let interpreter = Interpreter::new(door.clone(), dsdt.revision, registers, None);
        let code = described.dsdt.get(HEADER..).unwrap_or_default();
        interpreter.load_table(code).map_err(|error| format!("{error:?}"))?;
        Ok(Self { door, interpreter })
    }
}

impl Evaluator for ByAcpi {
    fn devices(&self) -> Vec<Path> {
        let mut devices = Vec::new();
        // What is handed in never fails.
        let _ = self.interpreter.namespace.lock().traverse(|name, level| {
            if level.kind == NamespaceLevelKind::Device {
                devices.extend(Path::parse(&name.as_string()));
            }
            Ok(true)
        });
        devices
    }

    fn exists(&self, path: &Path) -> bool {
        let found = name(path).and_then(|name| self.interpreter.namespace.lock().get(name));
        !path.segments().is_empty() && found.is_ok()
    }

    fn look_up(&self, text: &[u8], scope: &Path) -> Option<Path> {
        let wanted = AmlName::from_str(core::str::from_utf8(text).ok()?).ok()?;
        let scope = name(scope).ok()?;
        let found = self.interpreter.namespace.lock().search_for_level(&wanted, &scope);
        Path::parse(&found.ok()?.as_string())
    }

    fn evaluate(&mut self, path: &Path, arguments: Vec<Datum>) -> Result<Datum, Fault> {
        self.door.refused.set(false);
        let arguments = arguments.into_iter().map(object).collect();
        let result = name(path).and_then(|name| self.interpreter.evaluate(name, arguments));
        if self.door.refused.get() {
            return Err(Fault::Refused);
        }
        result.map(|object| datum(&object.unwrap_reference())).map_err(|_| Fault::Crate)
    }
}

fn name(path: &Path) -> Result<AmlName, AmlError> {
    AmlName::from_str(&format!("{path}"))
}

fn object(datum: Datum) -> WrappedObject {
    match datum {
        Datum::Integer(value) => Object::Integer(value),
        Datum::Text(text) => Object::String(String::from_utf8_lossy(&text).into_owned()),
        Datum::Bytes(bytes) => Object::Buffer(bytes),
        Datum::List(list) => Object::Package(list.into_iter().map(object).collect()),
        Datum::None | Datum::Object(_) => Object::Uninitialized,
    }
    .wrap()
}

fn datum(object: &Object) -> Datum {
    match object {
        Object::Integer(value) => Datum::Integer(*value),
        Object::String(text) => Datum::Text(text.as_bytes().to_vec()),
        Object::Buffer(bytes) => Datum::Bytes(bytes.clone()),
        Object::Package(list) => {
            let list = list.iter().map(|object| datum(&object.clone().unwrap_reference()));
            Datum::List(list.collect())
        }
        _ => Datum::None,
    }
}

impl Door {
    /// The tables as Linux handed them out, under a root of our own.
    fn new(described: &Described) -> Self {
        let mut fadt = described.fadt.clone();
        fadt[DSDT_ADDRESS].copy_from_slice(&DSDT.to_le_bytes());
        let mut root = b"RSDT".to_vec();
        root.extend(44_u32.to_le_bytes());
        root.resize(HEADER, 0);
        root.extend(FADT.to_le_bytes());
        root.extend(MADT.to_le_bytes());
        let pointer = [&b"RSD PTR \0LYCHG \0"[..], &ROOT_TABLE.to_le_bytes(), &[0; 16]].concat();
        let place = |address: u32| usize::try_from(address).unwrap_or(0);
        let memory = BTreeMap::from([
            (place(DSDT), described.dsdt.clone()),
            (place(FADT), fadt),
            (place(MADT), described.madt.clone()),
            (place(ROOT_TABLE), root),
            (ROOT_POINTER, pointer),
        ]);
        let space = Rc::new(Cell::new(Some(described.machine())));
        Self { memory: Rc::new(memory), space, refused: Rc::default(), mapped: Rc::default() }
    }

    /// Bytes from an address on; beyond a table there are zeros.
    fn bytes(&self, address: usize, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        if let Some((start, table)) = self.memory.range(..=address).next_back() {
            let rest = table.get(address - start..).unwrap_or_default();
            bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        }
        bytes
    }

    fn read(&self, from: Location, width: Width) -> u64 {
        self.access(|space| space.read(from, width).ok()).unwrap_or(u64::MAX)
    }

    fn write(&self, to: Location, width: Width, value: u64) {
        self.access(|space| space.write(to, width, value).ok());
    }

    fn access<R>(&self, access: impl FnOnce(&mut Space) -> Option<R>) -> Option<R> {
        let mut space = self.space.take();
        let result = space.as_mut().and_then(access);
        self.space.set(space);
        self.refused.set(self.refused.get() || result.is_none());
        result
    }
}

/// The crate's names of functions, by what is accessed and how much of it.
macro_rules! accesses {
    ($($read_memory:ident $write_memory:ident $read_port:ident $write_port:ident $read:ident $write:ident
       $width:ident $int:ty,)*) => {
        $(
            fn $read_memory(&self, address: usize) -> $int {
                low(self.read(memory(address), Width::$width))
            }

            fn $write_memory(&self, address: usize, value: $int) {
                self.write(memory(address), Width::$width, value.into());
            }

            fn $read_port(&self, port: u16) -> $int {
                low(self.read(Location::Port(port), Width::$width))
            }

            fn $write_port(&self, port: u16, value: $int) {
                self.write(Location::Port(port), Width::$width, value.into());
            }

            fn $read(&self, address: PciAddress, offset: u16) -> $int {
                low(self.read(config(address, offset), Width::$width))
            }

            fn $write(&self, address: PciAddress, offset: u16, value: $int) {
                self.write(config(address, offset), Width::$width, value.into());
            }
        )*
    };
}

impl Handler for Door {
    accesses! {
        read_u8 write_u8 read_io_u8 write_io_u8 read_pci_u8 write_pci_u8 Byte u8,
        read_u16 write_u16 read_io_u16 write_io_u16 read_pci_u16 write_pci_u16 Word u16,
        read_u32 write_u32 read_io_u32 write_io_u32 read_pci_u32 write_pci_u32 Dword u32,
    }

    unsafe fn map_physical_region<T>(
        &self,
        physical_address: usize,
        size: usize,
    ) -> PhysicalMapping<Self, T> {
        let size = size.max(size_of::<T>());
        let mut dwords = vec![0_u64; size.div_ceil(size_of::<u64>())];
        for (dword, bytes) in dwords.iter_mut().zip(self.bytes(physical_address, size).chunks(8)) {
            let mut wide = [0; 8];
            wide[..bytes.len()].copy_from_slice(bytes);
            *dword = u64::from_le_bytes(wide);
        }
        let start = NonNull::from(&mut dwords[..]).cast();
        self.mapped.borrow_mut().push(dwords);
        PhysicalMapping {
            physical_start: physical_address,
            virtual_start: start,
            region_length: size,
            mapped_length: size,
            handler: self.clone(),
        }
    }

    /// What was mapped stays as long as there is a clone of the door, and each mapping has one.
    fn unmap_physical_region<T>(_: &PhysicalMapping<Self, T>) {}

    fn read_u64(&self, address: usize) -> u64 {
        self.read(memory(address), Width::Qword)
    }

    fn write_u64(&self, address: usize, value: u64) {
        self.write(memory(address), Width::Qword, value);
    }

    fn nanos_since_boot(&self) -> u64 {
        0
    }

    fn stall(&self, _: u64) {}

    fn sleep(&self, _: u64) {}

    fn create_mutex(&self) -> Handle {
        Handle(0)
    }

    fn acquire(&self, _: Handle, _: u16) -> Result<(), AmlError> {
        Ok(())
    }

    fn release(&self, _: Handle) {}
}

fn memory(address: usize) -> Location {
    Location::Memory(u64::try_from(address).unwrap_or(u64::MAX))
}

fn config(address: PciAddress, offset: u16) -> Location {
    let function = (address.device() & 31) << 3 | address.function() & 7;
    Location::Config { segment: address.segment(), bus: address.bus(), function, offset }
}

/// Cuts what was read to the width that was asked for.
fn low<T: TryFrom<u64> + Default>(value: u64) -> T {
    let bits = u32::try_from(size_of::<T>() * 8).unwrap_or(u64::BITS);
    T::try_from(value & (u64::MAX >> (u64::BITS - bits))).unwrap_or_default()
}
