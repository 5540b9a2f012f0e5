// SPDX-License-Identifier: MIT OR Apache-2.0
//! `selftest=module` on L0's command line: SEAMCALLs in the wrong order, and with wrong operands,
//! are refused with the status that the module gives; in the right order they succeed.
//!
//! What a TD sees of the module is checked from inside a TD; this is the host's side, which no
//! well-behaved host ever shows. Ends with 0x10, or with 0x15 and the line that went wrong. The
//! statuses are written as numbers, so that a wrong constant does not agree with itself.

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tdcall::{md::tdvps, status::Status, td_params::TdParams};
use zerocopy::FromZeros as _;

use super::{
    tdh_mem_page_add, tdh_mem_page_aug, tdh_mem_page_remove, tdh_mem_range_block, tdh_mem_sept_add,
    tdh_mng_addcx, tdh_mng_create, tdh_mng_init, tdh_mng_key_config, tdh_mr_extend,
    tdh_mr_finalize, tdh_sys_config, tdh_sys_init, tdh_sys_key_config, tdh_sys_lp_init,
    tdh_vp_addcx, tdh_vp_create, tdh_vp_enter, tdh_vp_init, tdh_vp_wr,
};
use crate::{
    machine::{console, cpus, memory},
    module::{RESUME_L1, td_exit::HostRegisters},
    svm::physical::Hpa,
};

const PASSED: u8 = 0x10;
const FAILED: u8 = 0x15;

static TOLD: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicUsize = AtomicUsize::new(0);

/// Runs all checks and ends the run.
pub(crate) fn run() -> ! {
    bring_up();
    let (tdr, tdvpr) = (page(), page());
    build(tdr);
    give_vcpu(tdr, tdvpr);
    give_memory(tdr);
    finish(tdr, tdvpr);
    console::report(format_args!(r#"{{"type":"end","status":"success","message":"selftest"}}"#));
    log::info!("passed");
    console::exit(PASSED)
}

fn page() -> Hpa {
    memory::alloc_page().unwrap_or_else(|| console::error_exit(FAILED, format_args!("no memory")))
}

/// `got` must be success.
fn good<T>(what: &str, got: Result<T, Status>) {
    if let Err(status) = got {
        console::error_exit(FAILED, format_args!("selftest: {what}: {status}, wanted success"));
    }
    log::info!("good: {what}");
}

/// `got` must be the error `wanted`, details included.
fn bad<T>(what: &str, got: Result<T, Status>, wanted: u64) {
    match got {
        Err(Status(status)) if status == wanted => log::info!("refused: {what} {wanted:#x}"),
        Err(Status(status)) => {
            console::error_exit(
                FAILED,
                format_args!("selftest: {what}: {status:#x}, wanted {wanted:#x}"),
            );
        }
        Ok(_) => {
            console::error_exit(
                FAILED,
                format_args!("selftest: {what}: success, wanted {wanted:#x}"),
            );
        }
    }
}

fn bring_up() {
    bad("LP.INIT before SYS.INIT", tdh_sys_lp_init(), 0xc000_050b_0000_0000);
    bad("MNG.CREATE before SYS.INIT", tdh_mng_create(page(), 2), 0xc000_0505_0000_0000);
    bad("SYS.INIT with attributes", tdh_sys_init(1), 0xc000_0100_0000_0001);
    bad("SYS.CONFIG before SYS.INIT", tdh_sys_config(1), 0xc000_050c_0000_0000);
    good("SYS.INIT", tdh_sys_init(0));
    bad("SYS.INIT twice", tdh_sys_init(0), 0xc000_0500_0000_0000);
    bad("SYS.CONFIG before any LP.INIT", tdh_sys_config(1), 0xc000_0502_0000_0000);
    cpus::start_others(other_cpu);
    good("LP.INIT", tdh_sys_lp_init());
    bad("LP.INIT twice", tdh_sys_lp_init(), 0xc000_0503_0000_0000);
    bad("SYS.CONFIG with a CPU left out", tdh_sys_config(1), 0xc000_0502_0000_0000);
    TOLD.store(1, SeqCst);
    while DONE.load(SeqCst) != cpus::count() {
        core::hint::spin_loop();
    }
    bad("SYS.KEY.CONFIG before SYS.CONFIG", tdh_sys_key_config(), 0xc000_0507_0000_0000);
    bad("SYS.CONFIG with key 0", tdh_sys_config(0), 0xc000_0100_0000_0008);
    good("SYS.CONFIG", tdh_sys_config(1));
    bad("LP.INIT after SYS.CONFIG", tdh_sys_lp_init(), 0xc000_050b_0000_0000);
    bad("MNG.CREATE before SYS.KEY.CONFIG", tdh_mng_create(page(), 2), 0xc000_0505_0000_0000);
    good("SYS.KEY.CONFIG", tdh_sys_key_config());
    bad("SYS.KEY.CONFIG twice", tdh_sys_key_config(), 0xc000_0507_0000_0000);
}

/// Waits until the CPU that boots has seen that this one is missing.
fn other_cpu(_cpu: usize) -> ! {
    while TOLD.load(SeqCst) == 0 {
        core::hint::spin_loop();
    }
    good("LP.INIT on another CPU", tdh_sys_lp_init());
    DONE.fetch_add(1, SeqCst);
    loop {
        core::hint::spin_loop();
    }
}

/// The parameters of a small TD with one L2 VM.
fn params() -> TdParams {
    let mut params = TdParams::new_zeroed();
    params.xfam = 3;
    params.max_vcpus = 1;
    params.num_l2_vms = 1;
    params.eptp_controls = 6 | 3 << 3;
    params.tsc_frequency = 40;
    params
}

fn build(tdr: Hpa) {
    bad("MNG.INIT of no TD", tdh_mng_init(tdr, &params()), 0xc000_0300_0000_0001);
    bad("MNG.CREATE with key 0", tdh_mng_create(tdr, 0), 0xc000_0100_0000_0002);
    good("MNG.CREATE", tdh_mng_create(tdr, 2));
    bad("MNG.CREATE with a key in use", tdh_mng_create(page(), 2), 0xc000_0820_0000_0002);
    bad("MNG.ADDCX before MNG.KEY.CONFIG", tdh_mng_addcx(page(), tdr), 0x8000_0810_0000_0000);
    good("MNG.KEY.CONFIG", tdh_mng_key_config(tdr));
    bad("MNG.KEY.CONFIG twice", tdh_mng_key_config(tdr), 0xc000_0607_0000_0000);
    bad("MNG.INIT without pages", tdh_mng_init(tdr, &params()), 0xc000_0606_0000_0000);
    bad("VP.CREATE before MNG.INIT", tdh_vp_create(page(), tdr), 0xc000_0608_0000_0000);
    for _ in 0..7 {
        good("MNG.ADDCX", tdh_mng_addcx(page(), tdr));
    }
    let with = |change: fn(&mut TdParams)| {
        let mut params = params();
        change(&mut params);
        tdh_mng_init(tdr, &params)
    };
    bad("attributes: PERFMON", with(|p| p.attributes.0 = 1 << 63), 0xc000_0100_0000_0040);
    bad("XFAM without SSE", with(|p| p.xfam = 1), 0xc000_0100_0000_0041);
    bad("no virtual CPU", with(|p| p.max_vcpus = 0), 0xc000_0100_0000_0044);
    bad("four L2 VMs", with(|p| p.num_l2_vms = 4), 0xc000_0100_0000_0047);
    bad("GPAW 52", with(|p| p.config_flags.0 = 1), 0xc000_0100_0000_0042);
    bad("five levels", with(|p| p.eptp_controls = 6 | 4 << 3), 0xc000_0100_0000_0043);
    bad("TSC of 75 MHz", with(|p| p.tsc_frequency = 3), 0xc000_0100_0000_0046);
    bad("reserved bytes", with(|p| p.reserved_42[0] = 1), 0xc000_0100_0000_0002);
    good("MNG.INIT", tdh_mng_init(tdr, &params()));
    bad("MNG.INIT twice", tdh_mng_init(tdr, &params()), 0xc000_0608_0000_0000);
}

fn give_vcpu(tdr: Hpa, tdvpr: Hpa) {
    bad("MR.FINALIZE without a virtual CPU", tdh_mr_finalize(tdr), 0xc000_0609_0000_0000);
    good("VP.CREATE", tdh_vp_create(tdvpr, tdr));
    bad("VP.INIT without pages", tdh_vp_init(tdvpr, 0), 0xc000_0610_0000_0000);
    for _ in 0..8 {
        good("VP.ADDCX", tdh_vp_addcx(page(), tdvpr));
    }
    let mut host = HostRegisters::default();
    bad("VP.ENTER before MR.FINALIZE", tdh_vp_enter(tdvpr, 0, &mut host), 0xc000_0608_0000_0000);
    good("VP.INIT", tdh_vp_init(tdvpr, 0));
    bad("VP.INIT twice", tdh_vp_init(tdvpr, 0), 0xc000_0700_0000_0000);
    let second = page();
    good("VP.CREATE of a second", tdh_vp_create(second, tdr));
    for _ in 0..8 {
        good("VP.ADDCX", tdh_vp_addcx(page(), second));
    }
    bad("VP.INIT beyond MAX_VCPUS", tdh_vp_init(second, 0), 0xc000_0705_0000_0000);
    let pin = tdvps::L1_PIN_BASED_CONTROLS.into_bits();
    let vector = tdvps::L1_POSTED_INTERRUPT_NOTIFICATION_VECTOR.into_bits();
    let descriptor = tdvps::L1_POSTED_INTERRUPT_DESCRIPTOR_ADDRESS.into_bits();
    bad("posting before its vector", tdh_vp_wr(tdvpr, pin, 0x80, 0x80), 0xc000_0730_0000_4000);
    bad("notification vector 256", tdh_vp_wr(tdvpr, vector, 256, 0xffff), 0xc000_0c03_0000_0000);
    bad("descriptor not aligned", tdh_vp_wr(tdvpr, descriptor, 32, !0), 0xc000_0c03_0000_0000);
    good("notification vector", tdh_vp_wr(tdvpr, vector, 0xf2, 0xffff));
    good("descriptor", tdh_vp_wr(tdvpr, descriptor, page(), !0));
    good("posting", tdh_vp_wr(tdvpr, pin, 0x80, 0x80));
}

fn give_memory(tdr: Hpa) {
    let none = [None; 3];
    bad("PAGE.ADD without tables", tdh_mem_page_add(0, tdr, page(), page()), 0xc000_0b00_0000_0001);
    bad(
        "SEPT.ADD of a lower level first",
        tdh_mem_sept_add(0, 1, tdr, page(), none),
        0xc000_0b00_0000_0001,
    );
    for level in [3, 2, 1] {
        good("SEPT.ADD", tdh_mem_sept_add(0, level, tdr, page(), none));
    }
    bad("SEPT.ADD twice", tdh_mem_sept_add(0, 1, tdr, page(), none), 0xc000_0b0d_0000_0001);
    bad("MR.EXTEND of nothing", tdh_mr_extend(0x1000, tdr), 0xc000_0b0d_0000_0001);
    bad(
        "PAGE.ADD to shared memory",
        tdh_mem_page_add(1 << 47, tdr, page(), page()),
        0xc000_0100_0000_0001,
    );
    good("PAGE.ADD", tdh_mem_page_add(0x1000, tdr, page(), page()));
    bad("PAGE.ADD twice", tdh_mem_page_add(0x1000, tdr, page(), page()), 0xc000_0b0d_0000_0001);
    bad("MR.EXTEND not aligned", tdh_mr_extend(0x1080, tdr), 0xc000_0100_0000_0001);
    good("MR.EXTEND", tdh_mr_extend(0x1000, tdr));
    good("PAGE.AUG", tdh_mem_page_aug(0x2000, 0, tdr, page()));
    bad("PAGE.AUG twice", tdh_mem_page_aug(0x2000, 0, tdr, page()), 0xc000_0b0d_0000_0001);
    bad("PAGE.REMOVE before BLOCK", tdh_mem_page_remove(0x2000, 0, tdr), 0xc000_0b06_0000_0001);
    good("RANGE.BLOCK", tdh_mem_range_block(0x2000, 0, tdr));
    bad("RANGE.BLOCK twice", tdh_mem_range_block(0x2000, 0, tdr), 0x0000_0b07_0000_0000);
    good("PAGE.REMOVE", tdh_mem_page_remove(0x2000, 0, tdr));
}

fn finish(tdr: Hpa, tdvpr: Hpa) {
    good("MR.FINALIZE", tdh_mr_finalize(tdr));
    bad("MR.FINALIZE twice", tdh_mr_finalize(tdr), 0xc000_0608_0000_0000);
    bad(
        "PAGE.ADD after MR.FINALIZE",
        tdh_mem_page_add(0x3000, tdr, page(), page()),
        0xc000_0608_0000_0000,
    );
    bad("MR.EXTEND after MR.FINALIZE", tdh_mr_extend(0x1000, tdr), 0xc000_0608_0000_0000);
    let mut host = HostRegisters::default();
    bad("VP.ENTER of no virtual CPU", tdh_vp_enter(page(), 0, &mut host), 0xc000_0300_0000_0001);
    bad("VP.ENTER with reserved bits", tdh_vp_enter(tdvpr, 1, &mut host), 0xc000_0100_0000_0001);
    bad(
        "RESUME_L1 while L1 runs",
        tdh_vp_enter(tdvpr, RESUME_L1, &mut host),
        0xc000_0100_0000_0001,
    );
    bad("hint after a fault", tdh_vp_enter(tdvpr, 1 << 52, &mut host), 0xc000_0100_0000_0001);
    good("VP.ENTER", tdh_vp_enter(tdvpr, 0, &mut host));
    // The reset vector is not there: an EPT violation at 4 GiB - 16, its low bits hidden.
    let wanted = (48, 0xffff_f000);
    if (host.rax, host.r8) != wanted {
        let got = (host.rax, host.r8);
        console::error_exit(
            FAILED,
            format_args!("selftest: first exit {got:#x?}, wanted {wanted:#x?}"),
        );
    }
    log::info!("good: the first exit is an EPT violation at the reset vector");
}
