// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtual CPU: TDVPR and TDVPS.
//!
//! One set of general registers serves L1 and its L2 VMs; everything else that a VMCS holds exists
//! once for each. Whoever holds the lock of a `Vcpu` *is* the CPU that the virtual CPU is
//! associated with.
//!
//! Spec: TDX-BASE "TD VCPU"; TDX-TDP "TD VCPU and TD Partitioning".

use alloc::{boxed::Box, vec::Vec};

use spin::{Mutex, MutexGuard};
use tdcall::{
    exit_reason::ExitReason,
    interruption_info::InterruptionInfo,
    status::{OperandId, Status},
};

use super::{
    system,
    td::{MAX_L2_VMS, Td},
    vmcs::Vmcs,
};
use crate::svm::{
    guest_memory::GuestMemory, physical::Hpa, virtual_apic::VirtualApic, vmcb::Vmcb, vmrun::Gprs,
};

/// Pages of TDVPS before those for L2 VMs, TDVPR included.
pub(crate) const TDVPS_BASE_PAGES: usize = 6;

/// Pages of TDVPS for each L2 VM.
pub(crate) const TDVPS_PAGES_PER_L2: usize = 3;

/// Life of a virtual CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VcpuState {
    /// Created.
    Uninitialized,
    /// May be entered.
    Ready,
    /// L1 shut it down by a triple fault.
    Disabled,
}

/// How the virtual CPU left to the host last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastTdExit {
    /// Asynchronously; the interrupted instruction starts again.
    AsyncFault,
    /// By `TDG.VP.VMCALL`: the host's answer is due at the next entry.
    Tdvmcall,
}

/// Whether the host decided that L1 sees the exit that L2 left to the host with. It stays until
/// L1 really runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostRouted {
    /// It did not.
    None,
    /// An asynchronous exit.
    Async,
    /// A `TDG.VP.VMCALL` of L2.
    Tdvmcall,
}

/// A virtualization exception (#VE) of L1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VirtualizationException {
    /// Exit reason.
    pub(crate) reason: ExitReason,
    /// Exit qualification.
    pub(crate) qualification: u64,
    /// Guest linear address.
    pub(crate) gla: u64,
    /// Guest-physical address.
    pub(crate) gpa: u64,
    /// Instruction length in bytes.
    pub(crate) length: u32,
    /// Instruction information.
    pub(crate) information: u32,
}

/// Posted-interrupt set-up by the host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PostedInterrupts {
    /// Notification vector.
    pub(crate) vector: Option<u8>,
    /// The descriptor, in shared memory.
    pub(crate) descriptor: Option<Hpa>,
    /// Pin-based control "process posted interrupts".
    pub(crate) enabled: bool,
}

/// One virtual machine of a virtual CPU.
#[derive(Debug)]
pub(crate) struct Vm {
    /// Its VMCS.
    pub(crate) vmcs: Vmcs,
    /// Its virtual-APIC page; `None` for an L2 VM whose page is not (or no longer) known.
    pub(crate) apic: Option<VirtualApic>,
    /// Its shared EPT, as the host registered it.
    pub(crate) shared_eptp: Option<Hpa>,
}

/// What exists for an L2 VM only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct L2 {
    /// `L2_CTLS`.
    pub(crate) controls: u64,
    /// `TSC_DEADLINE`, in the TD's time; all ones is off.
    pub(crate) tsc_deadline: u64,
    /// Guest-physical address of the guest state given to `TDG.VP.ENTER` last.
    pub(crate) enter_state_gpa: u64,
    /// Its place in the machine, if still known.
    pub(crate) enter_state: Option<Hpa>,
    /// Guest-physical address of the virtual-APIC page, if L1 has set one.
    pub(crate) apic_gpa: Option<u64>,
    /// L1's MSR bitmap.
    pub(crate) msr_bitmap: Hpa,
}

/// A virtual CPU.
#[derive(Debug)]
pub(crate) struct Vcpu {
    /// The TD that it belongs to.
    pub(crate) td: &'static Td,
    /// Number in the TD.
    pub(crate) index: u32,
    /// See [`VcpuState`].
    pub(crate) state: VcpuState,
    /// Pages given by `TDH.VP.ADDCX`.
    pub(crate) tdcx: Vec<Hpa>,
    /// The one set of general registers.
    pub(crate) gprs: Gprs,
    /// 0 for L1, else the number of the L2 VM that runs.
    pub(crate) current: usize,
    /// L1 and the L2 VMs; empty before `TDH.VP.INIT`.
    pub(crate) vms: Vec<Vm>,
    /// L2 VMs, counted from 0.
    pub(crate) l2: [L2; MAX_L2_VMS],
    /// See [`LastTdExit`].
    pub(crate) last_td_exit: LastTdExit,
    /// See [`HostRouted`].
    pub(crate) host_routed: HostRouted,
    /// Register mask of the `TDG.VP.VMCALL` that the host answers.
    pub(crate) vmcall_mask: u64,
    /// The #VE that L1 has not fetched yet.
    pub(crate) ve: Option<VirtualizationException>,
    /// #VE for every CPUID of supervisor and of user code.
    pub(crate) cpuid_ve: u8,
    /// `PEND_NMI`.
    pub(crate) pending_nmi: bool,
    /// Posted interrupts.
    pub(crate) posted: PostedInterrupts,
    /// `IA32_XSS`, which TCG does not have.
    pub(crate) xss: u64,
    /// A single step of L1 has just ended.
    pub(crate) stepped: bool,
    /// Epoch of the TD when the caches of host-physical addresses were filled.
    pub(crate) epoch: u64,
}

static VCPUS: Mutex<Vec<(Hpa, &'static Mutex<Vcpu>)>> = Mutex::new(Vec::new());

impl Vcpu {
    /// Creates a virtual CPU of `td`, named by the page `tdvpr`.
    pub(crate) fn create(tdvpr: Hpa, td: &'static Td) -> Result<(), Status> {
        let mut vcpus = VCPUS.lock();
        if vcpus.iter().any(|(page, _)| *page == tdvpr) {
            return Err(Status::PAGE_METADATA_INCORRECT.with_operand(OperandId::RCX));
        }
        let l2 = L2 {
            controls: 0,
            tsc_deadline: u64::MAX,
            enter_state_gpa: u64::MAX,
            enter_state: None,
            apic_gpa: None,
            msr_bitmap: 0,
        };
        let vcpu = Self {
            td,
            index: 0,
            state: VcpuState::Uninitialized,
            tdcx: Vec::new(),
            gprs: Gprs::default(),
            current: 0,
            vms: Vec::new(),
            l2: [l2; MAX_L2_VMS],
            last_td_exit: LastTdExit::AsyncFault,
            host_routed: HostRouted::None,
            vmcall_mask: 0,
            ve: None,
            cpuid_ve: 0,
            pending_nmi: false,
            posted: PostedInterrupts::default(),
            xss: 0,
            stepped: false,
            epoch: 0,
        };
        vcpus.push((tdvpr, Box::leak(Box::new(Mutex::new(vcpu)))));
        Ok(())
    }

    /// Locks the virtual CPU named by `tdvpr`, operand RCX of a SEAMCALL.
    ///
    /// # Errors
    ///
    /// `PAGE_METADATA_INCORRECT`; `VCPU_ASSOCIATED` while another CPU has it.
    pub(crate) fn lock(tdvpr: Hpa) -> Result<MutexGuard<'static, Self>, Status> {
        system::check_ready()?;
        let found = VCPUS.lock().iter().find(|(page, _)| *page == tdvpr).map(|(_, vcpu)| *vcpu);
        let vcpu = found.ok_or(Status::PAGE_METADATA_INCORRECT.with_operand(OperandId::RCX))?;
        vcpu.try_lock().ok_or(Status::VCPU_ASSOCIATED)
    }

    /// The virtual machine that runs.
    pub(crate) fn vm(&self) -> &Vm {
        &self.vms[self.current]
    }

    /// The virtual machine that runs.
    pub(crate) fn vm_mut(&mut self) -> &mut Vm {
        &mut self.vms[self.current]
    }

    /// VMCB of the virtual machine that runs.
    pub(crate) fn vmcb(&self) -> Vmcb {
        self.vm().vmcs.vmcb
    }

    /// VMCB of L1.
    pub(crate) fn l1_vmcb(&self) -> Vmcb {
        self.vms[0].vmcs.vmcb
    }

    /// Number of L2 VMs.
    pub(crate) fn l2_vms(&self) -> usize {
        self.vms.len().saturating_sub(1)
    }

    /// Turns to virtual machine `vm`: what L1 and its L2 VMs share moves along.
    pub(crate) fn switch_to(&mut self, vm: usize) {
        let (from, to) = (self.vmcb(), self.vms[vm].vmcs.vmcb);
        to.set_star(from.star());
        to.set_lstar(from.lstar());
        to.set_cstar(from.cstar());
        to.set_sfmask(from.sfmask());
        to.set_kernel_gs_base(from.kernel_gs_base());
        to.set_cr2(from.cr2());
        to.set_dr6(from.dr6());
        self.current = vm;
    }

    /// Makes `event` the one to inject when the current virtual machine is entered next.
    pub(crate) fn inject(&mut self, event: InterruptionInfo, error_code: u32) {
        let vmcs = &mut self.vm_mut().vmcs;
        vmcs.entry_interruption = event;
        vmcs.entry_error_code = error_code;
    }

    /// Injects exception `vector` without error code.
    pub(crate) fn inject_exception(&mut self, vector: u8) {
        self.inject(InterruptionInfo::hardware_exception(vector), 0);
    }

    /// Injects exception `vector` with error code 0.
    pub(crate) fn inject_exception_with_error(&mut self, vector: u8) {
        let event = InterruptionInfo::hardware_exception(vector).with_error_code_valid(true);
        self.inject(event, 0);
    }
}

/// Linear address of the next instruction of whatever runs on the virtual CPU `tdvpr`, as a hardware
/// debugger would read it; for the emulator's own messages, never for the host. 0 if it is not
/// known.
pub(crate) fn debug_rip(tdvpr: Hpa) -> u64 {
    let vcpu = Vcpu::lock(tdvpr).ok().filter(|vcpu| !vcpu.vms.is_empty());
    vcpu.map_or(0, |vcpu| GuestMemory(vcpu.vmcb()).instruction_pointer())
}

/// Whether L1 has a table of interrupts on the virtual CPU `tdvpr`, as a hardware debugger would see it; for the
/// emulator's own decisions, never for the host. False while it runs.
pub(crate) fn debug_has_table(tdvpr: Hpa) -> bool {
    let vcpu = Vcpu::lock(tdvpr).ok().filter(|vcpu| !vcpu.vms.is_empty());
    vcpu.is_some_and(|vcpu| vcpu.l1_vmcb().idtr_base() != 0)
}

/// Vectors of exceptions.
pub(crate) mod exception {
    /// Debug.
    pub(crate) const DB: u8 = 1;
    /// Invalid opcode.
    pub(crate) const UD: u8 = 6;
    /// Double fault.
    pub(crate) const DF: u8 = 8;
    /// General protection.
    pub(crate) const GP: u8 = 13;
    /// Virtualization exception.
    pub(crate) const VE: u8 = 20;
}
