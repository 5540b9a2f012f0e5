// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's ports: which there are, and how L2 ends its run by them.
//!
//! The platform is one without legacy devices: no PIC, PIT, RTC, keyboard or PM timer. What
//! kernels probe nevertheless reads as ones and takes writes, here and not at the host, which would
//! cost an exit of the TD and let the host answer.
//!
//! | port         | what                                                       |
//! |--------------|------------------------------------------------------------|
//! | 0x64         | a keyboard controller that only resets: reads as zero      |
//! | 0x70, 0x71   | a clock that has stopped: reads as zero                    |
//! | 0xf4         | ends the run with a verdict                                |
//! | 0xf5         | chooses how device interrupts come: 0 posted, 1 proxied    |
//! | 0x3f8–0x3ff  | serial port                                                |
//! | 0x600, 0x601 | ACPI sleep control and status                              |
//! | 0x602        | ACPI reset register                                        |
//! | 0xcf8–0xcff  | PCI configuration space                                    |
//! | 0xcf9        | reset control, by accesses of one byte                     |
//! | 0x1000–      | ports of devices, where L2 has placed them                 |
//! | all others   | nothing                                                    |
//!
//! A clock that read as ones would say that it is being set, and a keyboard controller that it is
//! busy; kernels wait for both to end.
//!
//! Spec: ACPI "Sleep Control Register and Sleep Status Register", "Reset Register".

use crate::pci::ports::FIRST;

/// The first port of the serial port.
pub const SERIAL: u16 = 0x3f8;
/// Writing it ends the run.
pub const END_OF_RUN: u16 = 0xf4;
/// Writing it chooses how device interrupts come, as far as the host can do it.
pub const WAYS: u16 = 0xf5;
/// ACPI's sleep control register.
pub const SLEEP_CONTROL: u16 = 0x600;
/// ACPI's sleep status register.
pub const SLEEP_STATUS: u16 = 0x601;
/// ACPI's reset register.
pub const RESET: u16 = 0x602;
/// What the reset register wants written.
pub const RESET_VALUE: u8 = 1;
/// Where a PC's processor begins, and where real-mode code jumps that wants a reset.
pub const RESET_VECTOR: u64 = 0xf_fff0;
/// What L2 finds there: `mov dx, RESET; mov al, RESET_VALUE; out dx, al; hlt`, and once more. Linux
/// without EFI comes here if ACPI is hardware-reduced, before it would try ACPI's reset register.
pub const RESET_CODE: [u8; 9] = {
    let [low, high] = RESET.to_le_bytes();
    [0xba, low, high, 0xb0, RESET_VALUE, 0xee, 0xf4, 0xeb, 0xf7]
};
/// The sleep type of "soft off".
pub const SLEEP_TYPE_OFF: u8 = 5;

const KEYBOARD: u16 = 0x64;
const CLOCK: u16 = 0x70;
const CLOCK_LAST: u16 = 0x71;
const SERIAL_LAST: u16 = SERIAL + 7;
const RESET_CONTROL: u16 = 0xcf9;
const PCI: u16 = 0xcf8;
const PCI_LAST: u16 = 0xcff;

/// What is behind a port, for an access of a given size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Register 0–7 of the serial port.
    Serial(u8),
    /// The clock.
    Clock,
    /// The PCI bus.
    Pci,
    /// One of the registers by which L2 ends.
    Power(Power),
    /// How device interrupts come.
    Ways,
    /// A device's, if it has one there.
    Device,
    /// Nothing.
    Absent,
}

/// How L2 would have its devices' interrupts come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// Posted, where the host posts and a reserved vector is free; else proxied.
    Posted,
    /// Proxied, where the host can.
    Proxied,
}

impl Ways {
    /// What writing `value` to [`WAYS`] chooses, if anything.
    #[must_use]
    pub const fn chosen(value: u32) -> Option<Self> {
        match value {
            0 => Some(Self::Posted),
            1 => Some(Self::Proxied),
            _ => None,
        }
    }
}

/// The registers by which L2 ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// The verdict on the run.
    EndOfRun,
    /// ACPI's sleep control.
    SleepControl,
    /// ACPI's sleep status.
    SleepStatus,
    /// ACPI's reset register.
    Reset,
    /// The chipset's reset control.
    ResetControl,
    /// The keyboard controller's commands.
    Keyboard,
}

/// What a write to one of those registers means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing, or nothing that this platform has.
    None,
    /// The run is over, with this verdict: 0 is success.
    End(u32),
    /// To be switched off.
    Off,
    /// To be reset.
    Reset,
}

impl Port {
    /// What is behind `port` for an access of `size` bytes.
    #[must_use]
    pub const fn of(port: u16, size: u8) -> Self {
        match (port, size) {
            (END_OF_RUN, _) => Self::Power(Power::EndOfRun),
            (WAYS, 1) => Self::Ways,
            (KEYBOARD, 1) => Self::Power(Power::Keyboard),
            (CLOCK..=CLOCK_LAST, 1) => Self::Clock,
            (SERIAL..=SERIAL_LAST, 1) => Self::Serial(((port - SERIAL) & 7) as u8),
            (SLEEP_CONTROL, 1) => Self::Power(Power::SleepControl),
            (SLEEP_STATUS, 1) => Self::Power(Power::SleepStatus),
            (RESET, 1) => Self::Power(Power::Reset),
            (RESET_CONTROL, 1) => Self::Power(Power::ResetControl),
            (PCI..=PCI_LAST, _) => Self::Pci,
            (FIRST.., _) => Self::Device,
            _ => Self::Absent,
        }
    }
}

impl Power {
    /// What the register reads as: sleep control and status keep nothing, and nothing woke L2.
    #[must_use]
    pub const fn read(self) -> u32 {
        match self {
            Self::EndOfRun => u32::MAX,
            _ => 0,
        }
    }

    /// What writing `value` to it asks for. Other sleep types than "off" do not exist.
    #[must_use]
    pub const fn write(self, value: u32) -> Wish {
        const SLEEP_ENABLE: u32 = 1 << 5;
        const OFF: u32 = (SLEEP_TYPE_OFF as u32) << 2 | SLEEP_ENABLE;
        const TYPE: u32 = 7 << 2;
        const RESET_CPU: u32 = 1 << 2;
        const PULSE_RESET: u32 = 0xfe;
        match self {
            Self::EndOfRun => Wish::End(value),
            Self::SleepControl if value & (TYPE | SLEEP_ENABLE) == OFF => Wish::Off,
            Self::Reset if value == RESET_VALUE as u32 => Wish::Reset,
            Self::ResetControl if value & RESET_CPU != 0 => Wish::Reset,
            Self::Keyboard if value == PULSE_RESET => Wish::Reset,
            _ => Wish::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use iced_x86::{Code, Decoder};

    use super::{Port, Power, RESET, RESET_CODE, RESET_VALUE, RESET_VECTOR, Ways, Wish};

    #[test]
    fn the_reset_vector_leads_to_the_reset_register() {
        let code: Vec<_> = Decoder::with_ip(16, &RESET_CODE, RESET_VECTOR, 0).iter().collect();
        let shown: Vec<_> = code.iter().map(iced_x86::Instruction::code).collect();
        let (dx, al) = (Code::Mov_r16_imm16, Code::Mov_r8_imm8);
        assert_eq!(shown, [dx, al, Code::Out_DX_AL, Code::Hlt, Code::Jmp_rel8_16]);
        assert_eq!(code[0].immediate16(), RESET);
        assert_eq!(code[1].immediate8(), RESET_VALUE);
        assert_eq!(code[4].near_branch_target(), RESET_VECTOR & 0xffff);
    }

    #[test]
    fn ports_are_where_the_tables_say() {
        assert_eq!(Port::of(0x3f8, 1), Port::Serial(0));
        assert_eq!(Port::of(0x3ff, 1), Port::Serial(7));
        assert_eq!(Port::of(0x3f8, 2), Port::Absent, "its registers are bytes");
        assert_eq!(Port::of(0x71, 1), Port::Clock);
        assert_eq!(Port::of(0x600, 1), Port::Power(Power::SleepControl));
        assert_eq!(Port::of(0x601, 1), Port::Power(Power::SleepStatus));
        assert_eq!(Port::of(0x602, 1), Port::Power(Power::Reset));
        assert_eq!(Port::of(0xf4, 4), Port::Power(Power::EndOfRun));
    }

    #[test]
    fn a_way_is_chosen_by_a_byte() {
        assert_eq!((Port::of(0xf5, 1), Port::of(0xf5, 2)), (Port::Ways, Port::Absent));
        assert_eq!([0, 1, 2].map(Ways::chosen), [Some(Ways::Posted), Some(Ways::Proxied), None]);
    }

    #[test]
    fn reset_control_lies_within_the_ports_of_configuration_space() {
        assert_eq!(Port::of(0xcf8, 4), Port::Pci);
        assert_eq!(Port::of(0xcf9, 1), Port::Power(Power::ResetControl));
        assert_eq!(Port::of(0xcfb, 1), Port::Pci);
        assert_eq!(Port::of(0xcff, 1), Port::Pci);
        assert_eq!(Port::of(0xd00, 4), Port::Absent);
        assert_eq!((Port::of(0xfff, 4), Port::of(0x1000, 4)), (Port::Absent, Port::Device));
    }

    #[test]
    fn what_kernels_probe_is_absent() {
        for port in [0x20, 0x21, 0x40, 0x43, 0x60, 0x61, 0x80, 0xa0, 0x2f8, 0x4d0] {
            assert_eq!(Port::of(port, 1), Port::Absent);
        }
    }

    #[test]
    fn off_and_reset_are_told_from_all_else() {
        assert_eq!(Power::SleepControl.write(0x34), Wish::Off);
        assert_eq!(Power::SleepControl.write(0x14), Wish::None, "not enabled");
        assert_eq!(Power::SleepControl.write(0x24), Wish::None, "S1");
        assert_eq!(Power::Reset.write(1), Wish::Reset);
        assert_eq!(Power::Reset.write(0), Wish::None);
        assert_eq!(Power::ResetControl.write(0x06), Wish::Reset);
        assert_eq!(Power::ResetControl.write(0x02), Wish::None, "the kind alone");
        assert_eq!(Power::Keyboard.write(0xfe), Wish::Reset);
        assert_eq!(Power::Keyboard.write(0xd1), Wish::None);
        assert_eq!(Power::Keyboard.read() & 2, 0, "it takes commands");
        assert_eq!(Power::EndOfRun.write(1), Wish::End(1));
    }
}
