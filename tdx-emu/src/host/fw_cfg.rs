// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's configuration device as the TD sees it: the machine's own, with other tables if somebody gave some.
//!
//! | port         | size | what                                                                     |
//! |--------------|------|--------------------------------------------------------------------------|
//! | 0x510        | 2    | selects an item                                                          |
//! | 0x511        | 1    | the next byte of the item                                                |
//! | 0x514        | 4    | upper half of the address of a request, big-endian; reads as "QEMU"      |
//! | 0x518        | 4    | lower half, which starts it; reads as " CFG"                             |
//!
//! A request lies in shared memory, and so does what it names; private memory is not the host's to reach, and a
//! request that names some fails. No item can be written. A request of more than 4 MiB fails, too.
//!
//! Where QEMU has a file `opt/org.lychgate/acpi/tables`, `loader` or `rsdp`, the directory shows it under the
//! name of the machine's own, so that a TD is given tables of another machine, or bad ones.
//!
//! Spec: QEMU "fw_cfg".

/// The machine's own device.
#[cfg(target_os = "none")]
mod physical;

#[cfg(target_os = "none")]
use alloc::{vec, vec::Vec};

#[cfg(target_os = "none")]
pub(crate) use self::physical::{OfTheTd, Physical};

/// The first of its ports.
pub(crate) const FIRST: u16 = SELECTOR;
/// The first one behind them.
pub(crate) const END: u16 = REQUEST_LOW + 4;

const SELECTOR: u16 = 0x510;
const DATA: u16 = 0x511;
const REQUEST_HIGH: u16 = 0x514;
const REQUEST_LOW: u16 = 0x518;

/// What the ports of a request read as.
const SIGNATURE: [[u8; 4]; 2] = [*b"QEMU", *b" CFG"];

/// The item that says which interfaces there are.
const FEATURES: u16 = 1;
/// The directory.
const DIRECTORY: u16 = 0x19;

const BY_PORTS: u8 = 1 << 0;
const BY_REQUESTS: u8 = 1 << 1;

/// The most bytes that a request moves.
const MOST: u32 = 4 << 20;

/// Bytes that are moved at once.
const PIECE: usize = 512;

/// Files that are looked through.
const MAX_FILES: u32 = 1024;

/// Bytes of a file's name.
const NAME: usize = 56;

/// Names of the machine's files, and of those that are shown for them.
const SHOWN: [(&[u8], &[u8]); 3] = [
    (b"etc/acpi/tables", b"opt/org.lychgate/acpi/tables"),
    (b"etc/table-loader", b"opt/org.lychgate/acpi/loader"),
    (b"etc/acpi/rsdp", b"opt/org.lychgate/acpi/rsdp"),
];

/// The machine's device.
pub(crate) trait Items {
    /// Selects an item, whose first byte is next.
    fn select(&mut self, item: u16);

    /// Reads the next byte of the selected item.
    fn next(&mut self) -> u8;
}

/// Memory that the TD shares. Addresses are without the shared bit.
pub(crate) trait Shared {
    /// Copies out of it; `None` if a page of it is not shared.
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Option<()>;

    /// Copies into it; `None` if a page of it is not shared.
    fn write(&self, gpa: u64, bytes: &[u8]) -> Option<()>;
}

/// Which interfaces the device has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Interfaces {
    /// A port for each byte, and requests in memory.
    #[default]
    Both,
    /// The port only.
    Ports,
}

impl Interfaces {
    /// By their word on the command line.
    pub(crate) fn named(word: &str) -> Option<Self> {
        match word {
            "requests" => Some(Self::Both),
            "bytes" => Some(Self::Ports),
            _ => None,
        }
    }
}

/// The device.
#[derive(Debug)]
pub(crate) struct FwCfg<I> {
    items: I,
    interfaces: Interfaces,
    directory: Vec<u8>,
    /// What is left of an item of the host's own, backwards, while one is selected.
    own: Option<Vec<u8>>,
    /// The upper half of a request's address.
    high: u32,
    /// Files that are shown for others.
    substitutes: usize,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
struct Request {
    control: u32,
    length: u32,
    address: u64,
}

impl Request {
    const FAILED: u32 = 1 << 0;
    const READ: u32 = 1 << 1;
    const SKIP: u32 = 1 << 2;
    const SELECT: u32 = 1 << 3;
    const WRITE: u32 = 1 << 4;

    fn parse(bytes: [u8; 16]) -> Self {
        let word = |at: usize| u32::from_be_bytes(core::array::from_fn(|byte| bytes[at + byte]));
        let address = u64::from(word(8)) << 32 | u64::from(word(12));
        Self { control: word(0), length: word(4), address }
    }

    const fn has(self, bit: u32) -> bool {
        self.control & bit != 0
    }
}

impl<I: Items> FwCfg<I> {
    /// Takes the machine's device over.
    pub(crate) fn new(mut items: I, interfaces: Interfaces) -> Self {
        let mut directory = read_directory(&mut items);
        let substitutes = substitute(&mut directory);
        Self { items, interfaces, directory, own: None, high: 0, substitutes }
    }

    /// How many files are shown for others.
    pub(crate) const fn substitutes(&self) -> usize {
        self.substitutes
    }

    /// Reads a port; `None` if it is not there.
    pub(crate) fn port_read(&mut self, port: u16, size: u8) -> Option<u32> {
        let [first, second] = SIGNATURE.map(u32::from_le_bytes);
        match (port, size, self.interfaces) {
            (DATA, 1, _) => Some(self.next().into()),
            (REQUEST_HIGH, 4, Interfaces::Both) => Some(first),
            (REQUEST_LOW, 4, Interfaces::Both) => Some(second),
            _ => None,
        }
    }

    /// Writes a port; `None` if it is not there.
    pub(crate) fn port_write(
        &mut self,
        (port, size): (u16, u8),
        value: u32,
        memory: &impl Shared,
    ) -> Option<()> {
        let [b0, b1, ..] = value.to_le_bytes();
        match (port, size, self.interfaces) {
            (SELECTOR, 2, _) => self.select(u16::from_le_bytes([b0, b1])),
            (REQUEST_HIGH, 4, Interfaces::Both) => self.high = value.swap_bytes(),
            (REQUEST_LOW, 4, Interfaces::Both) => {
                let high = core::mem::take(&mut self.high);
                self.request(u64::from(high) << 32 | u64::from(value.swap_bytes()), memory);
            }
            _ => return None,
        }
        Some(())
    }

    fn select(&mut self, item: u16) {
        let features = match self.interfaces {
            Interfaces::Both => BY_PORTS | BY_REQUESTS,
            Interfaces::Ports => BY_PORTS,
        };
        self.own = match item {
            FEATURES => Some(vec![0, 0, 0, features]),
            DIRECTORY => Some(self.directory.iter().rev().copied().collect()),
            _ => None,
        };
        self.items.select(item);
    }

    fn next(&mut self) -> u8 {
        match &mut self.own {
            Some(rest) => rest.pop().unwrap_or(0),
            None => self.items.next(),
        }
    }

    /// Does what a request says and leaves the answer in it. One that cannot be read has no answer.
    fn request(&mut self, gpa: u64, memory: &impl Shared) {
        let mut bytes = [0; 16];
        if memory.read(gpa, &mut bytes).is_none() {
            return;
        }
        let done = self.carry_out(Request::parse(bytes), memory);
        let answer = done.map_or(Request::FAILED, |()| 0);
        // Whoever has taken the page away meanwhile does not wait for an answer.
        let _ = memory.write(gpa, &answer.to_be_bytes());
    }

    fn carry_out(&mut self, request: Request, memory: &impl Shared) -> Option<()> {
        let [high, low, ..] = request.control.to_be_bytes();
        if request.has(Request::SELECT) {
            self.select(u16::from_be_bytes([high, low]));
        }
        if request.has(Request::READ) && request.length <= MOST {
            self.read(request, memory)
        } else if request.has(Request::READ | Request::WRITE) {
            None
        } else if request.has(Request::SKIP) {
            (request.length <= MOST).then(|| self.skip(request.length))
        } else {
            Some(())
        }
    }

    fn skip(&mut self, count: u32) {
        for _ in 0..count {
            self.next();
        }
    }

    fn read(&mut self, request: Request, memory: &impl Shared) -> Option<()> {
        let mut piece = [0; PIECE];
        let (mut gpa, mut left) = (request.address, usize::try_from(request.length).ok()?);
        while left > 0 {
            let bytes = piece.get_mut(..left.min(PIECE))?;
            bytes.iter_mut().for_each(|byte| *byte = self.next());
            memory.write(gpa, bytes)?;
            gpa = gpa.checked_add(bytes.len() as u64)?;
            left -= bytes.len();
        }
        Some(())
    }
}

/// Copies the directory: a number of files, and 64 bytes of each.
fn read_directory(items: &mut impl Items) -> Vec<u8> {
    items.select(DIRECTORY);
    let count = [(); 4].map(|()| items.next());
    let files = u32::from_be_bytes(count).min(MAX_FILES);
    let mut directory = files.to_be_bytes().to_vec();
    directory.extend((0..files * 64).map(|_| items.next()));
    directory
}

/// Gives the machine's files the place of others, where there are any; returns how many.
fn substitute(directory: &mut [u8]) -> usize {
    let mut count = 0;
    for (shown, other) in SHOWN {
        let found = find(directory, other).zip(find(directory, shown));
        let Some((other, shown)) = found else { continue };
        // Length and number; the name stays.
        directory.copy_within(other..other + 6, shown);
        count += 1;
    }
    count
}

/// Returns where a file's entry is.
fn find(directory: &[u8], name: &[u8]) -> Option<usize> {
    let has_name = |entry: &[u8]| {
        let (given, rest) = entry[64 - NAME..].split_at(name.len());
        given == name && rest.iter().all(|byte| *byte == 0)
    };
    directory.get(4..)?.chunks_exact(64).position(has_name).map(|entry| 4 + 64 * entry)
}

#[cfg(test)]
mod tests;
