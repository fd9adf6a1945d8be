//! The few messages of the simple protocol by hand: tokio-postgres speaks COPY in the extended one alone.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::world::World;

pub struct Raw {
    stream: TcpStream,
    world_sql: Box<dyn Fn(&str) -> String>,
}

/// Tag and body.
pub type Message = (u8, Vec<u8>);

impl Raw {
    /// A plaintext connection: Hologres takes both kinds.
    pub fn connect(world: &World) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", world.db.port)).expect("the stand-in listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let db = world.db.clone();
        let world_sql = Box::new(move |sql: &str| db.value(sql).expect("a value"));
        let mut raw = Self { stream, world_sql };
        raw.log_in(&world.db.user, &world.db.password, &world.db.name);
        raw
    }

    fn log_in(&mut self, user: &str, password: &str, database: &str) {
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        body.extend_from_slice(format!("user\0{user}\0database\0{database}\0\0").as_bytes());
        self.write(None, &body);
        loop {
            let (tag, body) = self.read();
            match (tag, body.as_slice()) {
                (b'R', [0, 0, 0, 5, salt @ ..]) => {
                    let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
                    let hash = (self.world_sql)(&format!(
                        "SELECT 'md5' || md5(convert_to(md5('{password}{user}'), 'UTF8') || '\\x{salt}'::bytea)"
                    ));
                    self.send(b'p', format!("{hash}\0").as_bytes());
                }
                (b'Z', _) => return,
                (b'E', _) => panic!("{}", String::from_utf8_lossy(&body)),
                _ => {}
            }
        }
    }

    pub fn send(&mut self, tag: u8, body: &[u8]) {
        self.write(Some(tag), body);
    }

    fn write(&mut self, tag: Option<u8>, body: &[u8]) {
        let mut message: Vec<u8> = tag.into_iter().collect();
        message.extend_from_slice(&u32::try_from(body.len() + 4).expect("short").to_be_bytes());
        message.extend_from_slice(body);
        self.stream.write_all(&message).expect("the connection stands");
    }

    pub fn read(&mut self) -> Message {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).expect("a message");
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) - 4;
        let mut body = vec![0; usize::try_from(length).expect("a length")];
        self.stream.read_exact(&mut body).expect("a body");
        (head[0], body)
    }

    /// Everything up to and with `ReadyForQuery`.
    pub fn answers(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            messages.push(self.read());
            if messages.last().is_some_and(|(tag, _)| *tag == b'Z') {
                return messages;
            }
        }
    }

    pub fn query(&mut self, sql: &str) -> Vec<Message> {
        self.send(b'Q', format!("{sql}\0").as_bytes());
        self.answers()
    }

    /// COPY in the simple protocol; the answers after the data, or those instead of `CopyInResponse`.
    pub fn copy(&mut self, sql: &str, data: &[u8]) -> Vec<Message> {
        self.send(b'Q', format!("{sql}\0").as_bytes());
        let first = self.read();
        if first.0 != b'G' {
            let mut messages = vec![first];
            messages.extend(self.answers());
            return messages;
        }
        // However the data is split.
        for part in data.chunks(7) {
            self.send(b'd', part);
        }
        self.send(b'c', b"");
        self.answers()
    }
}

/// The command tag, or the code and text of the error.
pub fn outcome(messages: &[Message]) -> String {
    let found = messages.iter().find(|(tag, _)| matches!(tag, b'C' | b'E')).expect("an outcome");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    if found.0 == b'C' {
        return text(&found.1);
    }
    let fields: Vec<String> = found.1.split(|byte| *byte == 0).map(text).collect();
    let field = |name: char| fields.iter().find_map(|field| field.strip_prefix(name)).unwrap_or_default();
    format!("{} {}", field('C'), field('M'))
}

/// The fields of the error.
pub fn error_fields(messages: &[Message]) -> String {
    let (_, body) = messages.iter().find(|(tag, _)| *tag == b'E').expect("an error");
    body.split(|byte| *byte == 0).filter_map(|field| field.first()).map(|byte| char::from(*byte)).collect()
}
