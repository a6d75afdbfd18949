//! Lines that are not what they should be as text.

use super::{header, lines, whole};
use crate::bundles::Case;
use crate::world::{forged, texts};

/// A line that is not what it should be as text. Its hashes are right.
pub(super) fn encodings() -> Vec<Case> {
    let payload = |text: &str| {
        let mut texts = texts(5);
        texts[1].1 = text.to_owned();
        forged(&texts).bytes()
    };
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    vec![
        Case::bad(
            "payload-member-twice",
            "json",
            3,
            payload("{\"a\":1,\"a\":1}"),
        ),
        Case::bad(
            "payload-member-twice-escaped",
            "json",
            3,
            payload("{\"a\":1,\"\\u0061\":1}"),
        ),
        Case::bad(
            "header-member-twice",
            "json",
            3,
            header("\"kind\":", "\"kind\":\"door.closed\",\"kind\":"),
        ),
        Case::bad(
            "payload-with-a-space",
            "canonical",
            3,
            payload("{\"a\": 1}"),
        ),
        Case::bad(
            "payload-not-sorted",
            "canonical",
            3,
            payload("{\"b\":1,\"a\":1}"),
        ),
        Case::bad(
            "payload-sorted-by-code-points",
            "canonical",
            3,
            payload("{\"\u{fb33}\":1,\"\u{1f600}\":1}"),
        ),
        Case::bad(
            "payload-escapes-too-much",
            "canonical",
            3,
            payload("\"\\u00e9\""),
        ),
        Case::bad(
            "payload-escapes-in-upper-case",
            "canonical",
            3,
            payload("\"\\u001F\""),
        ),
        Case::bad(
            "payload-number-with-a-zero-more",
            "canonical",
            3,
            payload("1.0"),
        ),
        Case::bad(
            "payload-number-with-too-many-digits",
            "canonical",
            3,
            payload("0.10000000000000001"),
        ),
        Case::bad(
            "payload-number-without-its-exponent",
            "canonical",
            3,
            payload("1000000000000000000000"),
        ),
        Case::bad(
            "payload-number-that-is-no-double",
            "canonical",
            3,
            payload("9007199254740993"),
        ),
        Case::bad("payload-minus-zero", "canonical", 3, payload("-0")),
        Case::bad("payload-number-too-large", "json", 3, payload("1e+309")),
        Case::bad("payload-lone-surrogate", "json", 3, payload("\"\\ud800\"")),
        Case::bad("payload-too-deep", "json", 3, payload(&deep(64))),
        Case::bad("payload-is-none", "json", 3, payload("")),
        Case::bad(
            "header-with-a-space",
            "canonical",
            3,
            header("{\"actor\"", "{ \"actor\""),
        ),
        Case::bad(
            "header-not-sorted",
            "canonical",
            3,
            header("\"seq\":2,\"snapshot\":", "\"snapshot\":\"x\",\"seq\":"),
        ),
        Case::bad(
            "line-ends-in-carriage-return",
            "canonical",
            3,
            lines(|l| {
                l[2].pop();
                l[2].extend(b"\r\n");
            }),
        ),
        Case::bad(
            "line-empty",
            "json",
            3,
            lines(|l| l.insert(2, b"\n".to_vec())),
        ),
        Case::bad(
            "line-is-no-json",
            "json",
            3,
            lines(|l| l[2] = b"entry\n".to_vec()),
        ),
        Case::bad(
            "line-is-no-object",
            "shape",
            3,
            lines(|l| l[2] = b"[]\n".to_vec()),
        ),
        Case::bad(
            "byte-order-mark",
            "json",
            1,
            [b"\xef\xbb\xbf".as_slice(), &whole().bytes()].concat(),
        ),
        Case::bad(
            "not-utf-8",
            "line",
            3,
            lines(|l| {
                let at = l[2].len() - 3;
                l[2][at] = 0xff;
            }),
        ),
        Case::bad(
            "overlong-utf-8",
            "line",
            2,
            lines(|l| {
                let at = l[1].len() - 5;
                l[1].splice(at..at, [0xc0, 0xaf]);
            }),
        ),
    ]
}
