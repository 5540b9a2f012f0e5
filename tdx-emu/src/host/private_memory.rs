// SPDX-License-Identifier: MIT OR Apache-2.0
//! Private memory of the TD: given on demand, taken back when the TD makes it shared.
//!
//! The TD's memory is all unaccepted at first. A page is added when the TD accepts or touches it,
//! 2 MiB at once where the TD asks for that and the machine has it. Such a page is split when a part
//! of it is accepted alone, or becomes shared.
//!
//! Spec: TDX-BASE "Dynamic Page Addition", "Removing TD Private Pages".

use alloc::vec::Vec;
use core::{
    fmt,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use spin::Mutex;
use tdcall::Status;

use super::td::{LARGE_PAGE, PAGE, Td};
use crate::{iommu::dma, machine::memory, module};

/// Level of a secure EPT entry that maps 2 MiB.
pub(crate) const LARGE: u8 = 1;

/// Entries of tables hang at these levels, topmost first.
const TABLE_LEVELS: [u8; 3] = [3, 2, 1];

/// Why memory cannot be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The machine has no more.
    NoMemory,
    /// The module refused.
    Refused(Status),
    /// Devices cannot be given the page, or cannot be kept from it.
    Iommu(dma::Failure),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory => f.write_str("the machine has no memory left"),
            Self::Refused(status) => write!(f, "the module refuses: {status}"),
            Self::Iommu(failure) => write!(f, "{failure}"),
        }
    }
}

/// The private memory of the TD.
#[derive(Debug)]
pub(crate) struct PrivateMemory {
    tdr: u64,
    ram: Range<u64>,
    /// Adding a page takes several steps, which two CPUs must not mix.
    steps: Mutex<()>,
    /// Which 2 MiB were given at once; changed under `steps` only.
    large: Vec<AtomicBool>,
}

impl PrivateMemory {
    /// The memory of the TD `tdr`, of which `ram` may be given on demand.
    pub(crate) fn new(tdr: u64, ram: Range<u64>) -> Self {
        let large = (0..ram.end / LARGE_PAGE).map(|_| AtomicBool::new(false)).collect();
        Self { tdr, ram, steps: Mutex::new(()), large }
    }

    /// Whether an address is one that the TD has memory at.
    pub(crate) fn contains(&self, gpa: u64) -> bool {
        self.ram.contains(&gpa)
    }

    /// Gives the TD the page at an address, of the level asked for or smaller. Succeeds too if
    /// another CPU was faster.
    pub(crate) fn provide(&self, gpa: u64, level: u8) -> Result<(), Failure> {
        let _steps = self.steps.lock();
        if level >= LARGE && self.provide_large(gpa)? {
            return Ok(());
        }
        if self.is_large(gpa) {
            // A page that was given at once, but is to be accepted in parts.
            return if level == 0 { self.split(gpa) } else { Ok(()) };
        }
        self.add_tables(gpa, 1, [false; 3])?;
        let page = memory::alloc_pages_to_be_accepted(1).ok_or(Failure::NoMemory)?;
        module::tdh_mem_page_aug(align(gpa, 0), 0, self.tdr, page).or_else(|status| {
            memory::free_page(page);
            exists_already(status)
        })
    }

    /// Adds the tables above `lowest` in the tree of the TD, and in those of the L2 VMs wanted.
    pub(crate) fn add_tables(&self, gpa: u64, lowest: u8, l2: [bool; 3]) -> Result<(), Failure> {
        for level in TABLE_LEVELS.into_iter().filter(|level| *level >= lowest) {
            self.add_table(gpa, level, [None; 3])?;
            for vm in (0..3).filter(|vm| l2[*vm]) {
                let mut pages = [None; 3];
                pages[vm] = Some(memory::alloc_page().ok_or(Failure::NoMemory)?);
                self.add_table(gpa, level, pages)?;
            }
        }
        Ok(())
    }

    /// Adds the tables of an L2 VM for which a lock-free caller found one missing.
    pub(crate) fn add_l2_tables(&self, gpa: u64, lowest: u8, vm: u8) -> Result<(), Failure> {
        let _steps = self.steps.lock();
        let mut l2 = [false; 3];
        if let Some(wanted) = usize::from(vm).checked_sub(1).and_then(|vm| l2.get_mut(vm)) {
            *wanted = true;
        }
        self.add_tables(gpa, lowest, l2)
    }

    /// Takes a range of pages from the TD; their content is lost. Returns for each of them the page
    /// of the machine, zeroed, or 0 if there was none.
    pub(crate) fn withdraw(&self, td: &Td, range: &Range<u64>) -> Result<Vec<u64>, Failure> {
        let _steps = self.steps.lock();
        let blocked = self.block(range)?;
        if !blocked.is_empty() {
            // One epoch for all of them: every virtual CPU leaves the TD once.
            self.track()?;
            td.flush_translations();
        }
        let mut pages = alloc::vec![0; memory::size((range.end - range.start) / PAGE)];
        for (gpa, level) in blocked {
            let page =
                module::tdh_mem_page_remove(gpa, level, self.tdr).map_err(Failure::Refused)?;
            if level == LARGE {
                self.large(gpa).into_iter().for_each(|large| large.store(false, Relaxed));
            }
            let rest = pages.iter_mut().skip(memory::size((gpa - range.start) / PAGE));
            for (entry, page) in rest.zip((page..page + size(level)).step_by(4096)) {
                *entry = page;
            }
        }
        Ok(pages)
    }

    /// Makes a range inaccessible. Returns where there are pages, and of which level.
    fn block(&self, range: &Range<u64>) -> Result<Vec<(u64, u8)>, Failure> {
        let mut blocked = Vec::new();
        let mut gpa = range.start;
        while gpa < range.end {
            let whole = gpa.is_multiple_of(LARGE_PAGE) && gpa + LARGE_PAGE <= range.end;
            let level = if whole && self.is_large(gpa) { LARGE } else { 0 };
            if level == 0 && self.is_large(gpa) {
                self.split(gpa)?;
            }
            if self.block_page(gpa, level)? {
                blocked.push((gpa, level));
            }
            gpa += size(level);
        }
        Ok(blocked)
    }

    /// Makes a page inaccessible; `false` if there is none.
    fn block_page(&self, gpa: u64, level: u8) -> Result<bool, Failure> {
        let missing = [Status::EPT_ENTRY_STATE_INCORRECT, Status::EPT_WALK_FAILED];
        match module::tdh_mem_range_block(gpa, level, self.tdr) {
            Ok(()) => Ok(true),
            Err(status) if status.is(Status::GPA_RANGE_ALREADY_BLOCKED) => Ok(true),
            Err(status) if missing.iter().any(|missing| status.is(*missing)) => Ok(false),
            Err(status) => Err(Failure::Refused(status)),
        }
    }

    /// Begins a new epoch; every virtual CPU must leave the TD before a blocked page is removed.
    fn track(&self) -> Result<(), Failure> {
        module::tdh_mem_track(self.tdr).map_err(Failure::Refused)
    }

    /// Whether 2 MiB around an address were given at once.
    fn is_large(&self, gpa: u64) -> bool {
        self.large(gpa).is_some_and(|large| large.load(Relaxed))
    }

    fn large(&self, gpa: u64) -> Option<&AtomicBool> {
        self.large.get(memory::size(gpa / LARGE_PAGE))
    }

    /// Splits a large page, which keeps content and state.
    fn split(&self, gpa: u64) -> Result<(), Failure> {
        let start = align(gpa, LARGE);
        module::tdh_mem_range_block(start, LARGE, self.tdr).map_err(Failure::Refused)?;
        self.track()?;
        if let Some(td) = Td::get() {
            td.flush_translations();
            td.conversion.dawdle();
        }
        let table = || memory::alloc_page().ok_or(Failure::NoMemory);
        let (l1, l2) = (table()?, [Some(table()?), None, None]);
        module::tdh_mem_page_demote(start, LARGE, self.tdr, l1, l2).map_err(Failure::Refused)?;
        self.large(gpa).into_iter().for_each(|large| large.store(false, Relaxed));
        Ok(())
    }

    /// Gives 2 MiB; `false` if the machine has no such page, or smaller ones are there already.
    fn provide_large(&self, gpa: u64) -> Result<bool, Failure> {
        const PAGES: usize = 512;
        let whole = align(gpa, LARGE)..align(gpa, LARGE) + LARGE_PAGE;
        if whole.start < self.ram.start || self.ram.end < whole.end {
            return Ok(false);
        }
        self.add_tables(gpa, 2, [false; 3])?;
        let Some(page) = memory::alloc_pages_to_be_accepted(PAGES) else { return Ok(false) };
        match module::tdh_mem_page_aug(whole.start, LARGE, self.tdr, page) {
            Ok(()) => {
                self.large(gpa).into_iter().for_each(|large| large.store(true, Relaxed));
                Ok(true)
            }
            Err(status) => {
                (0..PAGES as u64).for_each(|number| memory::free_page(page + number * PAGE));
                exists_already(status).map(|()| false)
            }
        }
    }

    fn add_table(&self, gpa: u64, level: u8, l2: [Option<u64>; 3]) -> Result<(), Failure> {
        let table = memory::alloc_page().ok_or(Failure::NoMemory)?;
        let added = module::tdh_mem_sept_add(align(gpa, level), level, self.tdr, table, l2);
        let for_l2 = l2.into_iter().flatten().next();
        match added {
            // The tree of the TD had its table; only that of the L2 VM was used.
            Ok(()) if for_l2.is_some() => memory::free_page(table),
            Ok(()) => {}
            Err(status) => {
                memory::free_page(table);
                for_l2.into_iter().for_each(memory::free_page);
                return exists_already(status);
            }
        }
        Ok(())
    }
}

/// How many bytes an entry of `level` covers.
const fn size(level: u8) -> u64 {
    PAGE << (9 * level)
}

/// The start of the range that an entry of `level` covers.
const fn align(gpa: u64, level: u8) -> u64 {
    gpa & !(size(level) - 1)
}

/// An entry that is in use is no failure: it is there.
fn exists_already(status: Status) -> Result<(), Failure> {
    if status.is(Status::EPT_ENTRY_STATE_INCORRECT) {
        Ok(())
    } else {
        Err(Failure::Refused(status))
    }
}
