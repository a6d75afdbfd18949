//! Passkeys: what an authenticator must have signed for a decision to count,
//! one fault at a time, with an authenticator in software.

use super::signing::{Holder, TENANT, demanding, vote, waiting};
use super::world::{Who, World, person};
use crate::Approval;
use crate::approval::{Choice, Signed, Statement, Word};
use crate::operations::Decided;
use crate::signing_key::{
    self, Algorithm, Assertion, Counted, Passkey, Possession, PublicKey, Registration, SigningKey,
    SigningKeyEvent,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use kernel::{Aggregate as _, ApprovalId, Code, Digest, Role, Stamp};
use serde_json::{Value, json};

const ORIGIN: &str = "https://writ.example:8443";

enum Secret {
    Es256(p256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

/// What an authenticator and a browser would say.
#[derive(Clone)]
pub(super) struct Making {
    client: Value,
    /// What stands there instead of it.
    text: Option<String>,
    /// Bytes after what an authenticator says.
    more: usize,
    host: &'static str,
    flags: u8,
    counter: u32,
}

/// An authenticator with one passkey of ann's.
pub(super) struct Authenticator {
    pub(super) who: Who,
    secret: Secret,
    counter: u32,
}

pub(super) type Change = fn(&mut Making);

impl Authenticator {
    pub(super) fn es256() -> Self {
        let secret = p256::ecdsa::SigningKey::from_slice(&[3; 32]).unwrap();
        Self {
            who: person("ann", Role::Approver),
            secret: Secret::Es256(secret),
            counter: 0,
        }
    }

    pub(super) fn ed25519() -> Self {
        Self {
            secret: Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[3; 32])),
            ..Self::es256()
        }
    }

    pub(super) fn public(&self) -> PublicKey {
        let (algorithm, bytes) = match &self.secret {
            Secret::Es256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                (Algorithm::PasskeyEs256, point.as_bytes().to_vec())
            }
            Secret::Ed25519(key) => {
                let bytes = key.verifying_key().to_bytes();
                (Algorithm::PasskeyEd25519, bytes.to_vec())
            }
        };
        PublicKey {
            algorithm,
            public_key: STANDARD.encode(bytes),
            passkey: Some(Passkey {
                credential: URL_SAFE_NO_PAD.encode([9; 16]),
                origin: ORIGIN.to_owned(),
            }),
        }
    }

    fn signs(&mut self, message: &[u8], change: Change) -> (String, Assertion) {
        self.counter += 1;
        let mut making = Making {
            client: json!({
                "type": "webauthn.get",
                "challenge": URL_SAFE_NO_PAD.encode(Digest::of(message).0),
                "origin": ORIGIN,
                "crossOrigin": false,
                "other_keys_can_be_added_here": "do not compare clientDataJSON",
            }),
            text: None,
            more: 0,
            host: "writ.example",
            flags: 0x05,
            counter: self.counter,
        };
        change(&mut making);
        let client = making.text.unwrap_or_else(|| making.client.to_string());
        let client = client.into_bytes();
        let mut data = Digest::of(making.host.as_bytes()).0.to_vec();
        data.push(making.flags);
        data.extend(making.counter.to_be_bytes());
        data.resize(data.len() + making.more, 0);
        let signed = [data.clone(), Digest::of(&client).0.to_vec()].concat();
        let signature = match &self.secret {
            Secret::Es256(key) => {
                let signature: p256::ecdsa::Signature =
                    p256::ecdsa::signature::Signer::sign(key, &signed);
                signature.to_der().as_bytes().to_vec()
            }
            Secret::Ed25519(key) => key.sign(&signed).to_bytes().to_vec(),
        };
        let assertion = Assertion {
            authenticator_data: STANDARD.encode(data),
            client_data: STANDARD.encode(client),
        };
        (STANDARD.encode(signature), assertion)
    }

    fn registration(&mut self, change: Change) -> Registration {
        let public = self.public();
        let possession = Possession {
            key: public.id().unwrap(),
            principal: self.who.0.clone(),
            tenant: TENANT,
        };
        let (proof, assertion) = self.signs(&possession.message().unwrap(), change);
        Registration {
            public,
            name: "phone".to_owned(),
            proof,
            assertion: Some(assertion),
        }
    }

    pub(super) fn active(mut self, world: &mut World) -> Self {
        let asked = self.registration(|_| ());
        let key = world
            .run(&self.who, |unit, _| signing_key::register(unit, &asked))
            .unwrap();
        world
            .run(&person("root", Role::Admin), |unit, _| {
                signing_key::confirm(unit, key)
            })
            .unwrap();
        self
    }

    pub(super) fn says(&mut self, world: &World, approval: ApprovalId, change: Change) -> Signed {
        let word = Word {
            tenant: TENANT,
            decision: Choice::Approve,
            reason: None,
            principal: self.who.0.clone(),
            on_behalf_of: None,
            key: self.public().id().unwrap(),
            made_at: world.now,
        };
        let request = &world.see::<Approval>(approval).unwrap().request;
        let statement = Statement::of(request, word);
        let (signature, assertion) = self.signs(&statement.message().unwrap(), change);
        Signed {
            statement,
            signature,
            passkey: Some(assertion),
        }
    }
}

#[test]
fn a_passkey_signs_a_decision() {
    for new in [Authenticator::es256, Authenticator::ed25519] {
        let mut world = demanding();
        let mut ann = new().active(&mut world);
        let approval = waiting(&mut world);
        let signed = ann.says(&world, approval, |_| ());
        signed.verified(&ann.public()).unwrap();
        let decided = vote(&mut world, &ann.who, approval, Some(signed)).unwrap();
        assert_eq!(decided, Decided::Approved);
        let text = ann.public().to_string();
        assert_eq!(text.parse::<PublicKey>().unwrap(), ann.public(), "{text}");
        let key = world.see::<SigningKey>(ann.public().id().unwrap()).unwrap();
        assert_eq!(key.counter, 2);
        world.check_replay();
    }
}

/// What an authenticator may say, and what is wrong with it.
pub(super) const SAID: &[(&str, Change, Option<&str>)] = &[
    ("as it is", |_| (), None),
    ("a copied key, as allowed", |m| m.flags = 0x1d, None),
    (
        "no member crossOrigin",
        |m| drop(m.client.as_object_mut().unwrap().remove("crossOrigin")),
        None,
    ),
    (
        "a registration",
        |m| m.client["type"] = json!("webauthn.create"),
        Some("webauthn.create"),
    ),
    (
        "another challenge",
        |m| m.client["challenge"] = json!("AAAA"),
        Some("its challenge is not"),
    ),
    (
        "another page",
        |m| m.client["origin"] = json!("https://evil.example"),
        Some("evil.example"),
    ),
    (
        "another port",
        |m| m.client["origin"] = json!("https://writ.example"),
        Some("the key is for"),
    ),
    (
        "in a frame",
        |m| m.client["crossOrigin"] = json!(true),
        Some("in another page's frame"),
    ),
    (
        "another relying party",
        |m| m.host = "evil.example",
        Some("another relying party"),
    ),
    ("nobody there", |m| m.flags = 0x04, Some("saw no person")),
    (
        "somebody, not verified",
        |m| m.flags = 0x01,
        Some("did not verify its person"),
    ),
    (
        "copied and not to be copied",
        |m| m.flags = 0x15,
        Some("contradict"),
    ),
    (
        "the counter stands still",
        |m| m.counter = 1,
        Some("counter is 1 and was 1"),
    ),
    (
        "the counter goes back to none",
        |m| m.counter = 0,
        Some("counter is 0 and was 1"),
    ),
    ("extensions", |m| m.more = 4096 - 37, None),
    (
        "too many extensions",
        |m| m.more = 4096 - 36,
        Some("allowed are 4096"),
    ),
    (
        "client data that is too long",
        |m| m.client["more"] = json!("x".repeat(4096)),
        Some("allowed are 4096"),
    ),
    (
        "a type that stands twice",
        |m| {
            let twice = "{\"type\":\"webauthn.get\",";
            m.text = Some(m.client.to_string().replacen('{', twice, 1));
        },
        Some("not what a browser makes"),
    ),
    (
        "a list of the same",
        |m| {
            let said = |name: &str| m.client[name].clone();
            m.client = json!([said("type"), said("challenge"), said("origin"), false]);
        },
        Some("not what a browser makes"),
    ),
    (
        "no word on frames, where one is due",
        |m| m.client["crossOrigin"] = json!(null),
        Some("not what a browser makes"),
    ),
];

#[test]
fn each_thing_that_an_authenticator_says_is_checked() {
    let check = |what: &str, change: Change, fault: Option<&str>| {
        for new in [Authenticator::es256, Authenticator::ed25519] {
            let mut world = demanding();
            let mut ann = new().active(&mut world);
            let approval = waiting(&mut world);
            let signed = ann.says(&world, approval, change);
            let offline = signed.verified(&ann.public());
            let got = vote(&mut world, &ann.who, approval, Some(signed));
            let Some(fault) = fault else {
                assert!(got.is_ok() && offline.is_ok(), "{what}: {got:?}");
                continue;
            };
            let refusal = got.unwrap_err();
            assert_eq!(refusal.code, Code::Forbidden, "{what}: {refusal}");
            assert!(refusal.message.contains(fault), "{what}: {refusal}");
            // A counter is known where the key stands, and only there.
            let alone = !fault.contains("counter");
            assert_eq!(offline.is_err(), alone, "{what}: {offline:?}");
        }
    };
    for (what, change, fault) in SAID {
        check(what, *change, *fault);
    }
}

#[test]
fn another_signature_or_none_of_an_authenticator_is_refused() {
    type Forge = fn(&mut Signed);
    let check = |what: &str, forge: Forge, fault: &str| {
        let mut world = demanding();
        let mut ann = Authenticator::es256().active(&mut world);
        let approval = waiting(&mut world);
        let mut signed = ann.says(&world, approval, |_| ());
        forge(&mut signed);
        let refusal = vote(&mut world, &ann.who, approval, Some(signed)).unwrap_err();
        assert_eq!(refusal.code, Code::Forbidden, "{what}: {refusal}");
        assert!(refusal.message.contains(fault), "{what}: {refusal}");
    };
    fn altered(signed: &mut Signed, change: impl FnOnce(&mut Assertion)) {
        change(signed.passkey.as_mut().unwrap());
    }
    check("no assertion", |s| s.passkey = None, "is missing");
    check(
        "no base64",
        |s| s.signature = "?".to_owned(),
        "is not base64",
    );
    check(
        "other bytes",
        |s| s.signature = STANDARD.encode([7; 70]),
        "does not hold",
    );
    check(
        "too short",
        |s| altered(s, |a| a.authenticator_data = STANDARD.encode([0; 36])),
        "is too short",
    );
    check(
        "too long",
        |s| altered(s, |a| a.client_data = STANDARD.encode(vec![b' '; 4097])),
        "allowed are 4096",
    );
    check(
        "too long, of the authenticator",
        |s| altered(s, |a| a.authenticator_data = STANDARD.encode(vec![0; 4097])),
        "allowed are 4096",
    );
    check(
        "no JSON",
        |s| altered(s, |a| a.client_data = STANDARD.encode("hello")),
        "not what a browser makes",
    );
    // The counter stands under the signature.
    check(
        "another counter",
        |s| {
            altered(s, |a| {
                let mut data = STANDARD.decode(&a.authenticator_data).unwrap();
                data[36] += 1;
                a.authenticator_data = STANDARD.encode(data);
            });
        },
        "does not hold",
    );
}

#[test]
fn a_passkey_proves_itself_when_it_is_registered() {
    let register = |asked: &Registration| {
        let mut world = World::new();
        let ann = person("ann", Role::Approver);
        world.run(&ann, |unit, _| signing_key::register(unit, asked))
    };
    register(&Authenticator::es256().registration(|_| ())).unwrap();
    let wrong = |what: &str, change: fn(&mut Registration)| {
        let mut asked = Authenticator::es256().registration(|_| ());
        change(&mut asked);
        let refusal = register(&asked).unwrap_err();
        assert_eq!(refusal.code, Code::Invalid, "{what}: {refusal}");
    };
    let origin = |asked: &mut Registration, origin: &str| {
        asked.public.passkey.as_mut().unwrap().origin = origin.to_owned();
    };
    wrong("nothing proved", |r| r.assertion = None);
    wrong("no origin", |r| r.public.passkey = None);
    wrong("another kind of key", |r| {
        r.public.algorithm = Algorithm::PasskeyEd25519
    });
    wrong("a compressed point", |r| {
        r.public.public_key = STANDARD.encode([2; 33])
    });
    wrong("no point of the curve", |r| {
        r.public.public_key = STANDARD.encode([4; 65])
    });
    wrong("no credential", |r| {
        r.public.passkey.as_mut().unwrap().credential.clear()
    });
    for text in [
        "http://writ.example",
        "writ.example",
        "https://",
        "https://a b",
        "https://a:x",
    ] {
        let mut asked = Authenticator::es256().registration(|_| ());
        origin(&mut asked, text);
        assert_eq!(register(&asked).unwrap_err().code, Code::Invalid, "{text}");
    }
    let unverified = Authenticator::es256().registration(|m| m.flags = 0x01);
    assert_eq!(register(&unverified).unwrap_err().code, Code::Invalid);
}

/// What a state is folded from, and what is verified without a server, is
/// checked by itself, also where an operation has looked at it before.
#[test]
fn what_was_checked_when_it_was_written_is_checked_again() {
    let mut world = demanding();
    let mut ann = Authenticator::es256().active(&mut world);
    let id = ann.public().id().unwrap();
    let key = world.see::<SigningKey>(id).unwrap();
    let stamp = Stamp {
        at: world.now,
        actor: ann.who.0.clone(),
        entry: key.entry,
        version: 9,
    };
    let counts = |counter: u32| {
        let event = SigningKeyEvent::Counted(Counted { counter });
        SigningKey::evolve(Some((*key).clone()), &event, &stamp).map(|key| key.counter)
    };
    assert_eq!(key.counter, 1);
    assert!(counts(0).is_err() && counts(1).is_err(), "it counts up");
    assert_eq!(counts(2).unwrap(), 2);

    let approval = waiting(&mut world);
    let signed = ann.says(&world, approval, |_| ());
    let other = Authenticator::ed25519().public();
    let refusal = signed.verified(&other).unwrap_err();
    assert!(refusal.message.starts_with("it names the key"), "{refusal}");
    // A key in a file signs the message itself, and nothing of a browser's.
    let bob = Holder::new("bob", 2).active(&mut world);
    let mut plain = bob.says(&world, approval, Choice::Approve);
    plain.verified(&bob.public()).unwrap();
    plain.passkey = signed.passkey;
    let refusal = plain.verified(&bob.public()).unwrap_err();
    assert!(refusal.message.contains("is no passkey"), "{refusal}");
}

/// A key that is none has no id, so that nothing can be verified with it.
#[test]
fn what_is_no_passkey_has_no_id() {
    let with = |change: fn(&mut PublicKey)| {
        let mut public = Authenticator::es256().public();
        change(&mut public);
        public.id()
    };
    assert!(with(|_| ()).is_ok());
    let passkey = |key: &mut PublicKey, change: fn(&mut Passkey)| {
        change(key.passkey.as_mut().unwrap());
    };
    let sized = |bytes: usize, letters: usize| {
        let mut public = Authenticator::es256().public();
        let passkey = public.passkey.as_mut().unwrap();
        passkey.credential = URL_SAFE_NO_PAD.encode(vec![9; bytes]);
        passkey.origin = format!("https://{}", "a".repeat(letters));
        public.id().is_ok()
    };
    for (bytes, letters, is_key) in [
        (1, 1, true),
        (1023, 253, true),
        (0, 1, false),
        (1024, 1, false),
        (1, 0, false),
        (1, 254, false),
    ] {
        assert_eq!(sized(bytes, letters), is_key, "{bytes} {letters}");
    }
    let refusal = with(|key| {
        let point = STANDARD.decode(&key.public_key).unwrap();
        let sign = 2 + (point[64] & 1);
        key.public_key = STANDARD.encode([&[sign], &point[1..33]].concat());
    });
    assert!(refusal.is_err(), "a compressed point of the same key");
    let mut public = Authenticator::es256().public();
    passkey(&mut public, |p| p.credential.push('='));
    assert!(public.id().is_err(), "padding");
}
