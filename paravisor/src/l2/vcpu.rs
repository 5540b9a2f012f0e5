// SPDX-License-Identifier: MIT OR Apache-2.0
//! One virtual CPU of L2, as its CPU's loop owns it.
//!
//! Of what L1 and L2 share, L1 uses nothing that would have to be switched: no FPU or vector
//! registers, no CR2, no debug registers, none of the SYSCALL registers.
#![expect(unsafe_code, reason = "the module reads and writes the state page by address")]

use alloc::boxed::Box;

use paravisor::{exit::event::Event, local_apic::LocalApic, page_walk::Paging, width};
use proxy_irq::{ApicMode, L2Vector, RelayBlock, VirtualApicPage};
use tdcall::{
    EntryFlags, Instruction, Invalidation, L2EnterGuestState, L2Exit,
    md::{
        l2_vmcs::Field,
        tdvps::{TSC_DEADLINE_OFF, tsc_deadline},
    },
    tdg::{self, L2Return},
};

use super::{
    controls, entry_state,
    fields::{self, Refused, read, write, write_id},
    io_apic::{self, Levels},
    quote,
    vm::{VM, vm},
    vmbus,
};
use crate::cpus;

/// One virtual CPU.
pub(super) struct Vcpu {
    /// Its index, which is its APIC id.
    pub(super) index: usize,
    /// The relay's state of it.
    pub(super) block: &'static RelayBlock,
    /// Its virtual-APIC page, which is the first one of the block.
    pub(super) page: &'static VirtualApicPage,
    /// The rest of its APIC.
    pub(super) apic: LocalApic,
    /// What it knows of the IO-APIC.
    pub(super) levels: Levels,
    /// An event that waits for the entry fields.
    pub(super) event: Option<Event>,
    /// An NMI waits until L2 can take it.
    pub(super) nmi_waits: bool,
    /// By which vector L2 wants to know that a quote is there.
    pub(super) notify: Option<L2Vector>,
    /// Which VM the next entry runs, and what it has to forget.
    entry: EntryFlags,
    /// Slots that took interrupts while they mapped to nothing.
    pub(super) spurious: u32,
    /// Those of them that were told of.
    pub(super) spurious_told: u32,
    state: *mut L2EnterGuestState,
}

/// Where a CPU that was woken starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In real mode at this page.
    RealMode(u8),
    /// In 64-bit mode at this address.
    LongMode(u64),
}

/// An entry that has nothing to forget.
const ENTRY: EntryFlags = EntryFlags::to(VM);

/// Bits of the interruptibility state that end with the instruction: after STI, after MOV SS.
const INSTRUCTION_SHADOW: u64 = 3;
/// In the access rights of CS: 64-bit code, 32-bit code.
const CS_LONG: u16 = 1 << 13;
const CS_BIG: u16 = 1 << 14;

impl Vcpu {
    /// Makes the virtual CPU of CPU `index`, which is this one. Never inlined: its page is built on the
    /// stack, which would then hold it as long as L2 runs.
    #[inline(never)]
    pub(super) fn new(index: usize) -> Result<Self, Refused> {
        let id = u32::try_from(index).unwrap_or(u32::MAX);
        let block = cpus::relay_block(index);
        let vcpu = Self {
            index,
            block,
            page: block.page(),
            apic: LocalApic::new(id, vm().timer_ratio),
            levels: Levels::default(),
            event: None,
            nmi_waits: false,
            notify: None,
            entry: ENTRY,
            spurious: 0,
            spurious_told: 0,
            state: Box::into_raw(Box::new(L2EnterGuestState::new())),
        };
        controls::set_up(vcpu.page)?;
        block.set_mode(ApicMode::Offload);
        Ok(vcpu)
    }

    /// The state page, while L2 is out.
    pub(super) fn state(&mut self) -> &mut L2EnterGuestState {
        // SAFETY: The page was leaked by `new`; the module uses it during an entry only, and `self`
        // is borrowed as long as the reference lives.
        unsafe { &mut *self.state }
    }

    /// Starts as the first CPU does.
    pub(super) fn start_first(&mut self) -> Result<(), Refused> {
        entry_state::first(self.state(), vm().start, vm().others.tables)
    }

    /// Forgets what INIT makes a CPU forget: interrupts and events that wait, the APIC's registers.
    pub(super) fn take_init(&mut self) -> Result<(), Refused> {
        self.event = None;
        self.notify = None;
        self.block.reset_apic();
        self.state().rvi = 0;
        let id = u32::try_from(self.index).unwrap_or(u32::MAX);
        self.apic = LocalApic::new(id, vm().timer_ratio);
        super::exit::nmi::forget(self)?;
        self.arm_timer()
    }

    /// Starts as `place` says.
    pub(super) fn start_woken(&mut self, place: Place) -> Result<(), Refused> {
        self.forget(Invalidation::VPID);
        match place {
            Place::RealMode(page) => entry_state::woken(self.state(), page),
            Place::LongMode(entry) => {
                entry_state::long(self.state(), (entry, 0), vm().others.tables)
            }
        }
    }

    /// Makes the next entry forget translations.
    pub(super) fn forget(&mut self, what: Invalidation) {
        self.entry = ENTRY.with_invalidation(what);
    }

    /// Runs L2. Interrupts are off, and the relay block says that L2 is entered.
    #[inline]
    pub(super) fn enter(&mut self) -> L2Return {
        let state = width::wide(self.state.expose_provenance());
        // SAFETY: 1. The state page is private memory of this CPU, used by nothing else. 2. L1 keeps
        // nothing in what L2 shares with it; see above.
        let back = unsafe { tdg::vp_enter(&Instruction, self.entry, state) };
        if back.exit().is_some() {
            self.entry = ENTRY;
        }
        back
    }

    /// Takes the calls for attention, and with them what the host has told of lines and the newest set of
    /// level-triggered vectors; returns whether there was one. Signals are left to the caller.
    pub(super) fn take_attention(&mut self) -> Result<bool, Refused> {
        let called = self.block.take_attention();
        if called {
            io_apic::serve_lines();
            self.levels.follow(self.block)?;
        }
        Ok(called)
    }

    /// Puts the waiting event into the entry fields, where it stays until an entry takes it.
    #[inline]
    pub(super) fn write_event(&mut self) -> Result<(), Refused> {
        if self.event.is_some() { self.write_waiting_event() } else { Ok(()) }
    }

    #[cold]
    fn write_waiting_event(&mut self) -> Result<(), Refused> {
        let Some(event) = self.event.take() else { return Ok(()) };
        write(Field::VM_ENTRY_EXCEPTION_ERROR_CODE, event.error_code.into())?;
        write(Field::VM_ENTRY_INSTRUCTION_LENGTH, event.length.into())?;
        write(Field::VM_ENTRY_INTERRUPTION_INFO, event.information.into_bits().into())
    }

    /// Steps over the instruction that caused `exit`.
    pub(super) fn skip(&mut self, exit: &L2Exit) {
        let mask = if is_long(exit) { u64::MAX } else { 0xffff_ffff };
        let state = self.state();
        state.rip = state.rip.wrapping_add(exit.instruction_length.into()) & mask;
    }

    /// Ends the shadow of STI or MOV SS, after the instruction in it was stepped over.
    pub(super) fn end_shadow(&self) -> Result<(), Refused> {
        fields::write_masked(Field::INTERRUPTIBILITY_STATE, 0, INSTRUCTION_SHADOW)
    }

    /// Makes `vector` pending in this CPU's own APIC.
    pub(super) fn post(&self, vector: L2Vector) {
        // The next drain is this CPU's own: nobody has to be kicked.
        let _ = self.block.post_trusted(vector);
    }

    /// When something is due here: L2's timer, or the end of L1's patience with the host.
    pub(super) fn deadline(&self) -> Option<u64> {
        let due =
            [self.apic.timer.deadline(), quote::deadline(self.index), vmbus::deadline(self.index)];
        due.into_iter().flatten().min()
    }

    /// Tells the module when something is due. What is too far for it is taken in parts: an exit that comes
    /// early leads here again.
    pub(super) fn arm_timer(&self) -> Result<(), Refused> {
        const FARTHEST: u64 = 600_000;
        let farthest = cpu::tsc().saturating_add(vm().millisecond * FARTHEST);
        let deadline = self.deadline().map(|deadline| deadline.min(farthest));
        let deadline = deadline.unwrap_or(TSC_DEADLINE_OFF);
        write_id(tsc_deadline(VM), deadline, u64::MAX)
    }

    /// Does what is due. If the timer has ended, makes its vector pending. The module keeps a deadline that has passed,
    /// so it gets the next one, or none.
    pub(super) fn take_timer(&mut self) -> Result<(), Refused> {
        if self.apic.timer.expire(cpu::tsc())
            && let Some(vector) = self.apic.timer_vector()
        {
            self.post(vector);
        }
        if quote::deadline(self.index).is_some_and(|deadline| deadline <= cpu::tsc()) {
            quote::expire(self);
        }
        if vmbus::deadline(self.index).is_some_and(|deadline| deadline <= cpu::tsc()) {
            vmbus::retry();
        }
        self.arm_timer()
    }

    /// The registers that choose how L2 translates addresses.
    pub(super) fn paging() -> Result<Paging, Refused> {
        Ok(Paging {
            cr0: read(Field::CR0)?,
            cr3: read(Field::CR3)?,
            cr4: read(Field::CR4)?,
            efer: read(Field::IA32_EFER)?,
        })
    }
}

/// Whether `exit` came from 64-bit code.
pub(super) const fn is_long(exit: &L2Exit) -> bool {
    exit.cs_access_rights & CS_LONG != 0
}

/// The width of the code that `exit` came from.
pub(super) const fn code_bits(exit: &L2Exit) -> u32 {
    if is_long(exit) {
        64
    } else if exit.cs_access_rights & CS_BIG != 0 {
        32
    } else {
        16
    }
}
