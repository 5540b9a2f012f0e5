// SPDX-License-Identifier: MIT OR Apache-2.0
//! See `lychgate_fuzz::acpi_files`.
#![cfg_attr(fuzzing, no_main)]

lychgate_fuzz::fuzz_binary!(lychgate_fuzz::acpi_files::run);
