// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which of L2's pages the host may see, and making them so or not.
//!
//! A page that is shared has no private memory behind it any more: an access by L1 through its private
//! address would end the TD. What L2 reads there comes from the host, so L1 must not read it either.
//! Hence the set of shared pages, and one rule: a page is in the set *before* the host is told to share
//! it, and until it is accepted and given to L2 again.
//!
//! L1 accesses L2's memory with the set held for reading ([`while_private`]), and pages enter the set
//! with it held for writing. So an access is either over before the page enters, and the host has not
//! been asked yet, or finds it in the set and does not take place. No conversion on another CPU, however
//! timed, comes between the look and the access. The set is held for the length of a copy, never while
//! the host is called.
//!
//! Who converts makes sure that he is the only one: of two conversions of one page at the same time the
//! set could tell what the first has left, and the host the second.
//!
//! What the host does with a page on its own (takes it away, does not give it back) ends the TD or makes
//! an accept fail; it never becomes content, for an accepted page is private and zero.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<MapGPA>`"; TDX-ABI "TDG.MEM.PAGE.ACCEPT Leaf"; TDX-TDP "L2 VM Memory
//! Management".
#![expect(unsafe_code, reason = "memory changes hands")]

use core::{fmt, ops::Range};

use paravisor::page_set::{PageSet, Run, Visibility};
use spin::RwLock;
use tdcall::{
    Instruction, Status, VmIndex,
    tdg::AcceptRangeError,
    tdvmcall::{self, MapGpaError},
};

use super::{
    accept,
    alias::{self, Rights},
};

static SHARED: RwLock<PageSet> = RwLock::new(PageSet::empty());

/// Why a conversion ended early.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why {
    /// The host.
    Host(MapGpaError),
    /// A page was not accepted.
    Accept(AcceptRangeError),
    /// A page was not given to L2.
    Alias(Status),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(error) => write!(f, "{error}"),
            Self::Accept(error) => write!(f, "{error}"),
            Self::Alias(status) => write!(f, "no alias for L2: {status}"),
        }
    }
}

/// A conversion that ended early: what lies before the address is converted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped {
    /// The address.
    pub(crate) at: u64,
    /// The reason.
    pub(crate) why: Why,
}

/// Makes room for pages below `end`.
pub(crate) fn prepare(end: u64) {
    *SHARED.write() = PageSet::below(end);
}

/// Does `work` with the `length` bytes at `gpa` kept private meanwhile, or nothing if some are shared.
/// Context: `work` does not convert memory.
pub(crate) fn while_private<R>(gpa: u64, length: u64, work: impl FnOnce() -> R) -> Option<R> {
    let shared = SHARED.read();
    (!shared.touches(gpa, length)).then(work)
}

/// The first run of `pages`, and whether it has to be converted.
pub(crate) fn next_run(pages: &[u64], wanted: Visibility) -> Run {
    SHARED.read().next_run(pages, wanted)
}

/// Number of shared pages.
pub(crate) fn shared_pages() -> u64 {
    SHARED.read().count()
}

/// Lets the host see `range`, which is L2's. Where it stops, the rest is in the set nevertheless: the
/// host may have taken any of it.
///
/// # Safety
///
/// The range is part of L2's RAM, and no other CPU converts memory.
pub(crate) unsafe fn share(range: Range<u64>, shared_bit: u64) -> Result<(), Stopped> {
    SHARED.write().insert(&range);
    let size = range.end - range.start;
    // SAFETY: 1. L1 has no references to L2's RAM, and its copies look at the set first. 2. That L2 loses
    // the content and the host may write there is what L2 asks for.
    unsafe { tdvmcall::map_gpa(&Instruction, range.start | shared_bit, size) }.map_err(|error| {
        Stopped { at: reached(error, range.start) & !shared_bit, why: Why::Host(error) }
    })
}

/// Hides `range` from the host and gives it to `vm`, zeroed.
///
/// # Safety
///
/// As for [`share`].
pub(crate) unsafe fn hide(range: Range<u64>, vm: VmIndex) -> Result<(), Stopped> {
    let size = range.end - range.start;
    // SAFETY: L1 does not use what is in the set.
    let mapped = unsafe { tdvmcall::map_gpa(&Instruction, range.start, size) };
    let mapped =
        mapped.map_err(|error| Stopped { at: reached(error, range.start), why: Why::Host(error) });
    let end = mapped.map_or_else(|stopped| stopped.at, |()| range.end);
    // SAFETY: As above.
    let accepted = unsafe { accept::range(range.start..end) };
    let accepted =
        accepted.map(|_| ()).map_err(|error| Stopped { at: error.gpa, why: Why::Accept(error) });
    let end = accepted.map_or_else(|stopped| stopped.at, |()| end);
    // SAFETY: It is L2's memory, of which L1 makes no references.
    let given = unsafe { alias::give(vm, range.start..end, Rights::All) };
    let given = given.map_err(|(at, status)| Stopped { at, why: Why::Alias(status) });
    let end = given.map_or_else(|stopped| stopped.at, |()| end);
    SHARED.write().remove(&(range.start..end));
    given.and(accepted).and(mapped)
}

/// Up to where the host has come.
const fn reached(error: MapGpaError, start: u64) -> u64 {
    match error {
        MapGpaError::Host { at, .. }
        | MapGpaError::RetryOutOfRange { at, .. }
        | MapGpaError::NoProgress { at } => at,
        MapGpaError::NoRangeOfPages | MapGpaError::Module(_) => start,
    }
}
