// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a table consists of.

/// The item, its value in the code, its value in the document, and where the document has it.
pub(crate) type Row = (&'static str, u64, u64, &'static str);

/// Makes rows of associated constants that are wrapped numbers.
macro_rules! numbers {
    ($section:literal, $type:ident: $($name:ident = $value:literal;)*) => {
        &[$((
            concat!(stringify!($type), "::", stringify!($name)),
            $type::$name.0 as u64,
            $value,
            $section,
        )),*]
    };
}

/// Makes rows of any expressions of type u64.
macro_rules! words {
    ($section:literal: $($item:expr => $value:expr;)*) => {
        &[$((stringify!($item), $item, $value, $section)),*]
    };
}

pub(crate) use {numbers, words};

/// Compares all rows and complains about all that differ.
pub(crate) fn check(rows: &[Row]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(_, ours, value, _)| ours != value)
        .map(|(item, ours, value, section)| {
            format!("{item} is {ours:#x}, but {value:#x} in {section}")
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!rows.is_empty());
}
