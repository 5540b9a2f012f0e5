// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image that a TD starts from: its file format, what the host hands over, what is measured.
//!
//! Three programs share it: `xtask` writes images, the emulator's host loads them, the paravisor
//! reads what came with it. Everything that arrives from outside is an allegation: it is checked
//! whole before any of it is used. No allocation, no hardware, no unsafe code.
//!
//! Spec: TDVF "TDVF Descriptor", "TD Hand-Off Block"; TDX-BASE "TD Measurement".
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

/// What can be wrong with an image, and where.
mod error;

/// The GUIDed table at the end of the file, which says where the descriptor is.
mod guid_table;

/// The descriptor and its sections, as they stand in the file.
mod descriptor;

/// Reads an image.
mod image;

/// Writes the descriptor and the GUIDed table into an image.
mod writer;

/// The memory map that the host hands to the first instruction.
pub mod hob;

/// The measurement of a TD's initial contents.
pub mod mrtd;

/// What the paravisor's image carries for the paravisor: a command line and a guest.
pub mod payload;

pub use descriptor::{Attributes, Section, SectionType};
pub use error::{Error, SectionFault};
pub use image::{Image, parse};
pub use writer::write_metadata;

/// Bytes of a page, the unit in which a TD's memory is added.
pub const PAGE_SIZE: usize = 4096;
