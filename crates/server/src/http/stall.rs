//! A connection that is not written to for ever. A client that takes nothing,
//! or a few bytes at a time, holds its answer in memory and its place: it must
//! take a good part within a time, or the connection ends.

use std::future::Future as _;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream whose writes may not stall.
pub(crate) struct Stalling<S> {
    inner: S,
    /// How much a client must take, and in which time.
    least: (usize, Duration),
    /// Runs from the moment on at which the client took no more.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Bytes that it took since.
    taken: usize,
}

impl<S> Stalling<S> {
    /// Over this stream, of which a client must take so much in such a time.
    pub(crate) fn new(inner: S, least: (usize, Duration)) -> Self {
        Self {
            inner,
            least,
            stalled: None,
            taken: 0,
        }
    }

    fn flows(&mut self) {
        self.stalled = None;
        self.taken = 0;
    }

    fn after(&mut self, written: Poll<Result<usize>>, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.taken += bytes;
                if self.taken >= self.least.0 {
                    self.flows();
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(fault) => Poll::Ready(fault),
            Poll::Pending => {
                let time = self.least.1;
                let limit = || Box::pin(sleep(time));
                match self.stalled.get_or_insert_with(limit).as_mut().poll(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => Poll::Ready(Err(Error::new(
                        ErrorKind::TimedOut,
                        "the client takes its answer too slowly",
                    ))),
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.after(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.after(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        // Asked for when nothing is left to be written.
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.flows();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    /// Writes more than fits, to a client that takes `part` bytes and pauses.
    async fn written(part: usize, pause: Duration) -> Result<()> {
        let (ours, mut theirs) = duplex(64);
        let client = tokio::spawn(async move {
            let mut buffer = vec![0; part];
            while theirs.read_exact(&mut buffer).await.is_ok() {
                sleep(pause).await;
            }
        });
        let mut stream = Stalling::new(ours, (256, Duration::from_secs(2)));
        let done = stream.write_all(&[0; 4096]).await;
        drop(stream);
        client.await.unwrap();
        done
    }

    #[tokio::test]
    async fn who_takes_a_part_in_time_gets_all_of_it() {
        assert!(written(64, Duration::ZERO).await.is_ok());
        let fault = written(1, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(fault.kind(), ErrorKind::TimedOut);
    }
}
