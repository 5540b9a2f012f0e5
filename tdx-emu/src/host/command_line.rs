// SPDX-License-Identifier: MIT OR Apache-2.0
//! The emulator's command line: `key=value`, separated by blanks.
//!
//! | key            | value                                             | default               |
//! |----------------|---------------------------------------------------|-----------------------|
//! | `flavour`      | what the host speaks: `ghci`, or `hyperv`         | `ghci`                |
//! | `redirect`     | `0`: no device's interrupt becomes a vector of L1 (`hyperv`) | `1`        |
//! | `vmbus`        | the newest version of VMBus: `5.2`, `5.3`, `6.0` (`hyperv`) | `6.0`       |
//! | `rescind`      | packets after which the echo channel is taken away and offered again (`hyperv`) | never |
//! | `vcpus`        | virtual CPUs of the TD                            | all CPUs but one      |
//! | `memory`       | memory of the TD in MiB                           | `128`                 |
//! | `log`          | `off`, `error`, `warn`, `info`, `debug`, `trace`  | `info`                |
//! | `trace`        | `1`: report the last events                       | `0`                   |
//! | `relay_table`  | GPA of the paravisor's relay table                | none                  |
//! | `relay_stride` | bytes between its blocks                          | `0`                   |
//! | `devices`      | PCI ids given to the TD                           | `1234:11e8,1af4:1110` |
//! | `bridge`       | the ISA bridge that the TD sees: `own`, or at 00:01.0 `piix3` or `piix3-off` | `own` |
//! | `files`        | how files of QEMU are read: `requests` and bytes, or `bytes` | `requests`  |
//! | `unasked`      | `vector:count`: posted to the first CPU as it halts | none                |
//! | `campaign`     | rounds over all vectors on all virtual CPUs, once they have halted | `0`  |
//! | `flood`        | `lanes:total`: rung in bursts on each CPU, see `provoke` | none         |
//! | `sweep`        | `vector:lanes:starter:cpu[:echo]`: rung after each instruction of L1, see `provoke` | none |
//! | `hostile`      | a seed of what the host does to L1, see `whims.rs` | none                 |
//! | `smis`         | `plain:count`, or `machine-check`: hit L2 after the first CPU halted | none |
//! | `removal`      | `vendor:device:reads`: taken away when it was read so often | none  |
//! | `resume`       | who goes on when L2 was given memory: `l2`, or `l1` | `l2`                |
//! | `quotes`       | `honest`, `reverse`, `silent`, `double`, `early`, `at-once`, `late`, `length`, `garbage`, `never`, `refuse` | `honest` |
//! | `unnotified`   | a CPU that is refused the event notification      | none                  |
//! | `timer_advance_ns` | by so much a deadline of L1's timer ends early    | `0`                   |
//! | `conversion`   | of memory: `honest`, `parts`, `stuck`, `astray`, `refusal`, `lie`, `slow` | `honest` |

use core::fmt;

use super::{
    fw_cfg::Interfaces,
    hyperv,
    pci::{Removal, isa_bridge::Choice as Bridge},
    quote_manner::Manner,
};
use crate::provoke::{FloodPlan, SweepPlan};

/// Most kinds of device.
const DEVICES: usize = 8;

/// PCI vendor and device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PciId {
    /// Vendor.
    pub(crate) vendor: u16,
    /// Device.
    pub(crate) device: u16,
}

/// Interrupts that the host posts without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unasked {
    /// The vector.
    pub(crate) vector: u8,
    /// How many.
    pub(crate) count: u64,
}

/// System-management interrupts that hit L2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlannedSmis {
    /// So many that are none of the TD's business.
    Plain(u64),
    /// One that tells of a machine check.
    MachineCheck,
}

/// How the host converts memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// As it is asked to.
    #[default]
    Honest,
    /// Three pages a call, then it asks to be called again.
    Parts,
    /// Not at all: it asks to be called again, for ever.
    Stuck,
    /// Not at all: it asks to go on with memory that is not meant.
    Astray,
    /// Not at all: it refuses.
    Refusal,
    /// Not at all, and says that it did.
    Lie,
    /// All of it, but pages that it splits are out of reach for a while.
    Slow,
}

/// What the host speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// The GHCI and nothing else.
    Ghci,
    /// As Hyper-V does.
    Hyperv,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// Virtual CPUs of the TD; `None` for as many as there are CPUs besides the one that boots.
    pub(crate) vcpus: Option<usize>,
    /// Memory of the TD in bytes.
    pub(crate) memory: u64,
    /// What is logged.
    pub(crate) log: log::LevelFilter,
    /// Whether the last events are reported.
    pub(crate) trace: bool,
    /// GPA of the paravisor's relay table.
    pub(crate) relay_table: Option<u64>,
    /// Bytes between its blocks.
    pub(crate) relay_stride: u64,
    /// Interrupts that nobody asks for.
    pub(crate) unasked: Option<Unasked>,
    /// Rounds over all vectors on all virtual CPUs.
    pub(crate) campaign: u64,
    /// A device that is taken away.
    pub(crate) removal: Option<Removal>,
    /// What the host's whims begin with.
    pub(crate) hostile: Option<u64>,
    /// System-management interrupts.
    pub(crate) smis: Option<PlannedSmis>,
    /// What is rung without an end.
    pub(crate) flood: Option<FloodPlan>,
    /// What is rung after each instruction of L1.
    pub(crate) sweep: Option<SweepPlan>,
    /// Whether L1 goes on when L2 was given memory.
    pub(crate) resume_l1: bool,
    /// Nanoseconds by which a deadline of L1's timer ends early, as with KVM's parameter of that name.
    pub(crate) timer_advance_ns: u64,
    /// How memory is converted.
    pub(crate) conversion: Conversion,
    /// How quotes are made.
    pub(crate) quotes: Manner,
    /// A virtual CPU that is refused the event notification.
    pub(crate) unnotified: Option<usize>,
    /// What the host speaks.
    pub(crate) flavour: Flavour,
    /// What it does if that is what Hyper-V speaks.
    pub(crate) hyperv: hyperv::Options,
    /// The ISA bridge that the TD sees.
    pub(crate) bridge: Bridge,
    /// How it reads files of QEMU.
    pub(crate) files: Interfaces,
    devices: [Option<PciId>; DEVICES],
}

impl Default for CommandLine {
    fn default() -> Self {
        let mut devices = [None; DEVICES];
        devices[0] = Some(PciId { vendor: 0x1234, device: 0x11e8 });
        devices[1] = Some(PciId { vendor: 0x1af4, device: 0x1110 });
        Self {
            vcpus: None,
            memory: 128 << 20,
            log: log::LevelFilter::Info,
            trace: false,
            relay_table: None,
            relay_stride: 0,
            unasked: None,
            campaign: 0,
            hostile: None,
            smis: None,
            removal: None,
            flood: None,
            sweep: None,
            resume_l1: false,
            timer_advance_ns: 0,
            conversion: Conversion::Honest,
            quotes: Manner::Honest,
            unnotified: None,
            flavour: Flavour::Ghci,
            hyperv: hyperv::Options::default(),
            bridge: Bridge::default(),
            files: Interfaces::default(),
            devices,
        }
    }
}

/// Why a command line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error<'a> {
    /// No such key.
    UnknownKey(&'a str),
    /// The key does not take this value.
    BadValue {
        /// The key.
        key: &'a str,
        /// The value given.
        value: &'a str,
        /// What it takes.
        wanted: &'static str,
    },
    /// A word without `=`.
    NotAssigned(&'a str),
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(key) => write!(f, "command line: unknown key `{key}`"),
            Self::BadValue { key, value, wanted } => {
                write!(f, "command line: {key}={value}: wanted {wanted}")
            }
            Self::NotAssigned(word) => write!(f, "command line: `{word}` is not key=value"),
        }
    }
}

impl CommandLine {
    /// Reads a command line.
    pub(crate) fn parse(text: &str) -> Result<Self, Error<'_>> {
        let mut parsed = Self::default();
        for word in text.split_ascii_whitespace() {
            let (key, value) = word.split_once('=').ok_or(Error::NotAssigned(word))?;
            parsed.set(key, value)?;
        }
        Ok(parsed)
    }

    /// The kinds of device that the TD gets.
    pub(crate) fn devices(&self) -> impl Iterator<Item = PciId> {
        self.devices.iter().copied().flatten()
    }

    fn set<'a>(&mut self, key: &'a str, value: &'a str) -> Result<(), Error<'a>> {
        let bad = |wanted| Error::BadValue { key, value, wanted };
        match key {
            "flavour" => self.flavour = flavour(value).ok_or(bad("`ghci` or `hyperv`"))?,
            "redirect" | "vmbus" | "rescind" => {
                self.hyperv.set(key, value).ok_or(bad("0 or 1, a version, or a number"))?;
            }
            "vcpus" => {
                let wanted = value.parse().ok().filter(|vcpus| *vcpus != 0);
                self.vcpus = Some(wanted.ok_or(bad("a number of CPUs"))?);
            }
            "memory" => {
                self.memory = memory(value).ok_or(bad("an even number of MiB, 32 to 2048"))?;
            }
            "log" => self.log = value.parse().map_err(|_| bad("a log level"))?,
            "trace" => self.trace = flag(value).ok_or(bad("0 or 1"))?,
            "relay_table" => {
                self.relay_table = Some(hex(value).ok_or(bad("a hexadecimal address"))?);
            }
            "relay_stride" => {
                self.relay_stride = value.parse().map_err(|_| bad("a number of bytes"))?;
            }
            "devices" => self.devices = devices(value).ok_or(bad("up to 8 vendor:device"))?,
            "unasked" => self.unasked = Some(unasked(value).ok_or(bad("vector:count"))?),
            "campaign" => self.campaign = number(value).ok_or(bad("a number of rounds"))?,
            "removal" => {
                self.removal = Some(removal(value).ok_or(bad("vendor:device:reads"))?);
            }
            "hostile" => self.hostile = Some(number(value).ok_or(bad("a number"))?),
            "smis" => self.smis = Some(smis(value).ok_or(bad("plain:count, or machine-check"))?),
            "flood" => self.flood = Some(flood(value).ok_or(bad("lanes:total"))?),
            "sweep" => {
                self.sweep = Some(sweep(value).ok_or(bad("vector:lanes:starter:cpu[:echo]"))?);
            }
            "bridge" => {
                self.bridge = Bridge::named(value).ok_or(bad("`own`, `piix3` or `piix3-off`"))?;
            }
            "files" => self.files = Interfaces::named(value).ok_or(bad("`requests` or `bytes`"))?,
            "resume" => self.resume_l1 = is_l1(value).ok_or(bad("`l1` or `l2`"))?,
            "timer_advance_ns" => {
                self.timer_advance_ns = number(value).ok_or(bad("a number of nanoseconds"))?;
            }
            "conversion" => {
                self.conversion = conversion(value).ok_or(bad("a manner of conversion"))?;
            }
            "quotes" => self.quotes = Manner::named(value).ok_or(bad("a manner of quoting"))?,
            "unnotified" => {
                self.unnotified = Some(value.parse().map_err(|_| bad("a number of a CPU"))?);
            }
            _ => return Err(Error::UnknownKey(key)),
        }
        Ok(())
    }
}

/// The TD's memory ends below the devices, and L1 wants room for itself and for an L2.
fn memory(value: &str) -> Option<u64> {
    let mib: u64 = value.parse().ok()?;
    ((32..=2048).contains(&mib) && mib.is_multiple_of(2)).then_some(mib << 20)
}

fn flavour(value: &str) -> Option<Flavour> {
    match value {
        "ghci" => Some(Flavour::Ghci),
        "hyperv" => Some(Flavour::Hyperv),
        _ => None,
    }
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

fn is_l1(value: &str) -> Option<bool> {
    match value {
        "l1" => Some(true),
        "l2" => Some(false),
        _ => None,
    }
}

fn hex(value: &str) -> Option<u64> {
    u64::from_str_radix(value.strip_prefix("0x").unwrap_or(value), 16).ok()
}

/// A number as in Rust.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| hex(text.strip_prefix("0x")?))
}

/// How many reserved vectors of each CPU are rung, and how many interrupts that makes.
fn flood(value: &str) -> Option<FloodPlan> {
    let (lanes, total) = value.split_once(':')?;
    let lanes = lanes.parse().ok().filter(|lanes| (1..=32).contains(lanes))?;
    Some(FloodPlan { lanes, total: total.parse().ok()? })
}

/// Reserved vectors to be rung: the first, how many, the one that makes L2 exit or 0, and whose they are; and the
/// vector that L2 sends for each of them, if it does.
fn sweep(value: &str) -> Option<SweepPlan> {
    let mut parts = value.split(':').map(|part| number(part).and_then(|n| u8::try_from(n).ok()));
    let mut next = || parts.next().flatten();
    let reserved = |vector: &u8| (0x40..=0x5f).contains(vector);
    let vector = next().filter(reserved)?;
    let lanes = next().filter(|lanes| *lanes <= 32)?;
    let starter = next().filter(|starter| *starter == 0 || reserved(starter))?;
    let target = next().filter(|target| *target < 16)?;
    let starter = (starter != 0).then_some(starter);
    let echo = match parts.next() {
        Some(echo) => Some(echo.filter(|echo| *echo >= 16)?),
        None => None,
    };
    parts.next().is_none().then_some(SweepPlan { vector, lanes, starter, target, echo })
}

fn unasked(value: &str) -> Option<Unasked> {
    let (vector, count) = value.split_once(':')?;
    let vector = u8::try_from(number(vector)?).ok().filter(|vector| *vector >= 31)?;
    Some(Unasked { vector, count: number(count)? })
}

fn smis(value: &str) -> Option<PlannedSmis> {
    match value.split_once(':') {
        None if value == "machine-check" => Some(PlannedSmis::MachineCheck),
        Some(("plain", count)) => number(count).map(PlannedSmis::Plain),
        _ => None,
    }
}

fn conversion(value: &str) -> Option<Conversion> {
    Some(match value {
        "honest" => Conversion::Honest,
        "parts" => Conversion::Parts,
        "stuck" => Conversion::Stuck,
        "astray" => Conversion::Astray,
        "refusal" => Conversion::Refusal,
        "lie" => Conversion::Lie,
        "slow" => Conversion::Slow,
        _ => return None,
    })
}

fn removal(value: &str) -> Option<Removal> {
    let (id, reads) = value.rsplit_once(':')?;
    let [Some(id), None, ..] = devices(id)? else { return None };
    Some(Removal { id, reads: reads.parse().ok()? })
}

fn devices(value: &str) -> Option<[Option<PciId>; DEVICES]> {
    let mut devices = [None; DEVICES];
    for (index, id) in value.split(',').filter(|id| !id.is_empty()).enumerate() {
        let (vendor, device) = id.split_once(':')?;
        let part = |digits| u16::from_str_radix(digits, 16).ok();
        *devices.get_mut(index)? = Some(PciId { vendor: part(vendor)?, device: part(device)? });
    }
    Some(devices)
}

#[cfg(test)]
mod tests;
