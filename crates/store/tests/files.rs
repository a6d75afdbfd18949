//! The files beneath the embedded store go while writ runs: nothing is
//! acknowledged that the next start would not find, readiness says so, and
//! when they are back the same process goes on.

use kernel::{Code, TenantId};
use ledger::{Ledger, verify};
use std::path::Path;
use std::sync::Arc;
use store::Sqlite;
use store::sqlite::FILE_NAME;
use testkit::counter::{self, ctx, tenant};

const TENANT: TenantId = tenant(1);

fn open(directory: &Path) -> Ledger {
    counter::ledger(Arc::new(Sqlite::open(directory).unwrap()))
}

async fn add(ledger: &Ledger) -> Result<u64, kernel::Refusal> {
    let done = ledger.run(ctx(TENANT), |unit| counter::add(unit, "a", 1));
    done.await.map(|committed| committed.answer)
}

/// Does something to the data directory of a ledger with two entries, sees it
/// refuse and say that it is not ready, undoes it, and sees it go on.
async fn check(what: &str, harm: impl Fn(&Path), mend: impl Fn(&Path)) {
    let root = tempfile::tempdir().unwrap();
    let ledger = open(&root.path().join("data"));
    for total in [1, 2] {
        assert_eq!(add(&ledger).await.unwrap(), total, "{what}");
    }
    harm(root.path());
    for _ in 0..3 {
        let refused = add(&ledger).await.unwrap_err();
        assert_eq!(refused.code, Code::Unavailable, "{what}");
        assert!(
            refused.message.contains("the database"),
            "{what}: {refused}"
        );
        let path = root.path().to_string_lossy().into_owned();
        assert!(!refused.message.contains(&path), "{what}: {refused}");
        let unready = ledger.readiness().await.unwrap_err();
        assert_eq!(unready.code, Code::Unavailable, "{what}");
    }
    mend(root.path());
    ledger.readiness().await.unwrap();
    assert!(add(&ledger).await.unwrap() >= 3, "{what}");
    let report = verify::log(ledger.store(), TENANT, |_| ()).await.unwrap();
    assert!(report.is_intact(), "{what}: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_to_files_that_are_gone_is_not_acknowledged() {
    let rename = |from: &'static str, to: &'static str| {
        move |root: &Path| std::fs::rename(root.join(from), root.join(to)).unwrap()
    };
    check("moved", rename("data", "away"), rename("away", "data")).await;
    let main: &str = FILE_NAME;
    let log = &*Box::leak(format!("{main}-wal").into_boxed_str());
    for file in [main, log] {
        let harm = |root: &Path| {
            // Another file in its place: a backup that was put back too early.
            let path = root.join("data").join(file);
            std::fs::rename(&path, root.join("kept")).unwrap();
            std::fs::copy(root.join("kept"), &path).unwrap();
        };
        let mend = |root: &Path| {
            std::fs::rename(root.join("kept"), root.join("data").join(file)).unwrap();
        };
        check(file, harm, mend).await;
    }
}
