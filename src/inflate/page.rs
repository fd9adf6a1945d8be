//! One page of a columnar file, which says beforehand how long it is unpacked.

use std::io::Read;

use flate2::read::MultiGzDecoder;

/// How pages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageCodec {
    /// Not at all.
    Plain,
    /// Without framing.
    Snappy,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// Blocks behind their lengths, as Hadoop writes them, or one block.
    Lz4Hadoop,
    /// One block.
    Lz4,
}

/// The page's bytes, `plain_len` of them exactly; none if that is not what comes out. Nothing is allocated beyond them.
pub fn unpack_page(codec: PageCodec, packed: &[u8], plain_len: usize) -> Option<Vec<u8>> {
    let mut plain = vec![0; plain_len];
    let length = match codec {
        PageCodec::Plain => return (packed.len() == plain_len).then(|| packed.to_vec()),
        PageCodec::Snappy => {
            let said = snap::raw::decompress_len(packed).ok()?;
            if said != plain_len {
                return None;
            }
            snap::raw::Decoder::new().decompress(packed, &mut plain).ok()?
        }
        PageCodec::Gzip => {
            let mut decoder = MultiGzDecoder::new(packed);
            decoder.read_exact(&mut plain).ok()?;
            // The checksum is looked at where the end is.
            if decoder.read(&mut [0]).ok()? != 0 {
                return None;
            }
            plain_len
        }
        PageCodec::Zstd => zstd::bulk::decompress_to_buffer(packed, &mut plain[..]).ok()?,
        PageCodec::Lz4 => lz4_flex::block::decompress_into(packed, &mut plain).ok()?,
        PageCodec::Lz4Hadoop => match hadoop_blocks(packed, &mut plain) {
            Some(()) => plain_len,
            None => lz4_flex::block::decompress_into(packed, &mut plain).ok()?,
        },
    };
    (length == plain_len).then_some(plain)
}

/// Each block behind its two lengths, unpacked and packed.
fn hadoop_blocks(mut packed: &[u8], mut plain: &mut [u8]) -> Option<()> {
    while !packed.is_empty() {
        let (plain_len, rest) = packed.split_first_chunk::<4>()?;
        let (packed_len, rest) = rest.split_first_chunk::<4>()?;
        let (plain_len, packed_len) =
            (u32::from_be_bytes(*plain_len) as usize, u32::from_be_bytes(*packed_len) as usize);
        let (block, rest) = rest.split_at_checked(packed_len)?;
        let (into, after) = std::mem::take(&mut plain).split_at_mut_checked(plain_len)?;
        if lz4_flex::block::decompress_into(block, into).ok()? != plain_len {
            return None;
        }
        (packed, plain) = (rest, after);
    }
    plain.is_empty().then_some(())
}

/// Whether the page is what its writer wrote.
pub fn fits_checksum(packed: &[u8], checksum: u32) -> bool {
    crc32fast::hash(packed) == checksum
}
