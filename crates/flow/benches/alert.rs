//! From an alert to its recorded incident on the embedded store, one after
//! another on an idle loop, each on a machine of its own. Without settling
//! (`settle: 0s`) it is the path itself: webhook, evidence, signals, rules,
//! bundle, confidence, promotion, all synced to disk. With the settling of a
//! pack the scheduler waits that long on purpose, so that an alert's company
//! can come.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

use flow::{Control, Ports};
use kernel::port::Clock;
use kernel::{Aggregate, Span, TenantId, Timestamp};
use ledger::query::{DocumentQuery, Order};
use ledger::{Ledger, Settings};
use sense::incident::Incident;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::alerts::{Alert, webhook};
use testkit::{Sample, SeededEntropy, TwinCache, TwinHttp, TwinSecrets, sample};

const ALERTS: usize = 500;
const ALERTS_SETTLING: usize = 10;

/// The machine's clock.
struct Now;
impl Clock for Now {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since.map_or(0, |since| since.as_micros());
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
    fn monotonic(&self) -> Span {
        self.now().since(Timestamp::EPOCH)
    }
}

async fn open(directory: &std::path::Path, settle: &str) -> (Arc<Control>, TenantId) {
    let store = Arc::new(store::Sqlite::open(directory).expect("opens"));
    let ledger = Ledger::open(store, flow::registry(), Settings::default()).expect("opens");
    let clock = Arc::new(Now);
    let ports = Ports {
        act: act::Ports {
            http: Arc::new(TwinHttp::new(clock.clone())),
            clock,
            secrets: Arc::new(TwinSecrets::default()),
        },
        entropy: Arc::new(SeededEntropy::new(1)),
        source_secrets: Arc::new(TwinSecrets::default()),
        cache: Arc::new(TwinCache::default()),
        keyring: Arc::new(testkit::TwinKeyring::default()),
    };
    let modules = act::builtin::registry(&act::builtin::HttpSettings {
        hosts_allowed: vec![sample::HOST.into()],
        ..Default::default()
    });
    let modules = modules.expect("modules");
    let control = Control::open(ledger, ports, modules).await.expect("opens");
    let founded = control.first_start().await.expect("founds");
    let tenant = founded.expect("an empty store").tenant;
    let pack = Sample {
        settle: settle.into(),
        tenant_hard: "1000000 EUR".into(),
        ..Sample::default()
    };
    let ctx = control.system_ctx(tenant, "bench");
    let loaded = control.load_pack(ctx, None, pack.files()).await;
    loaded.expect("the pack loads");
    (Arc::new(control), tenant)
}

/// Sends one webhook with the two alerts of an incident; returns after how
/// long it was taken in, and after how long the incident stood.
async fn one(control: &Arc<Control>, tenant: TenantId, number: usize) -> (Duration, Duration) {
    let at = control.now().minus(Span::from_millis(5));
    let delivery = flow::Delivery {
        source: sample::SOURCE.into(),
        content_type: "application/json".into(),
        body: webhook(&Alert::pair(&format!("press-{number}"), at)),
    };
    let mut commits = control.ledger().commits();
    let ctx = kernel::Ctx::new(
        tenant,
        control.now(),
        kernel::Actor::system("bench"),
        control.ports().entropy.trace(),
        control.ports().entropy.bits(),
    );
    let began = Instant::now();
    let got = control.receive(ctx, delivery).await.expect("received");
    let taken_in = began.elapsed();
    assert_eq!(got.signals_new.len(), 2);
    let subject = kernel::Subject::parse(&format!("machine/press-{number}")).expect("a subject");
    loop {
        commits.mark_unchanged();
        let query = DocumentQuery {
            kind: Incident::KIND.into(),
            order: Order::Descending,
            limit: 1,
            ..DocumentQuery::default()
        };
        let store = control.ledger().store();
        let newest = store.documents(tenant, &query).await.expect("read");
        if newest.first().and_then(|d| d.subject.as_ref()) == Some(&subject) {
            return (taken_in, began.elapsed());
        }
        commits.changed().await.expect("the ledger runs");
    }
}

fn row(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| {
        let index = (times.len() * share / 100).min(times.len() - 1);
        times[index].as_secs_f64() * 1e3
    };
    println!(
        "{what:<44} {:>6} {:>9.2} {:>9.2} {:>9.2}",
        times.len(),
        at(50),
        at(99),
        at(100)
    );
}

async fn measure(settle: &str, count: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let (control, tenant) = open(directory.path(), settle).await;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let scheduler = tokio::spawn(flow::scheduler::run(control.clone(), stopping));
    let (mut taken_in, mut standing) = (Vec::new(), Vec::new());
    for number in 0..count {
        let (first, second) = one(&control, tenant, number).await;
        taken_in.push(first);
        standing.push(second);
        // Idle again: what follows the promotion is not part of it.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    row(&format!("settle {settle}: webhook taken in"), taken_in);
    row(&format!("settle {settle}: incident recorded"), standing);
    stop.send(true).expect("the scheduler runs");
    scheduler.await.expect("the scheduler ends");
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    println!(
        "{:<44} {:>6} {:>9} {:>9} {:>9}",
        "from the webhook on", "alerts", "p50 ms", "p99 ms", "max ms"
    );
    runtime.block_on(async {
        measure("0s", ALERTS).await;
        measure("1s", ALERTS_SETTLING).await;
    });
}
