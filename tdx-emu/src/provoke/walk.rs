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
//! A ring may end elsewhere than where it is rung: L1 passes it on to another CPU, or L2 sends an interrupt to the
//! CPU that walks for each ring that it takes (the *echo*). What is awaited is always what comes in the end, and
//! where. If it is rung on another CPU than the one that walks, this one waits at its boundary until the other has
//! taken the ring, posted and is back in L2: so the whole of that post, its kick included, falls between two
//! instructions. That something was posted is not enough: it may be what began the walk.
//!
//! What is awaited on the CPU that walks must be taken when L2 runs next there: what L2 takes only after another
//! exit was left lying and is counted as tardy. An exit for an interrupt of L1 is no such one: it may come before
//! L2 had its turn. Nor is the end of a level-triggered vector, behind which L2 takes the next one. And L2 must take what pends by priority: a lower vector first means that the
//! entry did not know of the ring. No walk begins before L2 took every ring of the last one. A ring that never
//! arrives therefore ends the sweep early, and one that arrives twice is counted: neither passes for success.

#[cfg(target_os = "none")]
use alloc::{collections::BTreeSet, vec::Vec};
use core::fmt;
#[cfg(not(target_os = "none"))]
use std::collections::BTreeSet;

/// What was counted.
mod figures;

use self::figures::Figures;

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
    /// How many vectors are rung in a walk, this one and those that follow it in the block. 0 for this one alone, and
    /// before each instruction once, however often a walk comes by: for ways that are long by their loops.
    pub(crate) lanes: u8,
    /// The reserved vector, of the same CPU, that makes L2 exit; `None` if L2 does by itself.
    pub(crate) starter: Option<u8>,
    /// The CPU whose vectors they are.
    pub(crate) target: u8,
    /// The vector that L2 sends to the CPU that walks when it takes a ring, if it does.
    pub(crate) echo: Option<u8>,
}

/// Why L0 stands at a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trapped {
    /// A single step has just ended.
    Yes,
    /// Something else made L1 exit, and it may not have moved.
    No,
}

/// Whether L2 executed anything since it was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It exits for an instruction of its own.
    Yes,
    /// An interrupt of L1 ends its run, which may have been there before it began.
    Perhaps,
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

/// How far a CPU that was rung for the one that walks has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It has still to take this reserved vector.
    Awaited(u8),
    /// It took it, and has still to post what it stands for.
    Taken,
    /// It posted and is back in L2, or is not asked.
    Given,
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
    /// What is awaited, and what ever was: vectors of L2, and the CPUs that take them.
    awaited: BTreeSet<(usize, u8)>,
    ours: BTreeSet<(usize, u8)>,
    /// What the CPU that was rung has made of it.
    answer: Answer,
    /// Another CPU was waited for in vain; that is not done twice.
    is_hopeless: bool,
    figures: Figures,
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
            awaited: BTreeSet::new(),
            ours: BTreeSet::new(),
            answer: Answer::Given,
            is_hopeless: false,
            figures: Figures::NEW,
        }
    }

    /// The CPU whose vectors are rung.
    pub(crate) fn target(&self) -> usize {
        self.plan.target.into()
    }

    /// L2 asks for a walk on `cpu`.
    pub(crate) fn asked(&mut self, cpu: usize) {
        self.look_for_tardy(cpu);
        if self.is_complete() || self.phase == Phase::Walking {
            return;
        }
        if !self.awaited.is_empty() {
            self.figures.late += 1;
            return;
        }
        (self.phase, self.cpu, self.starter) = (Phase::Armed, cpu, self.plan.starter);
    }

    /// L2 exits to L1 on `cpu` for another reason.
    pub(crate) fn exited(&mut self, cpu: usize, ran: Ran) {
        if ran == Ran::Yes {
            self.look_for_tardy(cpu);
        }
        // What is to make L2 exit may come late, from another CPU: then another exit is none of that way.
        let begins = self.plan.starter.is_none() || ran == Ran::Perhaps;
        if begins && self.phase == Phase::Armed && self.cpu == cpu && self.starter.is_none() {
            self.phase = Phase::Walking;
            self.figures.walks += 1;
            (self.position, self.rings, self.last, self.suspended) = (0, 0, None, None);
        }
    }

    /// Whether another CPU than `cpu` has still to take something.
    pub(crate) fn is_awaited_but_on(&self, cpu: usize) -> bool {
        !self.is_hopeless && self.awaited.iter().any(|(end, _)| *end != cpu)
    }

    /// What other CPUs have still to take does not come.
    pub(crate) fn despair(&mut self) {
        self.is_hopeless = true;
    }

    /// L2 exits: it ran, and must have taken what was awaited here.
    fn look_for_tardy(&mut self, cpu: usize) {
        let ran = self.phase == Phase::Idle && self.cpu == cpu;
        if ran && self.rings > 0 {
            self.rings = 0;
            let here = self.awaited.iter().any(|(end, _)| *end == cpu);
            self.figures.tardy += u64::from(here);
        }
    }

    /// `cpu` is about to run L2. Returns the reserved vector that is to make it exit.
    pub(crate) fn starter(&mut self, cpu: usize) -> Option<u8> {
        let due = self.phase == Phase::Armed && self.cpu == cpu;
        if due { self.starter.take() } else { None }
    }

    /// What makes it exit stands for a vector of L2, which must be taken as what is rung is.
    pub(crate) fn started(&mut self, destination: Option<(usize, u8)>) {
        let Some(destination) = destination.filter(|_| self.plan.echo.is_none()) else { return };
        self.awaited.insert(destination);
        self.ours.insert(destination);
        self.figures.starts += 1;
    }

    /// Whether L1 must stop at its next boundary on `cpu`.
    pub(crate) fn walks(&self, cpu: usize) -> bool {
        let rings = if self.is_dry() { 0 } else { self.rings };
        self.phase == Phase::Walking
            && self.cpu == cpu
            && rings < usize::from(self.plan.lanes).max(1)
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
        if !self.walks(self.cpu) || regular && !due || !regular && !self.missed.contains(&rip) {
            return None;
        }
        self.missed.remove(&rip);
        self.figures.astray += u64::from(self.reference.get(here) != Some(&rip));
        let lane = usize::from(self.plan.vector - BLOCK) + self.rings;
        self.rings += 1;
        let [lane, ..] = (lane % 32).to_le_bytes();
        Some(BLOCK + lane)
    }

    /// What was to be rung, reserved `vector`, stands for a vector of L2 on the CPU that takes it, or for nothing.
    /// Returns whether the CPU that walks has to wait for another one's answer.
    pub(crate) fn rung(&mut self, vector: u8, destination: Option<(usize, u8)>) -> bool {
        let Some(destination) = destination else {
            self.figures.unmapped += 1;
            return false;
        };
        let awaited = self.plan.echo.map_or(destination, |echo| (self.cpu, echo));
        self.awaited.insert(awaited);
        self.ours.insert(awaited);
        self.figures.rings += 1;
        let waits = self.target() != self.cpu;
        self.answer = if waits { Answer::Awaited(vector) } else { Answer::Given };
        waits
    }

    /// What was rung waits in a bank for a drain.
    pub(crate) fn note_banked(&mut self) {
        self.figures.banked += 1;
    }

    /// Whether the CPU that was rung has answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.answer == Answer::Given
    }

    /// The answer is given up.
    pub(crate) fn give_up(&mut self) {
        self.figures.unanswered += 1;
    }

    /// The CPU that walks, if `cpu` is the one whose answer it waits for, and has taken what was rung.
    pub(crate) fn waits_for(&self, cpu: usize) -> Option<usize> {
        let walks = self.phase == Phase::Walking && self.target() == cpu;
        (walks && self.answer == Answer::Taken).then_some(self.cpu)
    }

    /// The CPU that was rung has posted and enters L2.
    pub(crate) fn answer(&mut self) {
        self.answer = Answer::Given;
    }

    /// L1 takes reserved `vector` on `cpu` before the instruction at `rip`.
    pub(crate) fn taken(&mut self, cpu: usize, vector: u8, rip: u64) {
        if cpu == self.target() && self.answer == Answer::Awaited(vector) {
            self.answer = Answer::Taken;
        }
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
            let lanes = usize::from(self.plan.lanes);
            self.distance = if lanes == 0 { 1 } else { length.div_ceil(lanes) };
            self.missed = self.reference.iter().copied().collect();
        } else {
            self.figures.short += u64::from(self.rings == 0);
            self.first += 1;
        }
    }

    /// L2 takes `vector` on `cpu`.
    pub(crate) fn delivered(&mut self, cpu: usize, vector: u8) {
        let here = cpu == self.cpu && self.phase == Phase::Idle;
        let higher = |(end, other): &(usize, u8)| *end == cpu && *other > vector;
        self.figures.inverted += u64::from(here && self.awaited.iter().any(higher));
        if !self.ours.contains(&(cpu, vector)) {
            return;
        }
        let awaited = self.awaited.remove(&(cpu, vector));
        self.figures.delivered += u64::from(awaited);
        self.figures.twice += u64::from(!awaited);
    }

    /// Whether every boundary was met.
    fn is_complete(&self) -> bool {
        let more = if self.plan.lanes == 0 { LONGEST } else { MORE };
        let end = self.distance + if self.missed.is_empty() { 0 } else { more };
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
        let lost = self.awaited.len();
        let Figures { walks, rings, delivered, refused, unmapped, .. } = self.figures;
        let Figures {
            astray, twice, late, short, tardy, inverted, unanswered, banked, starts, ..
        } = self.figures;
        write!(
            f,
            concat!(
                r#"{{"type":"sweep","vector":{},"target":{},"positions":{},"complete":{},"walks":{},"#,
                r#""rings":{},"delivered":{},"refused":{},"unmapped":{},"rips":{},"missed":{},"more":{},"#,
                r#""astray":{},"lost":{},"twice":{},"late":{},"short":{},"tardy":{},"#,
                r#""inverted":{},"unanswered":{},"banked":{},"starts":{}}}"#
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
            unanswered,
            banked,
            starts,
        )
    }
}

#[cfg(test)]
mod tests;
