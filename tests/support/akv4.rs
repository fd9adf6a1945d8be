//! The password of the day, made by hand from the hash alone: a second opinion on the loader's.

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

const BLOCK_BYTES: usize = 64;

/// What an AccessKey Secret comes to in a region today (UTC), or so many days from it.
pub fn password(secret: &str, region: &str, days_from_now: i64) -> String {
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days_from_now);
    let day = now.strftime("%Y%m%d").to_string();
    let mut key = format!("aliyun_v4{secret}").into_bytes();
    for part in [day.as_str(), region, "hologres", "aliyun_v4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    base64::engine::general_purpose::STANDARD.encode(key)
}

/// RFC 2104, for keys that are no longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    assert!(key.len() <= BLOCK_BYTES, "a longer key would have to be hashed first");
    let padded = |pad: u8| {
        let mut block = [pad; BLOCK_BYTES];
        block.iter_mut().zip(key).for_each(|(to, byte)| *to ^= byte);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}
