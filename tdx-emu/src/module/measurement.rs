// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a TD is: its build-time measurement (MRTD) and its run-time measurements (RTMRs).
//!
//! Spec: TDX-BASE "Measurement and Attestation".

use sha2::{Digest as _, Sha384};
use tdvf::mrtd::Mrtd;

/// A SHA-384 digest.
pub(crate) type Digest = [u8; 48];

/// A TD's measurements.
#[derive(Default)]
pub(crate) struct Measurement {
    building: Option<Mrtd>,
    /// Build-time measurement; zero until finalized.
    pub(crate) mrtd: Digest48,
    /// Run-time measurements.
    pub(crate) rtmr: [Digest48; 4],
}

/// A digest with a default of zero, which arrays of 48 bytes lack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest48(pub(crate) Digest);

impl Default for Digest48 {
    fn default() -> Self {
        Self([0; 48])
    }
}

impl core::fmt::Debug for Measurement {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Measurement").field("mrtd", &self.mrtd).finish_non_exhaustive()
    }
}

impl Measurement {
    /// The measurement of an empty TD.
    pub(crate) fn new() -> Self {
        Self { building: Some(Mrtd::new()), ..Self::default() }
    }

    /// Measures that a page was added at `gpa`.
    pub(crate) fn page_add(&mut self, gpa: u64) {
        if let Some(mrtd) = &mut self.building {
            mrtd.page_add(gpa);
        }
    }

    /// Measures 256 bytes at `gpa`.
    pub(crate) fn extend(&mut self, gpa: u64, chunk: &[u8; 256]) {
        if let Some(mrtd) = &mut self.building {
            mrtd.extend(gpa, chunk);
        }
    }

    /// Fixes MRTD.
    pub(crate) fn finalize(&mut self) {
        if let Some(mrtd) = self.building.take() {
            self.mrtd = Digest48(mrtd.finish());
        }
    }

    /// Extends a run-time measurement: `RTMR := SHA384(RTMR || value)`.
    pub(crate) fn extend_rtmr(&mut self, index: usize, value: &Digest) {
        let mut hash = Sha384::new();
        hash.update(self.rtmr[index].0);
        hash.update(value);
        self.rtmr[index] = Digest48(hash.finalize().into());
    }
}
