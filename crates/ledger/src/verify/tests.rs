//! Every field of an entry is covered, and a log that is checked in parts is
//! judged as one that is checked from its first entry on.

use super::*;
use crate::entry::tests::sample;

type Edit = Box<dyn Fn(&mut Entry)>;

#[test]
fn each_field_of_an_entry_is_covered() {
    let (tenant, good) = sample();
    assert_eq!(follows(tenant, Head::EMPTY, &good).unwrap().seq, 1);
    let edits: Vec<(&str, Edit)> = vec![
        ("seq", Box::new(|e| e.seq = 2)),
        (
            "id",
            Box::new(|e| e.id = "ent_00000000000070008000000000000009".parse().unwrap()),
        ),
        (
            "stream",
            Box::new(|e| e.stream = kernel::StreamId::new("door", "back")),
        ),
        ("stream_version", Box::new(|e| e.stream_version = 2)),
        ("kind", Box::new(|e| e.kind = "door.closed".into())),
        (
            "category",
            Box::new(|e| e.category = kernel::Category::System),
        ),
        ("at", Box::new(|e| e.at = kernel::Timestamp::EPOCH)),
        (
            "actor",
            Box::new(|e| e.actor = kernel::Actor::system("other")),
        ),
        (
            "trace_id",
            Box::new(|e| e.trace_id = kernel::TraceId::new(99).unwrap()),
        ),
        ("causation", Box::new(|e| e.causation = Some(e.id))),
        ("subject", Box::new(|e| e.subject = None)),
        (
            "directive",
            Box::new(|e| {
                e.directive = Some("dir_00000000000070008000000000000003".parse().unwrap())
            }),
        ),
        (
            "snapshot",
            Box::new(|e| e.snapshot = Some(kernel::SnapshotId(Digest::ZERO))),
        ),
        ("payload", Box::new(|e| e.payload = "{\"a\":2}".into())),
        (
            "payload_hash",
            Box::new(|e| e.payload_hash = Digest::of(b"x")),
        ),
        ("prev_hash", Box::new(|e| e.prev_hash = Digest::of(b"x"))),
        ("hash", Box::new(|e| e.hash = Digest::of(b"x"))),
    ];
    for (field, edit) in edits {
        let mut bad = good.clone();
        edit(&mut bad);
        assert!(follows(tenant, Head::EMPTY, &bad).is_err(), "{field}");
    }
    let other: TenantId = "ten_00000000000070008000000000000007".parse().unwrap();
    assert!(follows(other, Head::EMPTY, &good).is_err(), "tenant");
}

const ENTRIES: u64 = 6;

fn chained() -> (TenantId, Vec<Entry>) {
    let (tenant, first) = sample();
    let mut entries: Vec<Entry> = Vec::new();
    for seq in 1..=ENTRIES {
        let mut entry = first.clone();
        entry.seq = seq;
        entry.id = EntryId(uuid::Uuid::from_u128(u128::from(seq)));
        entry.prev_hash = entries.last().map_or(Digest::ZERO, |last| last.hash);
        entry.hash = entry.computed_hash(tenant);
        entries.push(entry);
    }
    (tenant, entries)
}

/// One way to damage the entry at this place of a log.
type Damage = fn(&mut Vec<Entry>, usize, TenantId);

const DAMAGES: [(&str, Damage); 7] = [
    ("nothing", |_, _, _| ()),
    ("removed", |log, at, _| {
        log.remove(at);
    }),
    ("all after it removed", |log, at, _| log.truncate(at)),
    ("another payload", |log, at, _| {
        log[at].payload = "{}".into()
    }),
    ("another kind", |log, at, _| {
        log[at].kind = "door.shut".into()
    }),
    ("another past", |log, at, _| {
        log[at].prev_hash = Digest::of(b"x")
    }),
    ("rewritten with its hash", |log, at, tenant| {
        log[at].kind = "door.shut".into();
        log[at].hash = log[at].computed_hash(tenant);
    }),
];

/// The rows at these positions; the one at `broken` cannot be read.
fn rows(log: &[Entry], seqs: Seqs, broken: Option<u64>) -> Rows {
    let mut rows = Rows::default();
    for entry in log
        .iter()
        .filter(|e| (seqs.from..=seqs.until).contains(&e.seq))
    {
        if broken == Some(entry.seq) {
            let (seq, what) = (entry.seq, "column `at`: torn".to_owned());
            rows.broken = Some(Broken { seq, what });
            break;
        }
        rows.push_entry(entry);
    }
    rows
}

/// What is found when the log is cut into parts at these positions.
fn in_parts(
    tenant: TenantId,
    log: &[Entry],
    ends: &[u64],
    broken: Option<u64>,
) -> (Head, Option<Fault>) {
    let mut head = Head::EMPTY;
    let mut from = 1;
    for until in ends {
        let seqs = Seqs {
            from,
            until: *until,
        };
        let part = Part::from(from).take(&mut Checker::new(tenant), &rows(log, seqs, broken));
        let fault;
        (head, fault) = part.join(head);
        if fault.is_some() {
            return (head, fault);
        }
        from = until + 1;
    }
    (head, None)
}

#[test]
fn parts_are_judged_as_the_whole() {
    let (tenant, good) = chained();
    let mut faults = 0;
    for (damage, apply) in DAMAGES {
        for at in 0..good.len() {
            for broken in std::iter::once(None).chain((1..=ENTRIES).map(Some)) {
                let mut log = good.clone();
                apply(&mut log, at, tenant);
                let whole = in_parts(tenant, &log, &[ENTRIES], broken);
                faults += usize::from(whole.1.is_some());
                for first in 1..ENTRIES {
                    for second in first + 1..=ENTRIES {
                        let ends = [first, second, ENTRIES];
                        let parts = in_parts(tenant, &log, &ends, broken);
                        assert_eq!(
                            parts, whole,
                            "{damage} at {at}, {broken:?}, cut at {ends:?}"
                        );
                    }
                }
            }
        }
    }
    assert!(faults > 200, "{faults}");
}
