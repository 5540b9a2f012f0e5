// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules by which a pin is followed to an input.
//!
//! 1. `\_PIC(1)`: the tables are told that I/O APICs are in use.
//! 2. The routing table (`_PRT`) of the function's bus has an entry for its device number and pin: the
//!    entry names a global system interrupt (level, active low), or a link device, which says.
//! 3. It has none, or there is no table: the pin turns at the bridge and is looked up one bus above.
//! 4. Nothing at the root bus either: unknown.
//!
//! Spec: ACPI "_PIC Method", "_PRT (PCI Routing Table)"; PCIE "INTx Interrupt Signaling - Rules".

use acpi_routes::{Pin, Polarity, Question, Route, Source, Trigger, Unknown};
use alloc::{vec, vec::Vec};

use crate::{Datum, Evaluator, Fault, Path, link};

/// `PNP0A03` and `PNP0A08`, as integers: root bridges.
const ROOT_BRIDGES: [u64; 2] = [0x030a_d041, 0x080a_d041];

/// The same as text.
const ROOT_BRIDGE_NAMES: [&[u8]; 2] = [b"PNP0A03", b"PNP0A08"];

/// A root bridge.
struct Root {
    path: Path,
    segment: u64,
    bus: u64,
}

/// Answers questions, one after the other.
#[derive(Debug)]
pub struct Router<E> {
    evaluator: E,
    /// Roots, and why there are none.
    roots: Result<Vec<Root>, Fault>,
    devices: Vec<Path>,
}

impl core::fmt::Debug for Root {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:x}:{:x} {}", self.segment, self.bus, self.path)
    }
}

impl<E: Evaluator> Router<E> {
    /// Tells the tables that I/O APICs are in use, and finds the root bridges.
    pub fn new(mut evaluator: E) -> Self {
        let devices = evaluator.devices();
        let pic = Path::default().child(b"_PIC");
        let switched = if evaluator.exists(&pic) {
            evaluator.evaluate(&pic, vec![Datum::Integer(1)]).map(|_| ())
        } else {
            Ok(())
        };
        let roots = switched.and_then(|()| roots(&mut evaluator, &devices));
        Self { evaluator, roots, devices }
    }

    /// Returns why no question can be answered, if so.
    pub fn failure(&self) -> Option<Fault> {
        self.roots.as_ref().err().copied()
    }

    /// Returns the interpreter.
    pub fn evaluator(&self) -> &E {
        &self.evaluator
    }

    /// Answers a question.
    ///
    /// # Errors
    ///
    /// Why it is not known.
    pub fn answer(&mut self, question: &Question) -> Result<Route, Unknown> {
        let mut pin = question.pin().ok_or(Unknown::Question)?;
        let roots = self.roots.as_ref().map_err(|_| Unknown::Tables)?;
        let wanted = (u64::from(question.segment), u64::from(question.root_bus));
        let root = roots.iter().find(|root| (root.segment, root.bus) == wanted);
        let root = root.ok_or(Unknown::RootBus)?.path.clone();
        let way = question.way();
        if way.is_empty() {
            return Err(Unknown::Question);
        }
        // The bridge of each bus on the way, as far as the namespace goes.
        let mut bridges = vec![Some(root)];
        for function in way {
            let above = bridges.last().cloned().flatten();
            let bridge = above.and_then(|above| self.child_at(&above, *function));
            bridges.push(bridge);
        }
        for (function, bridge) in way.iter().zip(bridges).rev() {
            let device = function >> 3;
            if let Some(bridge) = bridge
                && let Some(entry) = self.entry(&bridge, device, pin)?
            {
                return self.follow(&bridge, &entry);
            }
            pin = pin.behind_bridge(device);
        }
        Err(Unknown::NoEntry)
    }

    /// Finds the device below `parent` whose address this is.
    fn child_at(&mut self, parent: &Path, function: u8) -> Option<Path> {
        let address = u64::from(function >> 3) << 16 | u64::from(function & 7);
        let mut children =
            self.devices.iter().filter(|path| path.parent().as_ref() == Some(parent));
        let evaluator = &mut self.evaluator;
        let here = |path: &&Path| integer(evaluator, path, b"_ADR") == Ok(Some(address));
        children.find(here).cloned()
    }

    /// Finds the entry of a bus's routing table for a pin: its source and the source's index.
    fn entry(
        &mut self,
        bridge: &Path,
        device: u8,
        pin: Pin,
    ) -> Result<Option<(Datum, Datum)>, Unknown> {
        let name = bridge.child(b"_PRT");
        if !self.evaluator.exists(&name) {
            return Ok(None);
        }
        let table = self.evaluator.evaluate(&name, vec![]).map_err(|_| Unknown::TableFailed)?;
        let Datum::List(entries) = table else { return Err(Unknown::TableFailed) };
        for entry in entries {
            let Datum::List(fields) = entry else { return Err(Unknown::BadEntry) };
            let [Datum::Integer(address), Datum::Integer(number), source, index] = &*fields else {
                return Err(Unknown::BadEntry);
            };
            // All functions of a device share an entry, whatever the address has in its low half.
            if *address >> 16 == device.into() && *number == pin.index().into() {
                return Ok(Some((source.clone(), index.clone())));
            }
        }
        Ok(None)
    }

    /// Follows what an entry of the table of `bridge` names.
    fn follow(&mut self, bridge: &Path, entry: &(Datum, Datum)) -> Result<Route, Unknown> {
        let link = match entry {
            (Datum::Integer(0), Datum::Integer(gsi)) => {
                let gsi = u32::try_from(*gsi).map_err(|_| Unknown::BadEntry)?;
                let (trigger, polarity) = (Trigger::Level, Polarity::Low);
                return Ok(Route { gsi, trigger, polarity, source: Source::Table });
            }
            (Datum::Object(path), Datum::Integer(0)) => Some(path.clone()),
            (Datum::Text(name), Datum::Integer(0)) => self.evaluator.look_up(name, bridge),
            _ => return Err(Unknown::BadEntry),
        };
        let link = link.filter(|link| self.devices.contains(link)).ok_or(Unknown::NoLink)?;
        link::route(&mut self.evaluator, &link)
    }
}

/// Finds the root bridges.
fn roots(evaluator: &mut impl Evaluator, devices: &[Path]) -> Result<Vec<Root>, Fault> {
    let mut roots = vec![];
    for path in devices {
        let ids = [b"_HID", b"_CID"].map(|name| evaluate_if_there(evaluator, path, name));
        if !ids.into_iter().any(|id| id.is_ok_and(|id| id.is_some_and(|id| is_root(&id)))) {
            continue;
        }
        let segment = integer(evaluator, path, b"_SEG")?.unwrap_or(0);
        let bus = integer(evaluator, path, b"_BBN")?.unwrap_or(0);
        if integer(evaluator, path, b"_STA")?.is_none_or(|status| status & 1 != 0) {
            roots.push(Root { path: path.clone(), segment, bus });
        }
    }
    Ok(roots)
}

pub(crate) fn is_root(id: &Datum) -> bool {
    match id {
        Datum::Integer(id) => ROOT_BRIDGES.contains(id),
        Datum::Text(id) => ROOT_BRIDGE_NAMES.contains(&&**id),
        Datum::List(ids) => ids.iter().any(|id| !matches!(id, Datum::List(_)) && is_root(id)),
        _ => false,
    }
}

fn integer(
    evaluator: &mut impl Evaluator,
    device: &Path,
    name: &[u8; 4],
) -> Result<Option<u64>, Fault> {
    match evaluate_if_there(evaluator, device, name)? {
        None => Ok(None),
        Some(Datum::Integer(value)) => Ok(Some(value)),
        Some(_) => Err(Fault::Kind),
    }
}

fn evaluate_if_there(
    evaluator: &mut impl Evaluator,
    device: &Path,
    name: &[u8; 4],
) -> Result<Option<Datum>, Fault> {
    let path = device.child(name);
    if evaluator.exists(&path) { evaluator.evaluate(&path, vec![]).map(Some) } else { Ok(None) }
}
