// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers of L1's local APIC that the TDX module leaves to the host.
//!
//! The module virtualizes priority, end of interrupt and the interrupt bitmaps; the host has
//! identity, local vectors, the timer and interprocessor interrupts. Only x2APIC mode exists, and
//! only what KVM offers a TD: there is no INIT, no start-up IPI, no SMI, and an NMI is one bit.
//!
//! Spec: SDM "Extended XAPIC (x2APIC)"; TDX-BASE "Virtual APIC".

const APIC_BASE: u32 = 0x1b;
const TSC_DEADLINE: u32 = 0x6e0;
const ID: u32 = 0x802;
const VERSION: u32 = 0x803;
const LDR: u32 = 0x80d;
const SVR: u32 = 0x80f;
const ESR: u32 = 0x828;
const LVT_CMCI: u32 = 0x82f;
const ICR: u32 = 0x830;
const LVT_TIMER: u32 = 0x832;
const LVT_THERMAL: u32 = 0x833;
const LVT_ERROR: u32 = 0x837;
const INITIAL_COUNT: u32 = 0x838;
const CURRENT_COUNT: u32 = 0x839;
const DIVIDE: u32 = 0x83e;

const MASKED: u32 = 1 << 16;
const TIMER_MODE: u32 = 0b11 << 17;
const MODE_ONE_SHOT: u32 = 0;
const MODE_PERIODIC: u32 = 0b01 << 17;
const MODE_TSC_DEADLINE: u32 = 0b10 << 17;

/// What a write asks the host to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing further.
    None,
    /// Interrupt virtual CPUs, a bit each.
    Interrupt {
        /// The virtual CPUs.
        targets: u64,
        /// The vector.
        vector: u8,
    },
    /// Send an NMI to virtual CPUs, a bit each.
    NonMaskable {
        /// The virtual CPUs.
        targets: u64,
    },
    /// Something of that name, which no TD gets.
    Impossible(&'static str),
    /// The timer ends when the TD's time-stamp counter has this value; 0 stops it.
    Deadline(u64),
    /// The timer ends after so many nanoseconds; 0 stops it.
    CountDown(u64),
}

/// The registers of one virtual CPU.
#[derive(Debug)]
pub(crate) struct Apic {
    id: u32,
    cpus: u32,
    svr: u32,
    lvt_cmci: u32,
    /// Timer, thermal, performance, LINT0, LINT1, error.
    lvt: [u32; 6],
    icr: u64,
    initial_count: u32,
    divide: u32,
    deadline: u64,
}

impl Apic {
    /// The registers of virtual CPU `id` of `cpus` after a reset.
    pub(crate) fn new(id: u32, cpus: u32) -> Self {
        Self {
            id,
            cpus,
            svr: 0xff,
            lvt_cmci: MASKED,
            lvt: [MASKED; 6],
            icr: 0,
            initial_count: 0,
            divide: 0,
            deadline: 0,
        }
    }

    /// The vector that the timer raises, unless it is masked.
    pub(crate) fn timer_vector(&self) -> Option<u8> {
        let [vector, ..] = self.lvt[0].to_le_bytes();
        (self.lvt[0] & MASKED == 0).then_some(vector)
    }

    /// The timer ended. Returns after how many nanoseconds it ends again, if it is periodic.
    pub(crate) fn timer_ended(&mut self) -> Option<u64> {
        self.deadline = 0;
        if self.lvt[0] & TIMER_MODE == MODE_PERIODIC && self.initial_count != 0 {
            return Some(u64::from(self.initial_count) * self.divisor());
        }
        self.initial_count = 0;
        None
    }

    /// Reads a register; `remaining` are the nanoseconds that the timer has left. `None`: the host
    /// has no such register.
    pub(crate) fn read(&self, msr: u32, remaining: u64) -> Option<u64> {
        const ENABLED_X2APIC: u64 = 0xfee0_0000 | 0b11 << 10;
        const FIRST_CPU: u64 = 1 << 8;
        Some(u64::from(match msr {
            APIC_BASE => return Some(ENABLED_X2APIC | if self.id == 0 { FIRST_CPU } else { 0 }),
            TSC_DEADLINE => return Some(self.deadline),
            ICR => return Some(self.icr),
            CURRENT_COUNT => return Some(remaining / self.divisor()),
            ID => self.id,
            VERSION => 0x0005_0014,
            LDR => self.id >> 4 << 16 | 1 << (self.id & 0xf),
            SVR => self.svr,
            ESR => 0,
            LVT_CMCI => self.lvt_cmci,
            LVT_TIMER..=LVT_ERROR => *self.local_vector(msr)?,
            INITIAL_COUNT => self.initial_count,
            DIVIDE => self.divide,
            _ => return None,
        }))
    }

    /// Writes a register. `None`: the host has no such register, or cannot do what it would do.
    pub(crate) fn write(&mut self, msr: u32, value: u64) -> Option<Effect> {
        if msr == ICR {
            self.icr = value;
            return self.interrupt(value);
        }
        if msr == TSC_DEADLINE {
            let armed = self.lvt[0] & TIMER_MODE == MODE_TSC_DEADLINE;
            self.deadline = if armed { value } else { 0 };
            return Some(if armed { Effect::Deadline(value) } else { Effect::None });
        }
        let value = u32::try_from(value).ok()?;
        match msr {
            SVR => self.svr = value & 0x1ff,
            ESR if value == 0 => {}
            LVT_CMCI => self.lvt_cmci = value,
            LVT_TIMER => return self.set_timer_mode(value),
            LVT_THERMAL..=LVT_ERROR => self.lvt[usize::try_from(msr - LVT_TIMER).ok()?] = value,
            INITIAL_COUNT => {
                let counts = self.lvt[0] & TIMER_MODE != MODE_TSC_DEADLINE;
                self.initial_count = if counts { value } else { 0 };
                return Some(Effect::CountDown(u64::from(self.initial_count) * self.divisor()));
            }
            DIVIDE => self.divide = value & 0b1011,
            _ => return None,
        }
        Some(Effect::None)
    }

    /// Changing the mode stops the timer.
    fn set_timer_mode(&mut self, value: u32) -> Option<Effect> {
        let mode = value & TIMER_MODE;
        if ![MODE_ONE_SHOT, MODE_PERIODIC, MODE_TSC_DEADLINE].contains(&mode) {
            return None;
        }
        let changed = mode != self.lvt[0] & TIMER_MODE;
        self.lvt[0] = value;
        if changed {
            self.deadline = 0;
            self.initial_count = 0;
        }
        Some(if changed { Effect::CountDown(0) } else { Effect::None })
    }

    /// Only fixed and lowest-priority interrupts can be posted, and the module has a bit for an NMI. SMI,
    /// INIT and start-up would change state that is not the host's.
    fn interrupt(&self, icr: u64) -> Option<Effect> {
        const LEVEL: u64 = 1 << 15;
        const NMI: u64 = 4;
        let [vector, ..] = icr.to_le_bytes();
        let delivery_mode = icr >> 8 & 7;
        match delivery_mode {
            _ if icr & LEVEL != 0 => return None,
            0 | 1 if vector < 16 => return None,
            0 | 1 | NMI => {}
            2 => return Some(Effect::Impossible("SMI")),
            5 => return Some(Effect::Impossible("INIT")),
            6 => return Some(Effect::Impossible("start-up IPI")),
            _ => return None,
        }
        let all = u64::MAX >> (64 - self.cpus);
        let own = 1 << self.id;
        let targets = match icr >> 18 & 0b11 {
            0b01 => own,
            0b10 => all,
            0b11 => all & !own,
            _ => self.destination(icr) & all,
        };
        Some(if delivery_mode == NMI {
            Effect::NonMaskable { targets }
        } else {
            Effect::Interrupt { targets, vector }
        })
    }

    fn destination(&self, icr: u64) -> u64 {
        const LOGICAL: u64 = 1 << 11;
        let destination = icr >> 32;
        match destination {
            0xffff_ffff => u64::MAX,
            _ if icr & LOGICAL != 0 => (destination & 0xffff) << (destination >> 16 << 4).min(48),
            id if id < u64::from(self.cpus) => 1 << id,
            _ => 0,
        }
    }

    fn divisor(&self) -> u64 {
        let exponent = (self.divide & 0b11 | self.divide >> 1 & 0b100) + 1;
        1 << (exponent & 0b111)
    }

    fn local_vector(&self, msr: u32) -> Option<&u32> {
        self.lvt.get(usize::try_from(msr.checked_sub(LVT_TIMER)?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Apic, CURRENT_COUNT, DIVIDE, Effect, ICR, ID, INITIAL_COUNT, LDR, LVT_TIMER, TSC_DEADLINE,
    };

    #[test]
    fn identity_is_the_index() {
        let apic = Apic::new(17, 18);
        assert_eq!((apic.read(ID, 0), apic.read(LDR, 0)), (Some(17), Some(1 << 16 | 2)));
        assert_eq!(apic.read(0x1b, 0), Some(0xfee0_0c00));
        assert_eq!(apic.read(0x80b, 0), None);
    }

    #[test]
    fn interrupts_go_where_the_command_says() {
        let mut apic = Apic::new(1, 4);
        let mut targets = |icr| match apic.write(ICR, icr) {
            Some(Effect::Interrupt { targets, vector: 0xe1 }) => Some(targets),
            _ => None,
        };
        assert_eq!(targets(2 << 32 | 0xe1), Some(0b100));
        assert_eq!(targets(9 << 32 | 0xe1), Some(0));
        assert_eq!(targets(0xffff_ffff << 32 | 0xe1), Some(0b1111));
        assert_eq!(targets(0b1001 << 32 | 1 << 11 | 0xe1), Some(0b1001));
        assert_eq!(targets(0b01 << 18 | 0xe1), Some(0b10));
        assert_eq!(targets(0b11 << 18 | 0xe1), Some(0b1101));
    }

    #[test]
    fn a_periodic_timer_ends_again_and_a_one_shot_timer_does_not() {
        const PERIODIC: u64 = 1 << 17 | 0x40;
        let mut apic = Apic::new(0, 1);
        assert_eq!(apic.write(LVT_TIMER, PERIODIC), Some(Effect::CountDown(0)));
        // Divided by 2.
        assert_eq!(apic.write(INITIAL_COUNT, 500), Some(Effect::CountDown(1000)));
        assert_eq!(apic.timer_ended(), Some(1000));
        assert_eq!(apic.timer_ended(), Some(1000));
        assert_eq!(apic.write(LVT_TIMER, 0x40), Some(Effect::CountDown(0)));
        assert_eq!(apic.timer_ended(), None);
    }

    #[test]
    fn init_startup_and_smi_are_refused_by_name() {
        let mut apic = Apic::new(0, 2);
        for (delivery_mode, name) in [(2, "SMI"), (5, "INIT"), (6, "start-up IPI")] {
            let effect = apic.write(ICR, 1 << 32 | delivery_mode << 8 | 0x40);
            assert_eq!(effect, Some(Effect::Impossible(name)));
        }
        for nothing in [3 << 8 | 0x40, 7 << 8 | 0x40, 8] {
            assert_eq!(apic.write(ICR, 1 << 32 | nothing), None);
        }
    }

    #[test]
    fn an_nmi_has_targets_and_no_vector() {
        let mut apic = Apic::new(1, 2);
        let mut effect = |icr| apic.write(ICR, icr);
        assert_eq!(effect(4 << 8), Some(Effect::NonMaskable { targets: 0b01 }));
        assert_eq!(effect(1 << 18 | 4 << 8), Some(Effect::NonMaskable { targets: 0b10 }));
        assert_eq!(effect(3 << 18 | 4 << 8 | 9), Some(Effect::NonMaskable { targets: 0b01 }));
    }

    #[test]
    fn the_deadline_needs_its_mode() {
        let mut apic = Apic::new(0, 1);
        assert_eq!(apic.write(TSC_DEADLINE, 5), Some(Effect::None));
        assert_eq!(apic.write(LVT_TIMER, 0b10 << 17 | 0xe0), Some(Effect::CountDown(0)));
        assert_eq!(apic.timer_vector(), Some(0xe0));
        assert_eq!(apic.write(TSC_DEADLINE, 5), Some(Effect::Deadline(5)));
        assert_eq!(apic.read(TSC_DEADLINE, 0), Some(5));
        apic.timer_ended();
        assert_eq!(apic.read(TSC_DEADLINE, 0), Some(0));
        assert_eq!(apic.write(LVT_TIMER, 0b11 << 17 | 0xe0), None);
    }

    #[test]
    fn the_count_is_in_divided_nanoseconds() {
        let mut apic = Apic::new(0, 1);
        assert_eq!(apic.write(INITIAL_COUNT, 100), Some(Effect::CountDown(200)));
        apic.write(DIVIDE, 0b1011);
        assert_eq!(apic.write(INITIAL_COUNT, 100), Some(Effect::CountDown(100)));
        apic.write(DIVIDE, 0b1010);
        assert_eq!(apic.write(INITIAL_COUNT, 100), Some(Effect::CountDown(12_800)));
        assert_eq!(apic.read(CURRENT_COUNT, 1280), Some(10));
        apic.write(LVT_TIMER, 1 << 16 | 0xe0);
        assert_eq!(apic.timer_vector(), None);
    }
}
