// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ACPI tables of the host's machine, and what they say of the lines of L2's devices.
//!
//! They are copied once from the host's configuration device, and measured before anything of them is
//! used, into the register that is for what the host's machine consists of. A host without tables, or with bad ones,
//! leaves the register as it is. Then a VM of its own runs their AML, and its answers are checked.
//!
//! A pin of which nothing is known is told with the reason, and its device has no line.
//!
//! Spec: QEMU "fw_cfg"; TDX-ABI "TDG.MR.RTMR.EXTEND Leaf"; ACPI "Multiple APIC Description Table (MADT)".

use alloc::{boxed::Box, vec::Vec};
use core::{fmt, ops::Range};

use acpi_routes::{
    Answer,
    madt::{BadMadt, Madt},
    request::{self, Interpreter},
};
use log::{info, warn};
use paravisor::{
    host_tables::{self, Digest, HostTables},
    intx::{
        Route,
        asked::{self, Asked, Function},
        host_chip::{self, survey},
        routing_registers::RoutingRegisters,
    },
    width,
};
use tdcall::{Instruction, Status, td_report::RtmrExtension, tdg};

use super::{aml_vm, devices, host_files::HostFiles, host_io_apic::HostIoApic};
use crate::memory::aml_vm::Pages;

/// The measurement register of what the host's machine consists of.
const REGISTER: u8 = 0;

/// What the VM for AML is made of.
#[derive(Debug)]
pub(crate) struct AmlVm {
    /// Its memory.
    pub(crate) pages: Pages,
    /// Its program.
    pub(crate) program: Option<&'static [u8]>,
}

/// The host, as it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    /// L2 VMs that the TD has.
    pub(super) vms: u64,
    /// The bit that makes an address shared.
    pub(super) shared_bit: u64,
    /// TSC ticks of a millisecond.
    pub(super) millisecond: u64,
    /// Who is to run the tables.
    pub(super) interpreter: Interpreter,
}

/// Why there are no answers.
#[derive(Debug)]
enum Error {
    /// The TD was made without a VM for AML.
    NoVm,
    /// The image has no program for it.
    NoProgram,
    Tables(host_tables::Error),
    NotMeasured(Status),
    Madt(BadMadt),
    /// The host's chip is not the one that the tables tell of, or none.
    NoChip,
    TooMuch,
    /// The VM has ended without them, as it was told.
    Ended,
    Answer(acpi_routes::Bad),
}

/// Asks the host's tables about the lines of which the operator has not `stated` anything. Says what became of each.
/// Context: the first CPU, before L2 runs.
pub(super) fn routes(stated: &[Route], vm: AmlVm, host: Host) -> Vec<Route> {
    let functions = asked::functions(devices::host_read);
    let asked = asked::questions(&functions, stated);
    if asked.is_empty() {
        return Vec::new();
    }
    match ask(&asked, &functions, vm, host) {
        Ok(routes) => routes,
        Err(error) => {
            warn!("acpi: {error}");
            for Asked { bdf, pin, .. } in asked {
                warn!(
                    "intx: device={bdf} pin={pin:?}: the tables were not evaluated; it has no line"
                );
            }
            Vec::new()
        }
    }
}

fn ask(
    asked: &[Asked],
    functions: &[Function],
    AmlVm { pages, program }: AmlVm,
    host: Host,
) -> Result<Vec<Route>, Error> {
    let program = program.ok_or(Error::NoProgram)?;
    if host.vms < 2 {
        return Err(Error::NoVm);
    }
    let inputs = write_request(pages.given, asked, host)?;
    let registers =
        RoutingRegisters::of(functions.iter().map(|function| (function.bdf, function.id)));
    let page = aml_vm::run(pages, program, registers, host.millisecond).ok_or(Error::Ended)?;
    let answer = Answer::check(&page, asked.len(), |gsi| inputs.contains(&gsi));
    let answer = answer.map_err(Error::Answer)?;
    let told = asked::routes(asked, &answer).inspect(|route| match route {
        Ok(route) => info!("intx: {route} source=acpi"),
        Err(unknown) => warn!("intx: {unknown}; it has no line"),
    });
    Ok(told.flatten().collect())
}

/// Copies the tables to behind the request and writes that. Returns the inputs that the host's chip has. Not inlined,
/// for the sake of the stack.
#[inline(never)]
fn write_request(page: &mut [u8], asked: &[Asked], host: Host) -> Result<Range<u32>, Error> {
    let (request, memory) = page.split_at_mut_checked(request::PAGE).ok_or(Error::TooMuch)?;
    // Where pointers of the tables lead does not matter to L1, which reads its copy.
    const BASE: u64 = 0;
    let files = HostFiles::new(host.shared_bit);
    files.say();
    let copied = HostTables::copy(files, memory, BASE).map_err(Error::Tables)?;
    extend(copied.digest).map_err(Error::NotMeasured)?;
    info!("acpi: measured: rtmr={REGISTER} digest={}", copied.digest);
    let tables = copied.tables().map_err(Error::Tables)?;
    let madt = Madt::check(tables.madt).map_err(Error::Madt)?;
    let bytes: usize = tables.aml().iter().map(|table| table.len()).sum();
    info!("acpi: aml_tables={} bytes={bytes}", tables.aml().len());
    let places = copied.places().map_err(Error::Tables)?;
    let places =
        places.into_iter().map(|place| place.start + request::PAGE..place.end + request::PAGE);
    let questions: Vec<_> = asked.iter().map(|asked| asked.question).collect();
    request::write(request, places, &questions, host.interpreter).ok_or(Error::TooMuch)?;
    inputs(&madt, host.shared_bit).ok_or(Error::NoChip)
}

/// The inputs of the one chip that L1 uses, as the tables count them.
fn inputs(madt: &Madt<'_>, shared_bit: u64) -> Option<Range<u32>> {
    let chip = madt.io_apics().find(|chip| u64::from(chip.address) == host_chip::BASE)?;
    let pins = survey(&mut HostIoApic { shared_bit })?;
    // A route's interrupt is taken for the chip's pin.
    (chip.gsi_base == 0).then_some(0..pins)
}

fn extend(digest: Digest) -> Result<(), Status> {
    let extension = Box::new(RtmrExtension(digest.0));
    let gpa = width::wide(core::ptr::from_ref(&*extension).expose_provenance());
    tdg::mr_rtmr_extend(&Instruction, gpa, REGISTER)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVm => f.write_str("the TD has no second L2 VM"),
            Self::NoProgram => f.write_str("the image has no program for AML"),
            Self::Tables(error) => write!(f, "{error}"),
            Self::NotMeasured(status) => write!(f, "the tables cannot be measured: {status}"),
            Self::Madt(error) => write!(f, "the host's MADT: {error}"),
            Self::NoChip => f.write_str("the host has not the IO-APIC that its tables tell of"),
            Self::TooMuch => f.write_str("there is no room for the request"),
            Self::Ended => f.write_str("the tables have not answered"),
            Self::Answer(error) => write!(f, "the answer is refused: {error}"),
        }
    }
}
