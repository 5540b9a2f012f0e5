// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run's events in the JSON form that Chrome's and Perfetto's trace viewers read.
//!
//! One track for each virtual CPU; on it the time spent in L2 as a slice, each event as a short
//! slice, and one arrow for each device message, from the device by post, notification and L1's
//! vector to L2's. Time is the time-stamp counter, at 1000 to the viewer's microsecond: with
//! counted instructions, one instruction is shown as one nanosecond.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::report::TraceEvent;

/// All tracks belong to one process.
const PROCESS: u32 = 1;

/// The longest slice of an event, in counter ticks.
const LONGEST: u64 = 100;

/// Returns the whole file.
pub(crate) fn convert(events: &[TraceEvent]) -> String {
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.ts);
    let mut cpus: BTreeMap<u32, Vec<&TraceEvent>> = BTreeMap::new();
    for event in &events {
        cpus.entry(event.cpu).or_default().push(event);
    }
    let mut out = Vec::new();
    for (cpu, events) in &cpus {
        let name = json!({"name": format!("vCPU {cpu}")});
        out.push(
            json!({"ph": "M", "name": "thread_name", "pid": PROCESS, "tid": cpu, "args": name}),
        );
        stays_in_l2(events, &mut out);
        single_events(events, &mut out);
    }
    let mut flows = Flows::default();
    for event in &events {
        flows.follow(event, &mut out);
    }
    json!({"displayTimeUnit": "ns", "traceEvents": out}).to_string()
}

/// Counter ticks in the viewer's unit.
#[expect(clippy::cast_precision_loss, reason = "a display, good to a tick for a week")]
fn time(ticks: u64) -> f64 {
    ticks as f64 / 1000.0
}

fn slice(name: &str, event: &TraceEvent, length: u64, arguments: &Value) -> Value {
    json!({
        "ph": "X", "name": name, "cat": event.event, "pid": PROCESS, "tid": event.cpu,
        "ts": time(event.ts), "dur": time(length), "args": arguments,
    })
}

fn stays_in_l2(events: &[&TraceEvent], out: &mut Vec<Value>) {
    let mut entered: Option<&TraceEvent> = None;
    for event in events {
        match event.event.as_str() {
            "vp_enter" if event.arg != 0 => entered = Some(event),
            "l2_exit" | "td_exit" => {
                if let Some(entry) = entered.take() {
                    let vm = json!({"vm": entry.arg, "rvi": entry.vector, "ended_by": event.event});
                    out.push(slice("L2", entry, event.ts - entry.ts, &vm));
                }
            }
            _ => {}
        }
    }
}

fn single_events(events: &[&TraceEvent], out: &mut Vec<Value>) {
    for (index, event) in events.iter().enumerate() {
        let gap = events.get(index + 1).map_or(LONGEST, |next| next.ts - event.ts);
        let name = match event.vector {
            0 => event.event.clone(),
            vector => format!("{} {vector:#04x}", event.event),
        };
        let arguments =
            json!({"vector": event.vector, "arg": format!("{:#x}", event.arg), "l1": event.l1});
        out.push(slice(&name, event, gap.clamp(1, LONGEST), &arguments));
    }
}

/// How far an interrupt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Device,
    Post,
    Notification,
    L1Vector,
    Entry,
}

/// An interrupt on its way.
#[derive(Debug)]
struct Flow {
    id: u64,
    cpu: u32,
    reserved: u32,
    /// The vector of L2, once L1 has looked it up.
    vector: u64,
    stage: Stage,
}

/// All interrupts on their way.
#[derive(Debug, Default)]
struct Flows {
    last: u64,
    open: Vec<Flow>,
}

impl Flows {
    /// Moves the flows on that `event` is a step of.
    fn follow(&mut self, event: &TraceEvent, out: &mut Vec<Value>) {
        let &TraceEvent { cpu, vector, arg, .. } = event;
        match event.event.as_str() {
            "device" => {
                self.last += 1;
                let (id, stage) = (self.last, Stage::Device);
                self.open.push(Flow { id, cpu, reserved: vector, vector: 0, stage });
                out.push(arrow("s", id, event));
            }
            "post" => self.step(event, Stage::Post, out, |flow| flow.reserved == vector),
            "notification" => {
                self.step(event, Stage::Notification, out, |flow| flow.stage == Stage::Post);
            }
            "l1_vector" => {
                for flow in self.open.iter_mut().filter(|flow| flow.cpu == cpu) {
                    if flow.reserved == vector && flow.stage < Stage::L1Vector {
                        flow.vector = arg & 0xff;
                    }
                }
                self.step(event, Stage::L1Vector, out, |flow| flow.reserved == vector);
                if let Some(end) = (arg >> 8).checked_sub(1) {
                    self.pass_on(event, u32::try_from(end).unwrap_or(cpu));
                }
            }
            "vp_enter" if arg != 0 => {
                self.step(event, Stage::Entry, out, |flow| flow.stage == Stage::L1Vector);
            }
            "l2_vector" => {
                let arrived = |flow: &Flow| flow.stage >= Stage::L1Vector && flow.cpu == cpu;
                let ended = self
                    .open
                    .extract_if(.., |flow| arrived(flow) && flow.vector == u64::from(vector));
                out.extend(ended.map(|flow| arrow("f", flow.id, event)));
            }
            _ => {}
        }
    }

    /// What was taken as `event` says goes on on CPU `end`.
    fn pass_on(&mut self, event: &TraceEvent, end: u32) {
        let taken = self.open.iter_mut().filter(|flow| {
            (flow.cpu, flow.reserved, flow.stage) == (event.cpu, event.vector, Stage::L1Vector)
        });
        taken.for_each(|flow| flow.cpu = end);
    }

    fn step(
        &mut self,
        event: &TraceEvent,
        stage: Stage,
        out: &mut Vec<Value>,
        concerned: impl Fn(&Flow) -> bool,
    ) {
        let flows = self.open.iter_mut().filter(|flow| flow.cpu == event.cpu && flow.stage < stage);
        for flow in flows.filter(|flow| concerned(flow)) {
            flow.stage = stage;
            out.push(arrow("t", flow.id, event));
        }
    }
}

fn arrow(phase: &str, id: u64, event: &TraceEvent) -> Value {
    json!({
        "ph": phase, "bp": "e", "name": "interrupt", "cat": "relay", "id": id,
        "pid": PROCESS, "tid": event.cpu, "ts": time(event.ts),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::convert;
    use crate::report::TraceEvent;

    fn event(ts: u64, cpu: u32, event: &str, vector: u32, arg: u64) -> TraceEvent {
        TraceEvent { ts, l1: 0, cpu, event: event.to_owned(), vector, arg }
    }

    fn phases(events: &[TraceEvent]) -> Vec<(String, u64, f64)> {
        let file: Value = serde_json::from_str(&convert(events)).unwrap();
        let events = file["traceEvents"].as_array().unwrap().iter();
        let arrows = events.filter(|event| event["cat"] == "relay");
        arrows
            .map(|event| {
                let phase = event["ph"].as_str().unwrap().to_owned();
                (phase, event["id"].as_u64().unwrap(), event["ts"].as_f64().unwrap())
            })
            .collect()
    }

    fn relay(at: u64, cpu: u32) -> Vec<TraceEvent> {
        vec![
            event(at, cpu, "device", 0x41, 32),
            event(at + 1, cpu, "post", 0x41, 0),
            event(at + 2, cpu, "notification", 0, 0),
            event(at + 3, cpu, "l2_exit", 0, 0x1102 << 32),
            event(at + 4, cpu, "l1_vector", 0x41, 0x51),
            event(at + 5, cpu, "vp_enter", 0x51, 1),
            event(at + 6, cpu, "l2_vector", 0x51, 1),
        ]
    }

    #[test]
    fn an_interrupt_is_one_arrow_from_the_device_to_l2() {
        let arrow = |phase: &str, ts| (phase.to_owned(), 1, ts);
        let expected = [
            arrow("s", 0.010),
            arrow("t", 0.011),
            arrow("t", 0.012),
            arrow("t", 0.014),
            arrow("t", 0.015),
            arrow("f", 0.016),
        ];
        assert_eq!(phases(&relay(10, 0)), expected);
    }

    #[test]
    fn arrows_of_two_cpus_do_not_mix() {
        let events = [relay(10, 0), relay(12, 1)].concat();
        let phases = phases(&events);
        let ends: Vec<_> = phases.iter().filter(|(phase, ..)| phase == "f").collect();
        assert_eq!(ends.len(), 2);
        assert_ne!(ends[0].1, ends[1].1);
        assert_eq!(phases.len(), 12);
    }

    #[test]
    fn an_interrupt_that_is_passed_on_ends_on_the_other_cpu() {
        let mut events = relay(10, 0);
        events[4].arg = 2 << 8 | 0x51;
        events[6].cpu = 1;
        let phases = phases(&events);
        assert_eq!(phases.last().unwrap(), &("f".to_owned(), 1, 0.016));
    }

    #[test]
    fn time_in_l2_is_a_slice() {
        let events = [relay(10, 0), vec![event(30, 0, "td_exit", 0, 12)]].concat();
        let file: Value = serde_json::from_str(&convert(&events)).unwrap();
        let slices = file["traceEvents"].as_array().unwrap();
        let l2: Vec<_> = slices.iter().filter(|slice| slice["name"] == "L2").collect();
        assert_eq!(l2.len(), 1);
        assert_eq!((l2[0]["ts"].as_f64(), l2[0]["dur"].as_f64()), (Some(0.015), Some(0.015)));
    }
}
