// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a call asks for, and how it is answered.
//!
//! | control  |                                | result   |                           |
//! |----------|--------------------------------|----------|---------------------------|
//! | 15:0     | call code                      | 15:0     | status                    |
//! | 16       | fast: the input is in registers |         |                           |
//! | 26:17    | variable header, in 8 bytes    |          |                           |
//! | 31       | nested                         |          |                           |
//! | 43:32    | rep count                      | 43:32    | reps that are complete    |
//! | 59:48    | rep start index                |          |                           |
//!
//! The count of complete reps includes those before the start: the guest goes on from there.
//!
//! Spec: TLFS "Hypercall Inputs", "Hypercall Outputs", "Hypercall Continuation".

use super::{status::HvStatus, visibility::MAX_PAGES};

/// The control word, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// Which call.
    pub code: u16,
    /// The input is in registers.
    pub fast: bool,
    /// Length of the variable header, in 8 bytes.
    pub variable_header: u16,
    /// For a hypervisor above this one.
    pub nested: bool,
    /// Number of repetitions.
    pub rep_count: u16,
    /// The first of them that is not done.
    pub rep_start: u16,
}

/// Call code.
pub const MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY: u16 = 0xdb;

const RESERVED: u64 = 0xf000_f000_7800_0000;
const REP_FIELD: u64 = 0xfff;

/// What to do for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Change what the host may see of the pages `start..count` of the list at `input`.
    ModifyVisibility {
        /// Guest-physical address of the input.
        input: u64,
        /// Pages done already.
        start: usize,
        /// Pages listed.
        count: usize,
    },
}

/// Understands a call by its registers: RCX and RDX.
///
/// # Errors
/// The status to answer with.
pub fn parse(control: u64, input: u64) -> Result<Call, HvStatus> {
    let control = Control::from_bits(control)?;
    match control.code {
        MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY => modify_visibility(control, input),
        _ => Err(HvStatus::INVALID_HYPERCALL_CODE),
    }
}

fn modify_visibility(control: Control, input: u64) -> Result<Call, HvStatus> {
    let (start, count) = (usize::from(control.rep_start), usize::from(control.rep_count));
    let fits = !control.fast && !control.nested && control.variable_header == 0;
    if !fits || start >= count || count > MAX_PAGES {
        return Err(HvStatus::INVALID_HYPERCALL_INPUT);
    }
    // The list begins with the page, so that it does not cross into the next one.
    if !input.is_multiple_of(8) || input % 4096 + 16 + 8 * count as u64 > 4096 {
        return Err(HvStatus::INVALID_ALIGNMENT);
    }
    Ok(Call::ModifyVisibility { input, start, count })
}

/// The result word.
#[must_use]
pub fn result(status: HvStatus, reps: usize) -> u64 {
    u64::from(status.0) | (reps as u64 & REP_FIELD) << 32
}

impl Control {
    /// Takes the word apart.
    ///
    /// # Errors
    /// A reserved bit is set.
    pub const fn from_bits(bits: u64) -> Result<Self, HvStatus> {
        if bits & RESERVED != 0 {
            return Err(HvStatus::INVALID_HYPERCALL_INPUT);
        }
        Ok(Self {
            code: (bits & 0xffff) as u16,
            fast: bits >> 16 & 1 != 0,
            variable_header: (bits >> 17 & 0x3ff) as u16,
            nested: bits >> 31 & 1 != 0,
            rep_count: (bits >> 32 & REP_FIELD) as u16,
            rep_start: (bits >> 48 & REP_FIELD) as u16,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, parse, result};
    use crate::hyperv::status::HvStatus;
    use proptest::prelude::{any, proptest};

    const CALL: u64 = 0xdb;
    const BAD: Result<Call, HvStatus> = Err(HvStatus::INVALID_HYPERCALL_INPUT);

    #[test]
    fn a_list_is_taken_up_where_it_was_left() {
        let call = parse(CALL | 510 << 32 | 100 << 48, 0x1000);
        assert_eq!(call, Ok(Call::ModifyVisibility { input: 0x1000, start: 100, count: 510 }));
    }

    #[test]
    fn a_control_word_must_fit_the_call() {
        for wrong in [
            CALL,
            CALL | 511 << 32,
            CALL | 5 << 32 | 5 << 48,
            CALL | 1 << 32 | 1 << 16,
            CALL | 1 << 32 | 1 << 17,
            CALL | 1 << 32 | 1 << 31,
            CALL | 1 << 32 | 1 << 27,
            CALL | 1 << 32 | 1 << 44,
            CALL | 1 << 32 | 1 << 63,
        ] {
            assert_eq!(parse(wrong, 0x1000), BAD, "{wrong:#x}");
        }
        assert_eq!(parse(2, 0), Err(HvStatus::INVALID_HYPERCALL_CODE));
    }

    #[test]
    fn the_input_lies_in_one_page() {
        assert_eq!(parse(CALL | 1 << 32, 0x1004), Err(HvStatus::INVALID_ALIGNMENT));
        assert_eq!(parse(CALL | 510 << 32, 0x1008), Err(HvStatus::INVALID_ALIGNMENT));
        assert!(parse(CALL | 1 << 32, 0x1fe8).is_ok());
        assert!(parse(CALL | 2 << 32, 0x1fe8).is_err());
    }

    #[test]
    fn a_result_names_the_reps_that_are_complete() {
        assert_eq!(result(HvStatus::SUCCESS, 510), 510 << 32);
        assert_eq!(result(HvStatus::INVALID_PARAMETER, 3), 5 | 3 << 32);
    }

    proptest! {
        #[test]
        fn any_registers_are_understood_or_refused(control in any::<u64>(), input in any::<u64>()) {
            if let Ok(Call::ModifyVisibility { start, count, .. }) = parse(control, input) {
                assert!(start < count && count <= 510);
            }
            let _ = parse(control & !super::RESERVED & !0xffff | CALL, input);
        }
    }
}
