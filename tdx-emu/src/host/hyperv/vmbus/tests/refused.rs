// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages without sense, and orders that cannot be carried out.

use super::{HvStatus, Manner, Outgoing, PAGE, Stand, stand};
use crate::host::hyperv::vmbus::WAITING;

/// Posts bytes; returns the answers.
fn post(stand: &mut Stand, bytes: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(stand.host.post(stand.guest, 0x75, bytes), Ok(()));
    let mut answers = Vec::new();
    stand.host.deliver(|outgoing| {
        if let Outgoing::Message { message, .. } = outgoing {
            answers.push(message.bytes().to_vec());
        }
        true
    });
    answers
}

fn message(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The status in the only answer, which is of this type.
fn status(answers: &[Vec<u8>], kind: u8) -> u32 {
    let [answer] = answers else { panic!("{answers:?}") };
    assert_eq!(answer[0], kind);
    u32::from_le_bytes(answer[16..20].try_into().unwrap())
}

#[test]
fn nonsense_has_no_effect_but_a_figure() {
    let mut stand = stand(Manner::default());
    assert!(post(&mut stand, &message(&[3, 0])).is_empty(), "no contact yet");
    assert_eq!(stand.host.post(stand.guest, 5, &[]), Err(HvStatus::INVALID_CONNECTION_ID));
    stand.connect();
    let before = stand.host.figures().nonsense;
    for nonsense in [
        &[][..],
        &[14, 0, 0x6_0000],
        &[5, 0, 1],
        &[7, 0, 1],
        &[9, 0, 0, 55, 1, 1],
        &[11, 0, 1, 9],
        &[13, 0, 1],
        &[3, 0],
        &[18, 0, 1, 9, 7, 1, 1],
        &[18, 0, 1, 0, 16, 1, 1],
        &[19, 0, 1, 0, 7],
        &[99, 0],
        &[29, 0],
    ] {
        assert!(post(&mut stand, &message(nonsense)).is_empty(), "{nonsense:?}");
    }
    assert_eq!(stand.host.figures().nonsense - before, 13);
}

#[test]
fn memory_and_opens_that_cannot_be_are_refused() {
    let mut stand = stand(Manner::default());
    let private = stand.guest.share();
    stand.guest.unshare(private);
    stand.connect();
    let page = private / PAGE;
    for (words, bytes, channel) in [
        ([4096, page], 16, 1),
        ([4096, page], 12, 1),
        ([8192, 1], 16, 1),
        ([0, 1], 16, 1),
        ([4096 << 32 | 1, 1], 16, 1),
        ([4096, 1 << 50], 16, 1),
        ([4096, 1], 16, 9),
    ] {
        let mut gpadl = message(&[8, 0, channel, 7, 1 << 16 | bytes]);
        gpadl.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        assert_ne!(status(&post(&mut stand, &gpadl), 10), 0, "{words:x?} {bytes} {channel}");
    }
    // Memory that the host does not know; and a processor that is not there.
    for target_vp in [0, 9] {
        let mut open = message(&[5, 0, 1, 4, 7, target_vp, 1]);
        open.resize(156, 0);
        assert_ne!(status(&post(&mut stand, &open), 6), 0);
    }
    assert_ne!(status(&post(&mut stand, &message(&[18, 0, 1, 0, 3, 7, 1])), 6), 0);
}

#[test]
fn a_client_that_does_not_listen_is_not_served_for_ever() {
    let mut stand = stand(Manner::default());
    stand.connect();
    let mut bad_memory = vec![8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 9, 0, 1, 0];
    bad_memory.resize(40, 0);
    let posts = (0..100).map(|_| stand.host.post(stand.guest, 0x75, &bad_memory));
    let refused = posts.filter(|result| *result == Err(HvStatus::INSUFFICIENT_BUFFERS)).count();
    assert_eq!(refused, 100 - WAITING);
}
