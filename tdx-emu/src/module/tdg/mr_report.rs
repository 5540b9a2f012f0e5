// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MR.REPORT` (leaf 4): a report of the TD's measurements over 64 bytes of the caller's.
//!
//! The report is complete but for its authenticity: where hardware puts a MAC, the emulator puts
//! words that nobody can take for one.
//!
//! Spec: TDX-ABI "TDG.MR.REPORT Leaf", "TDREPORT_STRUCT".

use sha2::{Digest as _, Sha384};
use tdcall::{
    status::{OperandId, Status},
    td_report::{TdInfo, TdReport},
};
use zerocopy::{FromZeros as _, IntoBytes as _};

use crate::{
    module::{
        operand::{self, Memory},
        stop::Stop,
        vcpu::Vcpu,
    },
    svm::{
        physical,
        vmrun::{RCX, RDX},
    },
};

/// Where the MAC would be: 32 bytes.
const NOT_A_MAC: &[u8; 32] = b"EMULATED TDX - NOT A REAL MAC --";

/// Writes the report to RCX, over the data at RDX.
pub(super) fn handle(vcpu: &Vcpu) -> Result<Status, Stop> {
    const REPORT_TYPE_TDX: u8 = 0x81;
    let (output, data) = (vcpu.gprs.0[RCX], vcpu.gprs.0[RDX]);
    if output % 1024 != 0 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX).into());
    }
    let data = operand::find(vcpu, data, 64, Memory::Any, OperandId::RDX)?;
    if vcpu.gprs.0[8] != 0 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::R8).into());
    }
    let output = operand::find(vcpu, output, 1024, Memory::Any, OperandId::RCX)?;
    let mut report = TdReport::new_zeroed();
    report.td_info = td_info(vcpu)?;
    report.mac.report_type.kind = REPORT_TYPE_TDX;
    report.mac.tee_info_hash = Sha384::digest(report.td_info.as_bytes()).into();
    report.mac.tee_tcb_info_hash = Sha384::digest(report.tee_tcb_info.as_bytes()).into();
    physical::read_bytes(data, &mut report.mac.report_data);
    report.mac.mac = *NOT_A_MAC;
    physical::write_bytes(output, report.as_bytes());
    Ok(Status::SUCCESS)
}

fn td_info(vcpu: &Vcpu) -> Result<TdInfo, Stop> {
    let params = &vcpu.td.config()?.params;
    let measurement = vcpu.td.measurement.lock();
    let mut info = TdInfo::new_zeroed();
    info.attributes = params.attributes.0;
    info.xfam = params.xfam;
    info.mrtd = measurement.mrtd.0;
    info.mrconfigid = params.mrconfigid;
    info.mrowner = params.mrowner;
    info.mrownerconfig = params.mrownerconfig;
    info.rtmr = measurement.rtmr.map(|digest| digest.0);
    Ok(info)
}
