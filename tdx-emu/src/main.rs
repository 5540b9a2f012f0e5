// SPDX-License-Identifier: MIT OR Apache-2.0
//! L0 of Lychgate: CPU, TDX module and host of a Trust Domain, on QEMU TCG with emulated SVM.
//!
//! On the host this is an empty shell around the parts that unit tests can reach.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(
    not(target_os = "none"),
    allow(dead_code, reason = "the shell on the host calls nothing; its unit tests call some")
)]

#[cfg(target_os = "none")]
extern crate alloc;

/// L0's own bare metal: boot, CPUs, memory, interrupts, console, time.
mod machine;

/// The machine: AMD SVM, made to look like VMX.
#[cfg(target_os = "none")]
mod svm;

/// The TDX module.
#[cfg(target_os = "none")]
mod module;

/// The IOMMU: messages of devices become posted interrupts.
mod iommu;

/// The untrusted host.
mod host;

/// Interrupts at chosen moments.
mod provoke;

/// What the emulator sees: figures and traces.
mod observe;

/// Goes on where the boot code ends, on the CPU that boots.
#[cfg(target_os = "none")]
fn main_bsp(boot: machine::boot::Boot) -> ! {
    for word in boot.command_line.split(' ') {
        match word {
            "selftest=1" => machine::selftest::run(&boot),
            "selftest=module" => module::selftest::run(),
            _ => {}
        }
    }
    host::start(&boot)
}

#[cfg(not(target_os = "none"))]
fn main() {}
