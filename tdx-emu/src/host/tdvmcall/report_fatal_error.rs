// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ReportFatalError`: the TD gives up; R12 = code, 64 bytes of text in other registers.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<ReportFatalError>`".

use tdcall::{Registers, tdvmcall::report_fatal_error};

use crate::host::{
    end::{self, Verdict},
    vcpu::Vcpu,
};

pub(super) fn answer(vcpu: &Vcpu, registers: &Registers) -> ! {
    let bytes = report_fatal_error::message(registers);
    let mut text = [0; 64];
    let mut length = 0;
    // The TD is not trusted to send text.
    for byte in bytes.into_iter().take_while(|byte| *byte != 0) {
        text[length] = if matches!(byte, b' '..=b'~') { byte } else { b'?' };
        length += 1;
    }
    let text = str::from_utf8(&text[..length]).unwrap_or_default();
    let (cpu, code) = (vcpu.index, registers.r12);
    end::run(
        Verdict::Died,
        format_args!("the TD reports a fatal error: cpu={cpu} code={code:#x} message={text}"),
    )
}
