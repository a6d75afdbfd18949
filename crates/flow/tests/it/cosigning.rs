//! Asking witnesses: a cosignature that is collected, a witness that refuses,
//! one that is gone, and one that hangs and holds up nobody but itself. The
//! witnesses decide as writ's own does; only the network is a twin.

use async_trait::async_trait;
use flow::Control;
use flow::checkpoints::{Signing, Witness, sign};
use kernel::port::{Http, HttpAnswer, HttpFault, HttpRequest};
use kernel::{Span, TenantId};
use ledger::Store as _;
use ledger::checkpoint::record::Signed;
use ledger::checkpoint::{Checkpoint, checkpoints, log_keys};
use ledger::note::{Algorithm, KeyName, SigningKey, VerifierKey};
use ledger::witness::{AddCheckpoint, KnownLog, cosigned, decide, read};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::{Loop, Sample};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What stands at the address of a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    /// It cosigns what extends what it knows.
    Witness,
    /// Nobody listens.
    Nobody,
    /// It takes the request and never answers.
    Hangs,
    /// It answers with this and nothing of use.
    Says(u16),
}

/// The witnesses, by address.
#[derive(Default)]
struct Net {
    there: Mutex<BTreeMap<String, There>>,
    /// The logs that all of them know, with what each has cosigned last.
    logs: Mutex<BTreeMap<String, KnownLog>>,
    last: Mutex<BTreeMap<(String, String), Checkpoint>>,
    asked: AtomicUsize,
    hanging: AtomicUsize,
}

fn key(url: &str) -> SigningKey {
    let name = KeyName::new(url.trim_start_matches("http://")).unwrap();
    let seed = [url.as_bytes()[7]; 32];
    SigningKey::new(name, Algorithm::CosignatureV1, &seed).unwrap()
}

impl Net {
    fn put(&self, url: &str, there: There) {
        self.there.lock().unwrap().insert(url.to_owned(), there);
    }

    fn cosign(&self, url: &str, body: &[u8]) -> (u16, String) {
        let decided = AddCheckpoint::parse(body).and_then(|request| {
            let origin = read(&request.note)?.origin;
            let logs = self.logs.lock().unwrap();
            let log = logs.get(&origin).cloned().unwrap_or(KnownLog {
                origin: "another".into(),
                keys: Vec::new(),
            });
            let place = (url.to_owned(), origin);
            let mut last = self.last.lock().unwrap();
            let next = decide(&log, last.get(&place), &request)?;
            last.insert(place, next);
            Ok(cosigned(&log, &request.note, &key(url), 1).1)
        });
        match decided {
            Ok(signature) => (200, format!("{signature}\n")),
            Err(ledger::witness::Declined::Stale(size)) => (409, format!("{size}\n")),
            Err(declined) => (declined.status(), declined.to_string()),
        }
    }
}

#[async_trait]
impl Http for Net {
    async fn send(&self, request: HttpRequest) -> Result<HttpAnswer, HttpFault> {
        let url = request.url.strip_suffix("/add-checkpoint").unwrap();
        let there = self.there.lock().unwrap().get(url).copied();
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (status, body) = match there.unwrap_or(There::Nobody) {
            There::Nobody => return Err(HttpFault::NotSent("connection refused".into())),
            There::Says(status) => (status, "no\n".to_owned()),
            There::Witness => self.cosign(url, &request.body),
            There::Hangs => {
                self.hanging.fetch_add(1, Ordering::SeqCst);
                std::future::pending().await
            }
        };
        Ok(HttpAnswer {
            status,
            headers: BTreeMap::new(),
            body: body.into_bytes(),
        })
    }
}

/// A process that signs and asks, beside the loop.
struct Node {
    control: Loop,
    net: Arc<Net>,
    node: Arc<Control>,
}

impl Node {
    /// Of a loop with two tenants, whose keys the witnesses know.
    async fn start(seed: u64, urls: &[&str]) -> Self {
        let mut control = Loop::start(seed, &Sample::default()).await;
        control.found(&Sample::default()).await;
        let net = Arc::new(Net::default());
        let signer = control.world.signer();
        for &tenant in &control.tenants {
            let ctx = control.control.system_ctx(tenant, "checkpoints");
            signer.ready(control.control.ledger(), ctx).await.unwrap();
            let keys = log_keys(control.store.as_ref(), tenant).await.unwrap();
            let keys: Vec<VerifierKey> = keys.all().unwrap();
            let origin = keys[0].name().to_string();
            let known = KnownLog {
                origin: origin.clone(),
                keys,
            };
            net.logs.lock().unwrap().insert(origin, known);
        }
        let witnesses = urls.iter().map(|url| Witness {
            url: (*url).to_owned(),
            key: key(url).verifier().clone(),
        });
        let signing = Signing {
            signer,
            witnesses: witnesses.collect(),
            entries_max: 1,
            every: Span::ZERO,
        };
        let store = control.store.beside();
        let node = control
            .world
            .control_over(store, net.clone())
            .await
            .unwrap();
        let node = Arc::new(node.with_signing(signing));
        Self { control, net, node }
    }

    fn run(&self) -> (watch::Sender<bool>, JoinHandle<()>) {
        let (stop, stopping) = watch::channel(false);
        let run = flow::checkpoints::run(self.node.clone(), stopping);
        (stop, tokio::spawn(run))
    }

    async fn latest(&self, tenant: TenantId) -> Option<Signed> {
        let newest = checkpoints(self.control.store.as_ref(), tenant).await;
        newest.unwrap().latest().cloned()
    }

    /// The addresses of those who cosigned the newest checkpoint; each holds.
    async fn cosigners(&self, tenant: TenantId) -> Vec<String> {
        let Some(latest) = self.latest(tenant).await else {
            return Vec::new();
        };
        let note = latest.cosigned_note().unwrap();
        let by = latest.cosignatures.iter().map(|cosignature| {
            let key = VerifierKey::parse(&cosignature.witness).unwrap();
            note.verify([&key]).unwrap();
            format!("http://{}", key.name())
        });
        by.collect()
    }

    /// Waits until the newest checkpoint is cosigned by these and no others.
    async fn until(&self, tenant: TenantId, cosigners: &[&str]) {
        for _ in 0..2_000 {
            if self.cosigners(tenant).await == cosigners {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let by = self.cosigners(tenant).await;
        panic!("cosigned by {by:?}, not by {cosigners:?}");
    }
}

const GOOD: &str = "http://good.example";
const OTHER: &str = "http://other.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_is_signed_whatever_its_witnesses_do() {
    let node = Node::start(41, &[GOOD, OTHER]).await;
    let (home, net) = (node.control.home(), node.net.clone());
    let rows: [(There, &[&str]); 5] = [
        (There::Witness, &[GOOD, OTHER]),
        (There::Nobody, &[GOOD]),
        (There::Says(403), &[GOOD]),
        (There::Says(200), &[GOOD]),
        // It knows less than the log by now, and is told.
        (There::Witness, &[GOOD, OTHER]),
    ];
    net.put(GOOD, There::Witness);
    for (at, (there, cosigners)) in rows.into_iter().enumerate() {
        net.put(OTHER, there);
        node.control.incident(home, &format!("press-{at}")).await;
        let ctx = node.node.system_ctx(home, "test");
        let signed = sign(&node.node, ctx).await.unwrap();
        assert_eq!(signed.cosignatures.len(), cosigners.len(), "{there:?}");
        assert_eq!(node.cosigners(home).await.len(), cosigners.len());
        node.until(home, cosigners).await;
    }
    testkit::checks::all(&node.control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_hangs_holds_up_no_other_log_and_no_other_witness() {
    let node = Node::start(42, &["http://hangs.example", GOOD]).await;
    let (home, other) = (node.control.home(), node.control.tenants[1]);
    node.net.put("http://hangs.example", There::Hangs);
    node.net.put(GOOD, There::Witness);
    let (stop, task) = node.run();
    for tenant in [home, other] {
        node.until(tenant, &[GOOD]).await;
    }
    // Each log goes on, again and again, while the first requests still hang.
    for round in 0..2 {
        for tenant in [home, other] {
            let before = node.latest(tenant).await.unwrap().size;
            let machine = format!("press-{round}");
            node.control.incident(tenant, &machine).await;
            let head = node.control.store.head(tenant).await.unwrap().seq;
            while node.latest(tenant).await.unwrap().size < head {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(node.latest(tenant).await.unwrap().size > before);
            node.until(tenant, &[GOOD]).await;
        }
    }
    let hanging = node.net.hanging.load(Ordering::SeqCst);
    assert_eq!(hanging, 2, "each log's first request is still the one");
    // Nor does it hold up the end.
    stop.send_replace(true);
    task.await.unwrap();
    testkit::checks::all(&node.control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_was_gone_is_asked_again() {
    let node = Node::start(43, &[GOOD]).await;
    let (home, other) = (node.control.home(), node.control.tenants[1]);
    let (stop, task) = node.run();
    while node.net.asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for tenant in [home, other] {
        node.until(tenant, &[]).await;
    }
    node.net.put(GOOD, There::Witness);
    node.control.world.clock.pass(Span::from_secs(31));
    for tenant in [home, other] {
        node.until(tenant, &[GOOD]).await;
    }
    stop.send_replace(true);
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_a_witness_refuses_does_not_cost_the_others_their_cosignature() {
    let node = Node::start(44, &[GOOD]).await;
    let (home, other) = (node.control.home(), node.control.tenants[1]);
    // The first log is unknown to the witness.
    let unknown = format!("writ/{home}");
    let known = node.net.logs.lock().unwrap().remove(&unknown).unwrap();
    node.net.put(GOOD, There::Witness);
    let (stop, task) = node.run();
    node.until(other, &[GOOD]).await;
    assert_eq!(node.cosigners(home).await, Vec::<String>::new());
    node.net.logs.lock().unwrap().insert(unknown, known);
    node.control.world.clock.pass(Span::from_secs(31));
    node.until(home, &[GOOD]).await;
    stop.send_replace(true);
    task.await.unwrap();
}
