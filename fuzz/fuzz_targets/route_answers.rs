// SPDX-License-Identifier: MIT OR Apache-2.0
//! See `lychgate_fuzz::route_answers`.
#![cfg_attr(fuzzing, no_main)]

lychgate_fuzz::fuzz_binary!(lychgate_fuzz::route_answers::run);
