//! The body of a GET: frames without copies, and what can go wrong between them.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::lock;
use super::s3::Put;
use super::s3_store::{Content, Record, Store};

/// What a response knows of the connection that carries it.
#[derive(Default)]
pub struct Connection {
    /// Nothing more may be written.
    is_broken: AtomicBool,
    is_flushed: AtomicBool,
    flush_waker: Mutex<Option<Waker>>,
}

impl Connection {
    /// The connection ends at the next write: a request without an answer.
    pub fn break_off(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }

    pub fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// Ready once everything handed to the connection is in the kernel's hands.
    fn poll_flushed(&self, context: &Context<'_>) -> Poll<()> {
        if self.is_flushed.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        *lock(&self.flush_waker) = Some(context.waker().clone());
        Poll::Pending
    }
}

/// A TCP stream that tells its [`Connection`] when its buffer is empty.
pub struct Tracked {
    pub stream: TcpStream,
    pub connection: Arc<Connection>,
}

impl Tracked {
    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        let this = self.get_mut();
        if this.connection.is_broken() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(Pin::new(&mut this.stream))
    }
}

impl AsyncRead for Tracked {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tracked {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called by the HTTP server only when its own buffer is empty.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(context))?;
        if let Some(waker) = lock(&this.connection.flush_waker).take() {
            this.connection.is_flushed.store(true, Ordering::Release);
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// What happens when so many bytes of a body are sent.
pub enum Incident {
    Cut,
    Stall(Duration),
    Overwrite(Bytes),
    Delete,
}

pub struct Body {
    pub content: Content,
    pub position: u64,
    pub end: u64,
    pub frame_bytes: u64,
    /// Between any two frames.
    pub pause: Duration,
    /// By the number of bytes sent before them, in order.
    pub incidents: VecDeque<(u64, Incident)>,
    pub sent: u64,
    pub store: Arc<Store>,
    pub record: Arc<Record>,
    pub connection: Arc<Connection>,
    pub sleep: Option<Pin<Box<Sleep>>>,
    pub is_cut: bool,
}

impl Body {
    /// Does what is due now.
    fn happen(&mut self) {
        while let Some((after, _)) = self.incidents.front()
            && *after <= self.sent
            && self.sleep.is_none()
            && !self.is_cut
        {
            let Some((_, incident)) = self.incidents.pop_front() else { return };
            let request = &self.record.request;
            match incident {
                Incident::Cut => self.is_cut = true,
                Incident::Stall(duration) => self.sleep = Some(Box::pin(tokio::time::sleep(duration))),
                Incident::Overwrite(bytes) => {
                    let content = Content::Held(bytes);
                    self.store.put(&request.bucket, &request.key, content, Put::default());
                }
                Incident::Delete => {
                    self.store.delete(&request.bucket, &request.key);
                }
            }
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, StdError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(sleep) = &mut this.sleep {
                ready!(sleep.as_mut().poll(context));
                this.sleep = None;
            }
            this.happen();
            if this.sleep.is_none() {
                break;
            }
        }
        if this.is_cut {
            // The client shall have every byte up to the cut: the connection ends after they are flushed.
            ready!(this.connection.poll_flushed(context));
            return Poll::Ready(Some(Err("the connection is cut here".into())));
        }
        if this.position >= this.end {
            return Poll::Ready(None);
        }
        let until_incident = this.incidents.front().map_or(u64::MAX, |(after, _)| after - this.sent);
        let wanted = this.frame_bytes.min(this.end - this.position).min(until_incident);
        let chunk = this.content.chunk(this.position, wanted);
        this.position += chunk.len() as u64;
        this.sent += chunk.len() as u64;
        this.record.bytes_sent.store(this.sent, Ordering::Relaxed);
        if !this.pause.is_zero() {
            this.sleep = Some(Box::pin(tokio::time::sleep(this.pause)));
        }
        Poll::Ready(Some(Ok(chunk)))
    }
}

impl ByteStream for Body {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(usize::try_from(self.end - self.position).expect("a 64-bit machine"))
    }
}

impl Drop for Body {
    /// The server does not ask again after the last byte; what belongs there still happens.
    fn drop(&mut self) {
        self.sleep = None;
        self.incidents.retain(|(_, incident)| matches!(incident, Incident::Overwrite(_) | Incident::Delete));
        self.happen();
        self.store.open_bodies.fetch_sub(1, Ordering::AcqRel);
    }
}
