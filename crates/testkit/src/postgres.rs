//! A throwaway PostgreSQL server: made in a directory for itself, reached by a
//! Unix socket, gone with the process that asked for it, however that ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// Makes, starts and ends a server as its standard input says; ends it and
/// removes everything when the input ends, that is, with the other process.
/// What follows the directory are settings of the server.
const KEEPER: &str = r#"
bin=$1 dir=$2 quiet=$2/log
shift 2
trap '' INT TERM HUP
run() {
    "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=200 \
        -c shared_buffers=32MB -c log_min_messages=fatal "$@" >>"$quiet" 2>&1 &
    pid=$!
}
start() {
    run "$@"
    for _ in $(seq 200); do
        "$bin/pg_isready" -q -h "$dir" -U admin -d postgres && echo ready && return
        # Sessions of a killed server end a moment after it.
        kill -0 $pid 2>/dev/null || run "$@"
        sleep 0.1
    done
    echo "not ready: $(tail -n 5 "$quiet" | tr '\n' ' ')"
}
"$bin/initdb" -D "$dir/data" -U admin -A trust -E UTF8 --locale=C.UTF-8 --no-instructions \
    >"$quiet" 2>&1 || { echo "no server: $(tail -n 5 "$quiet" | tr '\n' ' ')"; exit 1; }
start "$@"
while read -r order; do
    case $order in
    kill)
        # Its children too: orphans may still answer, and even commit. It is
        # stopped first, so that it makes no more.
        kill -STOP $pid
        while grep -q "State:.R" /proc/$pid/status; do :; done
        children=$(cat /proc/$pid/task/$pid/children)
        kill -KILL $children $pid
        wait $pid 2>/dev/null
        for _ in $(seq 100); do
            kill -0 $children 2>/dev/null || break
            sleep 0.01
        done
        echo killed
        ;;
    start) start "$@" ;;
    esac
done
kill -QUIT $pid 2>/dev/null
wait
rm -rf "$dir"
"#;

/// The user that writ's tests connect as: it owns its databases and may make
/// roles, and is no superuser.
const OWNER: &str = "writ";
/// The user that PostgreSQL runs as when the tests run as root, which it
/// refuses to be.
const UNPRIVILEGED: &str = "postgres";

/// A server of one test binary, or of one test.
pub struct PostgresServer {
    directory: PathBuf,
    programs: PathBuf,
    keeper: Mutex<Keeper>,
    databases: AtomicU64,
}

struct Keeper {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<std::process::ChildStdout>,
}

impl Keeper {
    fn order(&mut self, order: &str, expected: &str) {
        let orders = self.orders.as_mut().expect("it is open until the end");
        writeln!(orders, "{order}").expect("the keeper listens");
        self.expect(expected);
    }

    fn expect(&mut self, expected: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        assert_eq!(line.trim(), expected, "the throwaway PostgreSQL");
    }
}

impl PostgresServer {
    /// The server that the tests of one binary share.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<PostgresServer>> = OnceLock::new();
        SHARED.get_or_init(Self::start).clone()
    }

    /// A server of its own, for a test that harms it.
    ///
    /// # Panics
    /// When there is no PostgreSQL on this machine; `cargo xtask setup`
    /// installs it.
    #[must_use]
    pub fn start() -> Arc<Self> {
        Self::start_with(&[])
    }

    /// As [`PostgresServer::start`], with settings (`name=value`).
    ///
    /// # Panics
    /// When there is no PostgreSQL on this machine.
    #[must_use]
    pub fn start_with(settings: &[&str]) -> Arc<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("writ-postgres-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let programs = programs();
        // What a killed predecessor of the same number left.
        drop(std::fs::remove_dir_all(&directory));
        std::fs::create_dir(&directory).expect("the temporary directory can be written");
        let mut child = unprivileged(&directory)
            .args(["sh", "-c", KEEPER, "keeper"])
            .arg(&programs)
            .arg(&directory)
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut keeper = Keeper {
            child,
            orders,
            answers,
        };
        keeper.expect("ready");
        let server = Self {
            directory,
            programs,
            keeper: Mutex::new(keeper),
            databases: AtomicU64::new(0),
        };
        server.sql("postgres", &format!("CREATE ROLE {OWNER} LOGIN CREATEROLE"));
        Arc::new(server)
    }

    /// Ends the server and all of its sessions at once: no process gets to say
    /// a word.
    pub fn kill(&self) {
        self.keeper().order("kill", "killed");
    }
    /// Starts the killed server again, on what it left on disk.
    pub fn restart(&self) {
        self.keeper().order("start", "ready");
    }

    fn keeper(&self) -> std::sync::MutexGuard<'_, Keeper> {
        self.keeper.lock().expect("no panic before")
    }

    /// An empty database, whose owner may make roles.
    #[must_use]
    pub fn database(self: &Arc<Self>) -> PostgresDatabase {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("writ_{number}");
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {OWNER}"));
        PostgresDatabase {
            server: self.clone(),
            name,
        }
    }

    /// What `psql` answers to these statements of the administrator.
    ///
    /// # Panics
    /// When the server refuses.
    fn sql(&self, database: &str, sql: &str) -> String {
        self.ask("admin", database, sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn ask(&self, user: &str, database: &str, sql: &str) -> Result<String, String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", user])
            .arg("-h")
            .arg(&self.directory)
            .args(["-d", database, "-c", sql])
            .output()
            .map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let mut keeper = self.keeper();
        keeper.orders = None;
        drop(keeper.child.wait());
    }
}

/// A database of a throwaway server.
pub struct PostgresDatabase {
    server: Arc<PostgresServer>,
    name: String,
}

impl PostgresDatabase {
    /// A database like this one, as soon as nobody is connected to it.
    ///
    /// # Panics
    /// When somebody stays connected for half a minute.
    #[must_use]
    pub fn copy(&self) -> Self {
        let number = self.server.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("writ_{number}");
        let copy = format!(
            "CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {} STRATEGY file_copy",
            self.name
        );
        // The server itself waits five seconds for others to leave.
        let copied = (0..6).any(|_| self.server.ask("admin", "postgres", &copy).is_ok());
        assert!(copied, "somebody is connected to {}", self.name);
        Self {
            server: self.server.clone(),
            name,
        }
    }
    /// Where it is, for writ: as the user who owns it.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(OWNER)
    }
    /// Where it is, as another user.
    #[must_use]
    pub fn url_of(&self, user: &str) -> String {
        let host = self.server.directory.display().to_string();
        format!(
            "postgresql://{user}@{}/{}",
            host.replace('/', "%2F"),
            self.name
        )
    }
    /// The server that it is on.
    #[must_use]
    pub fn server(&self) -> &PostgresServer {
        &self.server
    }
    /// What `psql` answers to these statements of the administrator, whom
    /// nothing but a trigger holds back.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.name, sql)
    }
    /// As [`PostgresDatabase::sql`], of this user; the refusal is the error.
    ///
    /// # Errors
    /// What the server said.
    pub fn sql_of(&self, user: &str, sql: &str) -> Result<String, String> {
        self.server.ask(user, &self.name, sql)
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        // A killed server takes its databases with it.
        let drop_it = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        drop(self.server.ask("admin", "postgres", &drop_it));
    }
}

/// Where Debian puts the programs of the newest version, or the `PATH`'s.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| {
            let path = version.ok()?.path();
            let number: u32 = path.file_name()?.to_str()?.parse().ok()?;
            Some((number, path.join("bin")))
        });
    let debian = versions
        .filter(|(_, bin)| bin.join("postgres").is_file())
        .max();
    let on_path = || {
        let found = Command::new("sh")
            .args(["-c", "command -v postgres"])
            .output();
        let found = String::from_utf8(found.ok()?.stdout).ok()?;
        Some(Path::new(found.trim()).parent()?.to_owned())
    };
    debian
        .map(|(_, bin)| bin)
        .or_else(on_path)
        .expect("PostgreSQL is installed; run `cargo xtask setup`")
}

/// The beginning of a command that runs without root's rights; the directory
/// becomes its user's own.
fn unprivileged(directory: &Path) -> Command {
    use std::os::unix::fs::MetadataExt as _;
    let is_root = std::fs::metadata(directory).is_ok_and(|made| made.uid() == 0);
    if !is_root {
        return Command::new("env");
    }
    let owned = Command::new("chown")
        .arg(UNPRIVILEGED)
        .arg(directory)
        .status();
    assert!(owned.is_ok_and(|status| status.success()), "chown works");
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        UNPRIVILEGED,
        "--regid",
        UNPRIVILEGED,
        "--init-groups",
        "--",
    ]);
    command
}

/// Waits until `done`, which is asked again and again, for half a minute.
///
/// # Panics
/// When it does not come to be.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come to be: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_the_settings_that_it_was_started_with_also_after_it_was_killed() {
        let server = PostgresServer::start_with(&["max_connections=37", "work_mem=5MB"]);
        let database = server.database();
        let has = |name: &str| database.sql(&format!("SHOW {name}"));
        assert_eq!(has("max_connections").trim(), "37");
        server.kill();
        server.restart();
        assert_eq!(has("work_mem").trim(), "5MB");
    }
}
