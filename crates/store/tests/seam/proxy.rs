//! A way to a PostgreSQL server that loses what it is told to: it stands where
//! the server's socket would, and passes on what comes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

/// What becomes of the next request that commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is done, and the connection ends before the answer.
    LosesAnswer,
    /// The connection ends, and the request reaches the server after this time.
    ComesLate(Duration),
    /// As [`Fate::LosesAnswer`], and nobody gets through until
    /// [`Proxy::opens`].
    LosesAnswerAndCloses,
    /// All of it but the commit reaches the server, and nothing more, as of a
    /// node that has stopped: its connection stays until the server ends it.
    StandsStill,
    /// It is done, and in place of the answer comes an error of this severity
    /// and code, as from a proxy that has lost its server.
    Refused(&'static str, &'static str),
}

#[derive(Default)]
struct State {
    fate: Option<Fate>,
    struck: u64,
    is_closed: bool,
}

pub(crate) struct Proxy {
    /// The server, for writ, by this way.
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    _directory: tempfile::TempDir,
}

const SOCKET: &str = ".s.PGSQL.5432";
/// How long a server takes at most to do what has reached it.
const DONE: Duration = Duration::from_millis(100);

impl Proxy {
    /// Stands before the server of this URL.
    pub(crate) fn start(url: &str) -> Self {
        let (user, rest) = url.split_once('@').unwrap();
        let (host, database) = rest.split_once('/').unwrap();
        let server = PathBuf::from(host.replace("%2F", "/")).join(SOCKET);
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join(SOCKET)).unwrap();
        let host = directory.path().display().to_string().replace('/', "%2F");
        let state = Arc::<Mutex<State>>::default();
        let accepting = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if accepting.lock().unwrap().is_closed {
                    continue;
                }
                let server = UnixStream::connect(&server).await;
                if let Ok(server) = server {
                    tokio::spawn(pass(client, server, accepting.clone()));
                }
            }
        });
        Self {
            url: format!("{user}@{host}/{database}"),
            state,
            _directory: directory,
        }
    }

    /// What becomes of the next request that commits.
    pub(crate) fn commits(&self, fate: Fate) {
        self.state.lock().unwrap().fate = Some(fate);
    }

    /// Lets everybody through again.
    pub(crate) fn opens(&self) {
        self.state.lock().unwrap().is_closed = false;
    }

    /// How many requests have met a fate.
    pub(crate) fn struck(&self) -> u64 {
        self.state.lock().unwrap().struck
    }
}

async fn pass(mut client: UnixStream, mut server: UnixStream, state: Arc<Mutex<State>>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(1..) = read else { return };
                let request = &asked[..read.unwrap()];
                if let Some(fate) = meets(request, &state) {
                    return strike(fate, request, client, server).await;
                }
                if server.write_all(request).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Does to this request what is its fate.
async fn strike(fate: Fate, request: &[u8], mut client: UnixStream, mut server: UnixStream) {
    match fate {
        Fate::StandsStill => {
            let commit = place_of_commit(request).unwrap();
            drop(server.write_all(&request[..commit]).await);
            let mut unheard = Vec::new();
            drop(server.read_to_end(&mut unheard).await);
        }
        Fate::ComesLate(late) => {
            drop(client);
            tokio::time::sleep(late).await;
            done(request, &mut server).await;
        }
        Fate::LosesAnswer | Fate::LosesAnswerAndCloses => done(request, &mut server).await,
        Fate::Refused(severity, code) => {
            done(request, &mut server).await;
            drop(client.write_all(&error(severity, code)).await);
        }
    }
}

async fn done(request: &[u8], server: &mut UnixStream) {
    drop(server.write_all(request).await);
    tokio::time::sleep(DONE).await;
}

/// A message of the protocol's kind `ErrorResponse`.
fn error(severity: &str, code: &str) -> Vec<u8> {
    let fields = format!("S{severity}\0V{severity}\0C{code}\0Mthe server is gone\0\0");
    let length = u32::try_from(4 + fields.len()).unwrap();
    [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat()
}

/// Where the message begins that commits: its text stands after a letter and
/// its length.
fn place_of_commit(request: &[u8]) -> Option<usize> {
    let text = request.windows(7).position(|bytes| bytes == b"COMMIT\0")?;
    text.checked_sub(5)
}

fn meets(request: &[u8], state: &Mutex<State>) -> Option<Fate> {
    let commits = place_of_commit(request).is_some();
    let mut state = state.lock().unwrap();
    let fate = state.fate.take_if(|_| commits)?;
    state.struck += 1;
    state.is_closed |= fate == Fate::LosesAnswerAndCloses;
    Some(fate)
}
