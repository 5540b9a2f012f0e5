// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that answers TDVMCALLs with any registers, and a module that may refuse them.
//!
//! An input is a list of calls, each a byte that says which, its arguments, and the answers. The module between the
//! two keeps its promise: the host sees and changes the registers of the mask and no others.

#![expect(unsafe_code, reason = "memory changes hands in a call, which here is a number")]

use core::cell::{Cell, RefCell};

use tdcall::{
    GprMask, Leaf, LeveledGpa, OperandId, PageLevel, Registers, Status,
    fake::Played,
    tdg::{AcceptRangeError, accept_range},
    tdvmcall::{
        self, EventNotifyVector, IoSize, MapGpaError, MmioSize, VmcallError, VmcallStatus,
        map_gpa::MAX_RETRIES_WITHOUT_PROGRESS,
    },
};

use crate::Input;

const PAGE: u64 = 4096;

/// Registers that no call shows the host.
const NEVER: GprMask = GprMask::FORBIDDEN.union(GprMask::RBP);

/// Host and module, and what they said last.
struct Other<'a> {
    input: RefCell<Input<'a>>,
    /// What the last call showed the host.
    shown: Cell<GprMask>,
    asked: Cell<Registers>,
    answered: Cell<Registers>,
    calls: Cell<u32>,
}

/// Makes the calls that the input names.
pub fn run(input: &[u8]) {
    let other = Other {
        input: RefCell::new(Input::new(input)),
        shown: Cell::new(GprMask::empty()),
        asked: Cell::new(Registers::ZERO),
        answered: Cell::new(Registers::ZERO),
        calls: Cell::new(0),
    };
    loop {
        let Some(which) = other.input.borrow_mut().byte() else { return };
        other.calls.set(0);
        match which % 16 {
            0 => io(&other),
            1 => mmio(&other),
            2 => cpuid(&other),
            3 => msr(&other),
            4 => info(&other),
            5 => halt(&other),
            6 => quote(&other),
            7 => event_notify(&other),
            8 => vendor(&other),
            9 => report(&other),
            10..=12 => map(&other),
            _ => accept(&other),
        }
    }
}

impl Other<'_> {
    fn byte(&self) -> u8 {
        self.input.borrow_mut().byte().unwrap_or(0)
    }

    fn long(&self) -> u64 {
        self.input.borrow_mut().long()
    }

    /// A call through the module.
    fn module(&self) -> Played<impl FnMut(&mut Registers)> {
        Played::new(|r| {
            self.calls.set(self.calls.get() + 1);
            assert_eq!(r.rax, Leaf::VP_VMCALL.rax());
            let mask = GprMask::from_bits_retain(u16::try_from(r.rcx).expect("no XMM is shown"));
            assert!(!mask.intersects(NEVER));
            self.shown.set(mask);
            self.asked.set(*r);
            let status = self.byte();
            r.rax = match status {
                0xf0..=0xfc => Status::OPERAND_INVALID.with_operand(OperandId::RCX).0,
                0xfd.. => Status::from_trap(status & 31).0,
                _ => 0,
            };
            if r.rax == 0 {
                self.host(mask, r);
            }
            self.answered.set(*r);
        })
    }

    /// The host's turn.
    fn host(&self, mask: GprMask, r: &mut Registers) {
        let registers = [
            (GprMask::R10, &mut r.r10),
            (GprMask::R11, &mut r.r11),
            (GprMask::R12, &mut r.r12),
            (GprMask::R13, &mut r.r13),
            (GprMask::R14, &mut r.r14),
            (GprMask::R15, &mut r.r15),
            (GprMask::RBX, &mut r.rbx),
            (GprMask::RDI, &mut r.rdi),
            (GprMask::RSI, &mut r.rsi),
            (GprMask::R8, &mut r.r8),
            (GprMask::R9, &mut r.r9),
            (GprMask::RDX, &mut r.rdx),
        ];
        for (bit, register) in registers {
            if mask.contains(bit) {
                *register = self.word(*register);
            } else {
                assert_eq!(*register, 0, "what is not shown is not there");
            }
        }
    }

    /// A word that is often one of those that mean something.
    fn word(&self, before: u64) -> u64 {
        match self.byte() {
            0..=63 => 0,
            64..=95 => 1,
            96..=111 => before,
            112..=143 => before.wrapping_add(PAGE),
            144..=151 => before.wrapping_sub(PAGE),
            152..=159 => 1 << 63 | before & 3,
            160..=167 => u64::MAX,
            168..=175 => self.asked.get().r12,
            176..=199 => self.asked.get().r12.wrapping_add(u64::from(self.byte()) * PAGE),
            _ => self.long(),
        }
    }

    /// Whose word a failure is: the module's if it did not pass the call on, else the host's.
    fn failure(&self) -> Option<VmcallError> {
        let r = self.answered.get();
        match (Status(r.rax).success(), VmcallStatus(r.r10).into_result()) {
            (Err(status), _) => Some(VmcallError::Module(status)),
            (_, Err(status)) => Some(VmcallError::Host(status)),
            _ => None,
        }
    }

    /// Checks an answer: an error says who refused, and only what is needed was shown.
    fn check<T: Copy + core::fmt::Debug + PartialEq>(
        &self,
        result: Result<T, VmcallError>,
        (arguments, wanted): (GprMask, T),
    ) {
        assert_eq!(self.calls.get(), 1);
        assert_eq!(self.shown.get(), arguments | GprMask::R10 | GprMask::R11);
        assert_eq!(result, self.failure().map_or(Ok(wanted), Err));
        if let Err(error) = result {
            let (text, whose) = (error.to_string(), self.answered.get().rax == 0);
            assert!(text.starts_with(if whose { "the host" } else { "the module" }), "{text}");
        }
    }
}

const FOUR: GprMask = GprMask::R12.union(GprMask::R13).union(GprMask::R14).union(GprMask::R15);
const TWO: GprMask = GprMask::R12.union(GprMask::R13);

fn io(other: &Other<'_>) {
    let (choice, port) = (other.byte(), u16::from(other.byte()) | u16::from(other.byte()) << 8);
    let Some(size) = IoSize::from_bytes(1 << (choice & 3)) else { return };
    if choice & 4 == 0 {
        let result = tdvmcall::io_read(&other.module(), port, size);
        let value = other.answered.get().r11 & u64::from(size.mask());
        other.check(result.map(u64::from), (FOUR, value));
        assert!(result.is_err() || value >> (8 * size.bytes() - 1) <= 1);
    } else {
        let value = u32::from(choice) * 0x0101_0101;
        other.check(tdvmcall::io_write(&other.module(), port, size, value), (FOUR, ()));
        assert_eq!(other.asked.get().r15, u64::from(value & size.mask()));
    }
    let asked = other.asked.get();
    assert_eq!((asked.r11, asked.r14), (30, u64::from(port)));
}

fn mmio(other: &Other<'_>) {
    let (choice, gpa) = (other.byte(), other.long());
    let Some(size) = MmioSize::from_bytes(1 << (choice & 3)) else { return };
    if choice & 4 == 0 {
        let result = tdvmcall::mmio_read(&other.module(), gpa, size);
        other.check(result, (FOUR, other.answered.get().r11 & size.mask()));
        assert!(result.is_err() || result.is_ok_and(|value| value <= size.mask()));
    } else {
        let value = u64::from(choice) * 0x0101_0101_0101_0101;
        other.check(tdvmcall::mmio_write(&other.module(), gpa, size, value), (FOUR, ()));
        assert_eq!(other.asked.get().r15, value & size.mask());
    }
    let asked = other.asked.get();
    assert_eq!((asked.r11, asked.r14), (48, gpa));
}

fn cpuid(other: &Other<'_>) {
    let result = tdvmcall::cpuid(&other.module(), 0x4000_0000, other.byte().into());
    let r = other.answered.get();
    let result = result.map(|values| [values.eax, values.ebx, values.ecx, values.edx]);
    let low = |word: u64| u32::try_from(word & 0xffff_ffff).unwrap_or(0);
    other.check(result, (FOUR, [r.r12, r.r13, r.r14, r.r15].map(low)));
}

fn msr(other: &Other<'_>) {
    if other.byte() & 1 == 0 {
        let result = tdvmcall::rdmsr(&other.module(), 0x4000_0002);
        other.check(result, (GprMask::R12, other.answered.get().r11));
    } else {
        let value = other.long();
        other.check(tdvmcall::wrmsr(&other.module(), 0x830, value), (TWO, ()));
        assert_eq!((other.asked.get().r12, other.asked.get().r13), (0x830, value));
    }
}

fn info(other: &Other<'_>) {
    let arguments = TWO | GprMask::R14;
    if other.byte() & 1 == 0 {
        let result = tdvmcall::get_td_vm_call_info(&other.module(), 1);
        let r = other.answered.get();
        other.check(result, (arguments, [r.r11, r.r12, r.r13, r.r14]));
    } else {
        let result = tdvmcall::has_setup_event_notify_interrupt(&other.module());
        other.check(result, (arguments, other.answered.get().r11 & 2 != 0));
    }
}

fn halt(other: &Other<'_>) {
    let blocked = other.byte() & 1 != 0;
    let result = match blocked {
        true => tdvmcall::hlt_blocked(&other.module()),
        false => tdvmcall::hlt(&other.module()),
    };
    other.check(result, (GprMask::R12, ()));
    assert_eq!(other.asked.get().r12, u64::from(blocked));
}

fn quote(other: &Other<'_>) {
    let (gpa, size) = (other.long(), other.long());
    other.check(tdvmcall::get_quote(&other.module(), gpa, size), (TWO, ()));
    assert_eq!((other.asked.get().r12, other.asked.get().r13), (gpa, size));
}

fn event_notify(other: &Other<'_>) {
    let number = other.byte();
    let Some(vector) = EventNotifyVector::new(number) else {
        assert!(number < 32);
        return;
    };
    let result = tdvmcall::setup_event_notify_interrupt(&other.module(), vector);
    other.check(result, (GprMask::R12, ()));
    assert_eq!(other.asked.get().r12, u64::from(number));
}

fn vendor(other: &Other<'_>) {
    let number = core::num::NonZeroU64::MIN;
    let is_hyperv = other.byte() & 1 == 0;
    let result = match is_hyperv {
        true => tdvmcall::hyperv_hypercall(&other.module(), number, 2, 3),
        false => tdvmcall::kvm_hypercall(&other.module(), number, [2, 3, 4, 5]),
    };
    let r = other.answered.get();
    let value = if is_hyperv { r.r11 } else { r.r10 };
    assert_eq!(result, Status(r.rax).success().map(|()| value));
    let shown = GprMask::R10 | GprMask::R11;
    let more = if is_hyperv { GprMask::RDX | GprMask::R8 } else { TWO | GprMask::R14 };
    assert_eq!((other.calls.get(), other.shown.get()), (1, shown | more));
}

/// The host should not return from it.
fn report(other: &Other<'_>) {
    tdvmcall::report_fatal_error(&other.module(), 7, "the end");
    assert_eq!(other.calls.get(), 1);
    assert_eq!(other.asked.get().r14.to_le_bytes(), *b"the end\0");
}

/// Memory changes hands: every call is for the rest, and their number is bounded whatever the host says.
fn map(other: &Other<'_>) {
    let (first, pages, odd) = (other.byte(), u64::from(other.byte() & 15), other.byte());
    let base = if first & 1 == 0 { 0 } else { 1 << 47 };
    let gpa = base + u64::from(first) * PAGE + u64::from(odd == 1);
    let size = pages * PAGE + u64::from(odd == 2) + if odd == 3 { !0xf_ffff } else { 0 };
    // SAFETY: There is no memory behind the numbers.
    let result = unsafe { tdvmcall::map_gpa(&other.module(), gpa, size) };
    let calls = u64::from(other.calls.get());
    assert!(calls <= size / PAGE * u64::from(MAX_RETRIES_WITHOUT_PROGRESS + 1));
    if result == Err(MapGpaError::NoRangeOfPages) {
        assert!(calls == 0 && (odd != 0 || pages == 0));
        return;
    }
    let (asked, answered) = (other.asked.get(), other.answered.get());
    assert_eq!(asked.r12 + asked.r13, gpa + size, "not all of the rest");
    assert!((gpa..gpa + size).contains(&asked.r12) && asked.r12.is_multiple_of(PAGE));
    assert_eq!(other.shown.get(), GprMask::R10 | GprMask::R11 | TWO);
    let (status, answer) = (VmcallStatus(answered.r10), answered.r11);
    let is_inside = (asked.r12..gpa + size).contains(&answer) && answer.is_multiple_of(PAGE);
    let at = asked.r12;
    match result {
        Ok(()) => assert_eq!((answered.rax, status), (0, VmcallStatus::SUCCESS)),
        Err(MapGpaError::Module(module)) => assert_eq!(module.0, answered.rax),
        Err(MapGpaError::Host { at: told, status: why }) => {
            assert_eq!((told, why), (at, status));
            assert_ne!(status, VmcallStatus::SUCCESS);
        }
        Err(MapGpaError::RetryOutOfRange { at: told, answer: why }) => {
            assert!(!is_inside && (told, why) == (at, answer));
        }
        Err(MapGpaError::NoProgress { at: told }) => {
            assert!(is_inside && answer == at && told == at);
            assert!(calls > u64::from(MAX_RETRIES_WITHOUT_PROGRESS));
        }
        Err(MapGpaError::NoRangeOfPages) => unreachable!("it was looked at above"),
    }
}

/// The host decides how memory is mapped, and so what the module says when it is accepted.
fn accept(other: &Other<'_>) {
    let start = u64::from(other.byte()) * 64 * PAGE;
    let end = start + u64::from(other.byte()) * 32 * PAGE;
    let (next, fresh) = (Cell::new(start), Cell::new(0));
    let module = Played::new(|r: &mut Registers| {
        assert_eq!(r.rax, Leaf::MEM_PAGE_ACCEPT.rax());
        let page = LeveledGpa::from_bits(r.rcx);
        let (gpa, size) = (page.gpa(), page.level().size());
        assert!(gpa == next.get() && gpa.is_multiple_of(size) && gpa + size <= end);
        let (status, goes_on, is_fresh) = match other.byte() {
            0..=127 => (Status::SUCCESS, true, true),
            128..=159 if page.level() == PageLevel::SIZE_2M => {
                (Status::PAGE_SIZE_MISMATCH, false, false)
            }
            160..=223 => (Status::PAGE_ALREADY_ACCEPTED, true, false),
            224..=239 => (Status::OPERAND_BUSY, false, false),
            _ => (Status::OPERAND_INVALID, false, false),
        };
        if goes_on {
            next.set(gpa + size);
        }
        if is_fresh {
            fresh.set(fresh.get() + size);
        }
        r.rax = status.0;
    });
    // SAFETY: There is no memory behind the numbers.
    match unsafe { accept_range(&module, start, end) } {
        Ok(range) => {
            let accepted = (range.pages_2m << 21) + (range.pages_4k << 12);
            assert_eq!((next.get(), accepted), (end, fresh.get()));
            assert_eq!(accepted + range.already_accepted, end - start);
            assert_eq!(range.first_already_accepted.is_some(), range.already_accepted != 0);
        }
        Err(AcceptRangeError { gpa, status }) => {
            assert_eq!(gpa, next.get());
            assert!(status.is_error());
        }
    }
}
