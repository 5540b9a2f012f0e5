// SPDX-License-Identifier: MIT OR Apache-2.0
//! MRTD: SHA-384 over what the host added to the TD before it ran, in the order it was added.
//!
//! Each page contributes a 128-byte record of its address; each 256 bytes of measured contents a
//! record of their address and the bytes. Hosts agree on the records, not on the order: KVM today
//! measures each page right after adding it, older stacks add a whole section first.
//!
//! Spec: TDX-BASE "TD Measurement"; TDX-ABI "TDH.MEM.PAGE.ADD Leaf", "TDH.MR.EXTEND Leaf".

use sha2::Digest;

use crate::Image;

/// Bytes of a measurement.
pub const SIZE: usize = 48;

/// Bytes that one `TDH.MR.EXTEND` measures.
pub const CHUNK: usize = 256;

/// A SHA-384 computation, so that a user can bring another one than `sha2`'s.
pub trait Sha384: Default {
    /// Takes more bytes in.
    fn update(&mut self, bytes: &[u8]);

    /// Returns the hash of all bytes.
    fn finish(self) -> [u8; SIZE];
}

impl Sha384 for sha2::Sha384 {
    fn update(&mut self, bytes: &[u8]) {
        Digest::update(self, bytes);
    }

    fn finish(self) -> [u8; SIZE] {
        self.finalize().into()
    }
}

/// A measurement under way, fed by the operations of the TDX module.
#[derive(Clone, Debug, Default)]
pub struct Mrtd<H = sha2::Sha384> {
    hash: H,
}

/// In which order a host measures a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each page is measured right after it is added.
    Page,
    /// All pages of a section are added, then all are measured.
    TwoPass,
}

impl<H: Sha384> Mrtd<H> {
    /// Begins, as `TDH.MNG.INIT` does.
    #[must_use]
    pub fn new() -> Self {
        Self { hash: H::default() }
    }

    /// Records that a page was added, as `TDH.MEM.PAGE.ADD` does.
    pub fn page_add(&mut self, address: u64) {
        self.record(b"MEM.PAGE.ADD\0\0\0\0", address);
    }

    /// Records contents, as `TDH.MR.EXTEND` does.
    pub fn extend(&mut self, address: u64, contents: &[u8; CHUNK]) {
        self.record(b"MR.EXTEND\0\0\0\0\0\0\0", address);
        self.hash.update(contents);
    }

    /// Ends, as `TDH.MR.FINALIZE` does.
    #[must_use]
    pub fn finish(self) -> [u8; SIZE] {
        self.hash.finish()
    }

    fn record(&mut self, operation: &[u8; 16], address: u64) {
        let mut block = [0; 128];
        block[..16].copy_from_slice(operation);
        block[16..24].copy_from_slice(&address.to_le_bytes());
        self.hash.update(&block);
    }

    fn extend_page(&mut self, address: u64, contents: &[u8]) {
        let addresses = (address..=u64::MAX).step_by(CHUNK);
        for (address, chunk) in addresses.zip(contents.as_chunks::<CHUNK>().0) {
            self.extend(address, chunk);
        }
    }
}

/// Returns the measurement of a TD built from `image` by a host that works in `order`.
#[must_use]
pub fn measure(image: &Image<'_>, order: Order) -> [u8; SIZE] {
    let mut mrtd: Mrtd = Mrtd::new();
    for section in image.sections() {
        for (address, contents) in image.pages(section) {
            mrtd.page_add(address);
            if section.measured() && order == Order::Page {
                mrtd.extend_page(address, contents.map_or(&[], |page| page));
            }
        }
        if section.measured() && order == Order::TwoPass {
            mrtd.extend_page(section.memory_address(), image.data(section));
        }
    }
    mrtd.finish()
}
