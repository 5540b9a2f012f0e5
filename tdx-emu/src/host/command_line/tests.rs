// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is understood, and what is refused by name.

use super::{
    CommandLine, Conversion, Error, Flavour, FloodPlan, Manner, PciId, PlannedSmis, SweepPlan,
    Unasked,
};
use crate::host::{fw_cfg::Interfaces, hyperv::retarget::Redirection, pci::isa_bridge::Choice};

#[test]
fn nothing_said_gives_the_defaults() {
    let parsed = CommandLine::parse("  ").unwrap();
    assert_eq!(parsed, CommandLine::default());
    assert_eq!(parsed.devices().count(), 2);
}

#[test]
fn every_key_is_understood() {
    let text = "flavour=hyperv redirect=0 vmbus=5.3 rescind=9 vcpus=2 memory=256 log=debug trace=1 relay_table=0xffe01000 \
                relay_stride=768 devices=8086:100e unasked=0x5f:10 campaign=3 conversion=parts \
                resume=l1 sweep=0x5f:32:0x40:1:84 \
                flood=8:1000 quotes=reverse unnotified=1 timer_advance_ns=5000 smis=plain:5 removal=1af4:1110:9 \
                bridge=piix3 files=bytes";
    let parsed = CommandLine::parse(text).unwrap();
    assert_eq!((parsed.vcpus, parsed.memory, parsed.trace), (Some(2), 256 << 20, true));
    assert_eq!((parsed.relay_table, parsed.relay_stride), (Some(0xffe0_1000), 768));
    assert_eq!(parsed.unasked, Some(Unasked { vector: 95, count: 10 }));
    assert_eq!(parsed.campaign, 3);
    assert_eq!((parsed.conversion, parsed.resume_l1), (Conversion::Parts, true));
    assert_eq!(parsed.removal.map(|removal| removal.reads), Some(9));
    assert_eq!(parsed.smis, Some(PlannedSmis::Plain(5)));
    assert_eq!(parsed.flood, Some(FloodPlan { lanes: 8, total: 1000 }));
    let (starter, echo) = (Some(0x40), Some(84));
    let plan = SweepPlan { vector: 0x5f, lanes: 32, starter, target: 1, echo };
    assert_eq!(parsed.sweep, Some(plan));
    assert_eq!(parsed.timer_advance_ns, 5000);
    assert_eq!((parsed.quotes, parsed.unnotified), (Manner::Reverse, Some(1)));
    assert_eq!(parsed.flavour, Flavour::Hyperv);
    assert_eq!(parsed.hyperv.redirection, Redirection::Absent);
    assert_eq!(
        (parsed.hyperv.vmbus.newest, parsed.hyperv.vmbus.rescind_after),
        (0x5_0003, Some(9))
    );
    assert_eq!((parsed.bridge, parsed.files), (Choice::Piix3, Interfaces::Ports));
    assert_eq!(parsed.log, log::LevelFilter::Debug);
    assert!(parsed.devices().eq([PciId { vendor: 0x8086, device: 0x100e }]));
}

#[test]
fn no_devices_can_be_asked_for() {
    assert_eq!(CommandLine::parse("devices=").unwrap().devices().count(), 0);
}

#[test]
fn a_mistake_is_named() {
    assert_eq!(CommandLine::parse("vcpu=2"), Err(Error::UnknownKey("vcpu")));
    assert_eq!(CommandLine::parse("quiet"), Err(Error::NotAssigned("quiet")));
    for text in [
        "vcpus=0",
        "memory=33",
        "memory=16",
        "trace=yes",
        "devices=1",
        "flavour=xen",
        "redirect=2",
        "vmbus=4.0",
        "rescind=no",
        "unasked=8:1",
        "campaign=all",
        "conversion=maybe",
        "resume=l3",
        "quotes=real",
        "smis=5",
        "removal=1af4:1110",
        "unnotified=all",
        "timer_advance_ns=soon",
        "bridge=piix3-on",
        "files=all",
        "flood=33:5",
        "sweep=0x60:1:0:0",
        "sweep=0x40:33:0:0",
        "sweep=0x40:1:0",
        "sweep=0x40:1:0:0:15",
        "sweep=0x40:1:0:0:84:0",
    ] {
        let error = CommandLine::parse(text).unwrap_err();
        assert!(matches!(error, Error::BadValue { .. }), "{text}");
    }
    let error = CommandLine::parse("trace=yes").unwrap_err();
    assert_eq!(error.to_string(), "command line: trace=yes: wanted 0 or 1");
}
