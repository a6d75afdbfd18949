//! CEL, guarded: what works, what is refused when it is loaded, and hostile
//! text that must never bring the process down.

use sense::Expression;
use serde_json::{Value, json};

fn signal() -> Value {
    json!({ "n": 3, "ratio": 0.12, "name": "checkout", "tags": ["a", "b"], "map": { "a": 1 }, "nothing": null })
}

#[test]
fn conditions_are_tested() {
    let check = |text: &str, expected: Result<bool, &str>| {
        let outcome =
            Expression::compile(text, &["signal"]).and_then(|e| e.test(&[("signal", &signal())]));
        match (outcome, expected) {
            (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{text}"),
            (Err(refusal), Err(part)) => {
                assert!(refusal.message.contains(part), "{text}: {refusal}");
            }
            (found, wanted) => panic!("{text}: {found:?}, not {wanted:?}"),
        }
    };
    check("true", Ok(true));
    check("signal.n + 1 == 4 && signal.ratio > 0.1", Ok(true));
    check(
        "signal.name.startsWith('check') && size(signal.tags) == 2",
        Ok(true),
    );
    check("signal.name.matches('^c.*t$')", Ok(true));
    check("signal.tags.exists(t, t == 'b')", Ok(true));
    check("signal.tags.all(t, t == 'b')", Ok(false));
    check("['a', 'c'].exists(t, t in signal.tags)", Ok(true));
    check("'b' in signal.tags", Ok(true));
    check("has(signal.missing) ? true : signal.n > 2", Ok(true));
    check("signal.missing == 1", Err("no field `missing`"));
    check("signal.n", Err("not a boolean"));
    check("signal.n / 0 == 1", Err("division by zero"));
    check("signal.name + 1 == 2", Err("does not work on these types"));
    check("signal.n * 9223372036854775807 == 0", Err("overflows"));
    check("signal.map.exists(k, k == 'a')", Err("is an object"));
    // Refused when loaded.
    check("", Err("empty"));
    check("  ", Err("empty"));
    check("signal.n >", Err("no CEL"));
    check("sginal.n > 1", Err("unknown variable `sginal`"));
    check("true || nope", Err("unknown variable `nope`"));
    check("now() > 1", Err("unknown function `now`"));
    check("signal.tags.map(t, t)[0] == 'a'", Err("not offered"));
    check(
        "signal.tags.filter(t, t == 'a').size() > 0",
        Err("not offered"),
    );
    check(
        "[[1]].exists(a, a.exists(b, b == 1))",
        Err("within each other"),
    );
    check(
        "(signal.n > 1 ? signal.tags : signal.tags).exists(t, true)",
        Err("field only"),
    );
}

#[test]
fn what_an_expression_looks_at() {
    let check = |text: &str, expected: &[&str]| {
        let compiled = Expression::compile(text, &["signal", "item"]).unwrap();
        let found: Vec<_> = compiled.paths().iter().map(|p| p.join(".")).collect();
        assert_eq!(found, expected, "{text}");
    };
    check("true", &[]);
    check("signal.n > 1 && signal.n < 3", &["signal.n"]);
    check(
        "has(signal.a.b) || item['x'].y == 1",
        &["item.x.y", "signal.a.b"],
    );
    check(
        "signal.tags.exists(t, t == item.name)",
        &["item.name", "signal.tags"],
    );
    check("signal[item.which] == 1", &["item.which", "signal"]);
    check("size(signal) == 0", &["signal"]);
}

#[test]
fn hostile_text_is_refused_or_harmless() {
    let texts = [
        "(".repeat(100_000),
        format!("{}true{}", "(".repeat(25), ")".repeat(25)),
        format!("{}true{}", "[".repeat(24), "]".repeat(24)),
        vec!["1"; 1_000].join("+"),
        vec!["1"; 190].join("+") + "==190",
        "!".repeat(190) + "true",
        format!("signal{}==1", ".a".repeat(190)),
        "true?true:".repeat(99) + "true",
        format!("{}true{}", "[!(true&&".repeat(11), ")].size()>0".repeat(11)),
        format!("signal{}", "[0]".repeat(190)),
        "'".repeat(2_000),
        "\"\\".to_owned(),
        "'({['".repeat(100),
        "\u{0}".to_owned(),
        "🦀".repeat(400),
        "signal.name.matches('(((a{100}){100}){100})')".to_owned(),
        "signal.name.matches('(')".to_owned(),
        "-9223372036854775808 / -1 == 0".to_owned(),
        "int('x') == 1".to_owned(),
        "signal.tags[99] == 'a'".to_owned(),
        "a{b:1}".to_owned(),
        "x".repeat(2_049),
    ];
    for text in texts {
        let start: String = text.chars().take(40).collect();
        // Reaching the next line is what is tested: an overflow would abort.
        let outcome =
            Expression::compile(&text, &["signal"]).and_then(|e| e.test(&[("signal", &signal())]));
        if let Err(refusal) = outcome {
            assert!(!refusal.message.contains('\n'), "{start}: {refusal}");
        }
    }
}

#[test]
fn a_fault_does_not_repeat_values() {
    let secret = json!({ "n": "hunter2", "m": ["hunter2"] });
    for text in [
        "signal.n + 1 == 2",
        "signal.n > 1",
        "signal.m[signal.n] == 1",
        "int(signal.n) > 1",
    ] {
        let fault = Expression::compile(text, &["signal"])
            .unwrap()
            .test(&[("signal", &secret)])
            .unwrap_err();
        assert!(!fault.to_string().contains("hunter2"), "{text}: {fault}");
    }
}

#[test]
fn values_come_back_as_json() {
    let check = |text: &str, expected: Value| {
        let value = Expression::compile(text, &["signal"])
            .unwrap()
            .value(&[("signal", &signal())])
            .unwrap();
        assert_eq!(value, expected, "{text}");
    };
    check("signal.n + 1", json!(4));
    check("signal.name + '!'", json!("checkout!"));
    check("signal.tags", json!(["a", "b"]));
    check("signal.map", json!({ "a": 1 }));
    check("signal.nothing", Value::Null);
}
