//! One request to an AWS service that is served here by hand.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::TcpStream;

/// The operation that the header names, empty without one, and the body; `None` where the caller has gone.
pub fn read_call(stream: &TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut reader = BufReader::new(stream);
    let (mut operation, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().map_err(io::Error::other)?;
        } else if name.eq_ignore_ascii_case("x-amz-target") {
            value.rsplit('.').next().unwrap_or_default().clone_into(&mut operation);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((operation, body)))
}
