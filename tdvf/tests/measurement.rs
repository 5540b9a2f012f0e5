// SPDX-License-Identifier: MIT OR Apache-2.0
//! MRTD against two computations that share no code with ours: the `igvm` crate's, and values
//! that a few lines of Python (`hashlib`, `uuid`, `struct`) gave for the same image.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail here")]

use igvm::{IgvmDirectiveHeader, IgvmFile, IgvmPlatformHeader, IgvmRevision, IgvmSerializer};
use igvm_defs::{
    IGVM_VHS_SUPPORTED_PLATFORM, IgvmPageDataFlags, IgvmPageDataType, IgvmPlatformType,
};
use tdvf::{
    Image, Section,
    mrtd::{Order, measure},
    parse, write_metadata,
};

const PAGE: &str = concat!(
    "1b07a4e2d323c41dd24e17c8cd6d2d455b35eb2d3f6e3173",
    "86a8cbb9adc31fc912aa98bfcb2475d490bba1c83ba63932"
);
const TWO_PASS: &str = concat!(
    "aa977c43e1d50e5bef1999e52ce759cfe0dad7b4d5c560fa",
    "f909176dcf6abfaeddbdb3f9f518f482f036109060c6a274"
);

const SIZE: u32 = 0x1_0000;

fn image() -> Vec<u8> {
    let mut image = firmware(SIZE as usize);
    let firmware = Section::bfv(0, (1 << 32) - u64::from(SIZE), SIZE);
    write_metadata(&mut image, &[firmware, Section::td_hob(0x80_0000, 0x4000)]).unwrap();
    image
}

/// An image with two parts of a guest before the firmware, to be put into the TD's RAM.
fn image_with_parts_in_ram() -> Vec<u8> {
    let before: u32 = 0x5000;
    let mut image = vec![0; before as usize];
    for (index, byte) in image.iter_mut().enumerate() {
        *byte = index.wrapping_mul(13).wrapping_add(index >> 12).to_le_bytes()[0];
    }
    image.extend(firmware(SIZE as usize));
    let sections = [
        Section::bfv(before, (1 << 32) - u64::from(SIZE), SIZE),
        Section::bfv(0, 0x480_0000, 0x3000),
        Section::bfv(0x3000, 0x480_3000, before - 0x3000),
        Section::td_hob(0x80_0000, 0x4000),
    ];
    write_metadata(&mut image, &sections).unwrap();
    image
}

fn firmware(size: usize) -> Vec<u8> {
    let mut firmware = vec![0; size];
    for (index, byte) in firmware[..0x8000].iter_mut().enumerate() {
        *byte = index.wrapping_mul(7).wrapping_add(index >> 8).to_le_bytes()[0];
    }
    firmware
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The measurement by the `igvm` crate, which knows the order page by page.
fn by_igvm(image: &Image<'_>) -> Vec<u8> {
    const MASK: u32 = 1;
    let platform = IgvmPlatformHeader::SupportedPlatform(IGVM_VHS_SUPPORTED_PLATFORM {
        compatibility_mask: MASK,
        highest_vtl: 0,
        platform_type: IgvmPlatformType::TDX,
        platform_version: 1,
        shared_gpa_boundary: 0,
    });
    let pages = image.sections().iter().flat_map(|section| {
        image.pages(section).map(|(gpa, data)| IgvmDirectiveHeader::PageData {
            gpa,
            compatibility_mask: MASK,
            flags: IgvmPageDataFlags::new().with_unmeasured(!section.measured()),
            data_type: IgvmPageDataType::NORMAL,
            data: data.map(|page| page.to_vec()).unwrap_or_default(),
        })
    });
    let file = IgvmFile::new(IgvmRevision::V1, vec![platform], vec![], pages.collect()).unwrap();
    let serializer = IgvmSerializer::new(&file).unwrap();
    serializer.measurement_for(IgvmPlatformType::TDX).unwrap().digest.clone()
}

#[test]
fn page_order_agrees_with_igvm() {
    let (small, large) = (image(), image_with_parts_in_ram());
    for bytes in [&small, &large] {
        let image = parse(bytes).unwrap();
        assert_eq!(hex(&measure(&image, Order::Page)), hex(&by_igvm(&image)));
    }
    assert_eq!(parse(&large).unwrap().sections().len(), 4);
}

#[test]
fn both_orders_agree_with_an_independent_computation() {
    let bytes = image();
    let image = parse(&bytes).unwrap();
    assert_eq!(hex(&measure(&image, Order::Page)), PAGE);
    assert_eq!(hex(&measure(&image, Order::TwoPass)), TWO_PASS);
}
