//! Entries that do not stand where they belong, and files that end too early or
//! too late.

use super::{edited, lines, whole, with};
use crate::bundles::Case;
use crate::world::{OTHER_TENANT, Parts, entries, forged, tenant, texts};
use kernel::Digest;
use ledger::bundle;

/// Entries do not stand where they belong.
pub(super) fn moved() -> Vec<Case> {
    vec![
        Case::bad("entries-swapped", "sequence", 3, lines(|l| l.swap(2, 3))),
        Case::bad(
            "first-entry-missing",
            "sequence",
            2,
            lines(|l| drop(l.remove(1))),
        ),
        Case::bad("entry-missing", "sequence", 4, lines(|l| drop(l.remove(3)))),
        Case::bad(
            "last-entry-missing",
            "shape",
            6,
            lines(|l| drop(l.remove(5))),
        ),
        Case::bad(
            "entry-twice",
            "sequence",
            4,
            lines(|l| l.insert(3, l[2].clone())),
        ),
        Case::bad(
            "extra-entry",
            "shape",
            7,
            lines(|l| {
                let sixth = &entries(tenant(), 6)[5];
                l.insert(6, bundle::entry_line(tenant(), sixth));
            }),
        ),
        Case::bad(
            "another-logs-entry",
            "tenant",
            4,
            lines(|l| {
                let other = OTHER_TENANT.parse().unwrap();
                l[3] = bundle::entry_line(other, &entries(other, 5)[2]);
            }),
        ),
        Case::bad(
            "range-said-to-begin-earlier",
            "sequence",
            2,
            with(Parts::of(2, 4, 4), |p| {
                p.head.first = 1;
                p.head.proof.clear();
            }),
        ),
        Case::bad(
            "sequence-begins-with-zero",
            "shape",
            2,
            edited(2, "\"seq\":1", "\"seq\":0"),
        ),
        Case::bad("first-entry-follows-another", "chain", 2, {
            let mut texts = texts(2);
            texts[0].0 = texts[0].0.replace("PREV", &Digest::of(b"x").to_string());
            forged(&texts).bytes()
        }),
    ]
}

/// The file ends too early or too late.
pub(super) fn cut() -> Vec<Case> {
    let bytes = whole().bytes();
    vec![
        Case::bad("empty", "end", 1, Vec::new()),
        Case::bad("head-only", "end", 2, lines(|l| l.truncate(1))),
        Case::bad(
            "cut-within-a-line",
            "line",
            4,
            lines(|l| {
                l.truncate(4);
                l[3].truncate(100);
            }),
        ),
        Case::bad("cut-after-a-line", "end", 5, lines(|l| l.truncate(4))),
        Case::bad("cut-before-the-end", "end", 7, lines(|l| l.truncate(6))),
        Case::bad(
            "last-line-feed-missing",
            "line",
            7,
            bytes[..bytes.len() - 1].to_vec(),
        ),
        Case::bad(
            "something-follows",
            "end",
            8,
            [bytes.as_slice(), b"x"].concat(),
        ),
        Case::bad(
            "empty-line-follows",
            "end",
            8,
            [bytes.as_slice(), b"\n"].concat(),
        ),
        Case::bad(
            "another-bundle-follows",
            "end",
            8,
            [bytes.as_slice(), bytes.as_slice()].concat(),
        ),
        Case::bad(
            "fewer-entries-counted",
            "end",
            7,
            edited(7, "\"entries\":5", "\"entries\":4"),
        ),
        Case::bad(
            "objects-counted-that-are-not-there",
            "end",
            7,
            edited(7, "\"objects\":0", "\"objects\":1"),
        ),
        Case::bad(
            "end-says-more",
            "end",
            7,
            edited(7, "\"entries\":5", "\"a\":1,\"entries\":5"),
        ),
    ]
}
