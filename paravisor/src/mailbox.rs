// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page through which L2 starts its other CPUs: a command for one CPU a time.
//!
//! L2 writes the CPU and the address, then the command; the CPU that is meant takes the command away
//! and starts. The page is L2's own memory: what L2 writes there concerns none but L2, and only a CPU
//! that waits for its start looks.
//!
//! Spec: ACPI "Multiprocessor Wakeup Mailbox Structure".

use crate::guest_memory::GuestMemory;

const COMMAND: u64 = 0;
const APIC_ID: u64 = 4;
const VECTOR: u64 = 8;

const NOTHING: u16 = 0;
const WAKE_UP: u16 = 1;

/// When a CPU that has waited since `began` looks again, if it looks for nothing at `now`: after a part
/// of the time that it has waited, so that neither a start is late by much nor a CPU that nobody
/// starts takes much time. All in ticks, of which a millisecond has `per_ms`.
#[must_use]
pub fn next_look(began: u64, now: u64, per_ms: u64) -> u64 {
    const PART: u64 = 256;
    let pause = (now.saturating_sub(began) / PART).clamp(2 * per_ms, 100 * per_ms);
    now.saturating_add(pause)
}

/// Takes the command for CPU `id` from the mailbox at `gpa`: the address at which it starts.
pub fn take(memory: &mut impl GuestMemory, gpa: u64, id: u32) -> Option<u64> {
    // The command is read first, because L2 writes it last.
    let mut command = [0; 2];
    if !memory.read(gpa + COMMAND, &mut command) || u16::from_le_bytes(command) != WAKE_UP {
        return None;
    }
    if memory.read_u32(gpa + APIC_ID)? != id {
        return None;
    }
    let vector = memory.read_u64(gpa + VECTOR)?;
    memory.write(gpa + COMMAND, &NOTHING.to_le_bytes()).then_some(vector)
}

#[cfg(test)]
mod tests {
    use super::{next_look, take};
    use crate::guest_memory::GuestMemory;

    struct Page([u8; 16]);

    impl GuestMemory for Page {
        fn read(&self, gpa: u64, buffer: &mut [u8]) -> bool {
            let at = usize::try_from(gpa - 0x8000).unwrap();
            let part = self.0.get(at..at + buffer.len());
            part.map(|part| buffer.copy_from_slice(part)).is_some()
        }

        fn write(&mut self, gpa: u64, bytes: &[u8]) -> bool {
            let at = usize::try_from(gpa - 0x8000).unwrap();
            let part = self.0.get_mut(at..at + bytes.len());
            part.map(|part| part.copy_from_slice(bytes)).is_some()
        }
    }

    const WAKE_2: [u8; 16] = [1, 0, 0, 0, 2, 0, 0, 0, 0x00, 0x90, 9, 0, 0, 0, 0, 0];

    #[test]
    fn a_command_is_taken_once_and_by_its_cpu_only() {
        let mut page = Page(WAKE_2);
        assert_eq!(take(&mut page, 0x8000, 1), None);
        assert_eq!(take(&mut page, 0x8000, 2), Some(0x9_9000));
        assert_eq!(page.0[..2], [0, 0], "the sender waits for this");
        assert_eq!(take(&mut page, 0x8000, 2), None);
    }

    #[test]
    fn looks_become_rarer_but_never_stop() {
        let after =
            |waited_ms: u64| next_look(7, 7 + waited_ms * 1000, 1000) - 7 - waited_ms * 1000;
        assert_eq!((after(0), after(512)), (2000, 2000));
        assert_eq!(after(2560), 10_000);
        assert_eq!(after(3_600_000), 100_000);
        assert_eq!(next_look(u64::MAX, 5, 1000), 2005, "a clock that went back");
    }

    #[test]
    fn an_unknown_command_is_left_alone() {
        let mut page = Page(WAKE_2);
        page.0[1] = 1;
        assert_eq!(take(&mut page, 0x8000, 2), None);
        assert_eq!(page.0[..2], [1, 1]);
    }
}
