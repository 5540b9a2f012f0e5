// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels as they are before they are packed: out of compressed files, and out of Linux's own format.
//!
//! Spec: LINUX "The Real-Mode Kernel Header" (`payload_offset`).

use std::io::Read;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use crate::{Failure, Result, failure::Context};

const GZIP: &[u8] = b"\x1f\x8b";
const LZ4: &[u8] = b"\x02\x21\x4c\x18";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// What a block of an old LZ4 file unpacks to at most.
const LZ4_BLOCK: usize = 8 << 20;

/// Bytes behind a packed kernel that say how many bytes it unpacks to.
const SIZE: usize = 4;

/// Returns what `file` unpacks to; nothing if it is not compressed in a way that is known.
///
/// # Errors
///
/// If it is damaged.
pub(crate) fn unpack(file: &[u8]) -> Result<Option<Vec<u8>>> {
    let unpacked = if file.starts_with(GZIP) {
        through(MultiGzDecoder::new(file))
    } else if file.starts_with(ZSTD) {
        StreamingDecoder::new(file).context(damaged).and_then(through)
    } else if let Some(blocks) = file.strip_prefix(LZ4) {
        lz4(blocks)
    } else {
        return Ok(None);
    };
    unpacked.map(Some)
}

/// Returns the ELF file that a bzImage has inside.
///
/// # Errors
///
/// If the file is no bzImage, or packed in another way than Debian's kernels are.
pub(crate) fn vmlinux(bzimage: &[u8]) -> Result<Vec<u8>> {
    let foreign = || Failure::new("not a bzImage");
    let setup = bzimage.get(0x1f1..0x250).filter(|setup| &setup[0x11..0x15] == b"HdrS");
    let setup = setup.ok_or_else(foreign)?;
    let field = |at: usize| {
        let raw = setup.get(at - 0x1f1..).and_then(|rest| rest.first_chunk());
        raw.map_or(0, |raw| u32::from_le_bytes(*raw) as usize)
    };
    let start = (usize::from(setup[0]) + 1) * 512 + field(0x248);
    let payload = bzimage.get(start..start.saturating_add(field(0x24c))).ok_or_else(foreign)?;
    if payload.starts_with(GZIP) {
        return unpack(payload)?.ok_or_else(foreign);
    }
    let (packed, size) = payload.split_last_chunk::<SIZE>().ok_or_else(foreign)?;
    let unknown = || Failure::new("the kernel in it is packed in an unknown way");
    let unpacked = unpack(packed)?.ok_or_else(unknown)?;
    if unpacked.len() == u32::from_le_bytes(*size) as usize {
        Ok(unpacked)
    } else {
        Err(Failure::new(damaged()))
    }
}

fn damaged() -> String {
    "cannot unpack it".to_owned()
}

fn through(mut reader: impl Read) -> Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    reader.read_to_end(&mut unpacked).context(damaged)?;
    Ok(unpacked)
}

/// Unpacks blocks, each with its size before it.
fn lz4(mut blocks: &[u8]) -> Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    while let Some((size, rest)) = blocks.split_first_chunk() {
        let size = u32::from_le_bytes(*size) as usize;
        let (block, rest) = rest.split_at_checked(size).ok_or_else(|| Failure::new(damaged()))?;
        unpacked.extend(lz4_flex::block::decompress(block, LZ4_BLOCK).context(damaged)?);
        blocks = rest;
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::{unpack, vmlinux};

    const TEXT: &[u8] = b"a kernel, a kernel, a kernel, a kernel, a kernel, a kernel";

    fn gzip() -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(TEXT).unwrap();
        encoder.finish().unwrap()
    }

    fn lz4() -> Vec<u8> {
        let block = lz4_flex::block::compress(TEXT);
        let size = u32::try_from(block.len()).unwrap();
        [b"\x02\x21\x4c\x18", &size.to_le_bytes()[..], &block].concat()
    }

    fn zstd() -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(TEXT, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn bzimage(payload: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 1024 + 16];
        file[0x1f1] = 1;
        file[0x202..0x206].copy_from_slice(b"HdrS");
        file[0x248] = 16;
        file[0x24c..0x250].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
        file.extend(payload);
        file.extend(b"signature");
        file
    }

    #[test]
    fn each_packing_is_known() {
        for packed in [gzip(), lz4(), zstd()] {
            assert_eq!(unpack(&packed).unwrap().as_deref(), Some(TEXT));
        }
        assert_eq!(unpack(TEXT).unwrap(), None);
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for packed in [gzip(), lz4(), zstd()] {
            assert!(unpack(&packed[..packed.len() - 9]).is_err());
        }
    }

    #[test]
    fn a_bzimage_has_its_kernel_inside() {
        let size = u32::try_from(TEXT.len()).unwrap().to_le_bytes();
        for packed in [lz4(), zstd()] {
            let sized = [&packed[..], &size].concat();
            assert_eq!(vmlinux(&bzimage(&sized)).unwrap(), TEXT);
            let wrong = [&packed[..], &[1, 0, 0, 0]].concat();
            assert!(vmlinux(&bzimage(&wrong)).is_err());
        }
        assert_eq!(vmlinux(&bzimage(&gzip())).unwrap(), TEXT);
        assert!(vmlinux(&bzimage(b"not packed")).is_err());
        assert!(vmlinux(TEXT).is_err());
        assert!(vmlinux(&bzimage(&[0; 64])[..1030]).is_err());
    }
}
