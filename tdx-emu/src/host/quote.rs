// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quotes: a TD gives its report in a shared buffer and gets a signed statement back.
//!
//! There is no quoting enclave here. What comes back says so in plain words, followed by the report
//! as it was given; nobody can mistake it for evidence. A TD that asked to be notified gets its
//! answer later, like from a real service; any other finds it when the call returns. Who is notified is
//! the virtual CPU that asked for the quote, or else the first that wants to be.
//!
//! | offset | size | buffer                                   |
//! |--------|------|------------------------------------------|
//! | 0      | 8    | version, 1                               |
//! | 8      | 8    | status                                   |
//! | 16     | 4    | bytes of the report, 1024                |
//! | 20     | 4    | bytes of the quote                       |
//! | 24     |      | report, then quote                       |
//!
//! On demand the service misbehaves: see `quote_manner.rs`.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<GetQuote>`".

mod figures;

use spin::Mutex;
use tdcall::tdvmcall::VmcallStatus;

use self::figures::Figures;
use super::{
    quote_manner::Manner,
    quote_queue::{Queue, Request},
    shared_memory,
    td::Td,
    vcpu::Vcpu,
};
use crate::machine::{clock, cpus::MAX_CPUS};

const MARKER: &[u8] = b"NOT A REAL QUOTE. Made by an emulator, proves nothing. TDREPORT follows.\n";
const VERSION: u64 = 1;
const HEADER: usize = 24;
const REPORT: usize = 1024;
const ANSWER: usize = MARKER.len() + REPORT;

const STATUS_SUCCESS: u64 = 0;
const STATUS_ERROR: u64 = 1 << 63;
const STATUS_IN_FLIGHT: u64 = u64::MAX;
/// A status that there is not.
const STATUS_GARBAGE: u64 = 0x1234;

/// Requests, and who is told when they are answered.
#[derive(Debug)]
pub(crate) struct Quoting {
    manner: Manner,
    queue: Mutex<Queue>,
    /// The vector of each virtual CPU that wants to be notified.
    vectors: Mutex<[Option<u8>; MAX_CPUS]>,
    /// A virtual CPU that is refused a notification.
    refused: Option<usize>,
    figures: Figures,
}

impl Quoting {
    /// Nothing asked for.
    pub(crate) const fn new(manner: Manner, refused: Option<usize>) -> Self {
        let (queue, vectors) = (Mutex::new(Queue::new()), Mutex::new([None; MAX_CPUS]));
        Self { manner, queue, vectors, refused, figures: Figures::new() }
    }

    /// A virtual CPU wants to be notified.
    pub(crate) fn notify_by(&self, cpu: usize, vector: u8) -> VmcallStatus {
        if self.refused == Some(cpu) {
            return VmcallStatus::INVALID_OPERAND;
        }
        if let Some(place) = self.vectors.lock().get_mut(cpu) {
            *place = Some(vector);
        }
        VmcallStatus::SUCCESS
    }

    /// Takes a request, if there is room.
    pub(crate) fn request(&self, td: &Td, gpa: u64, size: u64) -> VmcallStatus {
        if self.manner == Manner::Refuse {
            return VmcallStatus::RETRY;
        }
        if !shared_memory::is_shared(td, gpa, size) {
            return VmcallStatus::INVALID_OPERAND;
        }
        let cpu = td.current_vcpu().map_or(0, |vcpu| vcpu.index);
        let request = Request { gpa, size, cpu };
        self.figures.asked();
        if self.whom(cpu).is_none() || self.manner == Manner::AtOnce {
            self.answer(td, request);
            return VmcallStatus::SUCCESS;
        }
        set_status(td, gpa, STATUS_IN_FLIGHT);
        if !self.queue.lock().add(request, self.manner, clock::now_ns()) {
            set_status(td, gpa, STATUS_ERROR);
            return VmcallStatus::RETRY;
        }
        if self.manner == Manner::Early {
            self.notify(td, cpu);
        }
        self.watch(td);
        VmcallStatus::SUCCESS
    }

    /// Answers requests whose time has come.
    pub(crate) fn poll(&self, td: &Td) {
        loop {
            let Some(request) = self.queue.lock().take_due(self.manner, clock::now_ns()) else {
                break;
            };
            self.answer(td, request);
            let times = match self.manner {
                Manner::Silent => 0,
                Manner::Double => 2,
                _ => 1,
            };
            (0..times).for_each(|_| self.notify(td, request.cpu));
            self.watch(td);
        }
    }

    /// What was asked for and given, for the log.
    pub(crate) fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Has this physical CPU look again when the next request is due.
    fn watch(&self, td: &Td) {
        if let (Some(vcpu), Some(due)) = (td.current_vcpu(), self.queue.lock().next_due()) {
            vcpu.timer.set_host(due);
        }
    }

    /// The virtual CPU and the vector that tell of a quote that `cpu` asked for.
    fn whom(&self, cpu: usize) -> Option<(usize, u8)> {
        let vectors = self.vectors.lock();
        let named = |cpu: usize| Some((cpu, (*vectors.get(cpu)?)?));
        named(cpu).or_else(|| (0..MAX_CPUS).find_map(named))
    }

    /// Tells of something that no virtual CPU asked for.
    pub(crate) fn notify_any(&self, td: &Td) {
        self.notify(td, 0);
    }

    fn notify(&self, td: &Td, cpu: usize) {
        let Some((cpu, vector)) = self.whom(cpu) else { return };
        let Some(vcpu) = td.vcpus.get(cpu) else { return };
        for _ in 0..td.hostile.times() {
            self.figures.notified();
            vcpu.post(vector);
        }
    }

    /// Tells a virtual CPU, if it wants to be told, of nothing at all.
    pub(crate) fn notify_in_vain(&self, vcpu: &Vcpu) {
        let vector = self.vectors.lock().get(vcpu.index).copied().flatten();
        if let Some(vector) = vector {
            vcpu.post(vector);
        }
    }

    /// Fills the buffer in. If the TD took its memory back meanwhile, that is its loss.
    fn answer(&self, td: &Td, request: Request) {
        let answered = try_answer(td, request).and_then(|()| self.spoil(td, request));
        let status = if answered.is_none() {
            STATUS_ERROR
        } else if self.manner == Manner::Garbage {
            STATUS_GARBAGE
        } else {
            STATUS_SUCCESS
        };
        self.figures.answered();
        set_status(td, request.gpa, status);
    }

    /// Writes a length that is none.
    fn spoil(&self, td: &Td, request: Request) -> Option<()> {
        if self.manner != Manner::Length {
            return Some(());
        }
        // The first that the buffer has no room for, or the largest that there is.
        let header = u64::try_from(HEADER).ok()?;
        let room = u32::try_from(request.size.saturating_sub(header)).ok()?;
        let even = self.figures.is_even();
        let length = if even { room.saturating_add(1) } else { u32::MAX };
        shared_memory::write(td, request.gpa + 20, &length.to_le_bytes())
    }
}

fn try_answer(td: &Td, request: Request) -> Option<()> {
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
