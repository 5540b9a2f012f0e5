// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever an L2 writes to its processor's registers, the models stay within what L1 may rely on.

use paravisor::{
    exit::control_register::{split_cr0, split_cr4},
    guest_memory::GuestMemory,
    hyperv::{
        hypercall::{self, Call},
        msr::{Effect, Registers, is_synthetic},
        tdvmcall,
    },
    kernel,
    local_apic::{
        LocalApic,
        command::{Command, Kind},
    },
    msr::{Register, classify, unknown::Unknown},
    page_walk::{Fault, Intent, Paging},
    segment::Room,
};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use tdcall::L2EnterGuestState;

/// Memory whose every byte is a function of its address.
struct Noise(u64);

impl GuestMemory for Noise {
    fn read(&self, gpa: u64, buffer: &mut [u8]) -> bool {
        for (byte, at) in buffer.iter_mut().zip(gpa..) {
            [.., *byte] = (at ^ self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        }
        true
    }

    fn write(&mut self, _: u64, _: &[u8]) -> bool {
        true
    }
}

/// Any value, and often one with few bits.
fn value() -> impl prop::strategy::Strategy<Value = u64> {
    use prop::strategy::{Strategy, Union};
    let few = (0_u32..64, 0_u64..0x200).prop_map(|(shift, bits)| bits << shift);
    Union::new([any::<u64>().boxed(), few.boxed(), any::<u32>().prop_map(u64::from).boxed()])
}

proptest! {
    #[test]
    fn a_local_apic_never_ends_a_period_twice_at_once(
        writes in prop::collection::vec((0x800_u32..0x850, value(), 0_u64..1 << 32), 0..100),
        ratio in 1_u64..1000,
    ) {
        let mut apic = LocalApic::new(1, ratio);
        let mut now: u64 = 0;
        for (msr, value, later) in writes {
            now += later;
            let _ = apic.write(msr, value, now);
            let _ = apic.read(msr, now);
            apic.timer.set_deadline(value);
            if apic.timer.expire(now) {
                prop_assert!(!apic.timer.expire(now), "there would be no time for anything else");
            }
        }
    }

    #[test]
    fn any_command_that_is_obeyed_is_one_a_cpu_takes(value in value(), sender in 0_u32..16) {
        if let Some(command) = Command::parse(value) {
            let to_itself = command.receivers.include(sender, sender);
            let by_shorthand = value >> 18 & 3 != 0;
            let is_interrupt = matches!(command.kind, Kind::Fixed(_));
            prop_assert!(is_interrupt || !(to_itself && by_shorthand), "{command:?}");
            if let Kind::Fixed(vector) = command.kind {
                prop_assert!(vector.get() >= 16);
            }
        }
    }

    #[test]
    fn any_control_register_is_refused_or_split_into_what_the_module_takes(value in value()) {
        if let Some(split) = split_cr0(value) {
            prop_assert_eq!(split.register & 0x6000_0020, 0x20, "NE set, CD and NW clear");
            prop_assert!(split.register >> 31 & 1 <= split.register & 1, "paging needs protection");
            prop_assert_eq!(split.register & !0x8005_003f, 0, "reserved bits");
        }
        if let Some(split) = split_cr4(value) {
            prop_assert_eq!(split.register & 0x2040, 0x2040, "VMXE and MCE set");
            prop_assert_eq!(split.shadow, value);
        }
    }

    #[test]
    fn only_l1s_own_models_answer_for_their_registers(msr in any::<u32>()) {
        let known = classify(msr);
        prop_assert_eq!(matches!(known, Register::Apic(_)), (0x800..0x900).contains(&msr));
        prop_assert!(!is_synthetic(msr) || msr >> 16 == 0x4000);
    }

    #[test]
    fn any_run_of_unknown_registers_gives_few_lines(
        msrs in prop::collection::vec(any::<u32>(), 0..2000),
    ) {
        let unknown = Unknown::new();
        let lines = msrs.iter().filter(|msr| unknown.count(**msr)).count();
        prop_assert!(lines <= paravisor::msr::unknown::MOST_LINES);
        prop_assert_eq!(unknown.accesses(), msrs.len() as u64);
    }

    #[test]
    fn any_access_faults_or_has_a_translation(
        words in any::<[u64; 4]>(), linear in value(), bits in 0_u8..8,
    ) {
        let [cr0, cr3, cr4, seed] = words;
        let intent = Intent {
            write: bits & 1 != 0,
            user: bits & 2 != 0,
            alignment_check: bits & 4 != 0,
        };
        for efer in [0, 1 << 10] {
            let (paging, memory) = (Paging { cr0, cr3, cr4, efer }, Noise(seed));
            match paging.translate_for(&memory, linear, intent) {
                Ok(gpa) => prop_assert_eq!(paging.translate(&memory, linear), Some(gpa)),
                Err(Fault::NotCanonical) => prop_assert_eq!(efer, 1 << 10),
                Err(Fault::Page(code)) => {
                    prop_assert_eq!(code & !1, u32::from(bits & 1) << 1 | u32::from(bits & 2) << 1);
                    let is_mapped = paging.translate(&memory, linear).is_some();
                    prop_assert_eq!(code & 1 != 0, is_mapped);
                }
            }
        }
    }

    #[test]
    fn any_hypercall_is_refused_or_lists_pages_of_one_page(control in value(), input in value()) {
        for control in [control, control & !0xffff | 0xdb] {
            if let Ok(Call::ModifyVisibility { input, start, count }) =
                hypercall::parse(control, input)
            {
                prop_assert!(start < count);
                prop_assert!(input % 4096 + 16 + 8 * count as u64 <= 4096);
            }
        }
    }

    #[test]
    fn any_tdcall_is_understood_or_refused(words in any::<[u64; 7]>(), leaf in 0_u64..3) {
        let mut state = L2EnterGuestState::new();
        [state.rcx, state.r10, state.r11, state.r12, state.r13, ..] = words;
        for (rax, rcx) in [(leaf, words[0]), (0, 0x3c00)] {
            (state.rax, state.rcx) = (rax, rcx);
            let _ = tdvmcall::parse(&state);
        }
    }

    #[test]
    fn pages_of_hyper_v_lie_in_l2s_memory(
        writes in prop::collection::vec((0x4000_0000_u32..0x4000_0120, value()), 0..50),
    ) {
        const END: u64 = 0x700_0000;
        let mut registers = Registers::NEW;
        for (msr, value) in writes {
            match registers.write(msr, value, END) {
                Ok(Effect::HypercallPage(gpa) | Effect::ReferenceTscPage(gpa)) => {
                    prop_assert!(gpa.is_multiple_of(4096) && gpa < END);
                }
                Ok(Effect::None | Effect::Crash(_)) | Err(_) => {}
            }
        }
    }

    #[test]
    fn any_multiboot_header_is_refused_or_obeyed_inside_ram(
        mut file in prop::collection::vec(any::<u8>(), 64..512),
        flags in prop::sample::select(vec![0_u32, 1, 2, 3, 4, 1 << 16, 1 << 16 | 3, u32::MAX]),
        fields in any::<[u32; 5]>(),
        small in any::<bool>(),
    ) {
        const MAGIC: u32 = 0x1bad_b002;
        let checksum = 0_u32.wrapping_sub(MAGIC).wrapping_sub(flags);
        let near = |field: u32| if small { field & 0x3ff | 0x10_0000 } else { field };
        let words = [MAGIC, flags, checksum].into_iter().chain(fields.map(near));
        for (place, word) in file.chunks_exact_mut(4).skip(2).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let taken = [0x20_0000..0x30_0000, 0x40_0000..0x40_1000];
        let room = Room { end: 0x100_0000, taken: &taken };
        if let Ok(plan) = kernel::plan(&file, &room, None) {
            for segment in plan.segments() {
                prop_assert!(segment.range().end <= 0x100_0000);
                prop_assert!(segment.bytes.len() as u64 <= segment.size);
            }
        }
    }
}
