// SPDX-License-Identifier: MIT OR Apache-2.0
//! All interleavings of a notification with the end of a callback.
//!
//! What the callback uses is a cell that loom watches: an access that is not ordered with another one
//! fails the model.

use core::num::NonZeroUsize;

use loom::{
    cell::UnsafeCell,
    sync::{Arc, atomic::fence},
    thread,
};

use super::Callbacks;
use crate::sync::Ordering::SeqCst;

const WORD: NonZeroUsize = NonZeroUsize::new(7).unwrap();

struct Data(UnsafeCell<u32>);

/// One CPU takes a notification while another unregisters and then takes the callback's data away.
fn unregister_during(notified: usize, by_handler: fn(), by_owner: fn()) {
    loom::model(move || {
        let callbacks = Arc::new(Callbacks::<2, 1>::new());
        let data = Arc::new(Data(UnsafeCell::new(0)));
        let registration = callbacks.register(WORD).unwrap();
        let handler = {
            let (callbacks, data) = (callbacks.clone(), data.clone());
            thread::spawn(move || {
                callbacks.notify_with(notified, |_| data.0.with(|_| ()), by_handler);
            })
        };
        let pause = thread::yield_now;
        assert!(callbacks.unregister_with(registration, 0, pause, by_owner).is_ok());
        data.0.with_mut(|_| ());
        handler.join().unwrap();
    });
}

#[test]
fn no_callback_runs_after_unregister_has_returned() {
    unregister_during(1, || fence(SeqCst), || fence(SeqCst));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_a_handler_without_a_fence_is_missed() {
    unregister_during(1, || (), || fence(SeqCst));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_an_owner_without_a_fence_misses_a_handler() {
    unregister_during(1, || fence(SeqCst), || ());
}

#[test]
fn a_callback_sees_what_was_made_before_it_was_registered() {
    loom::model(|| {
        let callbacks = Arc::new(Callbacks::<2, 1>::new());
        let data = Arc::new(Data(UnsafeCell::new(0)));
        let handler = {
            let (callbacks, data) = (callbacks.clone(), data.clone());
            thread::spawn(move || callbacks.notify(1, |_| data.0.with(|_| ())))
        };
        data.0.with_mut(|_| ());
        let _registration = callbacks.register(WORD).unwrap();
        handler.join().unwrap();
    });
}
