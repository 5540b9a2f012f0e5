// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every constant and layout against the documents.
//!
//! The emulator uses the types of this crate, so a wrong constant would agree with itself in every
//! other test. The tables here were written from the documents, not from the code; a row is an item
//! of the code, the value in the document, and where the document has it. The tables of whole
//! enumerations are also counted, so that no constant escapes them.

mod abi {
    pub(crate) mod exit;
    pub(crate) mod layout;
    pub(crate) mod leaf;
    pub(crate) mod md;
    pub(crate) mod memory;
    pub(crate) mod row;
    pub(crate) mod status;
    pub(crate) mod tdvmcall;
    pub(crate) mod vmcs;
}

use abi::row::check;
use tdcall::{ExitReason, OperandId, Status, md::l2_vmcs::Field};

#[test]
fn completion_status_codes() {
    check(abi::status::CODES);
    assert_eq!(abi::status::CODES.len(), Status::ALL.len(), "a code that the table does not have");
    check(abi::status::AS_LINUX_HAS_THEM);
    check(abi::status::BITS);
}

#[test]
fn operand_ids() {
    check(abi::status::OPERANDS);
    assert_eq!(abi::status::OPERANDS.len(), OperandId::ALL.len());
}

#[test]
fn leaves() {
    check(abi::leaf::LEAVES);
    check(abi::leaf::REGISTERS);
}

#[test]
fn sub_functions_and_answers_of_the_host() {
    check(abi::tdvmcall::SUB_FUNCTIONS);
    check(abi::tdvmcall::STATUS);
    check(abi::tdvmcall::QUOTE);
}

#[test]
fn exit_reasons_and_qualifications() {
    check(abi::exit::REASONS);
    assert_eq!(abi::exit::REASONS.len(), ExitReason::ALL.len());
    check(abi::exit::BITS);
    check(abi::exit::VP_ENTER);
}

#[test]
fn metadata_fields() {
    check(abi::md::SYS);
    check(abi::md::TD);
    check(abi::md::VP);
    check(abi::md::BITS);
}

#[test]
fn fields_of_an_l2_vmcs() {
    check(abi::vmcs::IDS);
    let tables = [(2, abi::vmcs::WORDS), (4, abi::vmcs::DWORDS), (8, abi::vmcs::QWORDS)];
    for (size, fields) in tables {
        check(fields);
        for (name, _, encoding, _) in fields {
            let field = Field(u32::try_from(*encoding).expect("an encoding"));
            assert_eq!(field.size().bytes(), size, "{name}");
        }
    }
    let count: usize = tables.iter().map(|(_, fields)| fields.len()).sum();
    assert_eq!(count, Field::ALL.len(), "a field that the tables do not have");
}

#[test]
fn pages_and_rights() {
    check(abi::memory::PAGES);
    check(abi::memory::RIGHTS);
    check(abi::memory::TD_PARAMS);
}

#[test]
fn layouts() {
    check(abi::layout::L2_ENTER_GUEST_STATE);
    check(abi::layout::POSTED_INTERRUPT_DESCRIPTOR);
    check(abi::layout::TD_PARAMS);
    check(abi::layout::TD_REPORT);
    check(abi::layout::VE_INFO);
    check(abi::layout::QUOTE);
}
