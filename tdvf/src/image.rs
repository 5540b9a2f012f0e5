// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads an image: table, descriptor, every section; nothing is used before all of it is checked.
//!
//! The checks are those of QEMU's loader, and stricter in one thing: a volume must bring exactly
//! as much data as it takes memory, because loaders do not agree on what fills the rest.
//!
//! Spec: TDVF "TDVF Descriptor".

use core::fmt;

use zerocopy::FromBytes;

use crate::{
    Error, PAGE_SIZE, Section, SectionType,
    descriptor::{Header, SIGNATURE, VERSION},
    guid_table::descriptor_distance,
};

/// An image in which every section has been checked.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    file: &'a [u8],
    sections: &'a [Section],
    td_hob: &'a Section,
}

/// Reads `file`, checking everything that a loader relies on.
///
/// # Errors
///
/// Says what is wrong and at which offset.
pub fn parse(file: &[u8]) -> Result<Image<'_>, Error> {
    let sections = sections(file)?;
    for (index, section) in sections.iter().enumerate() {
        section.check(file.len()).map_err(|fault| {
            let at = core::ptr::from_ref(section).addr() - file.as_ptr().addr();
            Error::Section { index, at, fault }
        })?;
    }
    if !sections.iter().any(|section| section.kind() == SectionType::BFV) {
        return Err(Error::NoBootFirmware);
    }
    let mut hobs = sections.iter().filter(|section| section.kind() == SectionType::TD_HOB);
    let td_hob = hobs.next().ok_or(Error::NoTdHob)?;
    match hobs.next() {
        None => Ok(Image { file, sections, td_hob }),
        Some(_) => Err(Error::ManyTdHobs),
    }
}

fn sections(file: &[u8]) -> Result<&[Section], Error> {
    let distance = descriptor_distance(file)?;
    let at = usize::try_from(distance)
        .ok()
        .and_then(|distance| file.len().checked_sub(distance))
        .ok_or(Error::DescriptorOutside { distance })?;
    let (header, rest) =
        Header::read_from_prefix(&file[at..]).map_err(|_| Error::DescriptorOutside { distance })?;
    if header.signature != SIGNATURE {
        return Err(Error::Signature { at, found: header.signature });
    }
    if header.version.get() != VERSION {
        return Err(Error::Version { at, version: header.version.get() });
    }
    let (length, count) = (header.length.get(), header.count.get());
    let expected = size_of::<Header>() as u64 + size_of::<Section>() as u64 * u64::from(count);
    if u64::from(length) != expected {
        return Err(Error::DescriptorLength { at, length, count });
    }
    if count < 2 {
        return Err(Error::TooFewSections { count });
    }
    let impossible = Error::DescriptorLength { at, length, count };
    let count = usize::try_from(count).map_err(|_| impossible)?;
    let (sections, _) =
        <[Section]>::ref_from_prefix_with_elems(rest, count).map_err(|_| impossible)?;
    Ok(sections)
}

impl<'a> Image<'a> {
    /// Returns the sections in the order of the file, which is the order of measurement.
    #[must_use]
    pub fn sections(&self) -> &'a [Section] {
        self.sections
    }

    /// Returns the one section for the host's hand-off blocks.
    #[must_use]
    pub fn td_hob(&self) -> &'a Section {
        self.td_hob
    }

    /// Returns the file bytes of `section`, one of this image's; none if its memory starts as zeros.
    #[must_use]
    pub fn data(&self, section: &Section) -> &'a [u8] {
        let range = || {
            let start = usize::try_from(section.data_offset()).ok()?;
            let size = usize::try_from(section.raw_size()).ok()?;
            self.file.get(start..start.checked_add(size)?)
        };
        if section.has_data() { range().unwrap_or_default() } else { &[] }
    }

    /// Returns the pages of `section`, one of this image's: address, and contents unless zeros.
    pub fn pages(
        &self,
        section: &Section,
    ) -> impl Iterator<Item = (u64, Option<&'a [u8; PAGE_SIZE]>)> + use<'a> {
        let mut contents = self.data(section).as_chunks::<PAGE_SIZE>().0.iter();
        let start = section.memory_address();
        (start..start.saturating_add(section.memory_size()))
            .step_by(PAGE_SIZE)
            .map(move |address| (address, contents.next()))
    }
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the bytes: there are millions.
        let length = self.file.len();
        f.debug_struct("Image").field("length", &length).field("sections", &self.sections).finish()
    }
}
