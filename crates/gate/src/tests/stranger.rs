//! What people signed, verified by a stranger: `docs/ledger-format/verify.py`
//! says of every statement, approval and bundle what the gate says, also of
//! those that were tampered with.

use super::passkeys::{Authenticator, Change, SAID};
use super::signing::{Holder, demanding, vote, waiting};
use super::world::{POLICY, World, agent, rules, source};
use crate::Approval;
use crate::approval::offline::{self, Decision};
use crate::approval::{Choice, Signed};
use crate::operations::{self, Decided, Reject};
use crate::signing_key::PublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// What is said of a file: of each decision whether it verifies, and its
/// statement; `None` when the file cannot be read.
type Verdicts = Option<Vec<(bool, Value)>>;

fn first(text: &str, keys: &[PublicKey]) -> Verdicts {
    let found = offline::decisions(text, keys)
        .ok()
        .filter(|d| !d.is_empty())?;
    let row = |Decision { signed, faults }| {
        let statement = serde_json::to_value(signed.statement).unwrap();
        (faults.is_empty(), statement)
    };
    Some(found.into_iter().map(row).collect())
}

fn second(texts: &[String], keys: &[PublicKey]) -> Vec<(Verdicts, Value)> {
    let folder = tempfile::tempdir().unwrap();
    let verifier = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ledger-format/verify.py");
    let mut asked = Command::new("python3");
    asked.arg(verifier).args(["decisions", "--json"]);
    for key in keys {
        asked.args(["--key", &key.to_string()]);
    }
    for (at, text) in texts.iter().enumerate() {
        let file = folder.path().join(at.to_string());
        std::fs::write(&file, text).unwrap();
        asked.arg(file);
    }
    let output = asked
        .output()
        .expect("python3 starts; `cargo xtask setup` installs it");
    let said = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(answers.len(), texts.len(), "{complained}");
    let verdicts = |answer: Value| {
        let decisions = answer["decisions"].as_array().map(|decisions| {
            let row = |d: &Value| (d["verdict"] == "verified", d["statement"].clone());
            decisions.iter().map(row).collect()
        });
        (decisions, answer)
    };
    answers.into_iter().map(verdicts).collect()
}

/// Both verdicts of every text, which must be one; and that verdict.
fn agreed(texts: &[(String, String)], keys: &[PublicKey]) -> Vec<Verdicts> {
    let only: Vec<String> = texts.iter().map(|(_, text)| text.clone()).collect();
    let answers = second(&only, keys);
    let mut all = Vec::new();
    for ((what, text), (second, answer)) in texts.iter().zip(answers) {
        let first = first(text, keys);
        assert_eq!(first, second, "{what}: {answer}\n{text}");
        all.push(first);
    }
    all
}

fn verified(verdicts: &Verdicts) -> bool {
    let all = verdicts.as_ref();
    all.is_some_and(|all| all.iter().all(|(is_sound, _)| *is_sound))
}

/// The entries of a world as the lines of a bundle that are looked at.
fn log(world: &World) -> Vec<Value> {
    let line = |draft: &kernel::Draft| {
        let payload: Value = serde_json::from_str(&draft.payload).unwrap();
        json!({ "header": { "kind": draft.kind }, "payload": payload })
    };
    world
        .entries
        .iter()
        .map(|(draft, ..)| line(draft))
        .collect()
}

fn text(log: &[Value]) -> String {
    let lines: Vec<String> = log.iter().map(|line| format!("{line}\n")).collect();
    lines.concat()
}

/// Where a signature stands in a log.
fn signed_in(log: &mut [Value]) -> &mut Value {
    let payloads = log.iter_mut().map(|line| &mut line["payload"]);
    let mut signed = payloads.filter_map(|payload| payload.get_mut("signed"));
    signed.find(|signed| signed.is_object()).unwrap()
}

/// A log in which one of these signed a yes, and the keys of all.
fn decided(who: usize) -> (World, Signed, Vec<PublicKey>) {
    let mut world = demanding();
    let ann = Holder::new("ann", 1).active(&mut world);
    let mut phone = Authenticator::es256().active(&mut world);
    let mut stick = Authenticator::ed25519().active(&mut world);
    let keys = vec![ann.public(), phone.public(), stick.public()];
    let approval = waiting(&mut world);
    let signed = match who {
        0 => ann.says(&world, approval, Choice::Approve),
        1 => phone.says(&world, approval, |_| ()),
        _ => stick.says(&world, approval, |_| ()),
    };
    let decided = vote(&mut world, &ann.who, approval, Some(signed.clone()));
    assert_eq!(decided.unwrap(), Decided::Approved);
    (world, signed, keys)
}

#[test]
fn a_stranger_verifies_what_each_kind_of_key_signed() {
    for who in 0..3 {
        let (world, signed, keys) = decided(who);
        let approval = world.all::<Approval>().remove(0);
        let shown = json!({ "id": "apr", "state": &*approval });
        let texts = [
            ("statement".to_owned(), json!(signed).to_string()),
            (
                "pretty".to_owned(),
                serde_json::to_string_pretty(&json!(signed)).unwrap(),
            ),
            ("approval".to_owned(), json!(&*approval).to_string()),
            ("shown".to_owned(), shown.to_string()),
            ("bundle".to_owned(), text(&log(&world))),
        ];
        for (verdicts, (what, _)) in agreed(&texts, &keys).iter().zip(&texts) {
            assert!(verified(verdicts), "{who} {what}: {verdicts:?}");
        }
        // With the keys of others only, nothing verifies.
        let mut others = keys.clone();
        others.remove(who);
        for verdicts in agreed(&texts, &others) {
            assert!(verdicts.is_some() && !verified(&verdicts));
        }
    }
}

#[test]
fn a_stranger_verifies_a_no_and_the_first_of_two() {
    let mut changed = source();
    changed["approvals"]["signatures"] = json!({"action_classes": ["external_human_touch"]});
    let mut world = World::new();
    world.rules = rules(changed, POLICY);
    let ann = Holder::new("ann", 1).active(&mut world);
    let bea = Holder::new("bea", 2).active(&mut world);
    let keys = [ann.public(), bea.public()];
    let (_, approval) = world.waiting(&agent("scout"), &["tell"]);
    let yes = ann.says(&world, approval, Choice::Approve);
    vote(&mut world, &ann.who, approval, Some(yes)).unwrap();
    let reason = "not on a Friday, naïve — \u{2028}";
    let no = bea.says_with(&world, approval, |word| {
        word.decision = Choice::Reject;
        word.reason = Some(reason.to_owned());
    });
    let seen = world
        .see::<Approval>(approval)
        .unwrap()
        .request
        .binding
        .digest;
    let asked = Reject {
        signed: Some(no),
        ..Reject::of(approval, seen, reason)
    };
    world
        .run(&bea.who, |unit, _| operations::reject(unit, &asked))
        .unwrap();
    let state = world.see::<Approval>(approval).unwrap();
    let texts = [
        ("bundle".to_owned(), text(&log(&world))),
        ("approval".to_owned(), json!(&*state).to_string()),
        ("nothing signed".to_owned(), text(&log(&world)[..3])),
        ("no JSON".to_owned(), "hello\nworld\n".to_owned()),
        ("empty".to_owned(), String::new()),
        ("another thing".to_owned(), "{}".to_owned()),
    ];
    let found = agreed(&texts, &keys);
    for verdicts in &found[..2] {
        assert!(verified(verdicts), "{verdicts:?}");
        let said: Vec<&str> = verdicts
            .iter()
            .flatten()
            .map(|(_, statement)| statement["decision"].as_str().unwrap())
            .collect();
        assert_eq!(said, ["approve", "reject"]);
    }
    assert_eq!(found[2..], [const { None }; 4]);
}

/// The same value, differently spelt or another one of its kind.
fn altered(value: &Value) -> Vec<Value> {
    let Value::String(text) = value else {
        return vec![json!("x"), json!(["x"]), json!(1)];
    };
    let with = |at: usize, to: &str| {
        let mut other = text.clone();
        other.replace_range(at..=at, to);
        json!(other)
    };
    let mut all = vec![json!(null), json!(1), json!(""), json!(format!("{text} "))];
    if text.is_empty() || !text.is_ascii() {
        return all;
    }
    for at in [0, text.len() / 2, text.len() - 1] {
        for to in ["0", "A", "="] {
            if text.as_bytes()[at] != to.as_bytes()[0] {
                all.push(with(at, to));
            }
        }
    }
    all
}

/// Base64 of the same bytes with bits behind them; of what fills its letters,
/// no base64 at all.
fn other_spelling(text: &str) -> String {
    let end = text.trim_end_matches('=');
    let Some(last) = end.chars().last().filter(|_| end.len() < text.len()) else {
        return format!("{text}=");
    };
    let next = match last {
        'Z' => 'a',
        'z' => '0',
        '9' => '+',
        '+' => '/',
        letter => char::from(u8::try_from(letter).unwrap() + 1),
    };
    format!("{}{next}{}", &end[..end.len() - 1], &text[end.len()..])
}

/// Every way in which a member of this object is altered, removed or added.
fn tampered(object: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, value) in object.as_object().unwrap() {
        let mut without = object.clone();
        without.as_object_mut().unwrap().remove(name);
        all.push((format!("no {name}"), without));
        for to in altered(value) {
            let mut other = object.clone();
            other[name] = to.clone();
            all.push((format!("{name} is {to}"), other));
        }
    }
    let mut more = object.clone();
    more["more"] = json!("x");
    all.push(("one more".to_owned(), more));
    all
}

#[test]
fn a_stranger_finds_what_was_tampered_with_in_what_was_signed() {
    for who in 0..3 {
        let (world, signed, keys) = decided(who);
        let lines = log(&world);
        let signed = json!(signed);
        let mut all = tampered(&signed);
        // Another spelling of the same bytes, and what no file's key signs.
        let mut spelt = signed.clone();
        let signature = signed["signature"].as_str().unwrap();
        spelt["signature"] = json!(other_spelling(signature));
        all.push(("another spelling".to_owned(), spelt));
        let mut asserted = signed.clone();
        asserted["passkey"] = json!(decided(1).1.passkey);
        if who == 0 {
            all.push(("an assertion".to_owned(), asserted));
        }
        for part in ["statement", "passkey"] {
            if signed[part].is_object() {
                all.extend(tampered(&signed[part]).into_iter().map(|(what, to)| {
                    let mut other = signed.clone();
                    other[part] = to;
                    (format!("{part}: {what}"), other)
                }));
            }
        }
        let texts: Vec<(String, String)> = all
            .iter()
            .enumerate()
            .map(|(at, (what, signed))| match at % 2 {
                0 => (what.clone(), signed.to_string()),
                _ => {
                    let mut lines = lines.clone();
                    *signed_in(&mut lines) = signed.clone();
                    (what.clone(), text(&lines))
                }
            })
            .collect();
        for (verdicts, (what, _)) in agreed(&texts, &keys).iter().zip(&texts) {
            // What says nothing, when it is left out, is no change.
            let none = ["statement: no reason", "no passkey", "passkey is null"];
            let is_same = none.contains(&what.as_str()) && (who == 0 || what.contains("reason"));
            assert_eq!(verified(verdicts), is_same, "{who} {what}: {verdicts:?}");
        }
    }
}

#[test]
fn a_stranger_finds_what_was_tampered_with_in_what_it_rests_on() {
    let (world, _, keys) = decided(0);
    let lines = log(&world);
    let of = |kind: &str| {
        let found = lines.iter().position(|l| l["header"]["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind}"))
    };
    let hash = "0".repeat(64);
    let (request, drafted) = (of("approval.requested"), of("directive.drafted"));
    let verdict = of("gate.verdict_given");
    let mut texts = Vec::new();
    for (at, path, to) in [
        (request, "/binding/digest", json!(hash)),
        (request, "/binding/rules", json!(hash)),
        (request, "/binding/shown", json!(hash)),
        (request, "/binding/snapshot", json!(format!("snp_{hash}"))),
        (request, "/binding/verdicts", json!([])),
        (request, "/binding/verdicts", json!([format!("vrd_{hash}")])),
        (
            request,
            "/binding/directive",
            json!(format!("dir_{}", "0".repeat(32))),
        ),
        (
            request,
            "/approval",
            json!(format!("apr_{}", "0".repeat(32))),
        ),
        (request, "/expires_at", json!("2027-01-01T00:00:00.000000Z")),
        (request, "/because", json!(["it is fine"])),
        (request, "/because", json!([])),
        (drafted, "/contract/objective", json!("make it worse")),
        (drafted, "/contract/budget", json!("11.00 EUR")),
        (drafted, "/contract/steps/0/input/note", json!("y")),
        (drafted, "/contract/steps/0/evidence", json!([])),
        (verdict, "/results/0/reason", json!("all is well")),
        (verdict, "/results/0/inputs", json!({ "a": 1.5 })),
        (verdict, "/question/digest", json!(hash)),
    ] {
        let mut lines = lines.clone();
        let what = format!("{path} is {to}");
        let spot = lines[at]["payload"].pointer_mut(path);
        *spot.unwrap_or_else(|| panic!("no {path}")) = to;
        texts.push((what, text(&lines)));
    }
    for at in [request, drafted, verdict] {
        let mut lines = lines.clone();
        let gone = lines.remove(at);
        texts.push((format!("without {}", gone["header"]["kind"]), text(&lines)));
    }
    for (verdicts, (what, _)) in agreed(&texts, &keys).iter().zip(&texts) {
        assert!(
            verdicts.is_some() && !verified(verdicts),
            "{what}: {verdicts:?}"
        );
    }
}

#[test]
fn a_stranger_finds_what_an_authenticator_should_not_have_signed() {
    type New = fn() -> Authenticator;
    let news: [New; 2] = [Authenticator::es256, Authenticator::ed25519];
    for new in news {
        let mut world = demanding();
        let mut phone = new().active(&mut world);
        let approval = waiting(&mut world);
        let keys = [phone.public()];
        let mut says = |change: Change| json!(phone.says(&world, approval, change)).to_string();
        let rows = SAID.iter();
        let texts: Vec<(String, String)> = rows
            .map(|(what, change, _)| ((*what).to_owned(), says(*change)))
            .collect();
        for (verdicts, (what, _, fault)) in agreed(&texts, &keys).iter().zip(SAID) {
            // A counter is known where the key stands, and only there.
            let is_sound = fault.is_none_or(|fault| fault.contains("counter"));
            assert_eq!(verified(verdicts), is_sound, "{what}");
        }
    }
}

/// The two numbers of a signature on P-256, spelt otherwise.
#[test]
fn a_stranger_reads_signatures_of_p256_to_the_letter() {
    let (_, signed, keys) = decided(1);
    let der = STANDARD.decode(&signed.signature).unwrap();
    let made = p256::ecdsa::Signature::from_der(&der).unwrap();
    let (r, s) = made.split_scalars();
    let mirrored = p256::ecdsa::Signature::from_scalars(r, -s).unwrap();
    let (r, s) = (made.r().to_bytes(), made.s().to_bytes());
    let integer = |bytes: &[u8]| [&[2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let sequence = |parts: &[&[u8]]| {
        let body = parts.concat();
        [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat()
    };
    let padded = |bytes: &[u8]| integer(&[&[0, 0], bytes].concat());
    let zero = integer(&[0]);
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let order = integer(&[&[0][..], &order].concat());
    let with_zero = |bytes: &[u8]| integer(&[&[0], bytes].concat());
    let rows = [
        ("as made", der.clone(), true),
        ("mirrored", mirrored.to_der().as_bytes().to_vec(), true),
        ("padded", sequence(&[&padded(&r), &padded(&s)]), false),
        ("zero", sequence(&[&zero, &with_zero(&s)]), false),
        ("the order", sequence(&[&order, &order]), false),
        ("one number", sequence(&[&with_zero(&r)]), false),
        ("more", [&der[..], &[0]].concat(), false),
        ("less", der[..der.len() - 1].to_vec(), false),
        ("swapped", made_of(&made).to_vec(), false),
        ("raw", [&r[..], &s[..]].concat(), false),
        ("nothing", Vec::new(), false),
    ];
    let texts: Vec<(String, String)> = rows
        .iter()
        .map(|(what, bytes, _)| {
            let signature = STANDARD.encode(bytes);
            let signed = Signed {
                signature,
                ..signed.clone()
            };
            ((*what).to_owned(), json!(signed).to_string())
        })
        .collect();
    for (verdicts, (what, _, is_sound)) in agreed(&texts, &keys).iter().zip(&rows) {
        assert_eq!(verified(verdicts), *is_sound, "{what}");
    }
}

/// The signature with its numbers in each other's place.
fn made_of(made: &p256::ecdsa::Signature) -> Vec<u8> {
    let (r, s) = made.split_scalars();
    let swapped = p256::ecdsa::Signature::from_scalars(s, r).unwrap();
    swapped.to_der().as_bytes().to_vec()
}

#[test]
fn a_stranger_takes_the_same_keys() {
    let (_, signed, keys) = decided(1);
    let public = keys[1].to_string();
    let (file, weak) = (keys[0].to_string(), STANDARD.encode([0; 32]));
    let other = |from: &str, to: &str| {
        assert!(public.contains(from));
        public.replace(from, to)
    };
    let origin = "https://writ.example:8443";
    let rows = [
        public.clone(),
        file.clone(),
        format!("{file}:"),
        format!("ed25519:{weak}"),
        format!("{file}:CQkJCQkJCQkJCQkJCQkJCQ:{origin}"),
        "ed25519:".to_owned(),
        String::new(),
        other("passkey-es256", "passkey-ed25519"),
        other("passkey-es256", "ed25519"),
        other(":B", ":C"),
        // Another point than one of the curve.
        other(&keys[1].public_key, &{
            let mut point = STANDARD.decode(&keys[1].public_key).unwrap();
            point[64] ^= 1;
            STANDARD.encode(point)
        }),
        other(origin, "http://writ.example"),
        other(origin, "http://localhost:8443"),
        other(origin, "https://writ.example:99999"),
        other(origin, "https://WRIT.example"),
        other(origin, "writ.example"),
        other("CQkJCQkJCQkJCQkJCQkJCQ", ""),
        other("CQkJCQkJCQkJCQkJCQkJCQ", "C/kJ"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signed");
    std::fs::write(&file, json!(signed).to_string()).unwrap();
    let verifier = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ledger-format/verify.py");
    for (text, at) in rows.iter().zip(0..) {
        let asked = Command::new("python3")
            .arg(&verifier)
            .args(["decisions", "--key", text])
            .arg(&file)
            .output()
            .unwrap();
        let is_key = text.parse::<PublicKey>().is_ok();
        assert_eq!(asked.status.code() != Some(2), is_key, "{text}: {asked:?}");
        assert_eq!(asked.status.success(), at == 0, "{text}: {asked:?}");
    }
}
