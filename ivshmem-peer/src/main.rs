// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ivshmem-peer SOCKET VECTORS`: serves one QEMU and prints what was rung, for runs by hand.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the summary is this program's output")]

use std::env;
use std::path::Path;
use std::process::ExitCode;

use ivshmem_peer::Peer;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [socket, vectors] = arguments.as_slice() else {
        return fail("usage: ivshmem-peer SOCKET VECTORS");
    };
    let Ok(vectors) = vectors.parse() else {
        return fail(&format!("not a number of vectors: {vectors}"));
    };
    match Peer::start(Path::new(socket), vectors) {
        Ok(peer) => {
            let summary = peer.wait();
            println!("commands={} rung={:?}", summary.commands, summary.rung);
            summary.errors.iter().for_each(|error| println!("error: {error}"));
            if summary.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => fail(&format!("{socket}: {error}")),
    }
}

/// Says what went wrong.
fn fail(message: &str) -> ExitCode {
    eprintln!("ivshmem-peer: {message}");
    ExitCode::FAILURE
}
