// SPDX-License-Identifier: MIT OR Apache-2.0
//! By which way a device's interrupt comes: posted, on a reserved vector; or proxied, as a message of the host.
//!
//! Posting is wanted wherever the host offers it. Where it does not, where no reserved vector is left, or where
//! L2 asks for it, interrupts are proxied: the vector is let through the filter of the very CPU that it is for,
//! and from there the way is the same. A host that is not of Hyper-V's kind has posting alone.
//!
//! On a host of Hyper-V's kind a device's message is a *name*, and a call says where it leads. Once that call has
//! returned, the old way gets nothing new. What it got before has arrived when a register of the device has been
//! read; it is taken by its owner before the old mapping is gone (`requests.rs`).

use core::sync::atomic::{AtomicBool, Ordering};

use log::warn;
use paravisor::{
    hyperv::status::HvStatus,
    hyperv_host::hypercall::{Retarget, Way as Wanted},
    pci::{
        machine::{Refusal, Source},
        message::{Message, Target},
    },
    platform::Ways,
    width,
};
use proxy_irq::{Grant, MapError, Mapping, Mode, Reason, Relay, Ticket};

use crate::{
    cpus::MAX_VCPUS,
    hypercall,
    interrupt::{
        counters::{RETARGETS, RETARGETS_REFUSED},
        synic,
    },
};

/// Whether L2 wants all its interrupts proxied.
static ALL_PROXIED: AtomicBool = AtomicBool::new(false);

/// The way of one interrupt.
#[derive(Debug)]
pub(super) enum Way {
    /// By a reserved vector.
    Posted(Mapping),
    /// By messages.
    Proxied(Grant),
}

/// L2 chooses.
pub(super) fn choose(chosen: Ways) {
    ALL_PROXIED.store(chosen == Ways::Proxied, Ordering::Relaxed);
}

impl Way {
    /// Chooses a way for `source` to `target`, which is open when this returns.
    pub(super) fn open(
        relay: &mut Relay<'static, MAX_VCPUS>,
        target: Target,
        source: Source,
    ) -> Result<Self, Refusal> {
        let why = match wants() {
            Some(why) => why,
            None => match posted(relay, target, source) {
                Ok(mapping) => return Ok(Self::Posted(mapping)),
                Err(_) => Reason::BlockFull,
            },
        };
        Self::proxied(relay, target, source, why)
    }

    /// Opens the filter for `source` to `target`, because of `why`.
    fn proxied(
        relay: &mut Relay<'static, MAX_VCPUS>,
        target: Target,
        source: Source,
        why: Reason,
    ) -> Result<Self, Refusal> {
        let cpu = width::index(target.cpu.into());
        if !synic::is_on(cpu) {
            return Err(Refusal::Full(target));
        }
        let what = (target.vector, relay_source(source));
        relay.grant_for(cpu, what, why).map(Self::Proxied).map_err(|_| Refusal::Full(target))
    }

    /// What the device must send.
    pub(super) fn message(&self, source: Source) -> Message {
        match self {
            Self::Posted(mapping) if !synic::is_hyper_v() => {
                let cpu = u8::try_from(mapping.message_cpu()).unwrap_or(u8::MAX);
                Message::to_l1(cpu, mapping.reserved_vector().get())
            }
            Self::Posted(_) | Self::Proxied(_) => Message::name(source.entry),
        }
    }

    /// Tells the host where the device's message leads. A host that does not post it proxies it.
    pub(super) fn steer(
        self,
        relay: &mut Relay<'static, MAX_VCPUS>,
        source: Source,
    ) -> (Self, Option<Ticket<'static>>) {
        if !synic::is_hyper_v() || self.tell(source) == HvStatus::SUCCESS {
            return (self, None);
        }
        let target = self.target();
        let other = match self {
            Self::Posted(_) => Self::proxied(relay, target, source, Reason::NotOffered).ok(),
            Self::Proxied(_) => None,
        };
        match other {
            Some(other) if other.tell(source) == HvStatus::SUCCESS => {
                let ticket = self.close(relay);
                (other, ticket)
            }
            // Nothing comes. L2 has its mapping all the same, and the host its way to deny service.
            Some(other) => {
                let ticket = other.close(relay);
                (self, ticket)
            }
            None => (self, None),
        }
    }

    /// Gives the way back; its owner has to let it go.
    pub(super) fn close(self, relay: &mut Relay<'static, MAX_VCPUS>) -> Option<Ticket<'static>> {
        // What the relay does not know would be a bug without consequence.
        match self {
            Self::Posted(mapping) => relay.unmap(mapping).ok(),
            Self::Proxied(grant) => relay.revoke(grant).ok(),
        }
    }

    /// Whether a reserved vector of the target CPU would be better.
    pub(super) fn is_detour(&self) -> bool {
        match self {
            Self::Posted(mapping) => mapping.mode() != Mode::Posted,
            Self::Proxied(_) => true,
        }
    }

    /// Whether interrupts come in the same manner.
    pub(super) const fn is_same(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Posted(_), Self::Posted(_)) | (Self::Proxied(_), Self::Proxied(_))
        )
    }

    fn target(&self) -> Target {
        let (vector, cpu) = match self {
            Self::Posted(mapping) => (mapping.vector(), mapping.cpu()),
            Self::Proxied(grant) => (grant.vector(), grant.cpu()),
        };
        Target { vector, cpu: width::low32(width::wide(cpu)) }
    }

    fn tell(&self, source: Source) -> HvStatus {
        let (cpu, wanted) = match self {
            Self::Posted(mapping) => {
                (mapping.message_cpu(), Wanted::Posted(mapping.reserved_vector().get()))
            }
            Self::Proxied(grant) => (grant.cpu(), Wanted::Proxied(grant.vector().get())),
        };
        let cpu = width::low32(width::wide(cpu));
        RETARGETS.add();
        let call = Retarget::new(source.bdf, self.message(source), cpu, wanted);
        let status = hypercall::retarget(&call);
        if status != HvStatus::SUCCESS && RETARGETS_REFUSED.add_and_tell() {
            warn!(
                "retarget refused: device={} entry={} cpu={cpu} {wanted:?} status={:#x}",
                source.bdf, source.entry, status.0
            );
        }
        status
    }
}

/// Why interrupts are not to be posted, if they are not.
fn wants() -> Option<Reason> {
    if !synic::is_hyper_v() {
        return None;
    }
    match (hypercall::posts(), ALL_PROXIED.load(Ordering::Relaxed)) {
        (false, _) => Some(Reason::NotOffered),
        (true, true) => Some(Reason::Asked),
        (true, false) => None,
    }
}

fn posted(
    relay: &mut Relay<'static, MAX_VCPUS>,
    target: Target,
    source: Source,
) -> Result<Mapping, MapError> {
    relay.map(width::index(target.cpu.into()), target.vector, relay_source(source))
}

/// A source, as the relay knows it.
pub(super) fn relay_source(source: Source) -> proxy_irq::Source {
    proxy_irq::Source { device: source.bdf.0.into(), entry: source.entry.into() }
}
