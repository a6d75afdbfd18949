//! Texts with their canonical forms, and texts that have none.

use kernel::json::{self, JsonFault};
use serde_json::{Value, json};

/// A text and its canonical form.
const FORMS: &[(&str, &str, &str)] = &[
    ("nothing but a value", " null ", "null"),
    ("white space", "[ 1 ,\t2 ,\r\n3 ]", "[1,2,3]"),
    (
        "empty containers",
        "{ \"a\" : [ ] , \"b\" : { } }",
        "{\"a\":[],\"b\":{}}",
    ),
    (
        "members are sorted",
        "{\"b\":1,\"a\":2,\"\":3}",
        "{\"\":3,\"a\":2,\"b\":1}",
    ),
    (
        "sorted by UTF-16 units, not by code points",
        "{\"\u{fb33}\":1,\"\u{1f600}\":2}",
        "{\"\u{1f600}\":2,\"\u{fb33}\":1}",
    ),
    (
        "sorted by what escapes mean",
        "{\"\\u0062\":1,\"a\":2}",
        "{\"a\":2,\"b\":1}",
    ),
    (
        "digits sort as text",
        "{\"10\":1,\"9\":2,\"1\":3}",
        "{\"1\":3,\"10\":1,\"9\":2}",
    ),
    (
        "RFC 8785, 3.2.3",
        "{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\",\"\\u000a\":\"Newline\",\"1\":\"One\",\"\\u0080\":\"Control\",\"\\ud83d\\ude02\":\"Smiley\",\"\\u00f6\":\"Latin Small Letter O With Diaeresis\",\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\",\"</script>\":\"Browser Challenge\"}",
        "{\"\\n\":\"Newline\",\"\\r\":\"Carriage Return\",\"1\":\"One\",\"</script>\":\"Browser Challenge\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"\u{1f602}\":\"Smiley\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}",
    ),
    (
        "short escapes",
        "\"\\u0008\\u000c\\u000A\\u000d\\u0009\\u0022\\u005c\\/\"",
        "\"\\b\\f\\n\\r\\t\\\"\\\\/\"",
    ),
    (
        "long escapes are lowercase",
        "\"\\u0000\\u001F\\u000b\"",
        "\"\\u0000\\u001f\\u000b\"",
    ),
    (
        "what needs no escape",
        "\"\\u007f\\u0080\\u2028\\u00e9\\ufeff\"",
        "\"\u{7f}\u{80}\u{2028}é\u{feff}\"",
    ),
    (
        "a surrogate pair is one character",
        "\"\\uD83D\\uDE00\"",
        "\"\u{1f600}\"",
    ),
    ("not normalised", "\"e\\u0301 \\u00e9\"", "\"e\u{301} é\""),
    ("zero", "[0,-0,0.0,-0.0,0e5,-1e-400]", "[0,0,0,0,0,0]"),
    (
        "integers",
        "[1,-1,10,100.0,1E2,1e+2]",
        "[1,-1,10,100,100,100]",
    ),
    (
        "the largest exact integers",
        "[9007199254740991,-9007199254740991]",
        "[9007199254740991,-9007199254740991]",
    ),
    (
        "integers are doubles",
        "[9007199254740993,12345678901234567890,18446744073709551616]",
        "[9007199254740992,12345678901234567000,18446744073709552000]",
    ),
    (
        "where the exponent begins",
        "[1e20,1e21,999999999999999900000,123456789012345680000]",
        "[100000000000000000000,1e+21,999999999999999900000,123456789012345680000]",
    ),
    (
        "where the exponent begins below one",
        "[1e-6,1e-7,0.0000012,0.00000012]",
        "[0.000001,1e-7,0.0000012,1.2e-7]",
    ),
    (
        "fractions",
        "[0.1,4.50,2e-3,333333333.33333329,1.1e1]",
        "[0.1,4.5,0.002,333333333.3333333,11]",
    ),
    (
        "RFC 8785, appendix B",
        "[5e-324,-5e-324,1.7976931348623157e308,-1.7976931348623157e308,295147905179352830000,9.999999999999997e22,1e23,1.0000000000000001e23,999999999999999700000,0.000001,333333333.3333332,333333333.33333325,333333333.3333334,333333333.33333343,-0.0000033333333333333333,1424953923781206.25]",
        "[5e-324,-5e-324,1.7976931348623157e+308,-1.7976931348623157e+308,295147905179352830000,9.999999999999997e+22,1e+23,1.0000000000000001e+23,999999999999999700000,0.000001,333333333.3333332,333333333.33333325,333333333.3333334,333333333.33333343,-0.0000033333333333333333,1424953923781206.2]",
    ),
    (
        "the smallest normal double",
        "2.2250738585072014e-308",
        "2.2250738585072014e-308",
    ),
    (
        "nested",
        "{\"z\":{\"b\":[{\"d\":1,\"c\":null}],\"a\":true},\"y\":false}",
        "{\"y\":false,\"z\":{\"a\":true,\"b\":[{\"c\":null,\"d\":1}]}}",
    ),
];

/// Texts that have no canonical form.
const NONE: &[(&str, &str)] = &[
    ("nothing", ""),
    ("two values", "1 2"),
    ("an unfinished array", "[1,2"),
    ("a comma too many", "[1,]"),
    ("a member named twice", "{\"a\":1,\"a\":1}"),
    (
        "a member named twice, once with an escape",
        "{\"a\":1,\"\\u0061\":2}",
    ),
    (
        "a member named twice, deep",
        "[{\"o\":{\"a\":1,\"b\":2,\"a\":3}}]",
    ),
    ("beyond the range of a double", "1e309"),
    ("not a number", "NaN"),
    ("an infinity", "-Infinity"),
    ("a leading zero", "01"),
    ("a plus", "+1"),
    ("a bare point", "1."),
    ("a point first", ".5"),
    ("hexadecimal", "0x10"),
    ("an unfinished exponent", "1e"),
    ("a lone surrogate", "\"\\ud800\""),
    ("surrogates in the wrong order", "\"\\ude00\\ud83d\""),
    ("a lone surrogate as a name", "{\"\\udc00\":1}"),
    ("a bare control character", "\"\u{1}\""),
    ("a bare line feed in a string", "\"a\nb\""),
    ("an unknown escape", "\"\\x41\""),
    ("single quotes", "'a'"),
    ("a comment", "[1/*2*/]"),
    ("a byte order mark", "\u{feff}1"),
    ("a space that JSON does not know", "\u{a0}1"),
    ("a name without quotes", "{a:1}"),
    ("a word that is none", "nul"),
    ("uppercase", "True"),
];

pub(crate) fn cases() -> Vec<Value> {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let mut cases: Vec<Value> = FORMS
        .iter()
        .map(|(name, text, form)| json!({"name": name, "text": text, "canonical": form}))
        .collect();
    cases.push(json!({"name": "64 deep", "text": nested(64), "canonical": nested(64)}));
    cases.push(json!({"name": "65 deep", "text": nested(65), "fault": "json"}));
    cases.push(json!({"name": "very deep", "text": nested(5_000), "fault": "json"}));
    cases.extend(
        NONE.iter()
            .map(|(name, text)| json!({"name": name, "text": text, "fault": "json"})),
    );
    cases
}

#[test]
fn writ_says_what_the_vectors_say() {
    for case in cases() {
        let text = case["text"].as_str().unwrap();
        let found = json::parse_canonical(text);
        let Some(form) = case["canonical"].as_str() else {
            assert!(
                matches!(found, Err(JsonFault::Malformed(_))),
                "{case}: {found:?}"
            );
            continue;
        };
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(json::canonical(&value).unwrap(), form, "{case}");
        assert!(json::parse_canonical(form).is_ok(), "{case}");
        let other = matches!(found, Err(JsonFault::OtherForm));
        assert_eq!(other, text != form, "{case}: {found:?}");
    }
}
