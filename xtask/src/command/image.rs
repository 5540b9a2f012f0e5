// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask image`: the image, what it measures as, and checksums, side by side.
//!
//! The same source and compiler give the same bytes in whatever directory they are built.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tdvf::mrtd::{Order, measure};

use super::guest_options::{Disk, GuestOptions};
use crate::{
    Result,
    builds::Builds,
    failure::Context,
    image::{Image, RelayTable},
    paths,
    progress::say,
};

/// The image's name unless another one is asked for.
const NAME: &str = "lychgate.fd";

/// What stands beside an image.
const MEASUREMENTS: &str = "measurements.json";
const CHECKSUMS: &str = "SHA256SUMS";

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Where to put the image
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    #[command(flatten)]
    guest: GuestOptions,
    /// What the TD starts
    #[arg(long, value_enum, default_value_t = L1::Paravisor)]
    l1: L1,
}

/// What a TD can start.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum L1 {
    /// The paravisor, with a guest
    Paravisor,
    /// The check of the TDX module, which takes no options
    TdProbe,
}

/// What a verifier must know of an image, and what an observer may want to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measurements {
    image: String,
    sha256: String,
    mrtd: Mrtd,
    sections: Vec<SectionInfo>,
    /// Where the paravisor keeps its relay blocks.
    relay_table: Option<String>,
    relay_stride: Option<u64>,
}

/// The measurement by the order in which a host adds and measures pages.
#[derive(Debug, Serialize, Deserialize)]
struct Mrtd {
    page_by_page: String,
    section_by_section: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct SectionInfo {
    kind: u32,
    address: String,
    size: String,
    measured: bool,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let image = match options.l1 {
        L1::Paravisor => {
            let prepared = options.guest.prepare(Disk::None)?;
            let builds = Builds::make()?;
            let guest = prepared.guest(&builds)?;
            Image::assemble(&builds, &prepared.paravisor, &guest, &prepared.guest_line)?
        }
        L1::TdProbe => Image::of_probe(&Builds::make()?)?,
    };
    let path = match &options.output {
        Some(path) => path.clone(),
        None => paths::images()?.join(NAME),
    };
    write(&image, &path)?;
    Ok(ExitCode::SUCCESS)
}

fn write(image: &Image, path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let measurements = Measurements::of(image, &name)?;
    let json = serde_json::to_string_pretty(&measurements)
        .context(|| "cannot write measurements".to_owned())?;
    let json = format!("{json}\n");
    let checksums =
        format!("{}  {name}\n{}  {MEASUREMENTS}\n", measurements.sha256, sha256(json.as_bytes()));
    if let Some(directory) = path.parent() {
        paths::created(directory.to_owned())?;
    }
    let files: [(PathBuf, &[u8]); 3] = [
        (path.to_owned(), &image.bytes),
        (path.with_file_name(MEASUREMENTS), json.as_bytes()),
        (path.with_file_name(CHECKSUMS), checksums.as_bytes()),
    ];
    for (path, contents) in files {
        fs::write(&path, contents).context(|| format!("cannot write {}", path.display()))?;
    }
    say("image", &format!("{} ({} KiB)", path.display(), image.bytes.len() / 1024));
    say("MRTD", &measurements.mrtd.page_by_page);
    Ok(())
}

impl Measurements {
    fn of(image: &Image, name: &str) -> Result<Self> {
        let parsed = tdvf::parse(&image.bytes).context(|| name.to_owned())?;
        let sections = parsed.sections().iter().map(|section| SectionInfo {
            kind: section.kind().0,
            address: format!("{:#x}", section.memory_address()),
            size: format!("{:#x}", section.memory_size()),
            measured: section.measured(),
        });
        Ok(Self {
            image: name.to_owned(),
            sha256: sha256(&image.bytes),
            mrtd: Mrtd {
                page_by_page: hex(&measure(&parsed, Order::Page)),
                section_by_section: hex(&measure(&parsed, Order::TwoPass)),
            },
            sections: sections.collect(),
            relay_table: image.relay_table.map(|table| format!("{:#x}", table.address)),
            relay_stride: image.relay_table.map(|table| table.stride),
        })
    }

    /// Returns where the relay blocks of the image at `path` are, if the file beside it says so
    /// and is about these very bytes.
    pub(super) fn relay_table_beside(path: &Path, image: &[u8]) -> Option<RelayTable> {
        let text = fs::read(path.with_file_name(MEASUREMENTS)).ok()?;
        let measurements: Self = serde_json::from_slice(&text).ok()?;
        if measurements.sha256 != sha256(image) {
            return None;
        }
        let address = measurements.relay_table?;
        let address = u64::from_str_radix(address.strip_prefix("0x")?, 16).ok()?;
        Some(RelayTable { address, stride: measurements.relay_stride? })
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
