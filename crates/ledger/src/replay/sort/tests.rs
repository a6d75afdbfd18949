//! The order of what is merged, and what a garbled scratch file gives.

use super::*;
use proptest::prelude::*;

fn record(seq: u64, stream: &str, payload: &str) -> (u64, String, String) {
    (seq, stream.to_owned(), payload.to_owned())
}

async fn sorted(
    records: &[(u64, String, String)],
    memory: usize,
) -> (Vec<(u64, String, String)>, u64) {
    let mut sorter = Sorter::new(memory);
    for (seq, stream, payload) in records {
        sorter.filling.push(&Record {
            seq: *seq,
            stream_version: seq + 1,
            at: Timestamp::from_micros(-5),
            id: EntryId(uuid::Uuid::from_u128(u128::from(*seq))),
            stream,
            kind: "room.said",
            actor: "system:ü",
            payload,
        });
        sorter.make_room().await.unwrap();
    }
    let mut merge = sorter.sorted().await.unwrap();
    let spilled = merge.spilled_bytes;
    let mut found = Vec::new();
    loop {
        let batch;
        (merge, batch) = merge.batch().await.unwrap();
        if batch.is_empty() {
            return (found, spilled);
        }
        for read in batch.records() {
            let read = read.unwrap();
            assert_eq!(
                (read.stream_version, read.id.0.as_u128()),
                (read.seq + 1, u128::from(read.seq))
            );
            assert_eq!(
                (read.at.as_micros(), read.kind, read.actor),
                (-5, "room.said", "system:ü")
            );
            found.push(record(read.seq, read.stream, read.payload));
        }
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However little memory there is: by stream, and by position within it.
    #[test]
    fn records_come_out_by_stream_and_then_by_position(
        streams in prop::collection::vec("[a-c]{0,2}ä?", 0..120),
        sizes in prop::collection::vec(prop_oneof![0usize..40, 3_000usize..9_000], 120),
        memory in prop_oneof![Just(1usize), 500usize..100_000],
    ) {
        let records: Vec<_> = (1..).zip(&streams).zip(&sizes)
            .map(|((seq, stream), size)| record(seq, stream, &"x".repeat(*size)))
            .collect();
        let (found, _) = run(sorted(&records, memory));
        let mut wanted = records;
        wanted.sort_by(|a, b| a.1.as_bytes().cmp(b.1.as_bytes()));
        prop_assert_eq!(found, wanted);
    }
}

#[test]
fn only_what_does_not_fit_is_written() {
    let records: Vec<_> = (1..100).map(|seq| record(seq, "room/a", "words")).collect();
    let (_, spilled) = run(sorted(&records, usize::MAX));
    assert_eq!(spilled, 0);
    let one = HEAD_BYTES + "room/a".len() + "room.said".len() + "system:ü".len() + "words".len();
    let (_, spilled) = run(sorted(&records, 1));
    assert_eq!(spilled, (99 * one) as u64);
}

/// A scratch file that does not hold what was written is told, and nothing is
/// made of it.
#[test]
fn a_garbled_record_is_told() {
    let mut buffer = Buffer::default();
    let texts = Record {
        seq: 1,
        stream_version: 1,
        at: Timestamp::from_micros(0),
        id: EntryId(uuid::Uuid::nil()),
        stream: "room/a",
        kind: "room.said",
        actor: "system:a",
        payload: "{}",
    };
    buffer.push(&texts);
    let whole = Batch {
        bytes: buffer.bytes.clone(),
    };
    assert_eq!(whole.records().collect::<Vec<_>>(), [Some(texts)]);
    let short = Batch {
        bytes: buffer.bytes[..buffer.bytes.len() - 1].to_vec(),
    };
    assert_eq!(short.records().collect::<Vec<_>>(), [None]);
    let mut bytes = buffer.bytes;
    bytes[HEAD_BYTES] = 0xff;
    assert_eq!(Batch { bytes }.records().collect::<Vec<_>>(), [None]);
}
