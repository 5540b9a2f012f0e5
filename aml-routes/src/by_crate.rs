// SPDX-License-Identifier: MIT OR Apache-2.0
//! The crate `aml` as an interpreter.
//!
//! It has no limits and panics on some tables, hostile or not; who loads it runs where that is allowed.
//! An access that the machine refuses reads as ones, and the evaluation counts as failed.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};

use aml::{
    AmlContext, AmlError, AmlName, AmlValue, DebugVerbosity, Handler, LevelType, value::Args,
};
use spin::Mutex;

use crate::{Datum, Evaluator, Fault, Location, Machine, Path, Width};

/// The length of a table's header.
const HEADER: usize = 36;

/// The crate with tables loaded.
pub struct ByCrate {
    context: AmlContext,
    refused: Arc<AtomicBool>,
    said: Option<String>,
}

/// What the crate calls for accesses.
///
/// # Orderings
///
/// The flag is set and read by one thread; Relaxed is enough.
struct Door<M> {
    machine: Mutex<M>,
    refused: Arc<AtomicBool>,
}

impl core::fmt::Debug for ByCrate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ByCrate").field("said", &self.said).finish_non_exhaustive()
    }
}

impl ByCrate {
    /// Loads tables, each with its header: the DSDT first, then SSDTs.
    ///
    /// # Errors
    ///
    /// What the crate said, if a table cannot be loaded.
    pub fn load(tables: &[&[u8]], machine: impl Machine + Send + 'static) -> Result<Self, String> {
        let refused = Arc::new(AtomicBool::new(false));
        let door = Door { machine: Mutex::new(machine), refused: Arc::clone(&refused) };
        let mut context = AmlContext::new(Box::new(door), DebugVerbosity::None);
        for table in tables {
            let code = table.get(HEADER..).unwrap_or_default();
            context.parse_table(code).map_err(|error| format!("{error:?}"))?;
        }
        Ok(Self { context, refused, said: None })
    }

    /// Returns what the crate said when it last gave up.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    fn invoke(&mut self, path: &Path, arguments: Vec<Datum>) -> Result<AmlValue, AmlError> {
        let arguments = Args::from_list(arguments.into_iter().map(value).collect())?;
        self.context.invoke_method(&name(path)?, arguments)
    }
}

impl Evaluator for ByCrate {
    fn devices(&self) -> Vec<Path> {
        let mut devices = Vec::new();
        // What is handed in never fails.
        let _ = self.context.namespace.clone().traverse(|name, level| {
            if level.typ == LevelType::Device {
                devices.extend(Path::parse(&name.as_string()));
            }
            Ok(true)
        });
        devices
    }

    fn exists(&self, path: &Path) -> bool {
        !path.segments().is_empty()
            && name(path).is_ok_and(|name| self.context.namespace.get_by_path(&name).is_ok())
    }

    fn look_up(&self, text: &[u8], scope: &Path) -> Option<Path> {
        let wanted = AmlName::from_str(core::str::from_utf8(text).ok()?).ok()?;
        let found = self.context.namespace.search_for_level(&wanted, &name(scope).ok()?);
        Path::parse(&found.ok()?.as_string())
    }

    fn evaluate(&mut self, path: &Path, arguments: Vec<Datum>) -> Result<Datum, Fault> {
        self.refused.store(false, Ordering::Relaxed);
        let result = self.invoke(path, arguments);
        let datum = result.and_then(|value| datum(&value, &self.context));
        if self.refused.load(Ordering::Relaxed) {
            return Err(Fault::Refused);
        }
        datum.map_err(|error| {
            self.said = Some(format!("{error:?}"));
            Fault::Crate
        })
    }
}

fn name(path: &Path) -> Result<AmlName, AmlError> {
    AmlName::from_str(&format!("{path}"))
}

fn value(datum: Datum) -> AmlValue {
    match datum {
        Datum::Integer(value) => AmlValue::Integer(value),
        Datum::Text(text) => AmlValue::String(String::from_utf8_lossy(&text).into_owned()),
        Datum::Bytes(bytes) => {
            let buffer = Arc::default();
            let value = AmlValue::Buffer(Arc::clone(&buffer));
            *buffer.lock() = bytes;
            value
        }
        Datum::List(list) => AmlValue::Package(list.into_iter().map(value).collect()),
        Datum::None | Datum::Object(_) => AmlValue::Integer(0),
    }
}

fn datum(value: &AmlValue, context: &AmlContext) -> Result<Datum, AmlError> {
    Ok(match value {
        AmlValue::Boolean(_) | AmlValue::Integer(_) => Datum::Integer(value.as_integer(context)?),
        AmlValue::Field { .. } | AmlValue::BufferField { .. } => {
            Datum::Integer(value.as_integer(context)?)
        }
        AmlValue::String(text) => Datum::Text(text.as_bytes().to_vec()),
        AmlValue::Buffer(bytes) => Datum::Bytes(bytes.lock().clone()),
        AmlValue::Package(list) => {
            let data = list.iter().map(|value| datum(value, context));
            Datum::List(data.collect::<Result<_, _>>()?)
        }
        _ => Datum::None,
    })
}

impl<M: Machine> Door<M> {
    fn read(&self, from: Location, width: Width) -> u64 {
        self.machine.lock().read(from, width).unwrap_or_else(|_| {
            self.refused.store(true, Ordering::Relaxed);
            u64::MAX
        })
    }

    fn write(&self, to: Location, width: Width, value: u64) {
        if self.machine.lock().write(to, width, value).is_err() {
            self.refused.store(true, Ordering::Relaxed);
        }
    }
}

/// The crate's names of functions, by what is accessed and how much of it.
macro_rules! accesses {
    ($($read:ident $write:ident $memory_read:ident $memory_write:ident $width:ident $int:ty,)*) => {
        $(
            fn $read(
                &self, segment: u16, bus: u8, device: u8, function: u8, offset: u16,
            ) -> $int {
                low(self.read(config(segment, bus, device, function, offset), Width::$width))
            }

            fn $write(
                &self, segment: u16, bus: u8, device: u8, function: u8, offset: u16, value: $int,
            ) {
                let to = config(segment, bus, device, function, offset);
                self.write(to, Width::$width, value.into());
            }

            fn $memory_read(&self, address: usize) -> $int {
                low(self.read(memory(address), Width::$width))
            }

            fn $memory_write(&mut self, address: usize, value: $int) {
                self.write(memory(address), Width::$width, value.into());
            }
        )*
    };
}

/// The same of ports.
macro_rules! ports {
    ($($read:ident $write:ident $width:ident $int:ty,)*) => {
        $(
            fn $read(&self, port: u16) -> $int {
                low(self.read(Location::Port(port), Width::$width))
            }

            fn $write(&self, port: u16, value: $int) {
                self.write(Location::Port(port), Width::$width, value.into());
            }
        )*
    };
}

impl<M: Machine + Send> Handler for Door<M> {
    accesses! {
        read_pci_u8 write_pci_u8 read_u8 write_u8 Byte u8,
        read_pci_u16 write_pci_u16 read_u16 write_u16 Word u16,
        read_pci_u32 write_pci_u32 read_u32 write_u32 Dword u32,
    }

    ports! {
        read_io_u8 write_io_u8 Byte u8,
        read_io_u16 write_io_u16 Word u16,
        read_io_u32 write_io_u32 Dword u32,
    }

    fn read_u64(&self, address: usize) -> u64 {
        self.read(memory(address), Width::Qword)
    }

    fn write_u64(&mut self, address: usize, value: u64) {
        self.write(memory(address), Width::Qword, value);
    }
}

fn memory(address: usize) -> Location {
    Location::Memory(u64::try_from(address).unwrap_or(u64::MAX))
}

fn config(segment: u16, bus: u8, device: u8, function: u8, offset: u16) -> Location {
    Location::Config { segment, bus, function: (device & 31) << 3 | function & 7, offset }
}

/// Cuts what was read to the width that was asked for.
fn low<T: TryFrom<u64> + Default>(value: u64) -> T {
    let bits = u32::try_from(size_of::<T>() * 8).unwrap_or(u64::BITS);
    T::try_from(value & (u64::MAX >> (u64::BITS - bits))).unwrap_or_default()
}
