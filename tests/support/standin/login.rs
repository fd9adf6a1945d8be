//! AKv4 passwords, computed from the vendor's description alone.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The password of one day (`yyyyMMdd`, UTC).
pub fn akv4_password(secret: &str, region: &str, day: &str) -> String {
    let key = signed(format!("aliyun_v4{secret}").as_bytes(), day);
    let key = signed(&key, region);
    let key = signed(&key, "hologres");
    STANDARD.encode(signed(&key, "aliyun_v4_request"))
}

/// Today in UTC, as `yyyyMMdd`.
pub fn today() -> String {
    let now = jiff::Timestamp::try_from(SystemTime::now()).expect("a time");
    now.strftime("%Y%m%d").to_string()
}

fn signed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
