// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts that cannot succeed: each ends at once, with a clear line and a status of its own.

use std::env;
use std::process::Command;

use libtest_mimic::Trial;
use xtask::machine::Exit;

use crate::stand::{Stand, Verdict, check, ended, said, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("bad_start::an_empty_image_is_refused", || refused_image(Vec::clear)),
        scenario("bad_start::an_image_without_its_end_is_refused", || {
            refused_image(|image| image.truncate(image.len() / 2))
        }),
        scenario("bad_start::an_image_without_its_beginning_is_refused", || {
            refused_image(|image| drop(image.drain(..0x1_0000)))
        }),
        scenario("bad_start::an_image_without_metadata_is_refused", || {
            // The last 4 KiB but for the reset vector.
            refused_image(|image| {
                let end = image.len() - 16;
                image[end - 0xff0..end].fill(0);
            })
        }),
        scenario("bad_start::an_unknown_emulator_option_is_named", || refused_option("speed=1")),
        scenario("bad_start::an_emulator_option_without_sense_is_named", || {
            refused_option("memory=lots")
        }),
        scenario("bad_start::an_unknown_host_is_named", || refused_option("flavour=bare")),
        scenario("bad_start::an_unknown_paravisor_option_is_named", unknown_paravisor_option),
        scenario("bad_start::a_device_not_given_is_missed_by_the_guest", device_not_given),
        scenario("bad_start::an_unknown_xtask_option_is_named", unknown_xtask_option),
    ]
}

/// The emulator cannot use the image and says so.
fn refused_image(spoil: fn(&mut Vec<u8>)) -> Verdict {
    Stand::new(1, "scenario=edu count=1").spoil(spoil).run(|outcome| {
        ended(outcome, &Exit::BAD_START)?;
        said(outcome, "L0 | error: ", "")
    })
}

/// The emulator cannot use a word of its command line and names it.
fn refused_option(word: &str) -> Verdict {
    Stand::new(1, "scenario=edu count=1").emulator_option(word).run(|outcome| {
        ended(outcome, &Exit::BAD_START)?;
        let key = word.split('=').next().unwrap_or(word);
        said(outcome, "L0 | error: ", key)
    })
}

/// The paravisor cannot use a word of its command line and names it.
fn unknown_paravisor_option() -> Verdict {
    let stand = Stand::new(1, "scenario=edu count=1").paravisor_option("speed=1");
    stand.run(|outcome| said(outcome, "L1 | ", "speed"))
}

/// The TD is not given the doorbell.
fn device_not_given() -> Verdict {
    let stand = Stand::new(1, "scenario=paced").emulator_option("devices=1234:11e8");
    stand.run(|outcome| {
        ended(outcome, &Exit::FAILURE)?;
        said(outcome, "L2 | ", "no-device device=1af4:1110")
    })
}

/// `cargo xtask` does not know an option.
fn unknown_xtask_option() -> Verdict {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--package", "xtask", "--", "run", "--speed"])
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    check!(
        output.status.code() == Some(2) && text.contains("--speed"),
        "{}: {text}",
        output.status
    );
    Ok(())
}
