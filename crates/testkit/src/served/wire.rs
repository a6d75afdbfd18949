//! HTTP/1.1 by hand over a socket, for what no client library would send and
//! for load: it sends any bytes, and reads an answer whole.

use serde_json::Value;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Longest body that is read: it is a test's own mistake beyond that.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes that are asked for at a time.
const READ_BYTES: usize = 8 * 1024;

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let mut all = self.headers.iter();
        let found = all.find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A connection.
pub struct Wire {
    stream: TcpStream,
    /// What was read and belongs to nothing yet.
    rest: Vec<u8>,
}

/// A request of these headers, whole.
#[must_use]
pub fn request(
    method: &str,
    target: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nhost: writ\r\n");
    if let Some(token) = token {
        text.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        let json = !headers.iter().any(|(name, _)| *name == "content-type");
        if json {
            text.push_str("content-type: application/json\r\n");
        }
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body.unwrap_or_default());
    bytes
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// What the machine says.
    pub async fn to(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::of(stream))
    }

    /// Over this socket.
    #[must_use]
    pub fn of(stream: TcpStream) -> Self {
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// When the other side has closed.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Says that nothing more is sent, and still reads.
    ///
    /// # Errors
    /// When the other side has closed.
    pub async fn half_close(&mut self) -> Result<()> {
        self.stream.shutdown().await
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.send(request).await?;
        self.answer().await
    }

    /// Reads an answer whole.
    ///
    /// # Errors
    /// When the connection ends before, or what comes is no HTTP.
    pub async fn answer(&mut self) -> Result<Answer> {
        let mut answer = self.head().await?;
        if matches!(answer.status, 204 | 304) {
            return Ok(answer);
        }
        if answer.header("transfer-encoding") == "chunked" {
            while let Some(part) = self.chunk().await? {
                answer.body.extend_from_slice(&part);
                bounded(answer.body.len())?;
            }
        } else {
            let length = answer.header("content-length").parse().unwrap_or(0);
            bounded(length)?;
            answer.body = self.take(length).await?;
        }
        Ok(answer)
    }

    /// Reads the head of an answer: status and headers.
    ///
    /// # Errors
    /// When the connection ends before, or what comes is no HTTP.
    pub async fn head(&mut self) -> Result<Answer> {
        let mut answer = Answer::default();
        let first = self.line().await?;
        let status = first.split(' ').nth(1).and_then(|s| s.parse().ok());
        answer.status = status.ok_or_else(|| no_http(&first))?;
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(answer);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| no_http(&line))?;
            let name = name.to_ascii_lowercase();
            answer.headers.push((name, value.trim().to_owned()));
        }
    }

    /// Reads a chunk of a body; `None` is the last.
    ///
    /// # Errors
    /// When the connection ends before, or what comes is no HTTP.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let line = self.line().await?;
        let length = usize::from_str_radix(&line, 16).map_err(|_| no_http(&line))?;
        bounded(length)?;
        let part = self.take(length).await?;
        self.line().await?;
        Ok((length > 0).then_some(part))
    }

    /// Reads whatever comes within this time, until the connection ends.
    ///
    /// # Errors
    /// When nothing ends it in time.
    pub async fn until_closed(&mut self, within: Duration) -> Result<Vec<u8>> {
        let reading = async {
            loop {
                match self.more().await {
                    Ok(()) => bounded(self.rest.len())?,
                    // A reset ends it too.
                    Err(_) => return Ok(std::mem::take(&mut self.rest)),
                }
            }
        };
        match timeout(within, reading).await {
            Ok(read) => read,
            Err(_) => Err(Error::new(ErrorKind::TimedOut, "it is still open")),
        }
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(at) = self.rest.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.rest.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if self.rest.len() > HEAD_BYTES_MAX {
                return Err(no_http("an endless line"));
            }
            self.more().await?;
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.rest.len() < length {
            self.more().await?;
        }
        Ok(self.rest.drain(..length).collect())
    }

    async fn more(&mut self) -> Result<()> {
        self.rest.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.rest).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn bounded(length: usize) -> Result<()> {
    match length > BODY_BYTES_MAX {
        true => Err(Error::new(ErrorKind::InvalidData, "the body is too long")),
        false => Ok(()),
    }
}

fn no_http(line: &str) -> Error {
    let text = format!("`{}` is no HTTP", line.escape_debug());
    Error::new(ErrorKind::InvalidData, text)
}
