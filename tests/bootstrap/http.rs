//! An AWS service of a few lines: JSON in, JSON out, every request kept.

#![allow(unreachable_pub, reason = "the module is all that its test binary sees of it")]

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use crate::support::call::read_call;

/// Answers one call: the operation's name and its input to a status and an output.
type Answer = dyn Fn(&str, &Value) -> (u16, Value) + Send + Sync;

pub struct HttpStub {
    port: u16,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
}

impl HttpStub {
    /// Listens until the process ends.
    pub fn start(answer: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let calls = Arc::<Mutex<Vec<_>>>::default();
        let (answer, seen): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&calls));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                thread::spawn(move || serve(&stream, &*answer, &seen));
            }
        });
        Self { port, calls }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every call so far: operation and input.
    pub fn calls(&self) -> Vec<(String, Value)> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(stream: &TcpStream, answer: &Answer, calls: &Mutex<Vec<(String, Value)>>) -> io::Result<()> {
    let Some((operation, body)) = read_call(stream)? else { return Ok(()) };
    let input = serde_json::from_slice(&body)?;
    let (status, output) = answer(&operation, &input);
    calls.lock().unwrap_or_else(PoisonError::into_inner).push((operation, input));
    let output = output.to_string();
    let head = format!(
        "HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        output.len()
    );
    let mut writer = stream;
    writer.write_all(head.as_bytes())?;
    writer.write_all(output.as_bytes())
}
