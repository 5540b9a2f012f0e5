// SPDX-License-Identifier: MIT OR Apache-2.0
//! What L1 makes of tables of QEMU's machines, as they are and changed.
//!
//! The host shows the TD the tables of another machine, and devices are where that machine has some, so that L1 asks
//! about the same pins as Linux did there. It can be given devices on bus 0 only.

use std::sync::OnceLock;

use acpi_routes::{Polarity, Trigger};
use xtask::host_tables::{HostTables, Source};
use xtask::hostile_tables::{GUEST, Tables};
use xtask::qemu::Qemu;

use super::Machine;
use super::described::{Found, Route};
use crate::stand::{Stand, Verdict, check, said};

/// The machine whose ISA bridge is where others have a device.
const I440FX: &str = "pc";

/// The last that its link devices can be set to, which is what they are set to.
const LINK_CHOICE: u32 = 11;

/// Where the stand has a device with a pin by itself: if the first place is the bridge's, and else.
const OWN: [&str; 2] = ["04", "01"];

/// Compares what L1 and Linux found of each pin A on bus 0.
pub(super) fn same_routes(machine: Machine) -> Verdict {
    let bridge = if machine.machine == I440FX { "bridge=piix3" } else { "bridge=own" };
    find(machine, bridge, |found| found)
}

/// The same for a machine as it comes out of reset, where no firmware has switched a link on: L1's second VM does
/// it, and the bridge has what it has written.
pub(super) fn switched_on(machine: Machine) -> Verdict {
    find(machine, "bridge=piix3-off", |_| (LINK_CHOICE, Trigger::Level, Polarity::High))
}

fn find(machine: Machine, bridge: &str, wanted: fn(Route) -> Route) -> Verdict {
    let described = super::described(machine)?;
    let source = Source { machine: machine.machine, devices: machine.devices };
    let take = || HostTables::of(source, &Qemu::find(None)?);
    let tables = take().map_err(|failure| failure.to_string())?;
    // The checksum is in the header, and QEMU leaves it to the script.
    let code = tables.dsdt().and_then(|dsdt| dsdt.get(36..));
    check!(code == described.dsdt.get(36..), "Linux found another DSDT than QEMU has in its files");

    let [first, other] = OWN;
    let own = if machine.machine == I440FX { first } else { other };
    let stand = Stand::new(1, GUEST).tables(tables).paravisor_option("acpi=routes");
    let mut stand = stand.emulator_option(bridge);
    let pins: Vec<_> = described.found.iter().filter_map(pin_of_a_place).collect();
    for (place, _) in pins.iter().filter(|(place, _)| *place != own) {
        stand = stand.qemu_options(&["-device", &format!("edu,addr=0x{place}")]);
    }
    check!(pins.len() >= machine.on_bus_0, "{} pins, not {}", pins.len(), machine.on_bus_0);
    stand.run(|outcome| {
        for (place, found) in &pins {
            let (gsi, trigger, polarity) = wanted(*found);
            let trigger = if trigger == Trigger::Edge { "edge" } else { "level" };
            let polarity = if polarity == Polarity::High { "high" } else { "low" };
            let line = format!("pin=A gsi={gsi} trigger={trigger} polarity={polarity} source=acpi");
            said(outcome, "L1 | info ", &format!("intx: device=00:{place}.0 {line}"))?;
        }
        outcome.judge().map(drop)
    })
}

/// Where on bus 0 a device is whose first function has pin A, and what Linux found of it.
fn pin_of_a_place(found: &Found) -> Option<(&str, Route)> {
    let place = found.function.strip_prefix("0000:00:")?.strip_suffix(".0")?;
    (Some(found.pin) == acpi_routes::Pin::from_register(1)).then_some((place, found.route))
}

/// Gives a TD changed tables.
pub(super) fn bears(seed: u64) -> Verdict {
    static TABLES: OnceLock<Result<Tables, String>> = OnceLock::new();
    let take = || Tables::take(&Qemu::find(None)?);
    let tables = TABLES.get_or_init(|| take().map_err(|failure| failure.to_string()));
    let plan = tables.as_ref().map_err(Clone::clone)?.plan(seed).map_err(|why| why.to_string())?;
    let stand = Stand::new(1, GUEST).tables(plan.tables.clone()).emulator_option(plan.host);
    stand.paravisor_option("acpi=routes").run(|outcome| plan.judge(outcome).map(drop))
}
