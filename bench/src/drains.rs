// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways of moving pending bits into L2's virtual APIC, as shapes: what they touch and how.
//!
//! | id       | rule                                                                              |
//! |----------|-----------------------------------------------------------------------------------|
//! | `ours`   | the relay's own drain, of interrupts that its CPU took and posted directly          |
//! | `banked` | the same, where L1 must deliver them: of what waits in banks                        |
//! | `remote` | the same, of what another CPU posted                                               |
//! | `peer`   | exchange the flag, exchange all eight dwords, OR, search all of the VIRR            |
//! | `user`   | load the flag, exchange dwords that are not zero, copy, OR                          |
//! | `kvm`    | read all, exchange those that are not zero, OR each by compare and exchange         |
//! | `module` | clear the flag by a locked AND, exchange all eight, OR, higher of both RVIs         |
//! | `bits`   | look at every vector by itself                                                      |
//!
//! # Orderings
//! Each posts data before flag and clears the flag before it takes data: Release and Acquire, or the
//! stronger exchange that the shape has.

use core::sync::atomic::{
    AtomicU8, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};

use crossbeam_utils::CachePadded;
use proxy_irq::{ApicMode, L2Vector, Slot};

use crate::{ours::Cpu, variant::Family};

/// A way of draining, with its state.
pub trait Drain: Sync {
    /// Makes the first `count` of its vectors pending.
    fn fill(&self, count: usize);

    /// Makes `vector` pending from another CPU.
    fn post(&self, vector: u8);

    /// Drains, and returns the RVI: what is measured.
    fn drain(&self) -> u8;

    /// Takes what L2 would be interrupted by.
    fn take(&self) -> [u32; 8];
}

/// What a way of draining is called, and how it is made for a list of vectors.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name in the JSON; stays the same.
    pub id: &'static str,
    /// Its name for a person.
    pub name: &'static str,
    /// What kind of design it is.
    pub family: Family,
    /// Makes it; it is never freed.
    pub make: fn(&[u8]) -> &'static dyn Drain,
}

/// All of them, the empty one first and ours next.
pub const KINDS: [Kind; 9] = [
    Kind { id: "empty", name: "empty call", family: Family::Yardstick, make: make::<0> },
    Kind {
        id: "ours",
        name: "Lychgate, own CPU's",
        family: Family::Ours,
        make: |vectors| own(vectors, ApicMode::Offload),
    },
    Kind {
        id: "banked",
        name: "Lychgate, own CPU's, banked",
        family: Family::Ours,
        make: |vectors| own(vectors, ApicMode::Banked),
    },
    Kind { id: "remote", name: "Lychgate, other CPU's", family: Family::Ours, make: remote },
    Kind { id: "peer", name: "peer's kernel", family: Family::Peer, make: make::<PEER> },
    Kind { id: "user", name: "peer's user mode", family: Family::Peer, make: make::<USER> },
    Kind { id: "kvm", name: "KVM's shape", family: Family::Peer, make: make::<KVM> },
    Kind { id: "module", name: "TDX module's shape", family: Family::Peer, make: make::<MODULE> },
    Kind { id: "bits", name: "bit by bit", family: Family::Atomic, make: make::<BITS> },
];

const PEER: u8 = 1;
const USER: u8 = 2;
const KVM: u8 = 3;
const MODULE: u8 = 4;
const BITS: u8 = 5;

/// The relay, with interrupts of its own CPU. The CPU comes first, so that a drain finds it where the
/// others find their state.
#[repr(C)]
struct Ours {
    cpu: Cpu,
    vectors: Vec<u8>,
}

impl Ours {
    fn new(vectors: &[u8], mode: ApicMode) -> Self {
        Self { cpu: Cpu::new(mode), vectors: vectors.to_vec() }
    }
}

fn own(vectors: &[u8], mode: ApicMode) -> &'static dyn Drain {
    let ours: &'static Ours = Box::leak(Box::new(Ours::new(vectors, mode)));
    ours.cpu.map(vectors);
    ours
}

fn remote(vectors: &[u8]) -> &'static dyn Drain {
    let ours: &'static Remote = Box::leak(Box::new(Remote(Ours::new(vectors, ApicMode::Offload))));
    ours.0.cpu.map(vectors);
    ours
}

impl Drain for Ours {
    fn fill(&self, count: usize) {
        Slot::all().take(count).for_each(|slot| self.cpu.post(slot));
    }

    fn post(&self, vector: u8) {
        if let Some(vector) = L2Vector::new(vector) {
            self.cpu.post_remote(vector);
        }
    }

    #[inline(never)]
    fn drain(&self) -> u8 {
        self.cpu.drain()
    }

    fn take(&self) -> [u32; 8] {
        self.cpu.take_requested()
    }
}

/// The relay, with what other CPUs post.
#[repr(transparent)]
struct Remote(Ours);

impl Drain for Remote {
    fn fill(&self, count: usize) {
        self.0.vectors.iter().take(count).for_each(|vector| self.0.post(*vector));
    }

    fn post(&self, vector: u8) {
        self.0.post(vector);
    }

    #[inline(never)]
    fn drain(&self) -> u8 {
        self.0.cpu.drain()
    }

    fn take(&self) -> [u32; 8] {
        self.0.take()
    }
}

/// What the shapes share: bits that any CPU may set, and the VIRR, whose dwords lie 16 bytes apart.
struct Shape<const RULE: u8> {
    vectors: Vec<u8>,
    flag: CachePadded<AtomicU8>,
    posted: CachePadded<[AtomicU32; 8]>,
    virr: CachePadded<[[AtomicU32; 4]; 8]>,
}

fn make<const RULE: u8>(vectors: &[u8]) -> &'static dyn Drain {
    Box::leak(Box::new(Shape::<RULE> {
        vectors: vectors.to_vec(),
        flag: CachePadded::default(),
        posted: CachePadded::default(),
        virr: CachePadded::default(),
    }))
}

impl<const RULE: u8> Drain for Shape<RULE> {
    fn fill(&self, count: usize) {
        self.vectors.iter().take(count).for_each(|vector| self.post(*vector));
    }

    fn post(&self, vector: u8) {
        self.posted[usize::from(vector >> 5)].fetch_or(1 << (vector & 31), Relaxed);
        match RULE {
            KVM | MODULE => {
                self.flag.fetch_or(1, Release);
            }
            _ => self.flag.store(1, Release),
        }
    }

    #[inline(never)]
    fn drain(&self) -> u8 {
        match RULE {
            PEER => self.peer(),
            USER => self.user(),
            KVM => self.kvm(),
            MODULE => self.module(),
            BITS => self.bits(),
            _ => 0,
        }
    }

    fn take(&self) -> [u32; 8] {
        core::array::from_fn(|bank| self.virr[bank][0].swap(0, Relaxed))
    }
}

impl<const RULE: u8> Shape<RULE> {
    #[inline(always)]
    fn request(&self, bank: usize, bits: u32) {
        let word = &self.virr[bank][0];
        word.store(word.load(Relaxed) | bits, Relaxed);
    }

    #[inline(always)]
    fn peer(&self) -> u8 {
        if self.flag.swap(0, AcqRel) != 0 {
            for bank in 0..8 {
                self.request(bank, self.posted[bank].swap(0, AcqRel));
            }
        }
        let words = (0..8).rev().map(|bank| (bank, self.virr[bank][0].load(Relaxed)));
        words.into_iter().find(|(_, word)| *word != 0).map_or(0, |(bank, word)| highest(bank, word))
    }

    #[inline(always)]
    fn user(&self) -> u8 {
        if self.flag.load(Acquire) == 0 {
            return 0;
        }
        self.flag.store(0, SeqCst);
        let mut taken = [0; 8];
        for (word, posted) in taken.iter_mut().zip(self.posted.iter()) {
            if posted.load(Relaxed) != 0 {
                *word = posted.swap(0, SeqCst);
            }
        }
        let mut rvi = 0;
        for (bank, bits) in taken.into_iter().enumerate().filter(|(_, bits)| *bits != 0) {
            self.request(bank, bits);
            rvi = highest(bank, bits);
        }
        rvi
    }

    #[inline(always)]
    fn kvm(&self) -> u8 {
        if self.flag.load(Relaxed) == 0 {
            return 0;
        }
        self.flag.swap(0, SeqCst);
        let (mut harvest, mut any) = ([0; 8], 0);
        for (word, posted) in harvest.iter_mut().zip(self.posted.iter()) {
            *word = posted.load(Relaxed);
            any |= *word;
        }
        if any == 0 {
            return 0;
        }
        for (word, posted) in harvest.iter_mut().zip(self.posted.iter()) {
            if *word != 0 {
                *word = posted.swap(0, AcqRel);
            }
        }
        let mut rvi = 0;
        for (bank, bits) in harvest.into_iter().enumerate() {
            let word = &self.virr[bank][0];
            let mut requested = word.load(Relaxed);
            if bits != 0 {
                while let Err(now) =
                    word.compare_exchange(requested, requested | bits, AcqRel, Relaxed)
                {
                    requested = now;
                }
                requested |= bits;
            }
            if requested != 0 {
                rvi = highest(bank, requested);
            }
        }
        rvi
    }

    #[inline(always)]
    fn module(&self) -> u8 {
        self.flag.fetch_and(!1, AcqRel);
        let mut rvi = 0;
        for bank in 0..8 {
            let bits = self.posted[bank].swap(0, AcqRel);
            self.request(bank, bits);
            if bits != 0 {
                rvi = highest(bank, bits);
            }
        }
        rvi
    }

    #[inline(always)]
    fn bits(&self) -> u8 {
        self.flag.swap(0, AcqRel);
        let mut rvi = 0;
        for vector in 0..=u8::MAX {
            let (bank, mask) = (usize::from(vector >> 5), 1 << (vector & 31));
            if self.posted[bank].load(Relaxed) & mask != 0 {
                self.posted[bank].fetch_and(!mask, AcqRel);
                self.request(bank, mask);
                rvi = vector;
            }
        }
        rvi
    }
}

/// Returns the highest vector of a dword that is not zero.
#[inline(always)]
fn highest(bank: usize, word: u32) -> u8 {
    let bit = word.leading_zeros() ^ 31;
    u8::try_from(bank << 5).unwrap_or(0) | bit.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_pends_is_requested_and_the_highest_is_the_rvi(
            vectors in prop::collection::btree_set(32_u8..=255, 1..=32), count in 0_usize..=32,
        ) {
            let vectors: Vec<u8> = vectors.into_iter().collect();
            let pending = &vectors[..count.min(vectors.len())];
            let mut expected = [0; 8];
            for vector in pending {
                expected[usize::from(vector / 32)] |= 1 << (vector % 32);
            }
            for kind in &KINDS[1..] {
                let drain = (kind.make)(&vectors);
                for _ in 0..2 {
                    drain.fill(pending.len());
                    let rvi = drain.drain();
                    prop_assert_eq!(rvi, pending.last().copied().unwrap_or(0), "{}", kind.id);
                    prop_assert_eq!(drain.take(), expected, "{}", kind.id);
                    prop_assert_eq!(drain.drain(), 0, "{}", kind.id);
                    prop_assert_eq!(drain.take(), [0; 8], "{}", kind.id);
                }
            }
        }
    }

    #[test]
    fn nothing_is_lost_while_another_cpu_posts() {
        for kind in &KINDS[1..] {
            let drain = (kind.make)(&[0x51]);
            let mut seen = [0; 8];
            std::thread::scope(|scope| {
                let poster = scope.spawn(|| (32..=255).for_each(|vector| drain.post(vector)));
                let mut last = false;
                while !last {
                    last = poster.is_finished();
                    drain.drain();
                    drain.take().iter().zip(&mut seen).for_each(|(bits, all)| *all |= bits);
                }
            });
            assert_eq!(seen, [0, !0, !0, !0, !0, !0, !0, !0], "{}", kind.id);
        }
    }
}
