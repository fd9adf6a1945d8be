//! The door: TLS, the startup message, and who may come in.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Shared;
use super::errors::{Refusal, named};
use super::session::{Cancel, Identity, Session};
use super::sql::literal;
use super::wire::{Message, Peer, Stream, take_text, terminated};

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
const PROTOCOL_3: u32 = 196_608;
/// The level of PostgreSQL that Hologres reports.
const SERVER_VERSION: &str = "11.3";
const DEFAULT_TIME_ZONE: &str = "PRC";

pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        if let Ok((socket, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                // A client that goes away at the door is nobody's failure.
                let _ = welcome(socket, shared).await;
            });
        }
    }
}

/// A connection counts until it is dropped.
struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connection_count.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn welcome(mut socket: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let (mut code, mut body) = first_message(&mut socket).await?;
    if code == GSS_REQUEST {
        socket.write_all(b"N").await?;
        (code, body) = first_message(&mut socket).await?;
    }
    let mut stream: Box<dyn Stream> = Box::new(socket);
    if code == SSL_REQUEST {
        stream.write_all(b"S").await?;
        stream.flush().await?;
        stream = Box::new(shared.acceptor().accept(stream).await.map_err(io::Error::other)?);
        (code, body) = first_message(&mut stream).await?;
    }
    if code == CANCEL_REQUEST {
        return cancel(&shared, body).await;
    }
    let parameters = parameters(&mut body);
    let mut client = Peer::new(stream);
    match enter(&shared, &mut client, code, parameters).await {
        Ok((backend, identity, key)) => {
            shared.connection_count.fetch_add(1, Ordering::Relaxed);
            let _counted = Counted(Arc::clone(&shared));
            let cancel = Arc::new(Cancel::default());
            shared.cancels().insert(key, Arc::clone(&cancel));
            client.count(Arc::clone(&shared.faults));
            Session::new(Arc::clone(&shared), client, backend, identity, cancel).run().await;
            shared.cancels().remove(&key);
            Ok(())
        }
        Err(Refused::Said(refusal)) => {
            client.push(&Message::error("FATAL", &refusal.code, &refusal.message));
            client.flush().await
        }
        Err(Refused::Closed(error)) => {
            let _ = client.flush().await;
            Err(error)
        }
    }
}

enum Refused {
    Said(Refusal),
    Closed(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Closed(error)
    }
}

/// Length, code and the rest of a message without a tag.
async fn first_message(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<(u32, Bytes)> {
    let length = stream.read_u32().await?;
    if !(8..=10_000).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let code = stream.read_u32().await?;
    let mut body = vec![0; usize::try_from(length).unwrap_or(8) - 8];
    stream.read_exact(&mut body).await?;
    Ok((code, body.into()))
}

/// Passed on to PostgreSQL, and to a fixed copy, which runs beside the session that the key names.
async fn cancel(shared: &Shared, body: Bytes) -> io::Result<()> {
    let mut key = body.clone();
    if key.len() == 8
        && let Some(cancel) = shared.cancels().get(&(key.get_u32(), key.get_u32()))
    {
        cancel.cancel();
        shared.faults.cancelled();
    }
    let mut server = connect(shared).await?;
    let mut message = BytesMut::new();
    message.put_u32(u32::try_from(body.len() + 8).unwrap_or(16));
    message.put_u32(CANCEL_REQUEST);
    message.put_slice(&body);
    server.write_all(&message).await?;
    // The server closes once it has seen to it.
    let _ = server.read_u8().await;
    Ok(())
}

async fn connect(shared: &Shared) -> io::Result<TcpStream> {
    let server = TcpStream::connect(("127.0.0.1", shared.database.socket().1)).await?;
    server.set_nodelay(true)?;
    Ok(server)
}

fn parameters(body: &mut Bytes) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    while let Some(name) = take_text(body).filter(|name| !name.is_empty()) {
        parameters.insert(name.to_lowercase(), take_text(body).unwrap_or_default());
    }
    parameters
}

/// Logs in to PostgreSQL on the client's behalf: its answers to the password request pass through.
async fn enter(
    shared: &Arc<Shared>,
    client: &mut Peer,
    code: u32,
    mut parameters: BTreeMap<String, String>,
) -> Result<(Peer, Identity, (u32, u32)), Refused> {
    if code != PROTOCOL_3 {
        return Err(Refused::Said(Refusal::new("0A000", "unsupported frontend protocol")));
    }
    if let Some(refusal) = shared.faults.login() {
        return Err(Refused::Said(refusal));
    }
    let is_full = |max: usize| shared.connection_count.load(Ordering::Relaxed) >= max;
    if shared.options.connections_max.is_some_and(is_full) {
        return Err(Refused::Said(named("too_many_clients").into()));
    }
    let identity = identity(&mut parameters).map_err(Refused::Said)?;
    let mut backend = Peer::new(Box::new(connect(shared).await?));
    backend.push_bytes(&startup(&parameters));
    let mut key = (0, 0);
    loop {
        let message = tokio::select! {
            message = backend.next() => message?,
            message = client.next() => {
                backend.push(&message?);
                continue;
            }
        };
        match message.tag {
            b'E' => return Err(Refused::Said(login_refusal(shared, &identity.user, &message))),
            b'K' if message.body.len() == 8 => {
                let mut body = message.body.clone();
                key = (body.get_u32(), body.get_u32());
                client.push(&message);
            }
            b'S' => client.push(&parameter_status(message)),
            b'Z' => {
                client.push(&message);
                return Ok((backend, identity, key));
            }
            _ => client.push(&message),
        }
    }
}

/// Takes out of the startup message what PostgreSQL would not understand.
fn identity(parameters: &mut BTreeMap<String, String>) -> Result<Identity, Refusal> {
    let user = parameters.get("user").cloned().unwrap_or_default();
    let named = parameters.get("database").cloned().unwrap_or_else(|| user.clone());
    // `database@warehouse`
    let database = named.split_once('@').map_or(named.as_str(), |(database, _)| database).to_owned();
    parameters.insert("database".to_owned(), database.clone());
    // holo-client writes a space behind it.
    let is_fixed = match parameters.remove("options").as_deref().map(str::trim) {
        None | Some("") => false,
        Some("type=fixed") => true,
        // Settings in `options` are documented nowhere.
        Some(other) => {
            let text = format!("invalid command-line argument for server process: {other}");
            return Err(Refusal::new("42601", text));
        }
    };
    parameters.entry("timezone".to_owned()).or_insert_with(|| DEFAULT_TIME_ZONE.to_owned());
    let is_setting = |(name, _): &(&String, &String)| {
        !matches!(name.as_str(), "user" | "database" | "replication" | "client_encoding" | "application_name")
    };
    let settings = parameters.iter().filter(is_setting);
    let settings = settings.map(|(name, value)| (name.clone(), format!("SET {name} TO {}", literal(value))));
    Ok(Identity { user, database, is_fixed, settings: settings.collect() })
}

fn startup(parameters: &BTreeMap<String, String>) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u32(PROTOCOL_3);
    for (name, value) in parameters {
        body.put_slice(&terminated(name));
        body.put_slice(&terminated(value));
    }
    body.put_u8(0);
    let mut message = BytesMut::new();
    message.put_u32(u32::try_from(body.len() + 4).unwrap_or(u32::MAX));
    message.put_slice(&body);
    message.freeze()
}

fn parameter_status(message: Message) -> Message {
    if !message.body.starts_with(b"server_version\0") {
        return message;
    }
    Message::new(b'S', format!("server_version\0{SERVER_VERSION}\0").into_bytes())
}

/// The password of an `akv4$` user is good for one day.
fn login_refusal(shared: &Shared, user: &str, message: &Message) -> Refusal {
    let (code, text) = message.error_parts();
    match user.strip_prefix("akv4$") {
        Some(id) if code == "28P01" && shared.is_of_today(user) => {
            Refusal::new("28P01", format!("Cloud authentication failed for access id \"{id}\""))
        }
        Some(_) if code == "28P01" => Refusal::new("28P01", "Invalid expire_time"),
        _ => Refusal::new(code, text),
    }
}
