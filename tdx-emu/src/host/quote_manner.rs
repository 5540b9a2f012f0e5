// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the quoting service behaves. A host may do any of this, so a TD must bear it.

/// How it behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers after a while, in order, and notifies once.
    #[default]
    Honest,
    /// Waits for a few requests, and answers the last one first.
    Reverse,
    /// Answers, and does not notify.
    Silent,
    /// Notifies twice.
    Double,
    /// Notifies before it answers, and then again.
    Early,
    /// Answers before the call returns, and does not notify.
    AtOnce,
    /// Answers and notifies, when nobody waits any more.
    Late,
    /// Says that the quote has a length for which there is no room.
    Length,
    /// Answers with a status that there is not.
    Garbage,
    /// Takes requests and never answers.
    Never,
    /// Takes no request.
    Refuse,
}

impl Manner {
    /// The manner that a number stands for.
    pub(crate) fn any(number: u64) -> Self {
        const ALL: [Manner; 11] = [
            Manner::Honest,
            Manner::Reverse,
            Manner::Silent,
            Manner::Double,
            Manner::Early,
            Manner::AtOnce,
            Manner::Late,
            Manner::Length,
            Manner::Garbage,
            Manner::Never,
            Manner::Refuse,
        ];
        let number = usize::try_from(number % 64).unwrap_or(0);
        ALL.get(number % ALL.len()).copied().unwrap_or_default()
    }

    /// The manner of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "honest" => Self::Honest,
            "reverse" => Self::Reverse,
            "silent" => Self::Silent,
            "double" => Self::Double,
            "early" => Self::Early,
            "at-once" => Self::AtOnce,
            "late" => Self::Late,
            "length" => Self::Length,
            "garbage" => Self::Garbage,
            "never" => Self::Never,
            "refuse" => Self::Refuse,
            _ => return None,
        })
    }
}
