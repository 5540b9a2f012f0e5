// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way of one interrupt: what L2 wants, what is mapped for it.

use super::{
    machine::{Machine, Refusal, Source},
    message::{Message, Target},
};

/// The mapping that is in use for one interrupt, if any.
#[derive(Debug)]
pub struct Route<M> {
    mapped: Option<(Target, M)>,
}

/// What is to be done with the device.
#[derive(Debug)]
pub enum Change<M> {
    /// The device already sends the right message.
    None,
    /// The device must send this message; then the old mapping, if any, can be given back.
    Program(Message, Option<M>),
    /// The message was refused: the device must stop; then the old mapping can be given back.
    Stop(Option<M>),
}

impl<M> Route<M> {
    /// Nothing is mapped.
    pub const NONE: Self = Self { mapped: None };

    /// Maps what `wanted` asks for. The new mapping is live and the old one still is: interrupts
    /// that are on their way to it are not lost.
    pub fn follow(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        source: Source,
        wanted: Message,
    ) -> Change<M> {
        let mapped =
            wanted.target(machine.cpus()).map_err(Refusal::Message).and_then(|target| match &self
                .mapped
            {
                Some((current, _)) if *current == target => Ok(None),
                _ => machine.map(target, source).map(|mapping| Some((target, mapping))),
            });
        match mapped {
            Ok(None) => Change::None,
            Ok(Some((target, mapping))) => {
                let message = machine.message(&mapping);
                Change::Program(message, self.replace(Some((target, mapping))))
            }
            Err(why) => {
                machine.refused(source, why);
                Change::Stop(self.replace(None))
            }
        }
    }

    /// Takes the mapping out, to be given back once the device is silent.
    pub fn take(&mut self) -> Option<M> {
        self.replace(None)
    }

    /// Whether there is a mapping.
    #[must_use]
    pub const fn is_mapped(&self) -> bool {
        self.mapped.is_some()
    }

    fn replace(&mut self, new: Option<(Target, M)>) -> Option<M> {
        core::mem::replace(&mut self.mapped, new).map(|(_, mapping)| mapping)
    }
}
