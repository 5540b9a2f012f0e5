// SPDX-License-Identifier: MIT OR Apache-2.0
//! The VM that runs the host's AML: its address space, and what its exits mean.
//!
//! It has two large pages: its own, and the one that L1 has copied the tables into. Whatever it does that is not an
//! access to a port or its end by HLT ends it with a reason, and L1 goes on without an answer.
//!
//! Spec: SDM "4-Level Paging", "Basic VM-Exit Reasons".

use core::fmt;

use acpi_routes::vm::{self, ANSWERS, GIVEN, OWN, PAGE_TABLES, STACK};
use tdcall::{ExitReason, IoQualification, L2Exit, Status};

use crate::{
    elf::{self, Elf},
    width,
};

/// The page tables are root, pointers, directory.
const DIRECTORY: u64 = PAGE_TABLES + 0x2000;
const LARGE_PAGE: u64 = 2 << 20;
/// Present, writable, accessed.
const TABLE: u64 = 0x23;
/// As above, dirty, large.
const WRITABLE: u64 = 0xe3;
/// Present, accessed, dirty, large, not to be run.
const READ_ONLY: u64 = 0xe1 | 1 << 63;

/// What L1 has to do after an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Enter again: the exit was about something else.
    Again,
    /// Do an access to a port, or refuse it, and go on behind it.
    Port(Access),
    /// It is over.
    Over(Ending),
}

/// An access to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The port.
    pub port: u16,
    /// Bytes: 1, 2 or 4.
    pub size: u8,
    /// The way that the data goes.
    pub direction: Direction,
}

/// The way that data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the VM.
    In,
    /// From the VM.
    Out,
}

/// How the VM ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has answered, as far as it can be believed.
    Answered,
    /// Our own program found no request.
    NoRequest,
    /// The program panicked or had no memory left.
    Panic,
    /// It halted and says what has no meaning.
    Halted(u64),
    /// It took too long.
    Time,
    /// An exception: its stack ended, or it used an address that it does not have.
    Exception,
    /// It used memory that it does not have, or not in this way.
    Memory(u64),
    /// It did something else.
    Other(ExitReason),
    /// The module did not let it run.
    NotRun(Status),
}

/// What is wrong with the VM's program, which came with the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadProgram {
    /// It is no executable.
    Elf(elf::Error),
    /// It wants memory that is not for it, at this address.
    Place(u64),
}

/// Clears the VM's own page and puts `program` and page tables into it, given the addresses of both its pages, which
/// are aligned to 2 MiB. Returns where the program begins.
///
/// # Errors
///
/// If the program is none. Then the VM is not to be run.
pub fn fill(page: &mut [u8], program: &[u8], own: u64, given: u64) -> Result<u64, BadProgram> {
    page.fill(0);
    let elf = Elf::parse(program).map_err(BadProgram::Elf)?;
    for segment in elf.segments() {
        let outside = BadProgram::Place(segment.gpa);
        let range = segment.range();
        if range.start < STACK || range.end > PAGE_TABLES {
            return Err(outside);
        }
        put(page, range.start, segment.bytes).ok_or(outside)?;
    }
    put_page_tables(page, own, given).ok_or(BadProgram::Place(PAGE_TABLES))?;
    Ok(elf.entry())
}

/// Returns the page of answers in the VM's own page.
#[must_use]
pub fn answers(page: &[u8]) -> &[u8] {
    page.get(width::index(ANSWERS - OWN.start)..).unwrap_or_default()
}

/// Copies bytes to where the VM has `address`.
fn put(page: &mut [u8], address: u64, bytes: &[u8]) -> Option<()> {
    let at = width::index(address.checked_sub(OWN.start)?);
    page.get_mut(at..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(())
}

/// Puts the page tables at [`PAGE_TABLES`] into the page at `own`; `given` is the other one's address. Both are
/// aligned to 2 MiB.
fn put_page_tables(page: &mut [u8], own: u64, given: u64) -> Option<()> {
    let at = own + (PAGE_TABLES - OWN.start);
    let entry = |address: u64| DIRECTORY + 8 * (address / LARGE_PAGE);
    for (place, value) in [
        (PAGE_TABLES, (at + 0x1000) | TABLE),
        (PAGE_TABLES + 0x1000, (at + 0x2000) | TABLE),
        (entry(OWN.start), own | WRITABLE),
        (entry(GIVEN.start), given | READ_ONLY),
    ] {
        put(page, place, &value.to_le_bytes())?;
    }
    Some(())
}

/// Returns what to do after an exit that left `rax`.
#[must_use]
pub fn step(exit: &L2Exit, rax: u64) -> Step {
    let reason = exit.reason.basic();
    Step::Over(match reason {
        ExitReason::EXTERNAL_INTERRUPT => return Step::Again,
        ExitReason::IO_INSTRUCTION => match access(exit) {
            Some(access) => return Step::Port(access),
            None => Ending::Other(reason),
        },
        ExitReason::HLT => match vm::End(rax) {
            vm::End::ANSWERED => Ending::Answered,
            vm::End::NO_REQUEST => Ending::NoRequest,
            vm::End::PANIC => Ending::Panic,
            _ => Ending::Halted(rax),
        },
        ExitReason::PREEMPTION_TIMER_EXPIRED => Ending::Time,
        ExitReason::TRIPLE_FAULT => Ending::Exception,
        ExitReason::EPT_VIOLATION => Ending::Memory(exit.gpa),
        other => Ending::Other(other),
    })
}

/// `None` for INS, OUTS and what is no access.
fn access(exit: &L2Exit) -> Option<Access> {
    let access = IoQualification::from_bits(exit.qualification);
    let direction = if access.is_in() { Direction::In } else { Direction::Out };
    let (port, size) = (access.port(), access.size().filter(|_| !access.string())?);
    Some(Access { port, size, direction })
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered => f.write_str("it has answered"),
            Self::NoRequest => f.write_str("it found no request"),
            Self::Panic => f.write_str("it panicked or had no memory left"),
            Self::Halted(rax) => write!(f, "it halted with {rax:#x}"),
            Self::Time => f.write_str("it took too long"),
            Self::Exception => f.write_str("an exception"),
            Self::Memory(gpa) => write!(f, "a wild access: gpa={gpa:#x}"),
            Self::Other(reason) => write!(f, "it did what it may not: {reason}"),
            Self::NotRun(status) => write!(f, "the module does not run it: {status}"),
        }
    }
}

impl fmt::Display for BadProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elf(error) => write!(f, "{error}"),
            Self::Place(address) => write!(f, "{address:#x} is not for a program"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Access, BadProgram, Direction, Ending, Step, answers, elf, fill, put_page_tables, step,
    };
    use acpi_routes::vm::{ANSWERS, GIVEN, OWN, PAGE_TABLES, STACK};
    use alloc::{vec, vec::Vec};
    use tdcall::{ExitReason, L2Exit};

    const OWN_PAGE: u64 = 0x1f00_0000;
    const GIVEN_PAGE: u64 = 0x1f20_0000;

    fn entry(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    #[test]
    fn two_large_pages_are_mapped_and_nothing_else() {
        let mut page = vec![0; 2 << 20];
        put_page_tables(&mut page, OWN_PAGE, GIVEN_PAGE).unwrap();
        let tables = &page[0x1f_c000..0x1f_f000];
        let root = OWN_PAGE + 0x1f_c000;
        let wanted = [
            (0, (root + 0x1000) | 0x23),
            (0x1000, (root + 0x2000) | 0x23),
            (0x2008, OWN_PAGE | 0xe3),
            (0x2010, GIVEN_PAGE | 0xe1 | 1 << 63),
        ];
        for at in (0..tables.len()).step_by(8) {
            let found = wanted.iter().find(|(place, _)| *place == at);
            assert_eq!(entry(tables, at), found.map_or(0, |(_, value)| *value), "{at:#x}");
        }
    }

    #[test]
    fn what_it_has_lies_in_its_pages() {
        assert!((OWN.start..ANSWERS).contains(&PAGE_TABLES) && OWN.contains(&STACK));
        assert_eq!((PAGE_TABLES + 0x3000, ANSWERS + 0x1000), (ANSWERS, OWN.end));
        for range in [OWN, GIVEN] {
            assert!(range.start.is_multiple_of(2 << 20) && range.end - range.start == 2 << 20);
        }
    }

    /// An executable whose one segment, of `size` bytes in memory, lies at `address` and begins with `code`.
    fn program(address: u64, size: u64, code: &[u8]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        file.extend([address, 64, 0].map(u64::to_le_bytes).concat());
        file.extend([0, 64 | 56 << 16, 1, 0].map(u32::to_le_bytes).concat());
        file.extend([1_u32, 5].map(u32::to_le_bytes).concat());
        let length = code.len() as u64;
        let header = [120, address, address, length, size, 4096];
        file.extend(header.map(u64::to_le_bytes).concat());
        file.extend(code);
        file
    }

    #[test]
    fn a_program_is_put_to_its_place_in_a_clear_page() {
        let mut page = vec![0xff; 2 << 20];
        let code = program(STACK + 0x1000, 0x2000, &[0xf4; 5]);
        assert_eq!(fill(&mut page, &code, OWN_PAGE, GIVEN_PAGE), Ok(STACK + 0x1000));
        let at = 0x8_1000;
        assert_eq!(page[at..at + 6], [0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0]);
        assert_eq!(entry(&page, 0x1f_e008), OWN_PAGE | 0xe3);
        assert!(page[..at].iter().all(|byte| *byte == 0) && answers(&page) == [0; 4096]);
    }

    #[test]
    fn a_program_that_wants_other_memory_is_refused() {
        let mut page = vec![0; 2 << 20];
        let mut try_at =
            |address, size| fill(&mut page, &program(address, size, &[0xf4]), OWN_PAGE, GIVEN_PAGE);
        assert_eq!(try_at(STACK, PAGE_TABLES - STACK), Ok(STACK));
        assert_eq!(try_at(STACK - 1, 1), Err(BadProgram::Place(STACK - 1)));
        assert_eq!(try_at(PAGE_TABLES - 1, 2), Err(BadProgram::Place(PAGE_TABLES - 1)));
        assert_eq!(try_at(u64::MAX, 1), Err(BadProgram::Elf(elf::Error::Segment(u64::MAX))));
        let refused = fill(&mut page, b"no", OWN_PAGE, GIVEN_PAGE).unwrap_err();
        assert_eq!(refused, BadProgram::Elf(elf::Error::NotElf));
    }

    fn exit(reason: ExitReason, qualification: u64) -> L2Exit {
        L2Exit { reason, qualification, gpa: 0x7000, ..L2Exit::default() }
    }

    #[test]
    fn only_ports_and_the_end_are_no_offence() {
        let is = |reason, rax, wanted| assert_eq!(step(&exit(reason, 0), rax), wanted);
        let over = |reason, rax, ending| is(reason, rax, Step::Over(ending));
        over(ExitReason::HLT, 1, Ending::Answered);
        over(ExitReason::HLT, 2, Ending::NoRequest);
        over(ExitReason::HLT, 3, Ending::Panic);
        over(ExitReason::HLT, 0, Ending::Halted(0));
        over(ExitReason::PREEMPTION_TIMER_EXPIRED, 1, Ending::Time);
        over(ExitReason::TRIPLE_FAULT, 1, Ending::Exception);
        over(ExitReason::EPT_VIOLATION, 1, Ending::Memory(0x7000));
        over(ExitReason::CPUID, 1, Ending::Other(ExitReason::CPUID));
        is(ExitReason::EXTERNAL_INTERRUPT, 1, Step::Again);
    }

    #[test]
    fn an_access_to_a_port_is_told_in_full() {
        const IN: u64 = 1 << 3;
        const STRING: u64 = 1 << 4;
        let step = |qualification| step(&exit(ExitReason::IO_INSTRUCTION, qualification), 1);
        let (port, size) = (0xcf8, 4);
        let direction = Direction::Out;
        assert_eq!(step(0x0cf8 << 16 | 3), Step::Port(Access { port, size, direction }));
        let read = Access { port: 0xcfd, size: 1, direction: Direction::In };
        assert_eq!(step(0x0cfd << 16 | IN), Step::Port(read));
        let offence = Step::Over(Ending::Other(ExitReason::IO_INSTRUCTION));
        assert_eq!(step(0x0cf8 << 16 | 3 | STRING), offence);
        assert_eq!(step(0x0cf8 << 16 | 2), offence);
    }
}
