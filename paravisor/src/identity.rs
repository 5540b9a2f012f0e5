// SPDX-License-Identifier: MIT OR Apache-2.0
//! As which hypervisor L1 shows itself to L2.

/// The hypervisor that L2 sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// KVM without any of its features: an ordinary virtual machine, which knows nothing of the TD.
    #[default]
    Kvm,
    /// Hyper-V with an isolation of type TDX and a paravisor: L2 decides which of its memory the host
    /// may see.
    HyperV,
}

impl Identity {
    /// The identity that is called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "kvm" => Some(Self::Kvm),
            "hyperv" => Some(Self::HyperV),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn there_are_two_names() {
        assert_eq!(Identity::named("kvm"), Some(Identity::Kvm));
        assert_eq!(Identity::named("hyperv"), Some(Identity::HyperV));
        assert_eq!(Identity::named("xen"), None);
    }
}
