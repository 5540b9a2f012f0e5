// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one thread can see of callbacks.

use core::num::NonZeroUsize;
use std::vec::Vec;

use super::{Callbacks, Full};

const ONE: NonZeroUsize = NonZeroUsize::new(1).unwrap();
const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

fn called(callbacks: &Callbacks<2, 2>) -> Vec<usize> {
    let mut called = Vec::new();
    callbacks.notify(0, |callback| called.push(callback.get()));
    called
}

#[test]
fn each_registered_callback_is_called_once() {
    let callbacks = Callbacks::<2, 2>::new();
    assert!(called(&callbacks).is_empty());
    let one = callbacks.register(ONE).unwrap();
    let _two = callbacks.register(TWO).unwrap();
    assert_eq!(called(&callbacks), [1, 2]);
    callbacks.unregister(one, 0, || ()).unwrap();
    assert_eq!(called(&callbacks), [2]);
}

#[test]
fn a_slot_that_came_free_is_used_again() {
    let callbacks = Callbacks::<2, 2>::new();
    let one = callbacks.register(ONE).unwrap();
    let _two = callbacks.register(TWO).unwrap();
    assert_eq!(callbacks.register(TWO).unwrap_err(), Full);
    callbacks.unregister(one, 1, || ()).unwrap();
    let _again = callbacks.register(TWO).unwrap();
    assert_eq!(called(&callbacks), [2, 2]);
}

#[test]
fn a_callback_that_unregisters_on_its_own_cpu_is_refused_and_keeps_its_place() {
    let callbacks = Callbacks::<2, 2>::new();
    let mut one = Some(callbacks.register(ONE).unwrap());
    let mut refused = None;
    callbacks.notify(1, |_| {
        let registration = one.take().unwrap();
        refused = callbacks.unregister(registration, 1, || ()).err();
    });
    let refused = refused.unwrap();
    assert_eq!(called(&callbacks), [1]);
    callbacks.unregister(refused.0, 1, || ()).unwrap();
    assert!(called(&callbacks).is_empty());
}

#[test]
fn a_cpu_that_there_is_not_is_not_notified() {
    let callbacks = Callbacks::<2, 2>::new();
    let _one = callbacks.register(ONE).unwrap();
    callbacks.notify(2, |_| panic!("no such CPU"));
}
