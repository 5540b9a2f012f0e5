// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quotes: a TD gives its report in a shared buffer and gets a signed statement back.
//!
//! There is no quoting enclave here. What comes back says so in plain words, followed by the report
//! as it was given; nobody can mistake it for evidence. A TD that asked to be notified gets its
//! answer later, like from a real service; any other finds it when the call returns.
//!
//! | offset | size | buffer                                   |
//! |--------|------|------------------------------------------|
//! | 0      | 8    | version, 1                               |
//! | 8      | 8    | status                                   |
//! | 16     | 4    | bytes of the report, 1024                |
//! | 20     | 4    | bytes of the quote                       |
//! | 24     |      | report, then quote                       |
//!
//! Spec: GHCI "`TDG.VP.VMCALL<GetQuote>`".

use spin::Mutex;
use tdcall::tdvmcall::VmcallStatus;

use super::{shared_memory, td::Td};
use crate::machine::clock;

const MARKER: &[u8] = b"NOT A REAL QUOTE. Made by an emulator, proves nothing. TDREPORT follows.\n";
const VERSION: u64 = 1;
const HEADER: usize = 24;
const REPORT: usize = 1024;
const ANSWER: usize = MARKER.len() + REPORT;

const STATUS_SUCCESS: u64 = 0;
const STATUS_ERROR: u64 = 1 << 63;
const STATUS_IN_FLIGHT: u64 = u64::MAX;

/// How long the service takes.
const SERVICE_NS: u64 = 1_000_000;

/// Requests, and who is told when they are answered.
#[derive(Debug)]
pub(crate) struct Quoting {
    pending: Mutex<Option<Pending>>,
    notify: Mutex<Option<Notify>>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    gpa: u64,
    size: u64,
    due_ns: u64,
}

/// The virtual CPU and the vector that the TD named last.
#[derive(Clone, Copy, Debug)]
struct Notify {
    cpu: usize,
    vector: u8,
}

impl Quoting {
    /// Nothing asked for.
    pub(crate) const fn new() -> Self {
        Self { pending: Mutex::new(None), notify: Mutex::new(None) }
    }

    /// The TD wants to be notified.
    pub(crate) fn notify_by(&self, cpu: usize, vector: u8) {
        *self.notify.lock() = Some(Notify { cpu, vector });
    }

    /// Takes a request. One at a time: another one is to be repeated.
    pub(crate) fn request(&self, td: &Td, gpa: u64, size: u64) -> VmcallStatus {
        let mut pending = self.pending.lock();
        if pending.is_some() {
            return VmcallStatus::RETRY;
        }
        if !shared_memory::is_shared(td, gpa, size) {
            return VmcallStatus::INVALID_OPERAND;
        }
        let request = Pending { gpa, size, due_ns: clock::now_ns() + SERVICE_NS };
        if self.notify.lock().is_none() {
            answer(td, request);
            return VmcallStatus::SUCCESS;
        }
        set_status(td, gpa, STATUS_IN_FLIGHT);
        *pending = Some(request);
        if let Some(vcpu) = td.current_vcpu() {
            vcpu.timer.set_host(request.due_ns);
        }
        VmcallStatus::SUCCESS
    }

    /// Answers a request whose time has come.
    pub(crate) fn poll(&self, td: &Td) {
        let due = |request: &mut Pending| request.due_ns <= clock::now_ns();
        let Some(request) = self.pending.lock().take_if(due) else { return };
        answer(td, request);
        let Some(notify) = *self.notify.lock() else { return };
        if let Some(vcpu) = td.vcpus.get(notify.cpu) {
            vcpu.post(notify.vector);
        }
    }
}

/// Fills the buffer in. If the TD took its memory back meanwhile, that is its loss.
fn answer(td: &Td, request: Pending) {
    let status = if try_answer(td, request).is_some() { STATUS_SUCCESS } else { STATUS_ERROR };
    set_status(td, request.gpa, status);
}

fn try_answer(td: &Td, request: Pending) -> Option<()> {
    let mut header = [0; HEADER];
    shared_memory::read(td, request.gpa, &mut header)?;
    let (words, _) = header.as_chunks::<8>();
    let [version, _, lengths] = *words else { return None };
    let length = u64::from_le_bytes(lengths) & 0xffff_ffff;
    let fits = usize::try_from(request.size).is_ok_and(|size| size >= HEADER + ANSWER);
    if u64::from_le_bytes(version) != VERSION || length != REPORT as u64 || !fits {
        return None;
    }
    let mut quote = [0; ANSWER];
    let (marker, report) = quote.split_at_mut(MARKER.len());
    marker.copy_from_slice(MARKER);
    let data = request.gpa + HEADER as u64;
    shared_memory::read(td, data, report)?;
    shared_memory::write(td, data, &quote)?;
    shared_memory::write(td, request.gpa + 20, &u32::try_from(ANSWER).ok()?.to_le_bytes())
}

fn set_status(td: &Td, gpa: u64, status: u64) {
    if shared_memory::write(td, gpa + 8, &status.to_le_bytes()).is_none() {
        log::warn!("buffer is gone: gpa={gpa:#x}");
    }
}
