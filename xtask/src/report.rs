// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the emulator reports of a run: one JSON object a line, on a port of its own.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Result, failure::Context, guest_counts::GuestCount};

/// Everything reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One for each way that an interrupt took.
    pub rows: Vec<Row>,
    /// One for each virtual CPU.
    pub cpus: Vec<Cpu>,
    /// One for each line of devices that interrupted.
    pub lines: Vec<Line>,
    /// Requests of devices that the IOMMU refused.
    pub dma_faults: Vec<DmaFault>,
    /// The guest's lines that begin with `result `.
    pub guest: Vec<String>,
    /// What of them is about the interrupts that it counted.
    pub guest_counts: Vec<GuestCount>,
    /// For each of them, the microseconds since the guest's first instruction.
    pub guest_times: Vec<u64>,
    /// For each of them, the reserved vectors that stood for an interrupt of a device at that time.
    pub guest_mappings: Vec<u64>,
    /// For each of them, how often the TD had been told of an interrupt on a line.
    pub guest_told: Vec<u64>,
    /// How it ended, unless the machine died first.
    pub end: Option<End>,
    /// What happened when, if that was asked for.
    pub trace: Vec<TraceEvent>,
    /// What was rung after each instruction of L1, if that was asked for.
    pub sweep: Option<Sweep>,
    /// What the emulator rang in bursts, if that was asked for.
    pub flood: Option<Flood>,
}

/// The figures of a line, on which devices interrupt by a pin of the host's IO-APIC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The pin.
    pub gsi: u32,
    /// How often the host told the TD.
    pub told: u64,
    /// How often the TD told the host that an interrupt by level had ended.
    pub ended: u64,
}

/// Interrupts that the emulated host rang in bursts, beside those of the devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flood {
    /// Interrupts that were rung.
    pub rung: u64,
    /// Interrupts among them that L2 never took.
    pub lost: u64,
}

/// A sweep: interrupts after each instruction of L1 on its way from one `TDG.VP.ENTER` to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// The reserved vector that was rung first.
    pub vector: u32,
    /// The CPU that it belongs to.
    pub target: u32,
    /// Instruction boundaries of the way when nothing is rung.
    pub positions: u64,
    /// Whether each of them was rung at.
    pub complete: bool,
    /// Ways that were walked.
    pub walks: u64,
    /// Interrupts that were rung.
    pub rings: u64,
    /// Interrupts that L2 took, of these and of those that made it exit.
    pub delivered: u64,
    /// Ways at whose end L1 was refused to enter L2.
    pub refused: u64,
    /// Boundaries at which the vector stood for nothing.
    pub unmapped: u64,
    /// Different instructions on the way when nothing is rung.
    pub rips: u64,
    /// Those of them before which nothing was ever rung.
    pub missed: u64,
    /// Ways that were walked for what the regular ones missed.
    pub more: u64,
    /// Interrupts that were rung at another instruction than stands there when nothing is rung.
    pub astray: u64,
    /// Interrupts that L2 never took.
    pub lost: u64,
    /// Interrupts that L2 took once too often.
    pub twice: u64,
    /// Ways that were not walked because an interrupt of the last one was still awaited.
    pub late: u64,
    /// Ways that ended before the boundary that was to be rung at.
    pub short: u64,
    /// Ways after which L2 ran without taking what had been rung.
    pub tardy: u64,
    /// Interrupts that L2 took although one of higher priority had been rung.
    pub inverted: u64,
    /// Interrupts that were rung on another CPU, which did not post them in time.
    pub unanswered: u64,
    /// Interrupts that were to wait in a bank of the relay for a drain.
    pub banked: u64,
    /// Interrupts that were rung to make L2 exit.
    pub starts: u64,
}

/// The figures of one way: a device's interrupt to one vector of L2 on one CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// PCI vendor and device, `1234:11e8`.
    pub device: String,
    /// PCI address, `00:02.0`.
    pub bdf: String,
    /// The device's interrupt, counted from 0.
    pub entry: u32,
    /// The virtual CPU that takes it.
    pub cpu: u32,
    /// The vector of L1 set aside for it; 0 for none.
    pub reserved: u32,
    /// The vector of L2.
    pub vector: u32,
    /// How it is relayed: `posted` if the CPU takes it itself, `remote` if another one does for it, `proxied` if the
    /// host does.
    pub mode: String,
    /// The virtual CPU to which the device sends it.
    #[serde(default)]
    pub taker: u32,
    /// Messages that the device sent.
    pub messages: u64,
    /// Interrupts that L2 took.
    pub relayed: u64,
    /// Messages that found an earlier one still pending.
    pub merged: u64,
    /// Messages that are neither.
    pub lost: i64,
    /// Exits to the host on the relay path.
    pub host_exits: u64,
    /// Calls to the host on the relay path.
    pub tdvmcalls: u64,
    /// Calls by which who passed it on, a CPU or the host, woke the CPU that it is for; in no other figure.
    #[serde(default)]
    pub kicks: u64,
    /// Exits meanwhile that the host's own interrupts caused.
    #[serde(default)]
    pub interruptions: u64,
}

impl Row {
    /// Adds the figures of another way.
    pub(crate) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.relayed += other.relayed;
        self.merged += other.merged;
        self.lost += other.lost;
        self.host_exits += other.host_exits;
        self.tdvmcalls += other.tdvmcalls;
        self.kicks += other.kicks;
        self.interruptions += other.interruptions;
    }

    /// What tells it from all others.
    fn place(&self) -> (&str, u32, u32, u32, u32, u32) {
        (&self.bdf, self.entry, self.cpu, self.taker, self.reserved, self.vector)
    }
}

/// The figures of one virtual CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// Its index.
    pub cpu: u32,
    /// Reserved vectors taken without a device's message.
    pub spurious: u64,
    /// Reserved vectors taken that no vector of L2 belongs to.
    pub unmapped: u64,
    /// Notifications of posted interrupts.
    pub notifications: u64,
    /// Exits from L2 to L1.
    pub l2_exits: u64,
    /// Of these, those because of an interrupt for L1.
    pub l2_exits_pending_interrupt: u64,
    /// Entries of L2.
    pub vp_enter: u64,
    /// Entries refused because of an interrupt for L1.
    pub vp_enter_refused: u64,
    /// Exits to the host.
    pub td_exits: u64,
    /// Calls to the host.
    pub tdvmcalls: u64,
    /// Of these, those by which L1 interrupted a CPU.
    pub kicks: u64,
    /// Reserved vectors that stood for an interrupt of a device when the run ended.
    pub mappings: u64,
    /// Ways of interrupts for which the emulator had no room.
    pub rows_untold: u64,
    /// Earlier events for which the emulator had no room.
    pub trace_dropped: u64,
}

/// Requests of a device that the IOMMU refused, all alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DmaFault {
    /// PCI address of the device, `00:02.0`.
    pub bdf: String,
    /// The page that it asked for.
    pub address: u64,
    /// Why it was refused, as the hardware encodes it.
    pub reason: u32,
    /// Whether it would have written.
    pub write: bool,
    /// How often that was recorded; what follows before a record is read is not.
    pub count: u64,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// `success`, `failure`, or what killed it.
    pub status: String,
    /// What there is to say about it.
    #[serde(default)]
    pub message: String,
    /// The time-stamp counter: instructions, if that is what the machine counts.
    #[serde(default)]
    pub instructions: u64,
    /// Records of refused requests of devices.
    #[serde(default)]
    pub dma_faults: u64,
    /// Of these, those of kinds that the emulator had no room for.
    #[serde(default)]
    pub dma_faults_untold: u64,
    /// How often the hardware had no room for a record.
    #[serde(default)]
    pub dma_fault_overflows: u64,
}

/// One thing that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// The time-stamp counter.
    pub ts: u64,
    /// Instructions that L1 had executed on that CPU, if instructions are what the machine counts.
    #[serde(default)]
    pub l1: u64,
    /// The virtual CPU concerned.
    pub cpu: u32,
    /// What it was.
    pub event: String,
    /// The vector, if it is about one.
    pub vector: u32,
    /// What else belongs to it.
    pub arg: u64,
}

/// A line of the report.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Record {
    Row(Row),
    Cpu(Cpu),
    Line(Line),
    DmaFault(DmaFault),
    Guest {
        line: String,
        #[serde(default)]
        microseconds: u64,
        #[serde(default)]
        mappings: u64,
        #[serde(default)]
        told: u64,
        relayed: Option<u64>,
    },
    End(End),
    Trace(TraceEvent),
    Sweep(Sweep),
    Flood(Flood),
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    ///
    /// If a line is not a record.
    pub fn parse(text: &str) -> Result<Self> {
        let mut report = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let record =
                serde_json::from_str(line).context(|| format!("report has the line {line:?}"))?;
            match record {
                Record::Row(row) => report.rows.push(row),
                Record::Cpu(cpu) => report.cpus.push(cpu),
                Record::Line(line) => report.lines.push(line),
                Record::DmaFault(fault) => report.dma_faults.push(fault),
                Record::Guest { line, microseconds, mappings, told, relayed } => {
                    report.guest_counts.extend(GuestCount::parse(&line, relayed));
                    report.guest.push(line);
                    report.guest_times.push(microseconds);
                    report.guest_mappings.push(mappings);
                    report.guest_told.push(told);
                }
                Record::End(end) => report.end = Some(end),
                Record::Trace(event) => report.trace.push(event),
                Record::Sweep(sweep) => report.sweep = Some(sweep),
                Record::Flood(flood) => report.flood = Some(flood),
            }
        }
        // In an order that does not depend on which interrupt came first.
        report.rows.sort_by(|a, b| a.place().cmp(&b.place()));
        Ok(report)
    }

    /// Returns when the guest said the first line that begins with `prefix`, counted from its first
    /// instruction.
    #[must_use]
    pub fn time_of(&self, prefix: &str) -> Option<Duration> {
        let index = self.guest.iter().position(|line| line.starts_with(prefix))?;
        self.guest_times.get(index).copied().map(Duration::from_micros)
    }

    /// Returns how many reserved vectors stood for an interrupt of a device when the guest said the
    /// first line that begins with `prefix`.
    #[must_use]
    pub fn mappings_at(&self, prefix: &str) -> Option<u64> {
        let index = self.guest.iter().position(|line| line.starts_with(prefix))?;
        self.guest_mappings.get(index).copied()
    }

    /// Returns how often the TD had been told of an interrupt on a line when the guest said the first
    /// line that begins with `prefix`.
    #[must_use]
    pub fn told_at(&self, prefix: &str) -> Option<u64> {
        let index = self.guest.iter().position(|line| line.starts_with(prefix))?;
        self.guest_told.get(index).copied()
    }

    /// Returns the sums of all rows.
    #[must_use]
    pub fn total(&self) -> Row {
        self.rows.iter().fold(Row::default(), |mut sum, row| {
            sum.add(row);
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::Report;

    const TEXT: &str = r#"
{"type":"row","device":"1234:11e8","bdf":"00:02.0","entry":0,"cpu":0,"reserved":64,"vector":81,"mode":"posted","messages":9,"relayed":7,"merged":2,"lost":0,"host_exits":0,"tdvmcalls":0}
{"type":"row","device":"1af4:1110","bdf":"00:03.0","entry":3,"cpu":1,"reserved":65,"vector":82,"mode":"remote","taker":0,"messages":5,"relayed":5,"merged":1,"lost":-1,"host_exits":0,"tdvmcalls":0,"kicks":4}
{"type":"cpu","cpu":0,"spurious":1,"unmapped":0,"notifications":9,"l2_exits":40,"l2_exits_pending_interrupt":7,"vp_enter":41,"vp_enter_refused":1,"td_exits":30,"tdvmcalls":20,"kicks":4}
{"type":"guest","line":"result scenario=demo ok=1","microseconds":70,"mappings":5,"told":6}
{"type":"dma_fault","bdf":"00:02.0","address":4096,"reason":6,"write":false,"count":3}
{"type":"line","gsi":21,"told":9,"ended":8}
{"type":"trace","ts":5,"cpu":0,"event":"device","vector":64,"arg":32}
{"type":"end","status":"success","message":"","instructions":123,"dma_faults":3}
"#;

    #[test]
    fn every_record_of_a_report_is_read() {
        let report = Report::parse(TEXT).unwrap();
        assert_eq!((report.rows.len(), report.cpus.len(), report.trace.len()), (2, 1, 1));
        assert_eq!(report.rows[0].vector, 81);
        assert_eq!((report.rows[1].taker, report.rows[1].kicks, report.cpus[0].kicks), (0, 4, 4));
        assert_eq!(report.cpus[0].l2_exits_pending_interrupt, 7);
        assert_eq!(report.guest, ["result scenario=demo ok=1"]);
        assert_eq!(report.time_of("result scenario="), Some(Duration::from_micros(70)));
        assert_eq!(report.time_of("result nvme"), None);
        assert_eq!(report.mappings_at("result scenario="), Some(5));
        assert_eq!(report.told_at("result scenario="), Some(6));
        assert_eq!((report.lines[0].gsi, report.lines[0].told, report.lines[0].ended), (21, 9, 8));
        let fault = &report.dma_faults[0];
        assert_eq!((fault.address, fault.reason, fault.write, fault.count), (4096, 6, false, 3));
        let end = report.end.unwrap();
        assert_eq!((end.instructions, end.dma_faults), (123, 3));
    }

    #[test]
    fn sums_are_over_all_rows() {
        let total = Report::parse(TEXT).unwrap().total();
        assert_eq!((total.messages, total.relayed, total.merged, total.lost), (14, 12, 3, -1));
    }

    #[test]
    fn a_damaged_report_is_refused_with_the_line() {
        let failure = Report::parse("{\"type\":\"row\"").unwrap_err();
        assert!(failure.to_string().contains("row"), "{failure}");
        assert!(Report::parse("{\"type\":\"new\"}").is_err());
    }
}
