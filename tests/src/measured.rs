// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the emulated host measures is what `cargo xtask image` says that an image measures as.

use libtest_mimic::Trial;
use tdvf::mrtd::{Order, measure};

use crate::bad_guest::small_linux;
use crate::stand::{Stand, Verdict, check, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("measured::an_image_is_measured_as_it_says", || {
            same(&Stand::new(1, "scenario=edu count=1"), 2)
        }),
        scenario("measured::a_guest_in_ram_is_measured_too", || {
            same(&Stand::of_guest(1, small_linux()?, "").memory(64), 4)
        }),
    ]
}

/// Both measurements of an image with so many sections are equal.
fn same(stand: &Stand, sections: usize) -> Verdict {
    let image = stand.image()?;
    let parsed = tdvf::parse(&image.bytes).map_err(|error| error.to_string())?;
    check!(parsed.sections().len() == sections, "{:?}", parsed.sections());
    let bytes = measure(&parsed, Order::Page);
    let ours: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let outcome = stand.outcome()?;
    let line = outcome.console.iter().find_map(|line| line.split_once("td: mrtd="));
    let (_, theirs) = line.ok_or("the host does not tell what it measured")?;
    check!(theirs == ours, "the host measured {theirs}, but the image says {ours}");
    Ok(())
}
