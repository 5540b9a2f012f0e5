// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is refused, and by which name.

use super::{HYPERCALL, NAME, PROTECTION, REFERENCE_TSC};
use crate::console::line;
use crate::failure::Failure;
use crate::hyperv::{
    MODIFY_VISIBILITY, PAGE, PRIVATE, SELF, SHARED, control, read_msr, tdvmcall, visibility,
    vmcall, vmcall_in, write_msr,
};
use crate::ring::Mode;

/// #UD.
const UNDEFINED: u8 = 6;
/// The last page of all.
const LAST_PAGE: u64 = 0u64.wrapping_sub(PAGE);
const MAP_GPA: u64 = 0x1_0001;
const INVALID_OPERAND: u64 = 1 << 63;
const ALIGN_ERROR: u64 = 1 << 63 | 2;

/// Memory that is not the guest's: the paravisor's in a machine of 128 MiB, its image, devices, nothing.
const NOT_OURS: [u64; 5] = [0x7f0_0000, 0xffe0_0000, 0xfee0_0000, 0xc000_0000, 1 << 40];

/// A call and how it must end.
struct Refused {
    what: &'static str,
    control: u64,
    input: u64,
    status: u64,
}

/// A guest that has not introduced itself is not served.
pub(super) fn before_the_page() -> Result<(), Failure> {
    holds!("a call without a page", vmcall(control(0, 1), 0x1000) == Err(UNDEFINED));
    holds!("a page without a name", write_msr(HYPERCALL, 0x5001) == Ok(0));
    holds!("no page without a name", read_msr(HYPERCALL) == Ok(0x5000));
    holds!("still no call", vmcall(control(0, 1), 0x1000) == Err(UNDEFINED));
    Ok(())
}

/// The pages that the paravisor writes for the guest are the guest's.
pub(super) fn pages_in_odd_places(shared_bit: u64) -> Result<(), Failure> {
    for place in NOT_OURS.into_iter().chain([shared_bit | 0x5000, LAST_PAGE]) {
        let ends = [HYPERCALL, REFERENCE_TSC].map(|msr| write_msr(msr, place | 1));
        if ends != [Err(PROTECTION); 2] {
            line!("result hypercalls place={place:#x} taken");
            return Err(Failure::Hypercall("a page in an odd place"));
        }
    }
    holds!("another name", write_msr(super::GUEST_OS_ID, NAME) == Ok(0));
    Ok(())
}

/// Returns how much was refused.
pub(super) fn run(first: u64, shared_bit: u64) -> Result<usize, Failure> {
    for mode in Mode::ALL.into_iter().filter(|mode| *mode != Mode::Kernel64) {
        holds!("a call from elsewhere", vmcall_in(mode) == Some(UNDEFINED));
    }
    Ok(calls(first)? + lists(first, shared_bit)? + tdcalls(first, shared_bit)?)
}

/// Control words and inputs that make no sense.
fn calls(first: u64) -> Result<usize, Failure> {
    let input = visibility(SELF, SHARED, &[first; 8]);
    let one = control(0, 1);
    let row = |what, control, input, status| Refused { what, control, input, status };
    let rows = [
        row("code 0", 0, input, 2),
        row("code 2", 2 | 1 << 32, input, 2),
        row("code 0x5c", 0x5c, input, 2),
        row("code 0xffff", 0xffff, input, 2),
        row("no repetitions", MODIFY_VISIBILITY, input, 3),
        row("too many repetitions", control(0, 511), input, 3),
        row("a start at the end", control(4, 4), input, 3),
        row("a start behind the end", control(5, 4), input, 3),
        row("fast", one | 1 << 16, input, 3),
        row("a variable header", one | 1 << 17, input, 3),
        row("nested", one | 1 << 31, input, 3),
        row("a reserved bit", one | 1 << 44, input, 3),
        row("all bits", u64::MAX, input, 3),
        row("an odd address", one, input + 1, 4),
        row("two pages", control(0, 8), input + PAGE - 24, 4),
        row("an input at the end", one, u64::MAX - 7, 4),
        row("an input that is nobody's", one, 0xc000_0000, 3),
        row("an input of the paravisor's", one, NOT_OURS[0], 3),
        row("an input in its image", one, NOT_OURS[1], 3),
    ];
    for refused in &rows {
        let end = vmcall(refused.control, refused.input);
        if end != Ok(refused.status) {
            line!("result hypercalls what=\"{}\" end={end:x?}", refused.what);
            return Err(Failure::Hypercall("nonsense was not refused"));
        }
    }
    Ok(rows.len())
}

/// Lists with something in them that cannot be.
fn lists(first: u64, shared_bit: u64) -> Result<usize, Failure> {
    let platform = 0x6c0_0000 / PAGE - 1;
    let mut refused = 0;
    let mut check = |(partition, wanted), pages: &[u64], end: u64| {
        let input = visibility(partition, wanted, pages);
        let found = vmcall(control(0, pages.len() as u64), input);
        refused += 1;
        if found != Ok(end) {
            line!("result hypercalls list={pages:x?} wanted={wanted:#x} end={found:x?}");
            return Err(Failure::Hypercall("a list was not refused"));
        }
        Ok(())
    };
    check((1, SHARED), &[first], 0xd)?;
    for visibility in [1, 2, 4, 7, SHARED | 1 << 32, u64::MAX] {
        check((SELF, visibility), &[first], 5)?;
    }
    for place in NOT_OURS {
        check((SELF, SHARED), &[place / PAGE], 5)?;
        check((SELF, PRIVATE), &[place / PAGE], 5)?;
        check((SELF, SHARED), &[first, first + 1, place / PAGE, first + 2], 5 | 2 << 32)?;
    }
    check((SELF, SHARED), &[first + shared_bit / PAGE], 5)?;
    check((SELF, SHARED), &[u64::MAX], 5)?;
    check((SELF, SHARED), &[first + 2, platform], 8 | 1 << 32)?;
    check((SELF, PRIVATE), &[first, first + 1, first + 2, u64::MAX], 5 | 3 << 32)?;
    Ok(refused)
}

/// Calls to the host that nobody serves, and ranges that cannot be.
fn tdcalls(first: u64, shared_bit: u64) -> Result<usize, Failure> {
    let page = first * PAGE;
    let rows = [
        (MAP_GPA, page, 0, INVALID_OPERAND),
        (MAP_GPA, page, u64::MAX, INVALID_OPERAND),
        (MAP_GPA, page + 1, PAGE, ALIGN_ERROR),
        (MAP_GPA, page, PAGE + 8, ALIGN_ERROR),
        (MAP_GPA, NOT_OURS[0] | shared_bit, PAGE, INVALID_OPERAND),
        (MAP_GPA, NOT_OURS[1], PAGE, INVALID_OPERAND),
        (MAP_GPA, shared_bit - PAGE, 2 * PAGE, INVALID_OPERAND),
        (MAP_GPA, LAST_PAGE, PAGE, INVALID_OPERAND),
        (31, 0x10, 0, INVALID_OPERAND),
        (32, 0x4000_0002, 1, INVALID_OPERAND),
        (10, 0x4000_0000, 0, INVALID_OPERAND),
        (12, 0, 0, INVALID_OPERAND),
        (0x1_0003, 0, 0, INVALID_OPERAND),
        (0x1_0000, 2, 0, INVALID_OPERAND),
        (0x1_0002, page | shared_bit, PAGE, INVALID_OPERAND),
        (0x1_0002, page + 8, PAGE, INVALID_OPERAND),
        (0x1_0002, page, 0, INVALID_OPERAND),
        (0x1_0002, page, 64 * PAGE, INVALID_OPERAND),
        (0x1_0002, page, PAGE, INVALID_OPERAND),
        (0x1_0004, 31, 0, INVALID_OPERAND),
        (0x1_0004, 256, 0, INVALID_OPERAND),
        (0xffff_ffff, 0, 0, INVALID_OPERAND),
    ];
    for (function, r12, r13, status) in rows {
        let end = tdvmcall(function, r12, r13).map(|end| end.0);
        if end != Ok(status) {
            line!(
                "result hypercalls function={function:#x} r12={r12:#x} r13={r13:#x} end={end:x?}"
            );
            return Err(Failure::Hypercall("a call to the host was not refused"));
        }
    }
    Ok(rows.len())
}
