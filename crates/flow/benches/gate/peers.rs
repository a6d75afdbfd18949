//! What a budget could be made of elsewhere, driven by the servers' own
//! benchmark programs: one row in PostgreSQL, one key in Redis. Neither says
//! who reserved what, and nothing of it is on a ledger.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use testkit::PostgresDatabase;

/// A row of figures as the others are printed.
pub(crate) fn row(what: &str, place: &str, at_once: usize, per_s: f64, p50: f64, p99: &str) {
    println!("{what:<30} {place:<12} {at_once:>4} {per_s:>9.0} {p50:>9.2} {p99:>9}");
}

fn said(command: &mut Command) -> String {
    let output = command.output();
    let output = output.expect("the program is installed; `cargo xtask setup` does it");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A conditional UPDATE of one row by so many clients, measured by `pgbench`,
/// which gives the mean in the place of the median.
pub(crate) fn hot_row(database: &PostgresDatabase, at_once: usize, count: usize) {
    database.sql(
        "CREATE TABLE IF NOT EXISTS hot (id int PRIMARY KEY, used bigint, cap bigint); \
         INSERT INTO hot VALUES (1, 0, 1000000000) ON CONFLICT DO NOTHING; \
         GRANT ALL ON hot TO PUBLIC",
    );
    let script = tempfile::NamedTempFile::new().expect("a file");
    let update = "UPDATE hot SET used = used + 1 WHERE id = 1 AND used + 1 <= cap;\n";
    std::fs::write(script.path(), update).expect("written");
    let each = (count / at_once).max(1);
    let printed = said(
        Command::new("pgbench")
            .args(["--no-vacuum", "--protocol", "prepared", "--file"])
            .arg(script.path())
            .args(["--client", &at_once.to_string()])
            .args(["--jobs", &at_once.min(2).to_string()])
            .args(["--transactions", &each.to_string()])
            .arg(database.url()),
    );
    let figure = |label: &str| -> f64 {
        let line = printed.lines().find_map(|line| line.strip_prefix(label));
        let word = line.and_then(|rest| rest.split_whitespace().next());
        word.and_then(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("pgbench gives no `{label}`: {printed}"))
    };
    let (per_s, mean) = (figure("tps = "), figure("latency average = "));
    row(
        "bare conditional UPDATE",
        "PostgreSQL",
        at_once,
        per_s,
        mean,
        "-",
    );
}

/// A Redis that syncs each write, and ends with the measurement.
pub(crate) struct Redis {
    child: Child,
    _directory: tempfile::TempDir,
    port: String,
    script: String,
}

const RESERVE: &str = "local used = tonumber(redis.call('GET', KEYS[1]) or '0') \
    if used + tonumber(ARGV[1]) > tonumber(ARGV[2]) then return 0 end \
    redis.call('INCRBY', KEYS[1], ARGV[1]) return 1";

impl Redis {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener
            .local_addr()
            .expect("an address")
            .port()
            .to_string();
        drop(listener);
        let directory = tempfile::tempdir().expect("a directory");
        let child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed; `cargo xtask setup` does it");
        let mut redis = Self {
            child,
            _directory: directory,
            port,
            script: String::new(),
        };
        let answers = |redis: &Self| redis.ask(&["PING"]).trim() == "PONG";
        for _ in 0..100 {
            if answers(&redis) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        redis.script = redis.ask(&["SCRIPT", "LOAD", RESERVE]).trim().to_owned();
        assert_eq!(redis.script.len(), 40, "{}", redis.script);
        redis
    }

    fn ask(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        let output = command.args(["-p", &self.port]).args(words).output();
        String::from_utf8_lossy(&output.expect("redis-cli runs").stdout).into_owned()
    }

    /// Lua reservations by so many clients, measured by `redis-benchmark`.
    pub(crate) fn reserve(&self, at_once: usize, count: usize) {
        let printed = said(
            Command::new("redis-benchmark")
                .args(["-p", &self.port, "--csv"])
                .args(["-c", &at_once.to_string(), "-n", &count.to_string()])
                .args(["EVALSHA", &self.script, "1", "hot", "1", "1000000000"]),
        );
        // "name","rps","avg","min","p50","p95","p99","max"
        let last = printed.lines().last().unwrap_or_default();
        let figures: Vec<f64> = last
            .split("\",\"")
            .skip(1)
            .filter_map(|figure| figure.trim_matches('"').parse().ok())
            .collect();
        let [per_s, _, _, p50, _, p99, _] = figures[..] else {
            panic!("redis-benchmark gives {printed}");
        };
        let p99 = format!("{p99:.2}");
        row("Lua, fsync always", "Redis", at_once, per_s, p50, &p99);
        let used: usize = self.ask(&["GET", "hot"]).trim().parse().expect("a count");
        assert!(used >= count, "{used} reserved of {count}");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
