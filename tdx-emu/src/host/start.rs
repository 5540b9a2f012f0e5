// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the command line to running virtual CPUs.
//!
//! # Orderings
//! `INITIALIZED` is counted up with `Release` by each CPU after TDH.SYS.LP.INIT and read with
//! `Acquire` by the one that boots, which goes on when all are there. The TD is published by `Td::publish`.

use alloc::vec::Vec;
use core::{
    fmt,
    sync::atomic::{
        AtomicUsize,
        Ordering::{Acquire, Release},
    },
};

use spin::Mutex;
use tdvf::Image;

use super::{
    build_td::{self, Failure, Named},
    build_vcpu,
    campaign::Campaign,
    command_line::{CommandLine, Flavour},
    console::Console,
    deeds::Hostile,
    end,
    fw_cfg::{FwCfg, Physical},
    hand_off,
    hostile::{Smis, UnaskedInterrupts},
    hyperv::{Partition, hands},
    io_apic::IoApic,
    pci::{Pci, hand_over::HandedOver, physical::Machine},
    private_memory::PrivateMemory,
    quote::Quoting,
    shared_ept::{self, SharedEpt},
    staging,
    td::Td,
    timer::Posted,
    vcpu::{self, Vcpu},
    vcpu_loop,
};
use crate::{
    iommu::{self, dma, remapping::Way},
    machine::{
        boot::Boot,
        clock,
        console::{self, Who},
        cpus, interrupt, lapic,
        tables::Frames,
    },
    module,
    observe::{self, Bdf, RelayTable, Trace},
    provoke,
};

const BAD_INPUT: u8 = 0x12;
const OWN_BUG: u8 = 0x15;

/// The module's own key.
const GLOBAL_KEY: u16 = 1;

static INITIALIZED: AtomicUsize = AtomicUsize::new(0);

/// Makes a TD from what QEMU handed over, for the other CPUs to run. To be called by the CPU that boots.
pub(crate) fn start(boot: &Boot) -> ! {
    let line = CommandLine::parse(boot.command_line).unwrap_or_else(|error| refuse(&error));
    console::set_level(line.log);
    if boot.image.is_empty() {
        refuse(&"no image: QEMU's -initrd names it");
    }
    let image = tdvf::parse(boot.image).unwrap_or_else(|error| refuse(&error));
    hand_off::check(&image, line.memory).unwrap_or_else(|misfit| refuse(&misfit));
    bring_up_module();
    let vcpus = line.vcpus.unwrap_or(cpus::count());
    if vcpus > cpus::count() {
        refuse(&format_args!("vcpus={vcpus}, but the machine has {} CPUs", cpus::count()));
    }
    let td = build(boot, &line, &image, vcpus).unwrap_or_else(|failure| {
        console::error_exit(OWN_BUG, format_args!("the TD cannot be built: {failure}"))
    });
    watch(&line);
    td.publish().hostile.scribble();
    cpus::park()
}

/// TDH.SYS.INIT to TDH.SYS.KEY.CONFIG, with every CPU.
fn bring_up_module() {
    let first = || {
        module::tdh_sys_init(0).named("TDH.SYS.INIT")?;
        module::tdh_sys_lp_init().named("TDH.SYS.LP.INIT")
    };
    let last = || {
        module::tdh_sys_config(GLOBAL_KEY).named("TDH.SYS.CONFIG")?;
        module::tdh_sys_key_config().named("TDH.SYS.KEY.CONFIG")
    };
    first().unwrap_or_else(bug);
    INITIALIZED.fetch_add(1, Release);
    cpus::start_others(other_cpu);
    while INITIALIZED.load(Acquire) != cpus::all().count() {
        core::hint::spin_loop();
    }
    last().unwrap_or_else(bug);
}

/// Where the other CPUs begin.
fn other_cpu(_cpu: usize) -> ! {
    module::tdh_sys_lp_init().named("TDH.SYS.LP.INIT").unwrap_or_else(bug);
    INITIALIZED.fetch_add(1, Release);
    loop {
        if let Some(td) = Td::get() {
            run(td);
        }
        core::hint::spin_loop();
    }
}

fn build(boot: &Boot, line: &CommandLine, image: &Image<'_>, vcpus: usize) -> Result<Td, Failure> {
    let tdr = build_td::create(vcpus)?;
    let notification_vector = iommu::NOTIFICATION_VECTOR;
    let (page, descriptors) = staging::descriptors(notification_vector).ok_or(Failure::NoMemory)?;
    let hob = image.td_hob().memory_address();
    let mut virtual_cpus = Vec::new();
    for (index, descriptor) in descriptors.iter().enumerate().take(vcpus) {
        virtual_cpus.push(build_vcpu::create(tdr, (index, vcpus), hob, descriptor)?);
    }
    let private = PrivateMemory::new(tdr, 0..line.memory);
    build_td::add_image(tdr, image, &private, line.memory)?;
    module::tdh_mr_finalize(tdr).named("TDH.MR.FINALIZE")?;
    let usual_way = match line.flavour {
        Flavour::Ghci => Way::Posted,
        Flavour::Hyperv => Way::Proxied,
    };
    let mut machine = Machine { descriptors: page, vcpus, usual_way };
    let pci = devices(boot, line, &mut machine)?;
    let shared = device_memory(&pci).ok_or(Failure::NoMemory)?;
    for vcpu in &virtual_cpus {
        build_vcpu::set_shared_ept(vcpu, shared.root())?;
        build_vcpu::enable_posting(vcpu)?;
    }
    tell(&pci, &build_td::mrtd(tdr)?);
    let lines = pci.lines(&mut machine);
    let hostile = Hostile::new(line.hostile);
    Ok(Td {
        tdr,
        tsc_origin: virtual_cpus.first().map_or(Ok(0), build_vcpu::tsc_origin)?,
        vcpus: virtual_cpus,
        private,
        shared: Mutex::new(shared),
        pci: Mutex::new((pci, machine)),
        io_apic: Mutex::new(IoApic::new(lines)),
        fw_cfg: Mutex::new(files(line)),
        consoles: [Console::new(0x3f8, Who::L1), Console::new(0x2f8, Who::L2)],
        quoting: Quoting::new(hostile.manner(line.quotes), line.unnotified),
        hyperv: (line.flavour == Flavour::Hyperv).then(|| Partition::new(line.hyperv, vcpus)),
        unasked: UnaskedInterrupts::new(line.unasked),
        campaign: Campaign::new(line.campaign, vcpus),
        smis: Smis::new(line.smis),
        hostile,
        resume_l1: line.resume_l1,
        timer_advance_ns: line.timer_advance_ns,
        conversion: line.conversion,
    })
}

/// Takes the TD's devices over and confines them.
fn devices(boot: &Boot, line: &CommandLine, machine: &mut Machine) -> Result<Pci, Failure> {
    if let Err(why) = dma::find(boot) {
        log::warn!("iommu: {why}: devices must not master the bus and send no interrupts");
    }
    let wanted: Vec<_> = line.devices().collect();
    let mut pci = Pci::scan(&wanted, machine);
    pci.plan_removal(line.removal);
    if !pci.show_bridge(line.bridge, machine) {
        refuse(&"bridge: a device of the TD is where it would be");
    }
    dma::enable().map_err(Failure::Iommu)?;
    Ok(pci)
}

/// Takes the machine's configuration device over.
fn files(line: &CommandLine) -> FwCfg<Physical> {
    let fw_cfg = FwCfg::new(Physical, line.files);
    if fw_cfg.substitutes() != 0 {
        log::info!("acpi: files of others: count={}", fw_cfg.substitutes());
    }
    fw_cfg
}

/// Maps the memory of the TD's devices at their own addresses.
fn device_memory(pci: &Pci) -> Option<SharedEpt<Frames>> {
    let mut shared = shared_ept::empty(Frames)?;
    for page in pci.pages() {
        shared.map(page, &[page])?;
    }
    Some(shared)
}

fn tell(pci: &Pci, mrtd: &[u64; 6]) {
    for (devfn, id, handed_over, regions) in pci.devices() {
        let how = if handed_over == HandedOver::Reset { "reset" } else { "stopped" };
        log::info!("device: {} id={:04x}:{:04x} {how}", Bdf(devfn), id.vendor, id.device);
        for region in regions {
            log::debug!("device: bar={} gpa={:#x} size={:#x}", region.bar, region.hpa, region.size);
        }
    }
    // As the bytes lie in memory, which is how everybody else prints it.
    let mut text = alloc::string::String::new();
    for byte in mrtd.iter().flat_map(|word| word.to_le_bytes()) {
        // A string takes everything.
        let _ = fmt::write(&mut text, format_args!("{byte:02x}"));
    }
    log::info!("td: mrtd={text}");
}

/// Starts to take interrupts and to count.
fn watch(line: &CommandLine) {
    let base = line.relay_table;
    observe::start(observe::Options {
        relay_table: base.map(|base| RelayTable { base, stride: line.relay_stride }),
        read_private: |gpa| module::debug_read_gpa(Td::get()?.tdr, gpa),
        clock: clock::tsc,
        trace: if line.trace { Trace::On } else { Trace::Off },
    });
    provoke::begin(line.sweep, line.flood);
    iommu::enable();
    iommu::set_proxy(hands::proxy);
    dma::take_faults_by_interrupt();
    interrupt::set_handler(lapic::TIMER_VECTOR, timer);
    vcpu::enable_kicks(interrupted);
}

fn run(td: &'static Td) -> ! {
    match td.current_vcpu() {
        Some(vcpu) => vcpu_loop::run(td, vcpu),
        // A CPU without a virtual CPU: it may still get interrupts of devices.
        None => loop {
            interrupt::wait();
        },
    }
}

fn timer(vector: u8) {
    let Some(vcpu) = Td::get().and_then(Td::current_vcpu) else { return };
    let ended = vcpu.timer.ended();
    if ended.apic {
        let already = vcpu.has_timer_interrupt();
        vcpu.timer.count_end(if already { Posted::Already } else { Posted::Not });
        let mut apic = vcpu.apic.lock();
        let again = apic.timer_ended();
        if let Some(vector) = apic.timer_vector() {
            vcpu.post(vector);
        }
        if let Some(ns) = again {
            vcpu.timer.set_apic(Some(clock::now_ns() + ns));
        }
    }
    // Else it was the deadline of an L2 VM, which is the module's business.
    if ended.apic || ended.host {
        vcpu.interrupted(vector);
    }
}

fn interrupted(vector: u8) {
    if let Some(vcpu) = Td::get().and_then(Td::current_vcpu) {
        Vcpu::interrupted(vcpu, vector);
    }
}

fn refuse(why: &dyn fmt::Display) -> ! {
    console::error_exit(BAD_INPUT, format_args!("{why}"))
}

fn bug(failure: Failure) {
    end::run(end::Verdict::Bug, format_args!("{failure}"));
}
