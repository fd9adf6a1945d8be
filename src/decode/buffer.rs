//! What the decoders of pushed text share: how chunks are joined, and what is kept between records.

use bytes::{Bytes, BytesMut};

/// What UTF-8 text may begin with; it belongs to no record.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a buffer keeps allocated between records. Few records are longer, so that one huge record does not hold its
/// memory for the rest of the object.
pub(super) const BUFFER_KEEP_BYTES: usize = 1 << 20;

/// What is left of a chunk, and the one behind it; copies only where something is left.
pub(super) fn join(rest: &[u8], chunk: Bytes) -> Bytes {
    if rest.is_empty() {
        return chunk;
    }
    let mut joined = BytesMut::with_capacity(rest.len() + chunk.len());
    joined.extend_from_slice(rest);
    joined.extend_from_slice(&chunk);
    joined.freeze()
}

/// Makes room for `extra` bytes, doubling as `Vec` does but not beyond `bytes_max`.
pub(super) fn reserve(buffer: &mut Vec<u8>, extra: usize, bytes_max: usize) {
    let needed = buffer.len() + extra;
    if needed > buffer.capacity() {
        let wanted = (2 * buffer.capacity()).min(bytes_max).max(needed);
        buffer.reserve_exact(wanted - buffer.len());
    }
}
