// SPDX-License-Identifier: MIT OR Apache-2.0
//! All interleavings of a request with its answer.

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, fence},
    },
    thread,
};

use super::{Look, Request};
use crate::sync::Ordering::{Relaxed, SeqCst};

/// The owner says `sent` and looks; the host answers and notifies another CPU, which looks.
fn answered_meanwhile(between: fn()) {
    loom::model(move || {
        let request = Arc::new(Request::new());
        let status = Arc::new(AtomicBool::new(false));
        assert!(request.claim(0));
        let host = {
            let (request, status) = (request.clone(), status.clone());
            thread::spawn(move || {
                status.store(true, Relaxed);
                // The interrupt that the host sends.
                fence(SeqCst);
                request.look(|| status.load(Relaxed))
            })
        };
        request.sent_with(between);
        let mine = request.look(|| status.load(Relaxed));
        let other = host.join().unwrap();
        let found = [mine, other].iter().filter(|look| **look == Look::Answer(0)).count();
        assert!(found == 1, "found {found} times");
        assert!(request.is_answered(0));
    });
}

#[test]
fn an_answer_is_found_exactly_once() {
    answered_meanwhile(|| fence(SeqCst));
}

#[test]
#[should_panic(expected = "found 0 times")]
fn control_without_the_fence_an_answer_is_missed() {
    answered_meanwhile(|| ());
}

#[test]
fn a_request_that_is_given_up_is_answered_or_its_place_comes_free() {
    loom::model(|| {
        let request = Arc::new(Request::new());
        let status = Arc::new(AtomicBool::new(false));
        assert!(request.claim(0));
        request.sent();
        let host = {
            let (request, status) = (request.clone(), status.clone());
            thread::spawn(move || {
                status.store(true, Relaxed);
                fence(SeqCst);
                request.look(|| status.load(Relaxed))
            })
        };
        let given_up = request.give_up().is_ok();
        fence(SeqCst);
        let mine = request.look(|| status.load(Relaxed));
        let other = host.join().unwrap();
        if given_up {
            assert!([mine, other].contains(&Look::Stray), "the place is lost");
            assert!(request.claim(1));
        } else {
            assert_eq!((mine, other), (Look::Nothing, Look::Answer(0)));
            assert!(request.is_answered(0));
        }
    });
}
