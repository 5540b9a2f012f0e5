// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which guest, told by options that running and building an image have in common.

use core::{convert::Infallible, fmt, str::FromStr};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tdvf::payload::GuestKind;

use crate::{
    Failure, Result,
    builds::Builds,
    debian_kernel::{self, Series},
    guest::{Guest, read},
    image::guest_of,
    initramfs,
};

/// The command line of our own guest unless another one is asked for.
const RELAY_LINE: &str = "scenario=demo";

/// The first Linux that understands the identity of Hyper-V's paravisor.
const KNOWS_HYPERV: (u32, u32) = (6, 12);

/// What an option means that was not given: a guest's memory in MiB, and seconds for a run.
const SMALL: (u32, u64) = (128, 120);
const LINUX: (u32, u64) = (512, 900);

#[derive(Debug, clap::Args)]
pub(super) struct GuestOptions {
    /// The guest: `relay` (our own), `linux`, or a kernel with a PVH note or a multiboot header
    #[arg(long, value_name = "KIND|PATH", default_value = "relay")]
    guest: Which,
    /// The Linux kernel: Debian's 6.1 or 6.12, or a bzImage [default: 6.12]
    #[arg(long, value_name = "SERIES|PATH")]
    kernel: Option<Kernel>,
    /// The initial RAM disk of Linux, in place of our own, or the module of another kernel
    #[arg(long, value_name = "PATH")]
    initrd: Option<PathBuf>,
    /// A shell script for our own initial RAM disk to run in place of its test
    #[arg(long, value_name = "PATH", conflicts_with = "initrd")]
    script: Option<PathBuf>,
    /// The guest's command line; for Linux, words behind those it needs [default: scenario=demo for
    /// our own guest]
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    append: Option<String>,
    /// What the guest takes the paravisor for [default: hyperv for our own guest and for Linux with a
    /// disk, else kvm]
    #[arg(long, value_enum)]
    identity: Option<Identity>,
    /// How the guest starts its other CPUs
    #[arg(long, value_enum, default_value_t = Wake::Mailbox)]
    wake: Wake,
    /// More words for the paravisor's command line
    #[arg(long, value_name = "WORDS")]
    paravisor: Option<String>,
}

/// Which guest.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Which {
    Relay,
    Linux,
    File(PathBuf),
}

impl FromStr for Which {
    type Err = Infallible;

    fn from_str(text: &str) -> core::result::Result<Self, Infallible> {
        Ok(match text {
            "relay" => Self::Relay,
            "linux" => Self::Linux,
            path => Self::File(path.into()),
        })
    }
}

/// Which Linux kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kernel {
    Debian(Series),
    File(PathBuf),
}

impl FromStr for Kernel {
    type Err = Infallible;

    fn from_str(text: &str) -> core::result::Result<Self, Infallible> {
        let series = Series::ALL.into_iter().find(|series| series.to_string() == text);
        Ok(series.map_or_else(|| Self::File(text.into()), Self::Debian))
    }
}

/// What the guest takes the paravisor for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Identity {
    /// KVM without features: any guest
    Kvm,
    /// Hyper-V's paravisor in a TD: Linux 6.12 and newer, which then can use devices
    Hyperv,
}

/// How the guest starts its other CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wake {
    /// By the mailbox of the ACPI tables
    Mailbox,
    /// By INIT and SIPI, in real mode
    Sipi,
}

/// Whether the guest gets a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    /// It gets none.
    None,
    /// It gets one.
    Any,
    /// It gets one whose contents it shall check.
    Test,
}

/// What the options come to.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    /// The guest, unless it is our own, which must be built first.
    guest: Option<Guest>,
    /// The guest's command line.
    pub(super) guest_line: String,
    /// Words for the paravisor.
    pub(super) paravisor: String,
    /// The devices that the TD gets, unless the usual ones.
    pub(super) devices: Option<&'static str>,
    /// MiB of the TD unless something else is asked for.
    pub(super) memory: u32,
    /// Seconds that a run may take unless something else is asked for.
    pub(super) timeout: u64,
}

impl GuestOptions {
    /// Reads the guest's files and checks that all fits together.
    pub(super) fn prepare(&self, disk: Disk) -> Result<Prepared> {
        let (mut prepared, identity) = match &self.guest {
            Which::Relay => (self.relay(disk)?, self.identity.or(Some(Identity::Hyperv))),
            Which::Linux => self.linux(disk)?,
            Which::File(path) => (self.file(path, disk)?, self.identity),
        };
        let mut words: Vec<_> = self.paravisor.iter().map(|words| words.trim()).collect();
        words.extend((identity == Some(Identity::Hyperv)).then_some("identity=hyperv"));
        words.extend((self.wake == Wake::Sipi).then_some("wake=sipi"));
        prepared.paravisor = words.join(" ");
        Ok(prepared)
    }

    /// Whether the guest is Linux.
    pub(super) fn is_linux(&self) -> bool {
        self.guest == Which::Linux
    }

    fn relay(&self, disk: Disk) -> Result<Prepared> {
        if disk != Disk::None {
            return Err(Failure::new("--disk is of no use to our own guest"));
        }
        let no_use = [("kernel", self.kernel.is_some()), ("initrd", self.initrd.is_some())];
        self.refuse(&no_use)?;
        let line = self.append.clone().unwrap_or_else(|| RELAY_LINE.to_owned());
        Ok(Prepared { guest_line: line, ..Prepared::given() })
    }

    fn file(&self, path: &Path, disk: Disk) -> Result<Prepared> {
        self.refuse(&[("kernel", self.kernel.is_some())])?;
        let guest = Guest::file(path, self.initrd()?)?;
        let guest_line = self.append.clone().unwrap_or_default();
        let devices = (disk != Disk::None).then_some(NVME);
        Ok(Prepared { guest: Some(guest), guest_line, devices, ..Prepared::given() })
    }

    /// Refuses options that only Linux has a use for.
    fn refuse(&self, no_use: &[(&str, bool)]) -> Result<()> {
        let script = ("script", self.script.is_some());
        match no_use.iter().chain([&script]).find(|(_, given)| *given) {
            Some((option, _)) => {
                Err(Failure::new(format!("--{option} is of no use to this guest: --guest linux?")))
            }
            None => Ok(()),
        }
    }

    fn linux(&self, disk: Disk) -> Result<(Prepared, Option<Identity>)> {
        let kernel = self.linux_kernel()?;
        // Our own comes from a cache, or the network, so what can fail sooner goes first.
        let given = self.initrd()?;
        let script = self.script.as_deref().map(read).transpose()?;
        let guest = Guest::linux(&kernel, None)?;
        let identity = self.linux_identity(disk, guest.linux_version(), &kernel)?;
        let initrd = match given {
            Some(initrd) => initrd,
            None => initramfs::build(script.as_deref())?,
        };
        let test = if disk == Disk::Test { "lychgate_test=nvme" } else { "" };
        let more = self.append.as_deref().unwrap_or_default();
        let words = [initramfs::COMMAND_LINE, test, more.trim()];
        let words: Vec<_> = words.into_iter().filter(|words| !words.is_empty()).collect();
        let (memory, timeout) = LINUX;
        let prepared = Prepared {
            guest: Some(guest.with_initrd(initrd)),
            guest_line: words.join(" "),
            // Linux has no drivers for the devices that our own guest has.
            devices: Some(if disk == Disk::None { "" } else { NVME }),
            memory,
            timeout,
            ..Prepared::given()
        };
        Ok((prepared, Some(identity)))
    }

    fn linux_kernel(&self) -> Result<PathBuf> {
        match self.kernel.clone().unwrap_or(Kernel::Debian(Series::V6_12)) {
            Kernel::File(path) => Ok(path),
            Kernel::Debian(series) => Ok(debian_kernel::kernel(series)?.path),
        }
    }

    /// Decides what this Linux takes the paravisor for, and whether it can use a disk then.
    fn linux_identity(
        &self,
        disk: Disk,
        version: Option<(u32, u32)>,
        kernel: &Path,
    ) -> Result<Identity> {
        let knows = version >= Some(KNOWS_HYPERV);
        let default = if knows && disk != Disk::None { Identity::Hyperv } else { Identity::Kvm };
        let identity = self.identity.unwrap_or(default);
        let (need, needs) = KNOWS_HYPERV;
        let found = Version(version);
        let refuse = |what: &str| {
            let kernel = kernel.display();
            Err(Failure::new(format!("{what} Linux {need}.{needs} or newer; {kernel} is {found}")))
        };
        match identity {
            Identity::Hyperv if !knows => refuse("--identity hyperv needs"),
            Identity::Kvm if disk != Disk::None && !knows => refuse("--disk needs"),
            Identity::Kvm if disk != Disk::None => {
                Err(Failure::new("--disk is of no use with --identity kvm, which hides devices"))
            }
            _ => Ok(identity),
        }
    }

    fn initrd(&self) -> Result<Option<Vec<u8>>> {
        self.initrd.as_deref().map(read).transpose()
    }
}

/// QEMU's NVMe disk.
const NVME: &str = "1b36:0010";

/// A kernel's version, for a person.
struct Version(Option<(u32, u32)>);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((major, minor)) => write!(f, "{major}.{minor}"),
            None => f.write_str("of unknown version"),
        }
    }
}

impl Prepared {
    /// For an image that is there already.
    pub(super) fn of_image(image: &tdvf::Image<'_>, disk: Disk) -> Self {
        let mut prepared = Self::given();
        prepared.devices = (disk != Disk::None).then_some(NVME);
        if guest_of(image).is_some_and(|guest| guest.kind == GuestKind::Linux) {
            (prepared.memory, prepared.timeout) = LINUX;
            prepared.devices.get_or_insert_default();
        }
        prepared
    }

    /// For our own guest.
    fn given() -> Self {
        let (memory, timeout) = SMALL;
        Self {
            guest: None,
            guest_line: String::new(),
            paravisor: String::new(),
            devices: None,
            memory,
            timeout,
        }
    }

    /// The guest.
    pub(super) fn guest(&self, builds: &Builds) -> Result<Guest> {
        match &self.guest {
            Some(guest) => Ok(guest.clone()),
            None => Guest::relay(builds),
        }
    }
}
