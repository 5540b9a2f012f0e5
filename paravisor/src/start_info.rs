// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an L2 that starts by PVH finds behind EBX: the start info, a memory map, a command line.
//!
//! One page holds all three. Addresses in it are L2's own guest-physical ones.
//!
//! Spec: PVH "start info structure".

use zerocopy::{Immutable, IntoBytes, KnownLayout};

/// The page that the start info and all it refers to must fit into.
pub const PAGE: usize = 0x1000;

const MAGIC: u32 = 0x336e_c578;
const VERSION: u32 = 1;
const MEMORY_RAM: u32 = 1;
const MAP_AT: u16 = 0x40;
const COMMAND_LINE_AT: u16 = 0x100;

#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct MemoryMapEntry {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<StartInfo>() == 56);
const _: () = assert!(size_of::<MemoryMapEntry>() == 24);

/// Fills `page`, which L2 will see at `gpa`, for an L2 whose RAM is `[0, ram_end)`.
///
/// Returns false when the command line does not fit. The page itself is left out of the map, so
/// that L2 does not reuse it before it has read it.
#[must_use]
pub fn fill(page: &mut [u8; PAGE], gpa: u64, ram_end: u64, command_line: [&str; 2]) -> bool {
    page.fill(0);
    let after = gpa + 0x1000;
    let info = StartInfo {
        magic: MAGIC,
        version: VERSION,
        flags: 0,
        module_count: 0,
        modules: 0,
        command_line: gpa + u64::from(COMMAND_LINE_AT),
        rsdp: 0,
        memory_map: gpa + u64::from(MAP_AT),
        memory_map_entries: if after < ram_end { 2 } else { 1 },
        reserved: 0,
    };
    let map = [
        MemoryMapEntry { address: 0, size: gpa, kind: MEMORY_RAM, reserved: 0 },
        MemoryMapEntry {
            address: after,
            size: ram_end.saturating_sub(after),
            kind: MEMORY_RAM,
            reserved: 0,
        },
    ];
    put(page, 0, info.as_bytes())
        && put(page, usize::from(MAP_AT), map.as_bytes())
        && put_command_line(page, command_line)
}

/// Writes the parts with a blank between them and a NUL, which the zeroed page already has.
fn put_command_line(page: &mut [u8; PAGE], [first, second]: [&str; 2]) -> bool {
    let at = usize::from(COMMAND_LINE_AT);
    let middle = at + first.len();
    let end = middle + 1 + second.len();
    end < PAGE
        && put(page, at, first.as_bytes())
        && put(page, middle, b" ")
        && put(page, middle + 1, second.as_bytes())
}

fn put(page: &mut [u8; PAGE], at: usize, bytes: &[u8]) -> bool {
    let Some(target) = page.get_mut(at..at + bytes.len()) else { return false };
    target.copy_from_slice(bytes);
    true
}

#[cfg(test)]
mod tests {
    use super::{PAGE, fill};
    use alloc::string::String;

    fn word(page: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(*page[at..].first_chunk().unwrap())
    }

    #[test]
    fn the_start_info_points_at_the_map_and_the_command_line() {
        let mut page = [0xff; PAGE];
        assert!(fill(&mut page, 0x7_0000, 0x700_0000, ["scenario=demo", "shared_bit=47"]));
        assert_eq!(&page[..8], &[0x78, 0xc5, 0x6e, 0x33, 1, 0, 0, 0]);
        assert_eq!(word(&page, 24), 0x7_0100);
        assert_eq!(word(&page, 40), 0x7_0040);
        assert_eq!(word(&page, 48), 2);
        assert_eq!((word(&page, 0x40), word(&page, 0x48)), (0, 0x7_0000));
        assert_eq!((word(&page, 0x58), word(&page, 0x60)), (0x7_1000, 0x6f8_f000));
        assert_eq!(&page[0x100..0x11c], b"scenario=demo shared_bit=47\0");
    }

    #[test]
    fn a_command_line_that_does_not_fit_is_refused() {
        let mut page = [0; PAGE];
        let long = String::from_utf8([b'x'; PAGE].to_vec()).unwrap();
        assert!(!fill(&mut page, 0x7_0000, 0x700_0000, [&long, "shared_bit=47"]));
    }
}
