// SPDX-License-Identifier: MIT OR Apache-2.0
//! A [`Variant`](crate::variant::Variant) made into something that can be measured beside the others.
//!
//! Among many, posts are inlined: a call and its return take longer than the relay's post, and would
//! be all that one saw of it. Single posts and counted ones are calls, of an address that is hidden
//! from the compiler, so that the code around them is the same for all and the empty variant tells
//! what the measuring costs.

use core::hint::black_box;

use proxy_irq::{SLOTS, Slot};

use crate::{
    alternatives::{
        atomics::{AtomicTable, LockedOr, Nothing, Seqlock},
        locks::{ParkingMutex, ParkingRwLock, SpinMutex, SpinRwLock, StdMutex, StdRwLock},
        peers::{Chain, SequenceCounted, Spinlocked},
        read_mostly::{Epoch, Hashed, LeftRight, Swapped},
        reclamation::{Qsbr, Urcu},
    },
    ours::{Local, Remote},
    ticks,
    variant::{About, CPUS, Pending, Scope, Variant},
};

/// A way of relaying, with a table for each CPU or one for all.
pub trait Subject: Send + Sync {
    /// What it is.
    fn about(&self) -> About;

    /// Lets `work` be a reader on CPU `cpu`.
    fn session(&self, cpu: usize, work: &mut dyn FnMut(&dyn Session));

    /// Takes step `turn` of a writer of the table that CPU `cpu` reads; `false` if it must wait.
    fn write(&self, cpu: usize, turn: u64) -> bool;
}

/// A reader.
pub trait Session {
    /// Takes `count` interrupts in a row; returns how many ticks that took.
    fn batch(&self, count: usize) -> u64;

    /// Takes `count` interrupts, each by a call.
    fn calls(&self, count: usize);

    /// Takes as many interrupts as there are places, one by one, and says how many ticks each took.
    fn samples(&self, ticks: &mut [u32]);

    /// Takes one interrupt.
    fn post(&self, slot: Slot);

    /// Takes everything that pends.
    fn drain(&self) -> [u32; 8];

    /// Gives writers their chance.
    fn quiescent(&self);
}

/// Returns all of them, the empty one first and ours next.
#[must_use]
pub fn all() -> Vec<Box<dyn Subject>> {
    vec![
        rig::<Nothing>(),
        rig::<Local>(),
        rig::<Remote>(),
        rig::<LockedOr>(),
        rig::<AtomicTable>(),
        rig::<Seqlock>(),
        rig::<Qsbr>(),
        rig::<Urcu>(),
        rig::<SpinMutex>(),
        rig::<SpinRwLock>(),
        rig::<StdMutex>(),
        rig::<StdRwLock>(),
        rig::<ParkingMutex>(),
        rig::<ParkingRwLock>(),
        rig::<Epoch>(),
        rig::<LeftRight>(),
        rig::<Swapped>(),
        rig::<Hashed>(),
        rig::<Spinlocked>(),
        rig::<SequenceCounted>(),
        rig::<Chain>(),
    ]
}

struct Rig<V: Variant> {
    tables: [V::Table; CPUS],
    cpus: [Pending; CPUS],
}

fn rig<V: Variant>() -> Box<dyn Subject> {
    let tables = core::array::from_fn(|_| V::table());
    Box::new(Rig::<V> { tables, cpus: Default::default() })
}

impl<V: Variant> Rig<V> {
    fn table(&self, cpu: usize) -> &V::Table {
        match V::ABOUT.scope {
            Scope::PerCpu => &self.tables[cpu % CPUS],
            Scope::Shared => &self.tables[0],
        }
    }
}

impl<V: Variant> Subject for Rig<V> {
    fn about(&self) -> About {
        V::ABOUT
    }

    fn session(&self, cpu: usize, work: &mut dyn FnMut(&dyn Session)) {
        let local = V::local(self.table(cpu));
        let pending = &self.cpus[cpu % CPUS];
        let mut slots = Slot::all();
        let keys = core::array::from_fn(|_| slots.next().map(V::key));
        let Some(keys) = all_of(keys) else { return };
        let _online = Online::<V>::enter(&local, pending);
        work(&Reader::<V> { view: &local, pending, keys });
    }

    fn write(&self, cpu: usize, turn: u64) -> bool {
        V::write(self.table(cpu), &self.cpus, turn)
    }
}

fn all_of<T: Copy>(parts: [Option<T>; SLOTS]) -> Option<[T; SLOTS]> {
    let first = parts[0]?;
    parts.iter().all(Option::is_some).then(|| parts.map(|part| part.unwrap_or(first)))
}

/// A reader that writers wait for, until it ends, be it by a panic: nobody may wait for what is no more.
struct Online<'a, V: Variant> {
    view: &'a V::View,
    pending: &'a Pending,
}

impl<'a, V: Variant> Online<'a, V> {
    fn enter(view: &'a V::View, pending: &'a Pending) -> Self {
        V::online(view, pending);
        Self { view, pending }
    }
}

impl<V: Variant> Drop for Online<'_, V> {
    fn drop(&mut self) {
        V::offline(self.view, self.pending);
    }
}

struct Reader<'a, V: Variant> {
    view: &'a V::View,
    pending: &'a Pending,
    keys: [V::Key; SLOTS],
}

impl<V: Variant> Reader<'_, V> {
    /// The post as the compiler may not see through it.
    fn hidden(&self) -> fn(&V::View, &Pending, V::Key) {
        black_box(called::<V> as fn(&V::View, &Pending, V::Key))
    }
}

#[inline(never)]
fn called<V: Variant>(view: &V::View, pending: &Pending, key: V::Key) {
    V::post(view, pending, key);
}

impl<V: Variant> Session for Reader<'_, V> {
    #[inline(never)]
    fn batch(&self, count: usize) -> u64 {
        let start = ticks::ordered();
        for turn in 0..count {
            V::post(self.view, self.pending, self.keys[ticks::opaque(turn) % SLOTS]);
        }
        ticks::after().saturating_sub(start)
    }

    #[inline(never)]
    fn calls(&self, count: usize) {
        let post = self.hidden();
        for turn in 0..count {
            post(self.view, self.pending, self.keys[turn % SLOTS]);
        }
    }

    #[inline(never)]
    fn samples(&self, ticks: &mut [u32]) {
        let post = self.hidden();
        for (turn, sample) in ticks.iter_mut().enumerate() {
            let key = self.keys[turn % SLOTS];
            let start = ticks::ordered();
            post(self.view, self.pending, key);
            let taken = ticks::after().saturating_sub(start);
            *sample = u32::try_from(taken).unwrap_or(u32::MAX);
            V::quiescent(self.view, self.pending);
        }
    }

    fn post(&self, slot: Slot) {
        V::post(self.view, self.pending, self.keys[slot.index()]);
    }

    fn drain(&self) -> [u32; 8] {
        V::drain(self.view, self.pending)
    }

    fn quiescent(&self) {
        V::quiescent(self.view, self.pending);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variant::{Family, TOGGLED, vector_of};
    use proptest::prelude::*;

    fn expected(slots: &[u8]) -> [u32; 8] {
        let mut bits = [0; 8];
        for slot in slots {
            let vector = vector_of(usize::from(*slot));
            bits[usize::from(vector / 32)] |= 1 << (vector % 32);
        }
        bits
    }

    fn post_all(session: &dyn Session, slots: &[u8]) {
        slots.iter().for_each(|slot| session.post(Slot::new(*slot).unwrap()));
    }

    fn that_relay() -> impl Iterator<Item = Box<dyn Subject>> {
        all().into_iter().filter(|subject| subject.about().id != "empty")
    }

    #[test]
    fn every_slot_has_its_vector_and_every_variant_its_name() {
        let vectors: std::collections::HashSet<_> = (0..SLOTS).map(vector_of).collect();
        assert!(vectors.len() == SLOTS && vectors.iter().all(|vector| *vector >= 32));
        let subjects = all();
        let ids: std::collections::HashSet<_> = subjects.iter().map(|one| one.about().id).collect();
        assert_eq!(ids.len(), subjects.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_posted_is_drained_and_nothing_else(
            rounds in prop::collection::vec(prop::collection::vec(0_u8..32, 0..40), 1..6),
        ) {
            for subject in that_relay() {
                subject.session(1, &mut |session| {
                    for slots in &rounds {
                        post_all(session, slots);
                        session.quiescent();
                        assert_eq!(session.drain(), expected(slots), "{}", subject.about().id);
                        assert_eq!(session.drain(), [0; 8], "{}", subject.about().id);
                    }
                });
            }
        }
    }

    /// Runs a writer's step beside a reader that serves: some writers wait for readers.
    fn write_beside(subject: &dyn Subject, session: &dyn Session, turn: u64) {
        std::thread::scope(|scope| {
            let step = || {
                while !subject.write(0, turn) {
                    std::thread::yield_now();
                }
            };
            let writer = scope.spawn(step);
            while !writer.is_finished() {
                session.quiescent();
                std::thread::yield_now();
            }
        });
        session.quiescent();
    }

    #[test]
    fn a_slot_that_is_unmapped_relays_nothing_until_it_is_mapped_again() {
        let has_table =
            |subject: &dyn Subject| !["lock-or", "ours-remote"].contains(&subject.about().id);
        for subject in that_relay().filter(|subject| has_table(&**subject)) {
            let all: Vec<u8> = (0..32).collect();
            subject.session(0, &mut |session| {
                for turn in 0..4 {
                    write_beside(&*subject, session, turn);
                    post_all(session, &all);
                    let mapped = if turn % 2 == 0 { &all[..TOGGLED] } else { &all[..] };
                    assert_eq!(session.drain(), expected(mapped), "{}", subject.about().id);
                }
            });
        }
    }

    /// Tells a writer to stop, however the reader's session ends.
    #[derive(Default)]
    struct Stop(core::sync::atomic::AtomicBool);

    impl Stop {
        fn is_set(&self) -> bool {
            self.0.load(core::sync::atomic::Ordering::Relaxed)
        }
    }

    /// Sets it at the end of a scope.
    struct AtEnd<'a>(&'a Stop);

    impl Drop for AtEnd<'_> {
        fn drop(&mut self) {
            self.0.0.store(true, core::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn a_reader_that_panics_is_not_waited_for() {
        for subject in that_relay() {
            let subject: std::sync::Arc<dyn Subject> = subject.into();
            let dies = core::panic::AssertUnwindSafe(|| {
                subject.session(0, &mut |_| std::panic::resume_unwind(Box::new(())));
            });
            assert!(std::panic::catch_unwind(dies).is_err());
            let (send, receive) = std::sync::mpsc::channel();
            let id = subject.about().id;
            // Not a scoped thread: if it waits, this test must end nevertheless.
            let _ = std::thread::spawn(move || send.send(subject.write(0, 0)));
            let ends = receive.recv_timeout(core::time::Duration::from_secs(60));
            assert!(ends.is_ok(), "{id} waits");
        }
    }

    #[test]
    fn nothing_is_lost_while_another_slot_is_written() {
        for subject in that_relay() {
            let stop = Stop::default();
            let others: Vec<u8> = (0..31).collect();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    // A writer that waits for a reader waits in vain after the last one.
                    let running = (0..).take_while(|_| !stop.is_set());
                    running.filter(|turn| subject.write(0, *turn)).count()
                });
                let _stop = AtEnd(&stop);
                subject.session(0, &mut |session| {
                    for _ in 0..50 {
                        post_all(session, &others);
                        session.quiescent();
                        assert_eq!(session.drain(), expected(&others), "{}", subject.about().id);
                    }
                });
            });
        }
    }

    #[test]
    fn samples_and_batches_are_taken() {
        for subject in all() {
            subject.session(0, &mut |session| {
                let mut samples = [0; 8];
                session.samples(&mut samples);
                assert!(samples.iter().all(|ticks| *ticks != 0), "{:?}", subject.about());
                assert_ne!(session.batch(100), 0);
            });
        }
        assert_eq!(all()[1].about().family, Family::Ours);
    }
}
