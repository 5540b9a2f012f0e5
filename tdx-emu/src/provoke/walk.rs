// SPDX-License-Identifier: MIT OR Apache-2.0
//! One interrupt after each instruction that L1 executes in a pass.
//!
//! A *walk* is what L1 executes from the return of `TDG.VP.ENTER` to the next `TDG.VP.ENTER`, refused or not. L2
//! asks for each walk by a CPUID of [`walk::MARK`]; its next exit to L1 begins it. The first walk is left alone: its
//! boundaries are the reference, N of them. Then walk n is rung at boundary n, and with several lanes also at
//! n + d, n + 2d and so on with the lanes that follow, until d = N / lanes walks met each boundary once. What L1
//! executes in the handler of a ring does not count as boundaries: it is not in the reference. A way that is not
//! the same each time, because another CPU is waited for, may have hidden instructions of the reference from
//! those walks: further ones ring wherever none was rung yet.
//!
//! A ring on the CPU that walks must be taken when L2 runs next: one that L2 takes only after another exit was left
//! lying and is counted as tardy. And L2 must take what pends by priority: a lower vector first means that the
//! entry did not know of the ring. No walk begins before L2 took every ring of the last one. A ring that never
//! arrives therefore ends the sweep early, and one that arrives twice is counted: neither passes for success.

#[cfg(target_os = "none")]
use alloc::{collections::BTreeSet, vec::Vec};
use core::fmt;
#[cfg(not(target_os = "none"))]
use std::collections::BTreeSet;

/// The CPUID leaf by which L2 asks for a walk.
pub(crate) const MARK: u64 = 0x4c59_4348;

/// Most boundaries of a walk; what is longer is not followed to its end.
const LONGEST: usize = 1 << 17;

/// Most walks for what the regular ones missed.
const MORE: usize = 100;

/// What is to be swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The reserved vector that is rung first.
    pub(crate) vector: u8,
    /// How many vectors are rung in a walk, this one and those that follow it in the block.
    pub(crate) lanes: u8,
    /// The reserved vector that makes L2 exit; `None` if L2 does by itself.
    pub(crate) starter: Option<u8>,
    /// The CPU whose vectors they are.
    pub(crate) target: u8,
}

/// Why L0 stands at a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trapped {
    /// A single step has just ended.
    Yes,
    /// Something else made L1 exit, and it may not have moved.
    No,
}

/// How L1's attempt to enter L2 ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// L1 has an interrupt to take first.
    Yes,
    /// L2 runs.
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// L2 asked for a walk; its next exit begins it.
    Armed,
    Walking,
}

/// A sweep on its way.
#[derive(Debug)]
pub(crate) struct Sweep {
    plan: Plan,
    phase: Phase,
    /// The CPU that walks.
    cpu: usize,
    starter: Option<u8>,
    reference: Vec<u64>,
    /// Instructions of the reference before which nothing was rung yet.
    missed: BTreeSet<u64>,
    /// Boundary of the first ring of this walk, and their distance.
    first: usize,
    distance: usize,
    /// Boundaries met in this walk, the last of them, and how many rings there were.
    position: usize,
    last: Option<u64>,
    rings: usize,
    /// Where the handler of a ring returns to.
    suspended: Option<u64>,
    /// For each vector of L2: whether it is awaited.
    awaited: [bool; 256],
    ours: [bool; 256],
    figures: Figures,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    walks: u64,
    rings: u64,
    delivered: u64,
    refused: u64,
    unmapped: u64,
    astray: u64,
    twice: u64,
    late: u64,
    short: u64,
    tardy: u64,
    inverted: u64,
}

impl Sweep {
    /// A sweep by `plan`.
    pub(crate) const fn new(plan: Plan) -> Self {
        Self {
            plan,
            phase: Phase::Idle,
            cpu: 0,
            starter: None,
            reference: Vec::new(),
            missed: BTreeSet::new(),
            first: 0,
            distance: 0,
            position: 0,
            last: None,
            rings: 0,
            suspended: None,
            awaited: [false; 256],
            ours: [false; 256],
            figures: Figures {
                walks: 0,
                rings: 0,
                delivered: 0,
                refused: 0,
                unmapped: 0,
                astray: 0,
                twice: 0,
                late: 0,
                short: 0,
                tardy: 0,
                inverted: 0,
            },
        }
    }

    /// The CPU whose vectors are rung.
    pub(crate) fn target(&self) -> usize {
        self.plan.target.into()
    }

    /// L2 asks for a walk on `cpu`.
    pub(crate) fn asked(&mut self, cpu: usize) {
        self.look_for_tardy(cpu);
        if self.is_complete() || self.phase != Phase::Idle {
            return;
        }
        if self.awaited.contains(&true) {
            self.figures.late += 1;
            return;
        }
        (self.phase, self.cpu, self.starter) = (Phase::Armed, cpu, self.plan.starter);
    }

    /// L2 exits to L1 on `cpu` for another reason.
    pub(crate) fn exited(&mut self, cpu: usize) {
        self.look_for_tardy(cpu);
        if self.phase == Phase::Armed && self.cpu == cpu && self.starter.is_none() {
            self.phase = Phase::Walking;
            self.figures.walks += 1;
            (self.position, self.rings, self.last, self.suspended) = (0, 0, None, None);
        }
    }

    /// L2 exits: it ran, and must have taken what was rung.
    fn look_for_tardy(&mut self, cpu: usize) {
        let ran = self.phase == Phase::Idle && self.cpu == cpu && self.target() == cpu;
        if ran && self.rings > 0 {
            self.rings = 0;
            self.figures.tardy += u64::from(self.awaited.contains(&true));
        }
    }

    /// `cpu` is about to run L2. Returns the reserved vector that is to make it exit.
    pub(crate) fn starter(&mut self, cpu: usize) -> Option<u8> {
        let due = self.phase == Phase::Armed && self.cpu == cpu;
        if due { self.starter.take() } else { None }
    }

    /// Whether L1 must stop at its next boundary on `cpu`.
    pub(crate) fn walks(&self, cpu: usize) -> bool {
        let rings = if self.is_dry() { 0 } else { self.rings };
        self.phase == Phase::Walking && self.cpu == cpu && rings < self.plan.lanes.into()
    }

    /// L1 is about to execute the instruction at `rip`, on the CPU that walks; `trapped` says why.
    /// Returns the reserved vector to ring.
    pub(crate) fn boundary(&mut self, rip: u64, trapped: Trapped) -> Option<u8> {
        match self.suspended {
            _ if self.phase != Phase::Walking => return None,
            Some(back) if back != rip => return None,
            Some(_) => self.suspended = None,
            None if trapped == Trapped::No && self.last == Some(rip) => return None,
            None => return self.step(rip),
        }
        None
    }

    fn step(&mut self, rip: u64) -> Option<u8> {
        const BLOCK: u8 = 0x40;
        let here = self.position;
        self.position += 1;
        self.last = Some(rip);
        if self.is_dry() {
            if self.reference.len() < LONGEST {
                self.reference.push(rip);
            }
            return None;
        }
        let regular = self.first < self.distance;
        let due = here == self.first + self.rings * self.distance;
        if regular && !due || !regular && !self.missed.contains(&rip) {
            return None;
        }
        self.missed.remove(&rip);
        self.figures.astray += u64::from(self.reference.get(here) != Some(&rip));
        let lane = usize::from(self.plan.vector - BLOCK) + self.rings;
        self.rings += 1;
        let [lane, ..] = (lane % 32).to_le_bytes();
        Some(BLOCK + lane)
    }

    /// What was to be rung stands for `vector` of L2, or for nothing.
    pub(crate) fn rung(&mut self, vector: Option<u8>) {
        let Some(vector) = vector else {
            self.figures.unmapped += 1;
            return;
        };
        self.awaited[usize::from(vector)] = true;
        self.ours[usize::from(vector)] = true;
        self.figures.rings += 1;
    }

    /// L1 takes reserved `vector` on `cpu` before the instruction at `rip`.
    pub(crate) fn taken(&mut self, cpu: usize, vector: u8, rip: u64) {
        let begun = self.phase == Phase::Walking && self.cpu == cpu && self.rings > 0;
        if begun && self.suspended.is_none() && Some(vector) != self.plan.starter {
            self.suspended = Some(rip);
        }
    }

    /// L1 enters L2 on `cpu`, or is refused to.
    pub(crate) fn entered(&mut self, cpu: usize, refused: Refused) {
        if self.phase != Phase::Walking || self.cpu != cpu {
            return;
        }
        self.phase = Phase::Idle;
        self.figures.refused += u64::from(refused == Refused::Yes);
        if self.distance == 0 {
            let length = self.reference.len();
            self.distance = length.div_ceil(usize::from(self.plan.lanes).max(1));
            self.missed = self.reference.iter().copied().collect();
        } else {
            self.figures.short += u64::from(self.rings == 0);
            self.first += 1;
        }
    }

    /// L2 takes `vector` on `cpu`.
    pub(crate) fn delivered(&mut self, cpu: usize, vector: u8) {
        let vector = usize::from(vector);
        let here = cpu == self.target() && cpu == self.cpu && self.phase == Phase::Idle;
        self.figures.inverted += u64::from(here && self.awaited[vector + 1..].contains(&true));
        if cpu != self.target() || !self.ours[vector] {
            return;
        }
        let awaited = core::mem::replace(&mut self.awaited[vector], false);
        self.figures.delivered += u64::from(awaited);
        self.figures.twice += u64::from(!awaited);
    }

    /// Whether every boundary was met.
    fn is_complete(&self) -> bool {
        let end = self.distance + if self.missed.is_empty() { 0 } else { MORE };
        self.distance != 0 && self.first >= end
    }

    /// Whether this walk is the reference.
    fn is_dry(&self) -> bool {
        self.distance == 0
    }
}

impl fmt::Display for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rips: BTreeSet<_> = self.reference.iter().collect();
        let lost = self.awaited.iter().filter(|awaited| **awaited).count();
        let Figures { walks, rings, delivered, refused, unmapped, .. } = self.figures;
        let Figures { astray, twice, late, short, tardy, inverted, .. } = self.figures;
        write!(
            f,
            concat!(
                r#"{{"type":"sweep","vector":{},"target":{},"positions":{},"complete":{},"walks":{},"#,
                r#""rings":{},"delivered":{},"refused":{},"unmapped":{},"rips":{},"missed":{},"more":{},"#,
                r#""astray":{},"lost":{},"twice":{},"late":{},"short":{},"tardy":{},"#,
                r#""inverted":{}}}"#
            ),
            self.plan.vector,
            self.plan.target,
            self.reference.len(),
            self.is_complete(),
            walks,
            rings,
            delivered,
            refused,
            unmapped,
            rips.len(),
            self.missed.len(),
            self.first.saturating_sub(self.distance),
            astray,
            lost,
            twice,
            late,
            short,
            tardy,
            inverted,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Plan, Refused, Sweep, Trapped};

    const PLAN: Plan = Plan { vector: 0x5f, lanes: 1, starter: None, target: 0 };

    /// One walk over the instructions at `rips`; returns where it was rung, and with what.
    fn walk(sweep: &mut Sweep, rips: &[u64]) -> Vec<(u64, u8)> {
        sweep.asked(0);
        sweep.exited(0);
        let rung = rips.iter().filter_map(|&rip| {
            let vector = sweep.boundary(rip, Trapped::Yes)?;
            sweep.rung(Some(vector + 0x20));
            Some((rip, vector))
        });
        let rung = rung.collect();
        sweep.entered(0, Refused::No);
        rung
    }

    #[test]
    fn each_boundary_is_rung_once_and_in_order() {
        let mut sweep = Sweep::new(PLAN);
        assert_eq!(walk(&mut sweep, &[10, 20, 30]), []);
        for rip in [10, 20, 30] {
            assert_eq!(walk(&mut sweep, &[10, 20, 30]), [(rip, 0x5f)]);
            sweep.delivered(0, 0x7f);
        }
        assert!(sweep.is_complete());
        assert_eq!(walk(&mut sweep, &[10, 20, 30]), []);
        let report = sweep.to_string();
        assert!(
            report.contains(r#""complete":true,"walks":4,"rings":3,"delivered":3"#),
            "{report}"
        );
        assert!(
            report.contains(r#""missed":0,"more":0,"astray":0,"lost":0,"twice":0"#),
            "{report}"
        );
    }

    #[test]
    fn several_lanes_share_a_walk_and_their_handlers_do_not_count() {
        let mut sweep = Sweep::new(Plan { lanes: 2, ..PLAN });
        let rips = [10, 20, 30, 40];
        walk(&mut sweep, &rips);
        assert_eq!(walk(&mut sweep, &rips), [(10, 0x5f), (30, 0x40)]);
        sweep.delivered(0, 0x7f);
        sweep.delivered(0, 0x60);
        sweep.asked(0);
        sweep.exited(0);
        assert_eq!(sweep.boundary(10, Trapped::Yes), None);
        assert_eq!(sweep.boundary(20, Trapped::Yes), Some(0x5f));
        sweep.taken(0, 0x5f, 20);
        assert_eq!(sweep.boundary(90, Trapped::Yes), None);
        assert_eq!(sweep.boundary(20, Trapped::Yes), None, "back from the handler");
        assert_eq!(sweep.boundary(30, Trapped::Yes), None);
        assert_eq!(sweep.boundary(40, Trapped::Yes), Some(0x40));
        sweep.entered(0, Refused::Yes);
        assert!(sweep.is_complete());
    }

    #[test]
    fn what_the_regular_walks_did_not_meet_is_rung_at_later() {
        let mut sweep = Sweep::new(PLAN);
        walk(&mut sweep, &[10, 20]);
        for rip in [10, 99] {
            assert_eq!(walk(&mut sweep, &[10, 99]), [(rip, 0x5f)]);
            sweep.delivered(0, 0x7f);
        }
        assert!(!sweep.is_complete());
        assert_eq!(walk(&mut sweep, &[10, 15, 20]), [(20, 0x5f)]);
        assert!(sweep.is_complete());
        assert!(sweep.to_string().contains(r#""missed":0,"more":1,"astray":2"#), "{sweep}");
    }

    #[test]
    fn a_ring_that_does_not_arrive_ends_the_sweep_and_one_too_many_is_told() {
        let mut sweep = Sweep::new(PLAN);
        walk(&mut sweep, &[10, 20]);
        walk(&mut sweep, &[10, 20]);
        assert_eq!(walk(&mut sweep, &[10, 20]), []);
        let report = sweep.to_string();
        assert!(report.contains(r#""complete":false"#) && report.contains(r#""lost":1"#));
        sweep.delivered(0, 0x7f);
        sweep.delivered(0, 0x7f);
        assert!(sweep.to_string().contains(r#""twice":1"#));
        assert!(sweep.to_string().contains(r#""tardy":1"#), "L2 exited before it took it");
    }

    #[test]
    fn a_lower_vector_before_a_ring_is_told() {
        let mut sweep = Sweep::new(PLAN);
        walk(&mut sweep, &[10]);
        walk(&mut sweep, &[10]);
        sweep.delivered(0, 0x60);
        sweep.delivered(0, 0x7f);
        sweep.delivered(0, 0x60);
        assert!(sweep.to_string().contains(r#""inverted":1"#), "{sweep}");
    }

    #[test]
    fn a_starter_makes_l2_exit_once() {
        let mut sweep = Sweep::new(Plan { starter: Some(0x40), ..PLAN });
        sweep.asked(0);
        assert_eq!(
            (sweep.starter(1), sweep.starter(0), sweep.starter(0)),
            (None, Some(0x40), None)
        );
        sweep.exited(0);
        assert!(sweep.walks(0) && !sweep.walks(1));
    }
}
