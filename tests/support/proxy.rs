//! A TCP proxy that breaks connections on command: for sweeps that cut a conversation at every point.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::lock;

const CHUNK_BYTES: usize = 64 * 1024;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    ToClient,
}

/// What has passed since the start or the last [`CutProxy::reset`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub connections: u64,
    pub to_server: u64,
    pub to_client: u64,
}

impl Counts {
    fn of(&mut self, direction: Direction) -> &mut u64 {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
struct State {
    counts: Counts,
    cut: Option<(Direction, u64)>,
    was_cut: bool,
    delay: Duration,
    is_paused: bool,
    is_refusing: bool,
    is_stopped: bool,
    /// Both ends of every connection that has not been seen to end.
    open: Vec<(u64, TcpStream, TcpStream)>,
    next_connection: u64,
}

impl State {
    fn close_all(&mut self) {
        for (_, client, server) in self.open.drain(..) {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}

struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

/// Listens on a port of its own and passes every connection on to the target. Dropped, it closes them all.
pub struct CutProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl CutProxy {
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { target, state: Mutex::default(), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if lock(&accepting.state).is_stopped {
                    return;
                }
                if let Ok(client) = client {
                    let _ = accepting.connect(client);
                }
            }
        });
        Self { address, shared }
    }

    /// In front of a server on this machine.
    pub fn in_front_of(port: u16) -> Self {
        Self::start((Ipv4Addr::LOCALHOST, port).into())
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Closes every connection, both ways, once exactly `after_bytes` have gone in this direction since the last
    /// reset, over all connections together; if they have gone already, at the next byte. It happens once:
    /// connections made later pass. A sweep takes a new proxy for every step, so that nothing of the step before is
    /// counted.
    pub fn cut(&self, direction: Direction, after_bytes: u64) {
        self.set(|state| {
            state.was_cut = false;
            state.cut = Some((direction, after_bytes));
        });
    }

    /// Whether the last [`cut`](Self::cut) has happened.
    pub fn was_cut(&self) -> bool {
        lock(&self.shared.state).was_cut
    }

    /// Closes every open connection now.
    pub fn cut_now(&self) {
        self.set(State::close_all);
    }

    /// Holds back every chunk this long, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.set(|state| state.delay = delay);
    }

    /// Closes new connections as soon as they are accepted; those that are open stay.
    pub fn refuse(&self, refuse: bool) {
        self.set(|state| state.is_refusing = refuse);
    }

    /// Lets no byte through in either direction, and leaves the connections open, until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.set(|state| state.is_paused = true);
    }

    pub fn resume(&self) {
        self.set(|state| state.is_paused = false);
    }

    pub fn counts(&self) -> Counts {
        lock(&self.shared.state).counts
    }

    /// Counts start at 0 again and every fault is taken back; open connections stay.
    pub fn reset(&self) {
        self.set(|state| {
            state.counts = Counts::default();
            state.cut = None;
            state.was_cut = false;
            state.delay = Duration::ZERO;
            state.is_paused = false;
            state.is_refusing = false;
        });
    }

    pub fn open_connections(&self) -> usize {
        lock(&self.shared.state).open.len()
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut lock(&self.shared.state));
        self.shared.changed.notify_all();
    }
}

impl Drop for CutProxy {
    fn drop(&mut self) {
        self.set(|state| {
            state.is_stopped = true;
            state.close_all();
        });
        // Wakes the accepting thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        if lock(&self.state).is_refusing {
            return client.shutdown(Shutdown::Both);
        }
        let server = TcpStream::connect(self.target)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let id = {
            let mut state = lock(&self.state);
            state.counts.connections += 1;
            state.next_connection += 1;
            let id = state.next_connection;
            state.open.push((id, client.try_clone()?, server.try_clone()?));
            id
        };
        for (from, to, direction) in [
            (client.try_clone()?, server.try_clone()?, Direction::ToServer),
            (server, client, Direction::ToClient),
        ] {
            let shared = Arc::clone(self);
            thread::spawn(move || {
                let is_clean = shared.pass(from, &to, direction).is_ok();
                // The end of one direction is passed on as such; an error ends both.
                let _ = to.shutdown(if is_clean { Shutdown::Write } else { Shutdown::Both });
                shared.ended(id, direction);
            });
        }
        Ok(())
    }

    fn pass(&self, mut from: TcpStream, mut to: &TcpStream, direction: Direction) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let count = from.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            let (allowed, is_cut) = self.admit(direction, count);
            to.write_all(&buffer[..allowed])?;
            if is_cut {
                lock(&self.state).close_all();
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }

    /// How many of these bytes may pass, and whether everything ends after them. Waits out delay and pause.
    fn admit(&self, direction: Direction, count: usize) -> (usize, bool) {
        let delay = lock(&self.state).delay;
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        let state = lock(&self.state);
        let waited = self.changed.wait_while(state, |state| state.is_paused && !state.is_stopped);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let passed = *state.counts.of(direction);
        let left =
            state.cut.filter(|(cut, _)| *cut == direction).map(|(_, after)| after.saturating_sub(passed));
        let allowed = left.map_or(count, |left| count.min(usize::try_from(left).unwrap_or(count)));
        let is_cut = left.is_some_and(|left| left <= allowed as u64);
        *state.counts.of(direction) += allowed as u64;
        if is_cut {
            state.cut = None;
            state.was_cut = true;
        }
        (allowed, is_cut)
    }

    fn ended(&self, id: u64, direction: Direction) {
        if direction == Direction::ToClient {
            lock(&self.state).open.retain(|(open, _, _)| *open != id);
        }
    }
}
