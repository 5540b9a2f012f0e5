// SPDX-License-Identifier: MIT OR Apache-2.0
//! The L2 guest that counts the interrupts of its PCI devices.
//!
//! A kernel of its own, for PVH and for multiboot: it runs under the paravisor and, because nothing here knows of a
//! paravisor, under plain QEMU as well. A scenario named on the command line drives two devices and
//! compares what the handlers counted with what the devices sent.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(
    not(target_os = "none"),
    expect(dead_code, reason = "on the host only the tests of pure modules use anything")
)]

/// Entry, page tables, stacks.
#[cfg(target_os = "none")]
mod boot;

/// What the command line asks for.
mod command_line;

/// Who am I, and starting the others.
#[cfg(target_os = "none")]
mod cpus;

/// The map of the vectors.
mod vectors;

/// What happens on an interrupt.
#[cfg(target_os = "none")]
mod interrupts;

/// A few bytes of code in any ring.
#[cfg(target_os = "none")]
mod ring;

/// How often each vector was taken.
#[cfg(target_os = "none")]
mod handled;

/// The local APIC.
#[cfg(target_os = "none")]
mod apic;

/// Finds and configures PCI functions.
mod pci;

/// Device memory.
#[cfg(target_os = "none")]
mod registers;

/// How a guest of Hyper-V talks to it.
#[cfg(target_os = "none")]
mod hyperv;

/// Calls to the host.
#[cfg(target_os = "none")]
mod tdvmcall;

/// A page for transfers of devices.
#[cfg(target_os = "none")]
mod dma_page;

/// The two devices.
#[cfg(target_os = "none")]
mod devices;

/// What to do with them.
#[cfg(target_os = "none")]
mod scenario;

/// Asleep or awake.
#[cfg(target_os = "none")]
mod wait;

/// Why a scenario did not succeed.
mod failure;

/// The figures at the end.
#[cfg(target_os = "none")]
mod results;

/// Lines to COM1.
#[cfg(target_os = "none")]
mod console;

/// I/O ports.
#[cfg(target_os = "none")]
mod port;

/// The mailbox that wakes CPUs.
#[cfg(target_os = "none")]
mod acpi;

/// The end of the run.
#[cfg(target_os = "none")]
mod end;

/// First Rust code of every CPU; only the boot CPU was started by a loader.
#[cfg(target_os = "none")]
extern "C" fn entered(information: u32, magic: u32) -> ! {
    let Some(loader) = boot::Loader::of(information, magic) else { cpus::serve() };
    acpi::set_root(loader.acpi_root());
    let mut buffer = [0; 1024];
    let line = loader.command_line(&mut buffer);
    let options = command_line::Options::parse(line, cpus::MAX_CPUS);
    match options {
        Ok(options) => {
            if options.wait == command_line::Wait::Poll {
                wait::stay_awake();
            }
            if scenario::run(&options).is_ok() { end::success() } else { end::failure() }
        }
        Err(word) => {
            console::line!("error: {word}");
            end::failure()
        }
    }
}

/// Our own bug: say where, and end the run.
#[cfg(target_os = "none")]
#[panic_handler]
fn panicked(panic: &core::panic::PanicInfo<'_>) -> ! {
    console::line!("error: {panic}");
    end::failure()
}

#[cfg(not(target_os = "none"))]
fn main() {}
