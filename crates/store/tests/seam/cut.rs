//! Bodies that SQLite stores without the payload that they repeat.

use crate::log::Log;
use ledger::store::{Store as _, StoreFault};
use rusqlite::Connection;
use store::Sqlite;
use testkit::counter::tenant;

#[tokio::test]
async fn a_state_that_repeats_its_entry_is_stored_without_it_and_a_wrong_place_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(directory.path()).unwrap();
    let mut log = Log::new(tenant(1), 3);
    store.append(vec![log.some(30)]).await.unwrap();
    let long = |d: &&ledger::Document| d.body.len() > 400 && d.created_seq == d.updated_seq;
    let document = log.documents.values().find(long).unwrap().clone();
    let payload = &log.entries[usize::try_from(document.created_seq).unwrap() - 1].payload;
    let read = async |store: &Sqlite| store.document(tenant(1), &document.stream).await;
    assert_eq!(read(&store).await.unwrap(), Some(document.clone()));
    let raw = Connection::open(directory.path().join(store::sqlite::FILE_NAME)).unwrap();
    let (body, at): (String, usize) = raw
        .query_row(
            "SELECT body, payload_at FROM documents WHERE created_seq = ?1 AND updated_seq = ?1",
            [document.created_seq as i64],
            |row| Ok((row.get(0)?, row.get::<_, u32>(1)? as usize)),
        )
        .unwrap();
    assert_eq!(body.len() + payload.len(), document.body.len());
    let (before, after) = body.split_at(at);
    assert_eq!([before, payload, after].concat(), document.body);
    // In the middle of a character, and beyond the end.
    for wrong in [3, 9_999] {
        raw.execute(
            "UPDATE documents SET payload_at = ?1 WHERE payload_at IS NOT NULL",
            [wrong],
        )
        .unwrap();
        let fault = read(&store).await.unwrap_err();
        assert!(matches!(fault, StoreFault::Damaged(_)), "{fault}");
        assert!(fault.to_string().contains("payload_at"), "{fault}");
    }
}
