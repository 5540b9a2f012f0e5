// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory shared with the host and taken back, by hypercall and by TDCALL; and every kind of nonsense
//! in between, which must be refused by its name and change nothing.

/// Leaves the function unless a condition holds.
macro_rules! holds {
    ($what:literal, $holds:expr $(,)?) => {
        if !$holds {
            return Err(crate::failure::Failure::Hypercall($what));
        }
    };
}

/// What is refused.
mod nonsense;

/// Two CPUs at one page.
mod race;

use core::cell::UnsafeCell;

use super::edu;
use super::machine::Machine;
use crate::console::line;
use crate::failure::Failure;
use crate::hyperv::{
    Answer, PAGE, PRIVATE, SELF, SHARED, call_page, control, cpuid, load, read_msr, tdvmcall,
    visibility, vmcall, write_msr,
};
use crate::registers::Registers;
use crate::ring;

const GUEST_OS_ID: u32 = 0x4000_0000;
const HYPERCALL: u32 = 0x4000_0001;
const VP_INDEX: u32 = 0x4000_0002;
const REFERENCE_TSC: u32 = 0x4000_0021;
const MAP_GPA: u64 = 0x1_0001;
const NAME: u64 = 0x8100_0000_0000_0001;
const RETRY: u64 = 1;
/// #GP.
const PROTECTION: u8 = 13;

/// Memory that nothing else uses: 4 MiB that no image reaches and every machine has.
const LARGE: u64 = 0x200_0000;
const LARGE_SIZE: u64 = 0x40_0000;

const COUNT: u64 = 16;

#[repr(C, align(4096))]
struct Pages(UnsafeCell<[u8; 16 * 4096]>);

// SAFETY: Rust only takes the address.
#[expect(unsafe_code, reason = "the pages are memory that Rust does not touch")]
unsafe impl Sync for Pages {}

/// Pages to share; two of them for calls and for time.
static PAGES: Pages = Pages(UnsafeCell::new([0; 16 * 4096]));

/// The pages, with a window for either kind of address.
#[derive(Clone, Copy, Debug)]
struct Ground {
    first: u64,
    private: Registers,
    shared: Registers,
    shared_bit: u64,
}

/// Runs all of it, then takes a few interrupts to show that the machine still works.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    ring::prepare();
    let place = PAGES.0.get().expose_provenance() as u64;
    let ground = Ground {
        first: place / PAGE,
        private: Registers::map(place, COUNT * PAGE, 0)?,
        shared: Registers::map(place, COUNT * PAGE, machine.shared_bit())?,
        shared_bit: machine.shared_bit(),
    };
    leaves(&ground)?;
    nonsense::before_the_page()?;
    introduce(&ground)?;
    there_and_back(&ground)?;
    scattered(&ground)?;
    strayed(&ground)?;
    by_tdcall(&ground)?;
    let refused = nonsense::run(ground.first, ground.shared_bit)?;
    race::run(ground.first + 5, machine.cpus())?;
    line!("result hypercalls refused={refused}");
    edu::raise(machine, 10)
}

/// What the hypervisor says it is.
fn leaves(ground: &Ground) -> Result<(), Failure> {
    let [max, name @ ..] = cpuid(0x4000_0000);
    let is_named = name == [u32::from_le_bytes(*b"Micr"), 0x666f_736f, 0x7648_2074];
    holds!("the name", is_named && max >= 0x4000_000c);
    let [paravisor, isolation, ..] = cpuid(0x4000_000c);
    let boundary = 1_u64.checked_shl((isolation >> 6) & 0x3f).unwrap_or(0);
    holds!("the isolation", paravisor & 1 == 1 && isolation & 0xf == 3);
    holds!("the boundary", isolation & (1 << 5) != 0 && boundary == ground.shared_bit);
    holds!("no sign of TDX", cpuid(0x21) == [0; 4]);
    holds!("the index", read_msr(VP_INDEX) == Ok(0));
    Ok(())
}

/// Tells the guest's name, twice, and gives pages for calls and for time.
fn introduce(ground: &Ground) -> Result<(), Failure> {
    let page = |number: u64| (ground.first + number) * PAGE;
    holds!("a name", write_msr(GUEST_OS_ID, NAME) == Ok(0));
    let told = tdvmcall(32, GUEST_OS_ID.into(), NAME);
    holds!("the name by TDCALL", told == Ok((0, 0)));
    let read = tdvmcall(31, GUEST_OS_ID.into(), 0);
    holds!("the name by TDCALL, read", read == Ok((0, NAME)));
    nonsense::pages_in_odd_places(ground.shared_bit)?;
    holds!("a page for calls", write_msr(HYPERCALL, page(14) + 1) == Ok(0));
    holds!("ENDBR64", ground.private.read(14 * 4096) == 0xfa1e_0ff3);
    let called = call_page(page(14), 0xffff, 0);
    holds!("a call through the page", called == Ok(2));
    holds!("a page for time", write_msr(REFERENCE_TSC, page(15) + 1) == Ok(0));
    let (sequence, scale) = (ground.private.read(15 * 4096), ground.private.read(15 * 4096 + 12));
    holds!("the page for time", sequence != 0 && scale != 0);
    Ok(())
}

fn modify(wanted: u64, pages: &[u64]) -> Answer {
    let count = pages.len() as u64;
    vmcall(control(0, count), visibility(SELF, wanted, pages))
}

/// Eight pages in a row: what is written comes back as long as a page stays what it is.
fn there_and_back(ground: &Ground) -> Result<(), Failure> {
    const PAGES: u64 = 8;
    let pages: [u64; 8] = core::array::from_fn(|index| ground.first + index as u64);
    let words = || (0..8 * 4096).step_by(1024).zip(1_u32..);
    words().for_each(|(offset, word)| ground.private.write(offset, word));
    holds!("sharing", modify(SHARED, &pages) == Ok(PAGES << 32));
    let leaked = words().any(|(offset, word)| ground.shared.read(offset) == word);
    holds!("nothing private leaks", !leaked);
    words().for_each(|(offset, word)| ground.shared.write(offset, !word));
    holds!("sharing again", modify(SHARED, &pages) == Ok(PAGES << 32));
    let kept = words().all(|(offset, word)| ground.shared.read(offset) == !word);
    holds!("shared pages keep what is written", kept);
    holds!("taking back", modify(PRIVATE, &pages) == Ok(PAGES << 32));
    let zero = words().all(|(offset, _)| ground.private.read(offset) == 0);
    holds!("private pages come as zeros", zero);
    words().for_each(|(offset, word)| ground.private.write(offset, word));
    holds!("taking back again", modify(PRIVATE, &pages) == Ok(PAGES << 32));
    let kept = words().all(|(offset, word)| ground.private.read(offset) == word);
    holds!("private pages keep what is written", kept);
    Ok(())
}

/// A list in any order, with a page twice, and one that is taken up in the middle.
fn scattered(ground: &Ground) -> Result<(), Failure> {
    let first = ground.first;
    let pages = [first + 9, first + 3, first + 4, first + 9, first + 1];
    holds!("a list in any order", modify(SHARED, &pages) == Ok(5 << 32));
    ground.shared.write(9 * 4096, 7);
    holds!("one page of it", modify(PRIVATE, &[first + 3]) == Ok(1 << 32));
    let input = visibility(SELF, PRIVATE, &pages);
    let resumed = vmcall(control(3, 5), input);
    holds!("a list from its fourth page", resumed == Ok(5 << 32));
    holds!("the pages before stay shared", load((first + 4) * PAGE) == Err(PROTECTION));
    holds!("all of it back", modify(PRIVATE, &pages) == Ok(5 << 32));
    holds!("a page that came back", ground.private.read(9 * 4096) == 0);
    Ok(())
}

/// A private access to a shared page is the guest's own mistake, and ends nothing.
fn strayed(ground: &Ground) -> Result<(), Failure> {
    let page = ground.first + 2;
    ground.private.write(2 * 4096, 5);
    holds!("sharing one", modify(SHARED, &[page]) == Ok(1 << 32));
    ground.shared.write(2 * 4096, 6);
    holds!("a private access to it", load(page * PAGE) == Err(PROTECTION));
    holds!("and another", load(page * PAGE + 8) == Err(PROTECTION));
    holds!("the shared page", ground.shared.read(2 * 4096) == 6);
    // A call whose input the host may write is not looked at.
    let refused = vmcall(control(0, 1), page * PAGE);
    holds!("an input that is shared", refused == Ok(3));
    holds!(
        "a page for calls that is shared",
        write_msr(HYPERCALL, page * PAGE + 1) == Err(PROTECTION),
    );
    holds!("taking it back", modify(PRIVATE, &[page]) == Ok(1 << 32));
    holds!("the page taken back", load(page * PAGE) == Ok(0));
    Ok(())
}

/// Ranges: of large pages, in parts, with a small hole of the other kind.
fn by_tdcall(ground: &Ground) -> Result<(), Failure> {
    let (half, shared) = (LARGE_SIZE / 2, LARGE | ground.shared_bit);
    let map = |gpa, size| tdvmcall(MAP_GPA, gpa, size);
    let hole = LARGE + half + 0x5000;
    holds!("a hole first", map(hole | ground.shared_bit, PAGE).map(|end| end.0) == Ok(0));
    holds!("a part", map(shared, LARGE_SIZE) == Ok((RETRY, shared + half)));
    holds!("the rest", map(shared + half, half).map(|end| end.0) == Ok(0));
    let window = Registers::map(LARGE, LARGE_SIZE, ground.shared_bit)?;
    window.write(0x1000, 9);
    window.write(0x20_5000, 9);
    holds!("a word there", window.read(0x1000) == 9 && window.read(0x20_5000) == 9);
    holds!("it is shared", load(LARGE + 0x1000) == Err(PROTECTION));
    holds!("a part back", map(LARGE, LARGE_SIZE) == Ok((RETRY, LARGE + half)));
    holds!("all back", map(LARGE + half, half).map(|end| end.0) == Ok(0));
    let back = [load(LARGE + 0x1000), load(LARGE + half), load(hole)];
    holds!("zeros there", back == [Ok(0); 3]);
    Ok(())
}
