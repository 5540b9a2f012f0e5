// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ways to the host's files: a port for each byte, or requests in memory that the host sees, where it has them.
//!
//! A request's bytes are copied once out of that memory, which stays the host's.
//!
//! Spec: QEMU "fw_cfg".

use acpi_routes::fw_cfg::{BY_REQUESTS, FEATURES, Ports, REQUEST, Request};
use log::{info, warn};
use paravisor::width;
use tdcall::{
    Instruction,
    tdvmcall::{self, IoSize},
};

use crate::{interrupt::counters::HOST_REFUSALS, memory::window::Window};

const SELECTOR: u16 = 0x510;
const DATA: u16 = 0x511;
/// The upper half of a request's address, and the lower one, which starts it; big-endian.
const ADDRESS: [u16; 2] = [0x514, 0x518];

/// Bytes of the window: a page for the request, and the others for what it reads.
const SIZE: usize = BUFFER + 0x8000;
const BUFFER: usize = 0x1000;

/// As many bytes are read by the port.
const FEW: usize = 4;

/// The host's device.
#[derive(Debug)]
pub(super) struct HostFiles {
    window: Option<Window>,
}

impl HostFiles {
    /// Looks which ways there are. What is shared for requests stays so.
    pub(super) fn new(shared_bit: u64) -> Self {
        let mut device = Self { window: None };
        device.select(FEATURES);
        let mut features = [0; 4];
        device.fill(&mut features);
        let features = u32::from_le_bytes(features);
        // What is no device at all has every bit.
        if features & BY_REQUESTS != 0 && features != u32::MAX {
            match Window::make(SIZE, shared_bit) {
                Ok(window) => device.window = Some(window),
                Err(error) => warn!("acpi: the host's files are read by bytes: {error}"),
            }
        }
        device
    }

    /// Says by which way files are read.
    pub(super) fn say(&self) {
        info!(
            "acpi: files are read by {}",
            if self.window.is_some() { "requests" } else { "bytes" }
        );
    }
}

impl Ports for HostFiles {
    fn select(&mut self, item: u16) {
        write(SELECTOR, IoSize::Word, item.into());
    }

    fn next(&mut self) -> u8 {
        match tdvmcall::io_read(&Instruction, DATA, IoSize::Byte) {
            Ok(byte) => width::low8(byte.into()),
            Err(_) => {
                HOST_REFUSALS.add();
                u8::MAX
            }
        }
    }

    fn fill(&mut self, to: &mut [u8]) {
        match &self.window {
            Some(window) if to.len() > FEW => {
                to.chunks_mut(SIZE - BUFFER).for_each(|part| request(window, part));
            }
            _ => to.iter_mut().for_each(|byte| *byte = self.next()),
        }
    }
}

/// Reads the next bytes by one request. If the host does not do it, what comes is zeros, which are no tables.
fn request(window: &Window, to: &mut [u8]) {
    let length = width::low32(width::wide(to.len()));
    let request = Request { length, address: window.gpa(BUFFER) };
    window.write(0, &request.encode());
    let at = window.gpa(0);
    for (port, half) in ADDRESS.into_iter().zip([width::high32(at), width::low32(at)]) {
        write(port, IoSize::Dword, half.swap_bytes());
    }
    let mut answer = [0; REQUEST];
    window.read(0, &mut answer);
    if Request::is_done(answer) {
        window.read(BUFFER, to);
    } else {
        HOST_REFUSALS.add();
        to.fill(0);
    }
}

fn write(port: u16, size: IoSize, value: u32) {
    if tdvmcall::io_write(&Instruction, port, size, value).is_err() {
        HOST_REFUSALS.add();
    }
}
