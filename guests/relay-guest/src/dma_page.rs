// SPDX-License-Identifier: MIT OR Apache-2.0
//! A page for transfers of devices, private at first, and how the TD is asked to share it.
//!
//! The page is only ever touched through windows of its own, one for either kind of address; which
//! of them works is a matter of what the page is.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<MapGPA>`".
#![expect(unsafe_code, reason = "the page is memory that Rust does not touch")]

use core::cell::UnsafeCell;

use crate::failure::Failure;
use crate::registers::Registers;
use crate::ring::{self, End, Mode};

/// Bytes of the page.
pub(crate) const SIZE: usize = 4096;

/// Asks for the RDI bytes at RSI. The status of the call ends in RAX, its answer in RDX. Where there is
/// no TDCALL it ends with an exception.
const MAP_GPA: [u8; 22] = [
    0x4d, 0x31, 0xd2, // xor r10, r10
    0x41, 0xbb, 0x01, 0x00, 0x01, 0x00, // mov r11d, 0x10001
    0x49, 0x89, 0xf4, // mov r12, rsi
    0x49, 0x89, 0xfd, // mov r13, rdi
    0x66, 0x0f, 0x01, 0xcc, // tdcall
    0x4c, 0x89, 0xd2, // mov rdx, r10
];

/// The page itself.
#[repr(C, align(4096))]
struct Page(UnsafeCell<[u8; SIZE]>);

// SAFETY: Rust only takes the address.
unsafe impl Sync for Page {}

static PAGE: Page = Page(UnsafeCell::new([0; SIZE]));

/// The page, with its two windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DmaPage {
    /// Its address without the shared bit, as a device names it.
    pub(crate) address: u32,
    /// What the guest reads and writes while the page is private.
    pub(crate) private: Registers,
    /// What it reads and writes while the page is shared; the same if nothing is ever shared.
    pub(crate) shared: Registers,
    shared_bit: u64,
}

impl DmaPage {
    /// Maps the page; a `shared_bit` of 0 means that the guest runs in no TD.
    pub(crate) fn new(shared_bit: u64) -> Result<Self, Failure> {
        let place = PAGE.0.get().expose_provenance() as u64;
        let private = Registers::map(place, SIZE as u64, 0)?;
        let shared = Registers::map(place, SIZE as u64, shared_bit)?;
        let address = u32::try_from(place).map_err(|_| Failure::Dma("the page lies too high"))?;
        Ok(Self { address, private, shared, shared_bit })
    }

    /// Makes the page shared; what it held is lost.
    pub(crate) fn share(&self) -> Result<(), Failure> {
        if self.shared_bit == 0 { Ok(()) } else { self.map_gpa(self.shared_bit) }
    }

    /// Makes the page private; what it held is lost.
    pub(crate) fn unshare(&self) -> Result<(), Failure> {
        if self.shared_bit == 0 { Ok(()) } else { self.map_gpa(0) }
    }

    fn map_gpa(&self, shared_bit: u64) -> Result<(), Failure> {
        /// R10 to R13 are what the host may see.
        const EXPOSED: u64 = 0x3c00;
        let registers = ring::Registers {
            rcx: EXPOSED,
            rsi: u64::from(self.address) | shared_bit,
            rdi: SIZE as u64,
            ..ring::Registers::default()
        };
        ring::prepare();
        match ring::run(Mode::Kernel64, &MAP_GPA, registers, 0) {
            Some(End { vector: None, rax: 0, rdx: 0 }) => Ok(()),
            _ => Err(Failure::Dma("the page's kind cannot be changed")),
        }
    }
}
