// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page through which the guest makes its calls.
//!
//! The specification lays it over the guest's page, whose content comes back when it is switched off.
//! Here it is written into the page, and the content is gone: a guest gives a page of its own.
//!
//! Spec: TLFS "Establishing the Hypercall Interface"; SDM volume 2, "ENDBR64", "VMCALL".

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// ENDBR64; VMCALL; RET. A guest with indirect branch tracking calls it by pointer.
const CODE: [u8; 8] = [0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x01, 0xc1, 0xc3];
/// INT3: whoever jumps behind the code finds out.
const REST: u8 = 0xcc;

/// The page.
pub static CONTENT: [u8; PAGE] = {
    let mut page = [REST; PAGE];
    let mut at = 0;
    while at < CODE.len() {
        page[at] = CODE[at];
        at += 1;
    }
    page
};

#[cfg(test)]
mod tests {
    use super::CONTENT;
    use alloc::vec::Vec;
    use iced_x86::{Decoder, DecoderOptions, Mnemonic};

    #[test]
    fn a_call_is_a_vmcall_that_returns() {
        let code = Decoder::new(64, &CONTENT, DecoderOptions::NONE);
        let words: Vec<_> = code.into_iter().take(4).map(|found| found.mnemonic()).collect();
        assert_eq!(words, [Mnemonic::Endbr64, Mnemonic::Vmcall, Mnemonic::Ret, Mnemonic::Int3]);
    }
}
