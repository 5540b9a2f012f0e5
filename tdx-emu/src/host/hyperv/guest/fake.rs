// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TD for unit tests: a few pages, and a list of what was posted.

use core::sync::atomic::AtomicU32;
use std::sync::Mutex;

use super::{Guest, PAGE, Retarget};

/// The TD; tests keep it for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fake(&'static Inner);

#[derive(Debug)]
struct Inner {
    cpus: usize,
    pages: Mutex<Vec<Option<&'static [AtomicU32]>>>,
    posted: Mutex<Vec<(usize, u8)>>,
    retargets: Mutex<Vec<Retarget>>,
}

impl Fake {
    /// A TD without shared pages.
    pub(crate) fn new(cpus: usize) -> Self {
        let (pages, posted, retargets) = Default::default();
        Self(Box::leak(Box::new(Inner { cpus, pages, posted, retargets })))
    }

    /// Shares a zeroed page; returns its address.
    pub(crate) fn share(self) -> u64 {
        let page: Vec<_> = (0..1024).map(|_| AtomicU32::new(0)).collect();
        let mut pages = self.0.pages.lock().unwrap();
        pages.push(Some(page.leak()));
        pages.len() as u64 * PAGE
    }

    /// Makes a page private.
    pub(crate) fn unshare(self, gpa: u64) {
        self.0.pages.lock().unwrap()[index(gpa)] = None;
    }

    /// Shares a zeroed page again at an address that had one.
    pub(crate) fn share_again(self, gpa: u64) {
        let page: Vec<_> = (0..1024).map(|_| AtomicU32::new(0)).collect();
        self.0.pages.lock().unwrap()[index(gpa)] = Some(page.leak());
    }

    /// A page, as the TD sees it.
    pub(crate) fn page(self, gpa: u64) -> &'static [AtomicU32] {
        self.0.pages.lock().unwrap()[index(gpa)].unwrap()
    }

    /// What was posted since the last call.
    pub(crate) fn posted(self) -> Vec<(usize, u8)> {
        core::mem::take(&mut self.0.posted.lock().unwrap())
    }

    /// What was retargeted since the last call.
    pub(crate) fn retargets(self) -> Vec<Retarget> {
        core::mem::take(&mut self.0.retargets.lock().unwrap())
    }
}

fn index(gpa: u64) -> usize {
    usize::try_from(gpa / PAGE - 1).unwrap()
}

impl Guest for Fake {
    fn with_page<R>(self, gpa: u64, access: impl FnOnce(&[AtomicU32]) -> R) -> Option<R> {
        let index = usize::try_from((gpa / PAGE).checked_sub(1)?).ok()?;
        let page = (*self.0.pages.lock().unwrap().get(index)?)?;
        Some(access(page))
    }

    fn post(self, cpu: usize, vector: u8) {
        self.0.posted.lock().unwrap().push((cpu, vector));
    }

    fn cpus(self) -> usize {
        self.0.cpus
    }

    fn retarget(self, retarget: Retarget) -> bool {
        self.0.retargets.lock().unwrap().push(retarget);
        retarget.devfn == 0x20
    }
}
