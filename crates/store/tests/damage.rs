//! Bytes that go bad beneath the embedded store, in the write-ahead log, in
//! indexes and in current states: a check says so, or
//! nothing that can be read has changed.

use kernel::TenantId;
use ledger::store::StoreFault;
use ledger::{EntryQuery, Store, replay, verify};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Sqlite;
use store::sqlite::FILE_NAME;
use testkit::counter::{self, add, registry, seeded, tenant};

const TENANT: TenantId = tenant(1);
/// Commits of the store that is damaged.
const COMMITS: u64 = 40;
/// Entries of each: together more than two full tiles.
const ENTRIES: u64 = 15;
const HEADER_BYTES: usize = 32;
const FRAME_BYTES: usize = 24 + 4096;

/// A store as a killed process leaves it: the main file and its log.
async fn killed() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(&directory.path().join("live")).unwrap());
    let ledger = counter::ledger(store);
    for n in 0..COMMITS {
        let done = ledger.run(seeded(TENANT, n), move |unit| {
            for step in 0..ENTRIES {
                add(unit, step % 7, n)?;
            }
            Ok(())
        });
        done.await.unwrap();
    }
    for file in [FILE_NAME.to_owned(), format!("{FILE_NAME}-wal")] {
        let from = directory.path().join("live").join(&file);
        std::fs::copy(from, directory.path().join(&file)).unwrap();
    }
    directory
}

/// A copy with one bit of one of its files flipped.
fn flipped(from: &Path, file: &str, place: usize) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in [FILE_NAME.to_owned(), format!("{FILE_NAME}-wal")] {
        let Ok(mut bytes) = std::fs::read(from.join(&name)) else {
            continue;
        };
        if name == file {
            bytes[place] ^= 1 << (place % 8);
        }
        std::fs::write(copy.path().join(&name), bytes).unwrap();
    }
    copy
}

/// Every entry and every state, or the first thing that is found wrong.
async fn proven(directory: &Path) -> Result<(u64, kernel::Digest), String> {
    let text = |fault: StoreFault| fault.to_string();
    let store = Sqlite::open_read_only(directory).map_err(text)?;
    let report = verify::log(&store, TENANT, |_| ()).await.map_err(text)?;
    if !report.is_intact() {
        return Err(format!("{:?} {:?}", report.fault, report.engine));
    }
    let replayed = replay::log(&store, &registry(), TENANT, |_| ()).await;
    let replayed = replayed.map_err(text)?;
    match replayed.is_equal() {
        true => Ok((report.entries, replayed.state_hash)),
        false => Err(format!("{:?}", replayed.differences)),
    }
}

/// How many frames of the log stand before its last commit but one: what is
/// damaged there cannot be the end that a power cut left.
fn frames_before_the_end(log: &[u8]) -> usize {
    let frames = log[HEADER_BYTES..].chunks_exact(FRAME_BYTES);
    let commits: Vec<usize> = frames
        .enumerate()
        .filter(|(_, frame)| frame[4..8] != [0; 4])
        .map(|(number, _)| number)
        .collect();
    commits[commits.len() - 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_the_log_never_cuts_off_what_was_acknowledged() {
    let good = killed().await;
    let all = proven(good.path()).await.unwrap();
    assert_eq!(all.0, COMMITS * ENTRIES);
    let name = format!("{FILE_NAME}-wal");
    let log = std::fs::read(good.path().join(&name)).unwrap();
    let end = HEADER_BYTES + frames_before_the_end(&log) * FRAME_BYTES;
    assert!(end > 100 * FRAME_BYTES, "{end}");
    // Of the header each byte; then bytes of frame headers and of pages.
    let header = 0..HEADER_BYTES;
    let heads = (HEADER_BYTES..end).step_by(19 * FRAME_BYTES);
    let heads = heads.flat_map(|frame| (8..24).step_by(5).map(move |at| frame + at));
    let pages = (HEADER_BYTES..end).step_by(60_013);
    for place in header.chain(heads).chain(pages) {
        let bad = flipped(good.path(), &name, place);
        let found = proven(bad.path()).await;
        match Sqlite::open(bad.path()) {
            Err(fault) => assert!(fault.to_string().contains("damaged"), "{place}: {fault}"),
            Ok(_) => assert_eq!(found, Ok(all), "{place}: it opens, and entries are gone"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_a_power_cut_tore_at_its_end_opens() {
    let good = killed().await;
    let name = format!("{FILE_NAME}-wal");
    let log = std::fs::read(good.path().join(&name)).unwrap();
    let end = HEADER_BYTES + (frames_before_the_end(&log) + 1) * FRAME_BYTES;
    for place in (end..log.len()).step_by(2_003) {
        let torn = flipped(good.path(), &name, place);
        drop(Sqlite::open(torn.path()).unwrap());
        let (entries, _) = proven(torn.path()).await.unwrap();
        assert!(entries >= (COMMITS - 1) * ENTRIES, "{place}: {entries}");
    }
}

/// The pages of the main file that this table or index has.
fn pages(path: &Path, name: &str) -> Vec<usize> {
    let raw = rusqlite::Connection::open(path).unwrap();
    let mut select = raw
        .prepare("SELECT pageno FROM dbstat WHERE name = ?1")
        .unwrap();
    let numbers = select.query_map([name], |row| row.get::<_, i64>(0));
    let numbers = numbers.unwrap().map(Result::unwrap);
    numbers.map(|n| usize::try_from(n).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_any_table_or_index_is_found_or_harms_nothing() {
    let good = killed().await;
    // All of it in the main file.
    drop(Sqlite::open(good.path()).unwrap());
    let all = proven(good.path()).await.unwrap();
    let path: PathBuf = good.path().join(FILE_NAME);
    for name in [
        "entries",
        "entries_id",
        "entries_stream",
        "entries_kind",
        "documents",
        "documents_kind",
        "logs",
    ] {
        let pages = pages(&path, name);
        assert!(!pages.is_empty(), "{name}");
        let mut found = 0;
        for number in pages.iter().take(3) {
            for at in (3..4096).step_by(613) {
                let place = (number - 1) * 4096 + at;
                let bad = flipped(good.path(), FILE_NAME, place);
                match proven(bad.path()).await {
                    Err(_) => found += 1,
                    Ok(same) => {
                        assert_eq!(same, all, "{name} at {place}");
                        assert!(
                            is_as_before(good.path(), bad.path()).await,
                            "{name} at {place}"
                        );
                    }
                }
            }
        }
        assert!(found > 0, "no damage of `{name}` was found");
    }
}

/// Whether two stores read the same by an index.
async fn is_as_before(good: &Path, bad: &Path) -> bool {
    let mut read = Vec::new();
    for directory in [good, bad] {
        let store = Sqlite::open_read_only(directory).unwrap();
        let query = EntryQuery {
            limit: usize::MAX,
            kind: Some("counter.added".into()),
            ..EntryQuery::default()
        };
        read.push(store.entries(TENANT, &query).await.unwrap());
    }
    read[0] == read[1]
}
