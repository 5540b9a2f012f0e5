// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs of a TD whose host gives it changed ACPI tables, and how they are judged.
//!
//! The tables are those of QEMU's machines q35 and pc, in turn, with a DSDT that was changed as the seed says. They may
//! keep a line from L2, or give it another one than the machine has, for they are the host's; what must hold in each
//! run:
//!
//! - nobody panics, and the guest comes to a good end;
//! - no message of a device is lost, and the guest handled as many as were relayed, none by way of the host;
//! - the end of the VM that runs the AML has a reason, or there is one why it was not run;
//! - the device with a pin has a line by the tables, or a reason why it has none.

use crate::{
    Failure, Result,
    host_tables::{
        HostTables, Source,
        changes::{self, Change},
    },
    machine::{Exit, Machine, Outcome},
    qemu::Qemu,
};

/// The guest's command line: eight interrupts of a device, each rung so often.
pub const GUEST: &str = "scenario=paced count=10 wait=poll";

/// The machines, what the emulated host is told of each, and where the device with a pin is.
const MACHINES: [(&str, &str, &str); 2] =
    [("q35", "bridge=own", "00:01.0"), ("pc", "bridge=piix3", "00:04.0")];

/// The tables of the machines.
#[derive(Clone, Debug)]
pub struct Tables([HostTables; 2]);

/// The run of a seed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What was done to the tables.
    pub name: String,
    /// The tables.
    pub tables: HostTables,
    /// What the emulated host is told.
    pub host: &'static str,
    /// The device with a pin.
    pub device: &'static str,
}

impl Tables {
    /// Takes them from QEMU.
    ///
    /// # Errors
    ///
    /// If QEMU cannot be started.
    pub fn take(qemu: &Qemu) -> Result<Self> {
        let [q35, pc] =
            MACHINES.map(|(machine, ..)| HostTables::of(Source { machine, devices: &[] }, qemu));
        Ok(Self([q35?, pc?]))
    }

    /// The run of a seed.
    ///
    /// # Errors
    ///
    /// If QEMU's tables have no DSDT.
    pub fn plan(&self, seed: u64) -> Result<Plan> {
        let which = usize::from(!seed.is_multiple_of(2));
        let (tables, (machine, host, device)) = (&self.0[which], MACHINES[which]);
        let changed = || {
            let Change { name, dsdt } = changes::of_seed(tables.dsdt()?, seed);
            Some((format!("{machine}: {name}"), tables.with_dsdt(&dsdt)?))
        };
        let (name, tables) =
            changed().ok_or_else(|| Failure::new(format!("QEMU's {machine} has no DSDT")))?;
        Ok(Plan { name, tables, host, device })
    }
}

impl Plan {
    /// The machine that it is run on.
    #[must_use]
    pub fn machine(&self) -> Machine {
        let options = vec![self.host.to_owned()];
        Machine { options, tables: Some(self.tables.clone()), ..Machine::default() }
    }

    /// Judges a run; returns what became of the tables and of the device's line.
    ///
    /// # Errors
    ///
    /// What does not hold.
    pub fn judge(&self, outcome: &Outcome) -> core::result::Result<String, String> {
        let said = |part: &str| outcome.console.iter().find(|line| line.contains(part));
        // Of the VM for AML that is an end like others.
        let panics = |line: &&String| {
            line.contains("panic at") || line.contains("panicked") && !line.contains("acpi: vm: ")
        };
        if let Some(line) = outcome.console.iter().find(panics) {
            return Err(format!("a panic: {line}"));
        }
        outcome.judge()?;
        if outcome.exit != Exit::SUCCESS {
            return Err(outcome.exit.to_string());
        }
        let handled = said("ok=1 handled=").and_then(|line| line.rsplit_once("handled="));
        let handled = handled.and_then(|(_, count)| count.trim().parse().ok());
        let total = outcome.report.total();
        if handled != Some(total.relayed) || total.messages != total.relayed || handled == Some(0) {
            let (messages, relayed) = (total.messages, total.relayed);
            return Err(format!("{messages} messages, {relayed} relayed, {handled:?} handled"));
        }
        let reason = |begin: &str| {
            let mut lines = outcome.console.iter().filter(|line| line.starts_with("L1 | "));
            lines.rfind(|line| line.contains(begin)).map(|line| {
                let text = line.split_once(begin).map_or("", |(_, text)| text);
                // Counts of accesses are no reason.
                text.split(" ports=").next().unwrap_or(text).to_owned()
            })
        };
        let end = reason("acpi: vm: ").filter(|end| !end.starts_with("refused:"));
        let end = end.or_else(|| reason("acpi: the ")).or_else(|| reason("acpi: "));
        let end = end.ok_or("nothing is told of the tables")?;
        let line = reason(&format!("intx: device={} pin=A", self.device));
        let line = line.ok_or_else(|| format!("nothing is told of the line of {}", self.device))?;
        let line = match line.strip_prefix(": ") {
            Some(reason) => reason.trim_end_matches("; it has no line").to_owned(),
            None => "a line".to_owned(),
        };
        Ok(format!("{end}; {line}"))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Plan, Tables};
    use crate::{
        host_tables::HostTables,
        machine::{Exit, Outcome},
        report::{End, Report, Row},
    };

    fn tables() -> HostTables {
        HostTables { tables: vec![], loader: vec![], rsdp: vec![] }
    }

    fn judge(lines: &[&str], row: Row) -> Result<String, String> {
        let plan = Plan { name: String::new(), tables: tables(), host: "", device: "00:01.0" };
        let lines = lines.iter().chain(&["L2 | result scenario=paced ok=1 handled=5"]);
        plan.judge(&Outcome {
            exit: Exit::SUCCESS,
            console: lines.map(|line| (*line).to_owned()).collect(),
            report: Report { rows: vec![row], end: Some(End::default()), ..Report::default() },
            duration: Duration::ZERO,
            peer: ivshmem_peer::Summary::default(),
        })
    }

    const END: &str = "L1 | info  l2: acpi: vm: it took too long ports=3 refused=0";
    const REFUSED: &str = "L1 | warn  l2: acpi: vm: refused: port=0xf4 size=1 direction=Out";
    const ERROR: &str = "L1 | warn  l2: acpi: the tables have not answered";
    const NONE: &str = "L1 | warn  l2: intx: device=00:01.0 pin=A: no idea; it has no line";
    const ROUTE: &str =
        "L1 | info  l2: intx: device=00:01.0 pin=A gsi=21 trigger=level polarity=low source=acpi";

    fn good() -> Row {
        Row { messages: 5, relayed: 5, ..Row::default() }
    }

    #[test]
    fn an_end_and_a_line_have_reasons() {
        let told = |lines: &[&str]| judge(lines, good());
        assert_eq!(told(&[REFUSED, END, ERROR, NONE]).unwrap(), "it took too long; no idea");
        assert_eq!(told(&[END, ROUTE]).unwrap(), "it took too long; a line");
        assert_eq!(told(&[ERROR, NONE]).unwrap(), "tables have not answered; no idea");
        assert!(told(&[NONE]).is_err(), "no end");
        assert!(told(&[END]).is_err(), "no line");
        assert!(told(&["L1 | cpu 0: panic at x.rs:1", END, NONE]).is_err());
        assert!(told(&["L0 | it panicked", END, NONE]).is_err());
        let end = "it panicked or had no memory left";
        let panicked = format!("L1 | info  l2: acpi: vm: {end} ports=0 refused=0");
        assert_eq!(told(&[&panicked, ERROR, NONE]).unwrap(), format!("{end}; no idea"));
    }

    #[test]
    fn the_relay_must_not_suffer() {
        let told = |row| judge(&[END, NONE], row);
        assert!(told(good()).is_ok());
        assert!(told(Row { lost: 1, ..good() }).is_err());
        assert!(told(Row { relayed: 4, messages: 4, ..good() }).is_err());
        assert!(told(Row { messages: 6, merged: 1, ..good() }).is_err());
        assert!(told(Row { tdvmcalls: 1, ..good() }).is_err());
    }

    #[test]
    fn tables_without_a_program_are_none() {
        assert!(Tables([tables(), tables()]).plan(0).is_err());
    }
}
