// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory that the TD is told of, and whether an image fits into it.
//!
//! Spec: TDVF "TD Hand-Off Block".

#[cfg(target_os = "none")]
use alloc::{vec, vec::Vec};
use core::fmt;

use tdvf::{Image, Section, hob};

/// Firmware lies from here to 4 GiB, whatever the TD's memory.
const FIRMWARE: u64 = 0xff00_0000;

/// An image that no TD of this size can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// The section at this address ends here, beyond the TD's memory.
    Beyond(u64, u64),
    /// The section at this address begins before the one below it ends.
    Overlap(u64),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beyond(start, end) => write!(
                f,
                "the image's section {start:#x}..{end:#x} is beyond the TD's memory: memory={} would do",
                end.next_multiple_of(2 << 20) >> 20
            ),
            Self::Overlap(start) => write!(f, "the image's section at {start:#x} overlaps another"),
        }
    }
}

/// Checks that a TD with so much memory has a place for every section of the image.
pub(crate) fn check(image: &Image<'_>, memory_size: u64) -> Result<(), Misfit> {
    let mut sections: Vec<_> = image.sections().iter().map(range).collect();
    sections.sort_unstable();
    let mut last = 0;
    for (start, end) in sections {
        if start < last {
            return Err(Misfit::Overlap(start));
        }
        if end > memory_size && start < FIRMWARE {
            return Err(Misfit::Beyond(start, end));
        }
        last = end;
    }
    Ok(())
}

/// Makes the list of the TD's memory: added already are the pages that the image begins with.
pub(crate) fn list(image: &Image<'_>, memory_size: u64) -> Result<Vec<u8>, hob::Error> {
    let sections = image.sections().iter().map(range);
    let mut added: Vec<_> = sections.filter(|(_, end)| *end <= memory_size).collect();
    added.sort_unstable();
    let mut ranges = Vec::new();
    let mut next = 0;
    let mut range = |start, end, kind| {
        if start < end {
            ranges.push(hob::Range { start, length: end - start, kind });
        }
    };
    for (start, end) in added {
        range(next, start, hob::ResourceType::MEMORY_UNACCEPTED);
        range(start, end, hob::ResourceType::SYSTEM_MEMORY);
        next = end;
    }
    range(next, memory_size, hob::ResourceType::MEMORY_UNACCEPTED);
    let place = image.td_hob();
    let size = usize::try_from(place.memory_size()).unwrap_or(0);
    let mut list = vec![0; size];
    hob::write(&mut list, place.memory_address(), &ranges)?;
    Ok(list)
}

fn range(section: &Section) -> (u64, u64) {
    let start = section.memory_address();
    (start, start.saturating_add(section.memory_size()))
}

#[cfg(test)]
mod tests {
    use tdvf::{
        Section,
        hob::{self, ResourceType},
        parse, write_metadata,
    };

    use super::{Misfit, check, list};

    const HOB: u64 = 0x80_0000;
    const MEMORY: u64 = 32 << 20;

    /// An image whose firmware volume is followed by one of two pages at each of `places`.
    fn image(places: &[u64]) -> Vec<u8> {
        let mut file = vec![0; 0x4000];
        let firmware = Section::bfv(0x2000, (1 << 32) - 0x2000, 0x2000);
        let parts = places.iter().map(|place| Section::bfv(0, *place, 0x2000));
        let sections: Vec<_> =
            [firmware].into_iter().chain(parts).chain([Section::td_hob(HOB, 0x4000)]).collect();
        write_metadata(&mut file, &sections).unwrap();
        file
    }

    #[test]
    fn memory_is_one_run_in_which_what_the_image_brings_is_told_apart() {
        let file = image(&[0x100_0000]);
        let image = parse(&file).unwrap();
        assert_eq!(check(&image, MEMORY), Ok(()));
        let list = list(&image, MEMORY).unwrap();
        let list: Vec<_> = hob::read(&list, HOB).unwrap().ranges().collect();
        let ends: Vec<_> = list.iter().map(|range| range.start + range.length).collect();
        assert_eq!(ends, [HOB, HOB + 0x4000, 0x100_0000, 0x100_2000, MEMORY]);
        assert!(list.windows(2).all(|pair| pair[0].start + pair[0].length == pair[1].start));
        let added: Vec<_> =
            list.iter().map(|range| range.kind == ResourceType::SYSTEM_MEMORY).collect();
        assert_eq!(added, [false, true, false, true, false]);
    }

    #[test]
    fn a_section_beyond_memory_is_refused_with_what_would_do() {
        let file = image(&[MEMORY - 0x1000]);
        let misfit = check(&parse(&file).unwrap(), MEMORY).unwrap_err();
        assert_eq!(misfit, Misfit::Beyond(MEMORY - 0x1000, MEMORY + 0x1000));
        assert!(misfit.to_string().ends_with("memory=34 would do"));
        let file = image(&[0xfeff_f000]);
        assert!(check(&parse(&file).unwrap(), MEMORY).is_err());
    }

    #[test]
    fn sections_that_overlap_are_refused() {
        for place in [HOB - 0x1000, HOB + 0x3000, HOB] {
            let file = image(&[place]);
            let misfit = check(&parse(&file).unwrap(), MEMORY);
            assert!(matches!(misfit, Err(Misfit::Overlap(_))), "{place:#x}: {misfit:?}");
        }
    }
}
