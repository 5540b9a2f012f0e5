// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the rest of the crate relies on in a status word.

use std::{format, string::ToString};

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{Class, OperandId, Status};

#[test]
fn details_do_not_change_the_code() {
    let status = Status::OPERAND_INVALID.with_operand(OperandId::R8);
    assert_eq!(status.code(), Status::OPERAND_INVALID);
    assert_eq!(status.operand(), Some(OperandId::R8));
    assert_eq!(status.class(), Class::OPERAND);
    assert!(status.is(Status::OPERAND_INVALID) && !status.is(Status::OPERAND_BUSY));
}

#[test]
fn the_hint_of_the_host_does_not_change_the_code() {
    let status = Status::OPERAND_BUSY.with_operand(OperandId::RCX).with_host_recoverability_hint();
    assert!(status.is(Status::OPERAND_BUSY) && status.host_recoverability_hint());
    assert_eq!(status.name(), Some("OPERAND_BUSY"));
}

#[test]
fn a_trap_is_no_answer_of_the_module() {
    let status = Status::from_trap(13);
    assert_eq!(status.0, 0x8000_FF00_0000_000D);
    assert_eq!(status.trap(), Some(13));
    assert!(status.is_error() && !status.is_recoverable());
    assert_eq!(Status::VM_FAIL_INVALID.trap(), None);
    assert_eq!(Status::OPERAND_INVALID.trap(), None);
}

#[test]
fn already_accepted_is_no_error_but_a_size_mismatch_is() {
    assert!(Status::PAGE_ALREADY_ACCEPTED.with_details(1).into_result().is_ok());
    assert!(Status::PAGE_SIZE_MISMATCH.into_result().is_err());
}

#[test]
fn only_busy_and_interrupted_errors_are_recoverable() {
    assert!(Status::OPERAND_BUSY.is_recoverable());
    assert!(!Status::OPERAND_INVALID.is_recoverable());
    assert!(!Status::SUCCESS.is_recoverable());
    assert!(!Status::PENDING_INTERRUPT.is_recoverable());
}

#[test]
fn messages_name_the_code_and_the_operand() {
    let status = Status::OPERAND_INVALID.with_operand(OperandId::L2_VAPIC_GPA);
    assert_eq!(status.to_string(), "OPERAND_INVALID(L2_VAPIC_GPA)");
    assert_eq!(format!("{status:?}"), "Status(0xc0000100000000aa OPERAND_INVALID(L2_VAPIC_GPA))");
    assert_eq!(
        Status::L2_EXIT_HOST_ROUTED_ASYNC.with_details(48).to_string(),
        "L2_EXIT_HOST_ROUTED_ASYNC(0x30)"
    );
    assert_eq!(Status::from_trap(6).to_string(), "SOFTWARE_TRAP(#6)");
    assert_eq!(Status(0xDEAD << 48).to_string(), "0xdead000000000000");
}

#[test]
fn no_two_codes_are_alike() {
    for (index, (code, name)) in Status::ALL.iter().enumerate() {
        for (other, other_name) in &Status::ALL[index + 1..] {
            assert!(!code.is(*other), "{name} and {other_name}");
        }
    }
}

proptest! {
    #[test]
    fn any_word_can_be_taken_apart(word in any::<u64>(), details in any::<u32>()) {
        let status = Status(word).with_details(details);
        prop_assert_eq!(status.details(), details);
        prop_assert_eq!(status.code(), Status(word).code());
        prop_assert!(status.is(Status(word)));
        prop_assert_eq!(status.is_error(), status.into_result().is_err());
        prop_assert!(!status.to_string().is_empty());
    }
}
