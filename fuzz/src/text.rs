//! Texts that stand for themselves: JSON and its canonical form, money, ids,
//! names, instants.

use gate::budget::Amount;
use kernel::{Actor, Currency, Digest, Money, Span, Subject, Timestamp, TraceId, Zone, json};
use std::fmt::Display;

/// What the strict parser takes has one canonical form, the one that another
/// implementation writes, and is read from it unchanged.
///
/// # Panics
/// When that does not hold.
pub fn json(bytes: &[u8]) -> bool {
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(value) = json::parse_canonical(text)
    {
        assert_eq!(json::canonical(&value).ok().as_deref(), Some(text));
    }
    let Ok(value) = json::parse(bytes) else {
        return false;
    };
    let canonical = json::canonical(&value).expect("what was read has a canonical form");
    let other = serde_json_canonicalizer::to_string(&value).expect("another writes it");
    assert_eq!(canonical, other, "two writers of RFC 8785");
    let again = json::parse_canonical(&canonical).expect("the canonical form is read");
    assert_eq!(json::canonical(&again).ok(), Some(canonical));
    // Numbers within what is exact are the same, whichever way they came.
    let strict = json::parse(json::canonical(&again).unwrap_or_default().as_bytes());
    assert!(strict.is_ok(), "the strict parser takes it again");
    true
}

/// Money is read from what it shows, and adding nothing changes nothing.
///
/// # Panics
/// When that does not hold.
pub fn money(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    let mut taken = shown::<Amount>(text);
    for default in [None, Some(Currency::EUR)] {
        let Ok(money) = Money::parse(text, default) else {
            continue;
        };
        taken = true;
        assert_eq!(Money::parse(&money.to_string(), None), Ok(money));
        assert_eq!(money.plus(&Money::zero(money.currency())), Ok(money));
        assert_eq!(money.exceeds(&money), Ok(false));
        if let Ok(twice) = money.plus(&money) {
            assert_eq!(twice.minus(&money), Ok(money));
        }
        let _ = money.micros();
    }
    if let Ok(span) = Span::parse(text) {
        taken = true;
        assert_eq!(Span::parse(&span.to_string()), Ok(span));
    }
    taken
}

/// Ids, names, instants and zones are read from what they show.
///
/// # Panics
/// When that does not hold.
pub fn names(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    let mut taken = [
        shown::<kernel::TenantId>(text),
        shown::<kernel::DirectiveId>(text),
        shown::<kernel::EvidenceId>(text),
        shown::<kernel::SigningKeyId>(text),
        shown::<Actor>(text),
        shown::<Subject>(text),
        shown::<kernel::Role>(text),
        shown::<gate::kill::Scope>(text),
        shown::<gate::signing_key::PublicKey>(text),
        text.parse::<ledger::AsOf>().is_ok(),
        server::http::trace::parse(text).is_some(),
        pack::Version::parse(text).is_some(),
    ]
    .contains(&true);
    if let Ok(at) = Timestamp::parse(text) {
        taken = true;
        assert_eq!(Timestamp::parse(&at.to_string()), Ok(at));
        // The day and the month begin what is shown.
        assert!(at.to_string().starts_with(&at.date()) && at.date().starts_with(&at.month()));
    }
    if let Ok(zone) = Zone::parse(text) {
        taken = true;
        assert_eq!(Zone::parse(&zone.to_string()), Ok(zone));
    }
    if let Some(digest) = Digest::parse(text) {
        taken = true;
        assert_eq!(digest.to_string(), text);
    }
    if let Some(trace) = TraceId::parse(text) {
        taken = true;
        assert_eq!(trace.to_string(), text);
    }
    taken
}

/// Whether it was read; what was read is read again from what it shows.
fn shown<T: std::str::FromStr + Display>(text: &str) -> bool {
    let Ok(read) = text.parse::<T>() else {
        return false;
    };
    let shown = read.to_string();
    let again = shown.parse::<T>().map(|again| again.to_string());
    assert_eq!(again.ok().as_ref(), Some(&shown), "from `{text}`");
    true
}
