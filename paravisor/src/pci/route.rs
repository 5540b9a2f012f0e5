// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way of one interrupt: what L2 wants, what is mapped for it.

use super::{
    machine::{Machine, Refusal, Source},
    message::{Message, Target},
};

/// The mapping that is in use for one interrupt, if any; or the one it did not get.
#[derive(Debug)]
pub struct Route<M> {
    mapped: Option<(Target, M)>,
    refused: Option<Target>,
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
    pub const NONE: Self = Self { mapped: None, refused: None };

    /// Maps what `wanted` asks for. The new mapping is live and the old one still is: interrupts
    /// that are on their way to it are not lost.
    pub fn follow(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        source: Source,
        wanted: Message,
    ) -> Change<M> {
        self.forget_refusal(machine, source);
        match self.map(machine, source, wanted) {
            Ok(None) => Change::None,
            Ok(Some((target, mapping))) => {
                let message = machine.message(source, &mapping);
                Change::Program(message, self.replace(Some((target, mapping))))
            }
            Err(why) => {
                if let Refusal::Full(target) = why {
                    self.refused = Some(target);
                }
                machine.refused(source, why);
                Change::Stop(self.replace(None))
            }
        }
    }

    /// Maps what `wanted` asks for, unless that is mapped already.
    fn map(
        &self,
        machine: &mut impl Machine<Mapping = M>,
        source: Source,
        wanted: Message,
    ) -> Result<Option<(Target, M)>, Refusal> {
        let target = wanted.target(machine.cpus()).map_err(Refusal::Message)?;
        match &self.mapped {
            Some((current, _)) if *current == target => Ok(None),
            _ => machine.map(target, source).map(|mapping| Some((target, mapping))),
        }
    }

    /// Maps anew what takes a detour, or was refused, by a reserved vector of its own CPU. `None` if
    /// `target` is not what this is about, or there is still no better way. The caller makes the device
    /// use the mapping and then calls [`adopt`](Self::adopt), or gives it back.
    pub fn better(
        &mut self,
        machine: &mut impl Machine<Mapping = M>,
        source: Source,
        target: Target,
    ) -> Option<M> {
        let has_detour = match &self.mapped {
            Some((current, mapping)) => *current == target && machine.is_detour(mapping),
            None => false,
        };
        if !has_detour && self.refused != Some(target) {
            machine.forget_refusal(target, source);
            return None;
        }
        match machine.map(target, source) {
            Ok(mapping) if has_detour && machine.is_detour(&mapping) => {
                machine.unmap(mapping);
                None
            }
            Ok(mapping) => Some(mapping),
            Err(_) => {
                if has_detour {
                    machine.forget_refusal(target, source);
                }
                None
            }
        }
    }

    /// Maps anew what is mapped, as the machine would have it now. `None` if nothing is mapped, or if that is
    /// no other way. As after [`better`](Self::better), the caller sees to the device.
    pub fn anew(
        &self,
        machine: &mut impl Machine<Mapping = M>,
        source: Source,
    ) -> Option<(Target, M)> {
        let (target, old) = self.mapped.as_ref()?;
        let new = machine.map(*target, source).ok()?;
        if machine.is_same_way(old, &new) {
            machine.unmap(new);
            return None;
        }
        Some((*target, new))
    }

    /// Has the host bring interrupts to where the mapping leads. The device has its message.
    pub fn steer(&mut self, machine: &mut impl Machine<Mapping = M>, source: Source) {
        if let Some((target, mapping)) = self.mapped.take() {
            self.mapped = Some((target, machine.steer(source, mapping)));
        }
    }

    /// The device uses what [`better`](Self::better) returned; returns the old mapping, to be given back.
    pub fn adopt(&mut self, target: Target, mapping: M) -> Option<M> {
        self.refused = None;
        self.replace(Some((target, mapping)))
    }

    /// Takes the mapping out, to be given back once the device is silent.
    pub fn take(&mut self, machine: &mut impl Machine<Mapping = M>, source: Source) -> Option<M> {
        self.forget_refusal(machine, source);
        self.replace(None)
    }

    /// What was refused is no longer wanted, or is about to be asked for again.
    pub fn forget_refusal(&mut self, machine: &mut impl Machine<Mapping = M>, source: Source) {
        if let Some(target) = self.refused.take() {
            machine.forget_refusal(target, source);
        }
    }

    fn replace(&mut self, new: Option<(Target, M)>) -> Option<M> {
        core::mem::replace(&mut self.mapped, new).map(|(_, mapping)| mapping)
    }
}
