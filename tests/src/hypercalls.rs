// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest of Hyper-V: memory shared with the host and taken back, and nonsense refused.

use libtest_mimic::Trial;

use crate::account;
use crate::stand::{Stand, Verdict, check, said, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("hypercalls::memory_is_shared_and_taken_back_with_smp_1", || shared(1)),
        scenario("hypercalls::memory_is_shared_and_taken_back_in_a_race_with_smp_2", || shared(2)),
        scenario("hypercalls::a_guest_of_kvm_has_none", || {
            Stand::new(1, "scenario=hypercalls")
                .run(|outcome| said(outcome, "L2 | ", "reason=hypercall what=\"the name\""))
        }),
    ]
}

/// The guest checks what it reads; that the paravisor met no host that refuses is for its own figures.
fn shared(cpus: u32) -> Verdict {
    let stand = Stand::new(cpus, &format!("scenario=hypercalls cpus={cpus}"));
    stand.paravisor_option("identity=hyperv").run(|outcome| {
        let figures = account::exact(outcome)?;
        check!(figures.handled == 10, "{} handled", figures.handled);
        said(outcome, "L2 | ", "result hypercalls refused=60")?;
        let refused = outcome.console.iter().any(|line| line.contains("host_refusals"));
        check!(!refused, "the host refused a conversion");
        Ok(())
    })
}
