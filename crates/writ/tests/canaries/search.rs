//! The search: each secret in each form that it may have taken on its way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// A secret where it must not be.
pub(crate) struct Found {
    secret: String,
    form: &'static str,
    place: String,
    around: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            secret,
            form,
            place,
            around,
        } = self;
        write!(f, "{secret}, {form}, in {place}: …{around}…")
    }
}

/// The forms in which a text may stand somewhere.
fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let list: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
    let wide = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut forms = vec![
        ("as it is", text.as_bytes().to_vec()),
        ("in hex", hex.to_uppercase().into_bytes()),
        ("in hex", hex.into_bytes()),
        ("as a list of bytes", list.join(", ").into_bytes()),
        ("as a list of bytes", list.join(",").into_bytes()),
        ("as UTF-16", wide),
    ];
    for shift in 0..3 {
        // Base64 depends on where in three bytes the text begins.
        let coded = STANDARD.encode(format!("{}{text}", "x".repeat(shift)));
        let inner = &coded[(shift * 4).div_ceil(3)..coded.len() - 4];
        forms.push(("in base64", inner.as_bytes().to_vec()));
    }
    forms
}

fn at(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(step) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        from += step;
        if bytes.get(from..)?.starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
    None
}

/// Whether these bytes hold these words as they are.
pub(crate) fn holds(bytes: &[u8], words: &str) -> bool {
    at(bytes, words.as_bytes()).is_some()
}

/// Every secret that stands in any of these.
pub(crate) fn through(written: &[(String, Vec<u8>)], secrets: &[(String, String)]) -> Vec<Found> {
    let mut found = Vec::new();
    for (secret, text) in secrets {
        for (form, needle) in forms(text) {
            for (place, bytes) in written {
                let Some(at) = at(bytes, &needle) else {
                    continue;
                };
                let begin = at.saturating_sub(120);
                let end = (at + needle.len() + 40).min(bytes.len());
                let around = String::from_utf8_lossy(&bytes[begin..end]).into_owned();
                found.push(Found {
                    secret: secret.clone(),
                    form,
                    place: place.clone(),
                    around,
                });
            }
        }
    }
    found
}

/// Each form of a secret is found in the midst of other bytes.
#[test]
fn every_form_is_found() {
    let secret = "cnry-search-As2kQz9tWm";
    let secrets = [("the secret".to_owned(), secret.to_owned())];
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let debug = format!("{:?}", secret.as_bytes());
    let texts = [
        format!("before {secret} after"),
        format!("\\x00{hex}ff"),
        hex.to_uppercase(),
        debug,
        STANDARD.encode(format!("user:{secret}")),
        STANDARD.encode(format!("user1:{secret}!")),
        STANDARD.encode(format!("user12:{secret}!!")),
    ];
    for text in texts {
        let written = [("a file".to_owned(), text.clone().into_bytes())];
        assert!(!through(&written, &secrets).is_empty(), "{text}");
    }
    let written = [("a file".to_owned(), b"cnry-search-As2kQz9tWx".to_vec())];
    assert!(through(&written, &secrets).is_empty());
}
