//! Ledgers that older versions wrote must open, verify, replay and go on.

use kernel::{Digest, TenantId};
use ledger::merkle::{Frontier, leaf, root};
use ledger::{EntryQuery, Store as _};
use store::Sqlite;

/// A demonstration's ledger, written by the code at commit 0529bb4, before
/// there was a Merkle tree: `writ demo --once`, then `VACUUM INTO`.
const V1: &[u8] = include_bytes!("../golden/v1.db.zst");
const V1_TENANT: &str = "ten_01a21495fc28700080027738f0ad670a";
const V1_HEAD: &str = "b681d80d26b700dbd476e156573cba49b40d1a8623b5bf5d2b7a35143b726fcf";

#[tokio::test]
async fn a_ledger_of_version_1_opens_verifies_and_replays() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(store::sqlite::FILE_NAME);
    std::fs::write(&file, zstd::decode_all(V1).unwrap()).unwrap();
    let early = Sqlite::open_read_only(directory.path()).err().unwrap();
    assert!(early.to_string().contains("`writ up`"), "{early}");
    let store = Sqlite::open(directory.path()).unwrap();
    let tenant: TenantId = V1_TENANT.parse().unwrap();
    assert_eq!(store.tenants().await.unwrap(), [tenant]);
    let head = store.head(tenant).await.unwrap();
    assert_eq!((head.seq, head.hash), (42, Digest::parse(V1_HEAD).unwrap()));
    let report = ledger::verify::log(&store, tenant, |_| ()).await.unwrap();
    assert!(report.is_intact(), "{report:?}");
    let registry = flow::registry();
    let report = ledger::replay::log(&store, &registry, tenant, |_| ())
        .await
        .unwrap();
    assert!(report.is_equal(), "{:?}", report.differences);
    let query = EntryQuery {
        limit: usize::MAX,
        ..EntryQuery::default()
    };
    let entries = store.entries(tenant, &query).await.unwrap();
    let leaves: Vec<_> = entries.iter().map(|entry| leaf(entry.hash)).collect();
    let frontier = Frontier::load(&store, tenant, head).await.unwrap();
    assert_eq!(frontier.root(), root(&leaves));
    drop(store);
    assert!(Sqlite::open_read_only(directory.path()).is_ok());
}
