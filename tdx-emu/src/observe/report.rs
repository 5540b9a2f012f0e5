// SPDX-License-Identifier: MIT OR Apache-2.0
//! The figures of a run as JSON objects, one on each line.
//!
//! Row: one relay path. `lost = messages − relayed − merged − pending`: `pending` messages were still
//! on their way to L1 when the run ended, lost ones were taken by L1 and never delivered. The way is `posted`,
//! `remote` if another CPU takes the message, or `proxied` if the host does. What the
//! fixed tables had no room for is told with the totals of a CPU.

use core::fmt;

use super::{
    dma_faults::DmaFaults,
    figures::Figures,
    lanes::{Lanes, Place, Untaken},
    lines::Lines,
    rows::{Key, Row},
    sources::{Bdf, Source, Sources},
};

/// Takes one line.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(fmt::Arguments<'_>);

/// A string inside a JSON string: everything but plain ASCII is escaped.
#[derive(Debug)]
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                ' '..='~' => write!(f, "{c}")?,
                _ => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        write!(f, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// When the guest said something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// So long after its first instruction.
    pub(crate) microseconds: u64,
    /// With so many reserved vectors that stand for an interrupt of a device.
    pub(crate) mappings: usize,
    /// When the TD had been told so often of an interrupt on a line.
    pub(crate) told: u64,
}

/// A line that the guest gave as a result; and if it is about interrupts, how many of those it took.
pub(crate) fn guest(sink: Sink<'_>, line: &str, now: Moment, relayed: Option<u64>) {
    let line = Escaped(line);
    let Moment { microseconds, mappings, told } = now;
    let end = format_args!(
        r#""line":"{line}","microseconds":{microseconds},"mappings":{mappings},"told":{told}}}"#
    );
    match relayed {
        Some(relayed) => sink(format_args!(r#"{{"type":"guest","relayed":{relayed},{end}"#)),
        None => sink(format_args!(r#"{{"type":"guest",{end}"#)),
    }
}

/// The lanes of each CPU.
pub(crate) type LanesOf<'a> = dyn Fn(usize) -> &'a Lanes + 'a;

/// All rows of a CPU.
pub(crate) fn rows(
    sink: Sink<'_>,
    cpu: usize,
    figures: &Figures,
    lanes: &LanesOf<'_>,
    sources: &Sources,
) {
    for (index, (key, counts)) in figures.rows.used().enumerate() {
        let untaken = if key.is_proxied() {
            Untaken { pending: counts.waiting.get(), ..Untaken::default() }
        } else {
            lanes(key.taker.into()).untaken(Place { cpu, row: index })
        };
        row(sink, cpu, (key, counts), untaken, sources.get(key.source));
    }
}

fn row(
    sink: Sink<'_>,
    cpu: usize,
    (key, row): (Key, &Row),
    untaken: Untaken,
    source: Option<Source>,
) {
    let unknown = Source { vendor: 0xffff, device: 0xffff, devfn: 0xff, entry: 0 };
    let source = source.unwrap_or(unknown);
    let messages = row.messages.get().saturating_add(untaken.messages);
    let merged = row.merged.get().saturating_add(untaken.merged);
    let relayed = row.relayed.get();
    let settled = relayed.saturating_add(merged).saturating_add(untaken.pending);
    let lost = i128::from(messages) - i128::from(settled);
    let (mode, taker) = match usize::from(key.taker) {
        _ if key.is_proxied() => ("proxied", cpu),
        taker if taker == cpu => ("posted", taker),
        taker => ("remote", taker),
    };
    sink(format_args!(
        concat!(
            r#"{{"type":"row","device":"{:04x}:{:04x}","bdf":"{}","entry":{},"cpu":{},"reserved":{},"#,
            r#""vector":{},"mode":"{}","taker":{},"messages":{},"relayed":{},"merged":{},"lost":{},"#,
            r#""pending":{},"host_exits":{},"tdvmcalls":{},"kicks":{},"interruptions":{}}}"#
        ),
        source.vendor,
        source.device,
        Bdf(source.devfn),
        source.entry,
        cpu,
        key.reserved,
        key.vector,
        mode,
        taker,
        messages,
        relayed,
        merged,
        lost,
        untaken.pending,
        row.host_exits.get(),
        row.tdvmcalls.get(),
        row.kicks.get(),
        row.interruptions.get(),
    ));
}

/// The totals of a CPU, and how many mappings it has.
pub(crate) fn cpu(sink: Sink<'_>, cpu: usize, figures: &Figures, mappings: usize) {
    sink(format_args!(
        concat!(
            r#"{{"type":"cpu","cpu":{},"spurious":{},"unmapped":{},"notifications":{},"l2_exits":{},"#,
            r#""l2_exits_pending_interrupt":{},"vp_enter":{},"vp_enter_refused":{},"td_exits":{},"#,
            r#""tdvmcalls":{},"kicks":{},"mappings":{},"rows_untold":{},"trace_dropped":{}}}"#
        ),
        cpu,
        figures.lanes.spurious(),
        figures.lanes.unmapped(),
        figures.notifications.get(),
        figures.l2_exits.get(),
        figures.l2_exits_pending_interrupt.get(),
        figures.vp_enter.get(),
        figures.vp_enter_refused.get(),
        figures.td_exits.get(),
        figures.tdvmcalls.get(),
        figures.kicks.get(),
        mappings,
        figures.rows.untold.get(),
        figures.trace.dropped(),
    ));
}

/// The events of a CPU.
pub(crate) fn trace(sink: Sink<'_>, cpu: usize, figures: &Figures) {
    for entry in figures.trace.entries() {
        sink(format_args!(
            r#"{{"type":"trace","ts":{},"l1":{},"cpu":{cpu},"event":"{}","vector":{},"arg":{}}}"#,
            entry.ts,
            entry.l1,
            entry.event.name(),
            entry.vector,
            entry.arg,
        ));
    }
}

/// Interrupts by lines of devices.
pub(crate) fn lines(sink: Sink<'_>, lines: &Lines) {
    for (gsi, line) in lines.used() {
        let (told, ended) = (line.told.get(), line.ended.get());
        sink(format_args!(r#"{{"type":"line","gsi":{gsi},"told":{told},"ended":{ended}}}"#));
    }
}

/// Requests of devices that the IOMMU refused.
pub(crate) fn dma_faults(sink: Sink<'_>, faults: &DmaFaults) {
    for (fault, count) in faults.rows() {
        sink(format_args!(
            concat!(
                r#"{{"type":"dma_fault","bdf":"{}","address":{},"reason":{},"write":{},"#,
                r#""count":{}}}"#
            ),
            fault.source, fault.address, fault.reason, fault.write, count,
        ));
    }
}

/// How the run ended: status and message.
pub(crate) fn end(
    sink: Sink<'_>,
    (status, message): (&str, &str),
    instructions: u64,
    faults: &DmaFaults,
) {
    sink(format_args!(
        concat!(
            r#"{{"type":"end","status":"{}","message":"{}","instructions":{},"dma_faults":{},"#,
            r#""dma_faults_untold":{},"dma_fault_overflows":{}}}"#
        ),
        Escaped(status),
        Escaped(message),
        instructions,
        faults.total,
        faults.untold,
        faults.overflows,
    ));
}

#[cfg(test)]
mod tests {
    use super::{Escaped, cpu, dma_faults, end, rows};
    use crate::{
        iommu::dma::{Fault, SourceId},
        observe::{
            dma_faults::DmaFaults,
            figures::Figures,
            lines::Lines,
            relay_table::Slot,
            sources::{Source, Sources},
        },
    };

    fn lines(print: impl FnOnce(super::Sink<'_>)) -> Vec<String> {
        let mut lines = Vec::new();
        print(&mut |line| lines.push(line.to_string()));
        lines
    }

    #[test]
    fn strings_are_plain_ascii_and_cannot_end_the_string() {
        assert_eq!(
            Escaped("a\"b\\c\n\u{e9}\u{1f600}").to_string(),
            r#"a\"b\\c\u000a\u00e9\ud83d\ude00"#
        );
    }

    #[test]
    fn a_row_tells_relayed_merged_lost_and_pending() {
        let (figures, sources) = (Box::new(Figures::new()), Sources::new());
        sources.name(0x31, Source { vendor: 0x1234, device: 0x11e8, devfn: 0x10, entry: 0 });
        for _ in 0..4 {
            figures.lanes.message(0, 0x31);
        }
        figures.lanes.merge(0);
        figures.lanes.taken((1, 0), Slot::Relayed(81), &|_| &figures.rows, &figures.pass);
        figures.rows.delivered(1, 81);
        figures.lanes.taken((1, 0), Slot::Relayed(81), &|_| &figures.rows, &figures.pass);
        figures.lanes.message(0, 0x31);
        let printed = lines(|sink| rows(sink, 1, &figures, &|_| &figures.lanes, &sources));
        assert_eq!(
            printed,
            [concat!(
                r#"{"type":"row","device":"1234:11e8","bdf":"00:02.0","entry":0,"cpu":1,"reserved":64,"#,
                r#""vector":81,"mode":"posted","taker":1,"messages":5,"relayed":1,"merged":1,"#,
                r#""lost":1,"pending":2,"host_exits":0,"tdvmcalls":0,"kicks":0,"interruptions":0}"#
            )]
        );
    }

    #[test]
    fn what_another_cpu_passed_on_is_a_row_of_the_cpu_that_it_ends_on() {
        static FIGURES: [Figures; 2] = [const { Figures::new() }; 2];
        let [taker, end] = &FIGURES;
        taker.lanes.message(0, 0x31);
        let slot = Slot::Forwarded { cpu: 1, vector: 81 };
        taker.lanes.taken((0, 0), slot, &|_| &end.rows, &taker.pass);
        taker.lanes.message(0, 0x31);
        end.rows.delivered(1, 81);
        let printed = lines(|sink| rows(sink, 1, end, &|_| &taker.lanes, &Sources::new()));
        let wanted = concat!(
            r#""cpu":1,"reserved":64,"vector":81,"mode":"remote","taker":0,"messages":2,"#,
            r#""relayed":1,"merged":0,"lost":0,"pending":1,"#
        );
        assert!(printed[0].contains(wanted), "{}", printed[0]);
    }

    #[test]
    fn totals_and_end_are_one_line_each() {
        let figures = Box::new(Figures::new());
        figures.td_exits.add(7);
        let printed = lines(|sink| cpu(sink, 0, &figures, 3));
        assert!(printed[0].contains(r#""td_exits":7,"#) && printed[0].contains(r#""mappings":3,"#));
        assert_eq!(
            lines(|sink| end(sink, ("success", ""), 5, &DmaFaults::new())),
            [concat!(
                r#"{"type":"end","status":"success","message":"","instructions":5,"dma_faults":0,"#,
                r#""dma_faults_untold":0,"dma_fault_overflows":0}"#
            )]
        );
    }

    #[test]
    fn each_line_that_interrupted_is_a_line() {
        let figures = Lines::new();
        figures.of(21).unwrap().told.add(3);
        figures.of(21).unwrap().ended.add(2);
        let printed = lines(|sink| super::lines(sink, &figures));
        assert_eq!(printed, [r#"{"type":"line","gsi":21,"told":3,"ended":2}"#]);
    }

    #[test]
    fn each_kind_of_refused_request_is_a_line() {
        let mut faults = DmaFaults::new();
        let fault = Fault { source: SourceId(0x10), address: 0x5000, reason: 5, write: true };
        faults.note(fault);
        faults.note(fault);
        assert_eq!(
            lines(|sink| dma_faults(sink, &faults)),
            [concat!(
                r#"{"type":"dma_fault","bdf":"00:02.0","address":20480,"reason":5,"write":true,"#,
                r#""count":2}"#
            )]
        );
    }
}
