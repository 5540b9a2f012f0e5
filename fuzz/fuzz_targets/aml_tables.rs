// SPDX-License-Identifier: MIT OR Apache-2.0
//! See `lychgate_fuzz::aml_tables`.
#![cfg_attr(fuzzing, no_main)]

lychgate_fuzz::fuzz_binary!(lychgate_fuzz::aml_tables::run);
