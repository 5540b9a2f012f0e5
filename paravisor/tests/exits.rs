// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of exits in the documentation is the one in the code.

use paravisor::exit::reason::{Response, TABLE};

const DOCUMENT: &str = include_str!("../../docs/exits.md");

/// Number, name and result of a line of the table.
type Line = (u32, String, String);

fn documented() -> Vec<Line> {
    let columns = |line: &str| -> Option<Line> {
        let mut columns = line.split('|').map(str::trim).skip(1);
        let number = columns.next()?.parse().ok()?;
        let (name, _cause) = (columns.next()?, columns.next()?);
        Some((number, name.to_owned(), columns.next()?.to_owned()))
    };
    DOCUMENT.lines().filter_map(columns).collect()
}

fn word(response: Response) -> String {
    match response {
        Response::Resume => "resume".to_owned(),
        Response::Skip => "skip".to_owned(),
        Response::SkipInKernel => "skip in ring 0".to_owned(),
        Response::UndefinedOpcode => "#UD".to_owned(),
        Response::GeneralProtection => "#GP(0)".to_owned(),
        Response::Emulate(emulation) => format!("emulate {emulation:?}"),
        Response::End(why) => format!("end: {why}"),
    }
}

#[test]
fn the_documented_table_is_the_one_in_the_code() {
    let coded: Vec<Line> = TABLE
        .iter()
        .map(|(reason, response)| (reason.0, reason.to_string(), word(*response)))
        .collect();
    for (documented, coded) in documented().iter().zip(&coded) {
        assert_eq!(documented, coded, "docs/exits.md against exit/reason.rs");
    }
    assert_eq!(documented().len(), coded.len());
}
