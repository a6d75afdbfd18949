//! Signed decisions: what counts as a person's own, and what a server, a
//! thief or a mistake can make of it.

use super::world::{POLICY, Who, World, agent, blocked, engine, permitted, person, rules, source};
use crate::approval::{ApprovalEvent, Choice, Given, Signed, Statement, Status, Word};
use crate::directive::{Approved, DirectiveEvent};
use crate::operations::{self, Approve, Decided, Proposed, Reject, Started};
use crate::signing_key::{self, Possession, PublicKey, Registration, SigningKey};
use crate::{Approval, Directive};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use kernel::{Actor, ApprovalId, Code, Digest, Role, RunId, SigningKeyId, TenantId, Timestamp};
use serde_json::json;
use uuid::Uuid;

const RUN: RunId = RunId(Uuid::from_u128(5));
pub(super) const TENANT: TenantId = TenantId(Uuid::from_u128(9));

/// A person with the private half of a key.
pub(super) struct Holder {
    pub(super) who: Who,
    key: ed25519_dalek::SigningKey,
}

impl Holder {
    pub(super) fn new(name: &str, seed: u8) -> Self {
        Self {
            who: person(name, Role::Approver),
            key: ed25519_dalek::SigningKey::from_bytes(&[seed; 32]),
        }
    }
    pub(super) fn public(&self) -> PublicKey {
        PublicKey::ed25519(self.key.verifying_key().as_bytes())
    }
    fn id(&self) -> SigningKeyId {
        self.public().id().unwrap()
    }
    fn over(&self, message: &[u8]) -> String {
        STANDARD.encode(self.key.sign(message).to_bytes())
    }
    fn registration(&self, tenant: TenantId) -> Registration {
        let possession = Possession {
            key: self.id(),
            principal: self.who.0.clone(),
            tenant,
        };
        Registration {
            public: self.public(),
            name: "laptop".to_owned(),
            proof: self.over(&possession.message().unwrap()),
            assertion: None,
        }
    }
    /// Registers the key, confirmed by someone else.
    pub(super) fn active(self, world: &mut World) -> Self {
        let asked = self.registration(TENANT);
        world
            .run(&self.who, |unit, _| signing_key::register(unit, &asked))
            .unwrap();
        world
            .run(&person("root", Role::Admin), |unit, _| {
                signing_key::confirm(unit, self.id())
            })
            .unwrap();
        self
    }
    pub(super) fn says(&self, world: &World, approval: ApprovalId, decision: Choice) -> Signed {
        self.says_with(world, approval, |word| word.decision = decision)
    }
    pub(super) fn says_with(
        &self,
        world: &World,
        of: ApprovalId,
        change: impl FnOnce(&mut Word),
    ) -> Signed {
        let mut word = Word {
            tenant: TENANT,
            decision: Choice::Approve,
            reason: None,
            principal: self.who.0.clone(),
            on_behalf_of: None,
            key: self.id(),
            made_at: world.now,
        };
        change(&mut word);
        let request = &world.see::<Approval>(of).unwrap().request;
        self.signs(Statement::of(request, word))
    }
    fn signs(&self, statement: Statement) -> Signed {
        Signed {
            signature: self.over(&statement.message().unwrap()),
            statement,
            passkey: None,
        }
    }
    fn revokes(&self, world: &mut World) {
        let key = self.id();
        world
            .run(&self.who, |unit, _| {
                signing_key::revoke(unit, key, "laptop lost")
            })
            .unwrap();
    }
}

/// A world whose policy demands signatures of what mends.
pub(super) fn demanding() -> World {
    let mut world = World::new();
    let mut changed = source();
    changed["approvals"]["signatures"] = json!({"action_classes": ["internal_mutation"]});
    world.rules = rules(changed, POLICY);
    world
}

pub(super) fn waiting(world: &mut World) -> ApprovalId {
    world.waiting(&agent("scout"), &["mend"]).1
}

pub(super) fn vote(
    world: &mut World,
    who: &Who,
    approval: ApprovalId,
    signed: Option<Signed>,
) -> Result<Decided, kernel::Refusal> {
    let binding = &world.see::<Approval>(approval).unwrap().request.binding;
    let asked = Approve {
        signed,
        ..Approve::to(approval, binding.digest)
    };
    world.run(who, |unit, env| operations::approve(unit, env, &asked))
}

#[test]
fn a_signed_yes_counts_where_a_signature_is_demanded() {
    let mut world = demanding();
    let ann = Holder::new("ann", 1).active(&mut world);
    let approval = waiting(&mut world);
    assert!(world.see::<Approval>(approval).unwrap().request.signed);
    let signed = ann.says(&world, approval, Choice::Approve);
    let decided = vote(&mut world, &ann.who, approval, Some(signed.clone())).unwrap();
    assert_eq!(decided, Decided::Approved);
    let state = world.see::<Approval>(approval).unwrap();
    assert_eq!(state.votes[0].signed.as_ref(), Some(&signed));
    let id = state.request.binding.directive;
    assert_eq!(world.start(id, RUN).unwrap(), Started::Started);
    permitted(world.admit(id, RUN, "s0", 1).unwrap());
    world.check_replay();
}

#[test]
fn signatures_are_demanded_by_class_and_by_type_and_ask_for_a_person() {
    let check = |signatures: serde_json::Value, module: &str, demanded: bool| {
        let mut world = World::new();
        let mut changed = source();
        changed["approvals"]["signatures"] = signatures.clone();
        world.rules = rules(changed, POLICY);
        let contract = world.contract(&agent("scout"), &[module]);
        let id = world.draft(&agent("scout"), contract);
        world.propose(id);
        let approval = world.directive(id).approval.unwrap();
        let request = &world.see::<Approval>(approval).unwrap().request;
        assert_eq!(request.signed, demanded, "{signatures} {module}");
        // What needs nobody by itself waits for a person where one must sign.
        let needed = u32::from(demanded || module != "look");
        assert_eq!(request.needed, needed, "{signatures} {module}");
    };
    let class = json!({"action_classes": ["internal_mutation"]});
    let kind = json!({"directive_types": ["thing.mend"]});
    check(json!({}), "mend", false);
    check(json!({}), "look", false);
    check(class.clone(), "mend", true);
    check(class, "look", false);
    check(kind.clone(), "mend", true);
    check(kind, "look", true);
    check(json!({"directive_types": ["thing.break"]}), "mend", false);
}

/// Everything but a statement of this person, on this request, now.
#[test]
fn nothing_else_counts_as_a_persons_signature() {
    type Forge = fn(&mut World, &Holder, &Holder, ApprovalId) -> Option<Signed>;
    let check = |what: &str, forge: Forge, fault: &str| {
        let mut world = demanding();
        let ann = Holder::new("ann", 1).active(&mut world);
        let bob = Holder::new("bob", 2).active(&mut world);
        let approval = waiting(&mut world);
        let signed = forge(&mut world, &ann, &bob, approval);
        let entries = world.entries.len();
        let refusal = vote(&mut world, &ann.who, approval, signed).unwrap_err();
        assert_eq!(refusal.code, Code::Forbidden, "{what}: {refusal}");
        assert!(refusal.message.contains(fault), "{what}: {refusal}");
        assert_eq!(world.entries.len(), entries, "{what}: nothing is recorded");
    };
    let altered = |change: fn(&mut Statement)| {
        move |world: &World, ann: &Holder, approval| {
            let mut signed = ann.says(world, approval, Choice::Approve);
            change(&mut signed.statement);
            signed
        }
    };
    check("no signature", |_, _, _, _| None, "must be signed");
    // The server alters what was signed, and cannot sign again.
    for (what, change) in [
        (
            "contract",
            (|s: &mut Statement| s.digest = Digest::ZERO) as fn(&mut Statement),
        ),
        ("shown", |s| s.shown = Digest::ZERO),
        ("rules", |s| s.rules = Digest::ZERO),
        ("reason", |s| s.reason = Some("fine".to_owned())),
        ("expiry", |s| s.expires_at = Timestamp::from_micros(1)),
    ] {
        let mut world = demanding();
        let ann = Holder::new("ann", 1).active(&mut world);
        let approval = waiting(&mut world);
        let signed = altered(change)(&world, &ann, approval);
        let refusal = vote(&mut world, &ann.who, approval, Some(signed.clone())).unwrap_err();
        assert!(refusal.message.contains("differs in"), "{what}: {refusal}");
        let offline = signed.verified(&ann.public()).unwrap_err();
        assert!(
            offline.message.contains("not over this statement"),
            "{what}"
        );
    }
    check(
        "the time is altered",
        |world, ann, _, approval| {
            let mut signed = ann.says(world, approval, Choice::Approve);
            signed.statement.made_at = world.now.plus(kernel::Span::from_secs(1));
            Some(signed)
        },
        "not over this statement",
    );
    check(
        "a no is made a yes",
        |world, ann, _, approval| Some(ann.says(world, approval, Choice::Reject)),
        "differs in: decision",
    );
    check(
        "a yes to another request",
        |world, ann, _, _| {
            let other = waiting(world);
            Some(ann.says(world, other, Choice::Approve))
        },
        "differs in: approval, directive",
    );
    check(
        "another tenant's",
        |world, ann, _, approval| {
            let tenant = TenantId(Uuid::from_u128(10));
            Some(ann.says_with(world, approval, |word| word.tenant = tenant))
        },
        "differs in: tenant",
    );
    check(
        "another person's yes",
        |world, _, bob, approval| Some(bob.says(world, approval, Choice::Approve)),
        "is `human:bob`'s",
    );
    check(
        "another person's key under this name",
        |world, ann, bob, approval| {
            let who = ann.who.0.clone();
            Some(bob.says_with(world, approval, |word| word.principal = who))
        },
        "is `human:bob`'s",
    );
    check(
        "another key under this key's id",
        |world, ann, bob, approval| {
            let said = ann.says(world, approval, Choice::Approve).statement;
            Some(bob.signs(said))
        },
        "not over this statement",
    );
    check(
        "a key that nobody registered",
        |world, ann, _, approval| {
            let own = Holder::new(&ann.who.0.id, 3);
            Some(own.says(world, approval, Choice::Approve))
        },
        "is not registered here",
    );
    check(
        "a key that nobody confirmed",
        |world, ann, _, approval| {
            let new = Holder::new(&ann.who.0.id, 3);
            let asked = new.registration(TENANT);
            world
                .run(&ann.who, |unit, _| signing_key::register(unit, &asked))
                .unwrap();
            Some(new.says(world, approval, Choice::Approve))
        },
        "no second person confirmed",
    );
    check(
        "a revoked key",
        |world, ann, _, approval| {
            let signed = ann.says(world, approval, Choice::Approve);
            ann.revokes(world);
            Some(signed)
        },
        "is revoked",
    );
}

/// A statement is taken for ten minutes, and from a clock that is two ahead.
#[test]
fn an_old_signature_is_not_taken() {
    let check = |seconds: i64, micros: i64, taken: bool| {
        let mut world = demanding();
        let ann = Holder::new("ann", 1).active(&mut world);
        let approval = waiting(&mut world);
        let made_at = Timestamp::from_micros(world.now.as_micros() + seconds * 1_000_000 + micros);
        let signed = ann.says_with(&world, approval, |word| word.made_at = made_at);
        let got = vote(&mut world, &ann.who, approval, Some(signed));
        assert_eq!(got.is_ok(), taken, "{seconds} s {micros} µs: {got:?}");
    };
    check(0, 0, true);
    check(-600, 1, true);
    check(-600, 0, false);
    check(120, 0, true);
    check(120, 1, false);
}

#[test]
fn the_same_signature_serves_no_second_request() {
    let mut world = demanding();
    let ann = Holder::new("ann", 1).active(&mut world);
    let approval = waiting(&mut world);
    let signed = ann.says(&world, approval, Choice::Approve);
    let id = world
        .see::<Approval>(approval)
        .unwrap()
        .request
        .binding
        .directive;
    world
        .run(&engine(), |unit, _| operations::block(unit, id, "wait"))
        .unwrap();
    let again = world
        .run(&engine(), |unit, env| operations::retry(unit, env, id))
        .unwrap();
    let Proposed::Waiting { approval: second } = again else {
        panic!("{again:?}");
    };
    let refusal = vote(&mut world, &ann.who, second, Some(signed)).unwrap_err();
    assert!(
        refusal.message.contains("differs in: approval"),
        "{refusal}"
    );
}

#[test]
fn a_no_needs_no_signature_and_a_signed_one_is_checked_and_kept() {
    let mut world = demanding();
    let ann = Holder::new("ann", 1).active(&mut world);
    for choice in [None, Some(Choice::Approve), Some(Choice::Reject)] {
        let approval = waiting(&mut world);
        let seen = world
            .see::<Approval>(approval)
            .unwrap()
            .request
            .binding
            .digest;
        let signed = choice.map(|decision| {
            ann.says_with(&world, approval, |word| {
                word.decision = decision;
                word.reason = Some("too loud".to_owned());
            })
        });
        let no = Reject {
            signed: signed.clone(),
            ..Reject::of(approval, seen, "too loud")
        };
        let done = world.run(&ann.who, |unit, _| operations::reject(unit, &no));
        assert_eq!(done.is_ok(), choice != Some(Choice::Approve), "{done:?}");
        if done.is_ok() {
            let state = world.see::<Approval>(approval).unwrap();
            assert_eq!((state.status, &state.refusal), (Status::Rejected, &signed));
        }
    }
    world.check_replay();
}

/// A vote that got into the state without a signature, or with one that holds
/// no more, lets nothing start.
#[test]
fn a_start_counts_signatures_again() {
    let check = |what: &str, forged: fn(&World, &Holder, ApprovalId) -> Option<Signed>| {
        let mut world = demanding();
        let ann = Holder::new("ann", 1).active(&mut world);
        let approval = waiting(&mut world);
        let signed = forged(&world, &ann, approval);
        let bound = world
            .see::<Approval>(approval)
            .unwrap()
            .request
            .binding
            .clone();
        world
            .run(&ann.who, |unit, _| {
                let given = Given {
                    human_override: true,
                    seen: bound.digest,
                    reason: None,
                    signed,
                    on_behalf_of: None,
                };
                unit.record::<Approval>(approval, ApprovalEvent::Given(given))?;
                let approved = Approved {
                    approval,
                    digest: bound.digest,
                };
                unit.record::<Directive>(bound.directive, DirectiveEvent::Approved(approved))
            })
            .unwrap();
        let started = world.start(bound.directive, RUN).unwrap();
        let Started::Blocked { reasons } = started else {
            panic!("{what}: it started");
        };
        let fault = "the yes of `human:ann` does not count";
        assert!(reasons[0].contains(fault), "{what}: {reasons:?}");
    };
    check("no signature", |_, _, _| None);
    check("a no", |world, ann, approval| {
        Some(ann.says(world, approval, Choice::Reject))
    });
    check("altered", |world, ann, approval| {
        let mut signed = ann.says(world, approval, Choice::Approve);
        signed.signature = ann.over(b"something else");
        Some(signed)
    });
}

#[test]
fn a_key_that_is_revoked_takes_what_it_signed_with_it() {
    let mut world = demanding();
    let ann = Holder::new("ann", 1).active(&mut world);
    let given = |world: &mut World| {
        let approval = waiting(world);
        let signed = ann.says(world, approval, Choice::Approve);
        vote(world, &ann.who, approval, Some(signed)).unwrap();
        world
            .see::<Approval>(approval)
            .unwrap()
            .request
            .binding
            .directive
    };
    let (first, second) = (given(&mut world), given(&mut world));
    world.start(first, RUN).unwrap();
    permitted(world.admit(first, RUN, "s0", 1).unwrap());
    ann.revokes(&mut world);
    let started = world.start(second, RunId(Uuid::from_u128(6))).unwrap();
    assert!(matches!(started, Started::Blocked { .. }), "{started:?}");
    let said = blocked(world.admit(first, RUN, "s0", 2).unwrap());
    assert!(said.contains("is revoked"), "{said}");
    world.check_replay();
}

#[test]
fn edit_and_approve_waits_for_a_signature_on_the_new_version() {
    let mut world = demanding();
    let mut changed = source();
    changed["approvals"]["signatures"] = json!({"action_classes": ["internal_mutation"]});
    changed["approvals"]["separation_of_duties"] = json!([]);
    world.rules = rules(changed, POLICY);
    let ann = Holder::new("ann", 1).active(&mut world);
    let first = waiting(&mut world);
    let binding = world
        .see::<Approval>(first)
        .unwrap()
        .request
        .binding
        .clone();
    let mut contract = world.directive(binding.directive).contract.clone();
    contract.objective = "gently".to_owned();
    let asked = operations::EditAndApprove {
        approval: first,
        seen: binding.digest,
        contract,
        reason: None,
    };
    let done = world
        .run(&ann.who, |unit, env| {
            operations::edit_and_approve(unit, env, asked)
        })
        .unwrap();
    assert_eq!(done.decided, None);
    let Proposed::Waiting { approval } = done.proposed else {
        panic!("{done:?}");
    };
    let signed = ann.says(&world, approval, Choice::Approve);
    let decided = vote(&mut world, &ann.who, approval, Some(signed)).unwrap();
    assert_eq!(decided, Decided::Approved);
}

#[test]
fn a_key_is_registered_by_its_person_and_confirmed_by_another() {
    let mut world = World::new();
    let ann = Holder::new("ann", 1);
    let register = |world: &mut World, who: &Who, asked: &Registration| {
        world.run(who, |unit, _| signing_key::register(unit, asked))
    };
    let fine = ann.registration(TENANT);
    // Not by someone else, not for another tenant, not by a program, not a
    // key that verifies anything, and not twice.
    let eve = person("eve", Role::Admin);
    let wrong = [
        (&eve, fine.clone(), Code::Invalid),
        (
            &ann.who,
            ann.registration(TenantId(Uuid::nil())),
            Code::Invalid,
        ),
        (&agent("scout"), fine.clone(), Code::Forbidden),
        (&engine(), fine.clone(), Code::Forbidden),
        (
            &ann.who,
            Registration {
                public: PublicKey::ed25519(&[0; 32]),
                ..fine.clone()
            },
            Code::Invalid,
        ),
        (
            &ann.who,
            Registration {
                name: " ".to_owned(),
                ..fine.clone()
            },
            Code::Invalid,
        ),
    ];
    for (who, asked, code) in wrong {
        let refusal = register(&mut world, who, &asked).unwrap_err();
        assert_eq!(refusal.code, code, "{who:?}: {refusal}");
    }
    let id = register(&mut world, &ann.who, &fine).unwrap();
    assert_eq!(
        register(&mut world, &ann.who, &fine).unwrap_err().code,
        Code::Conflict
    );

    let confirm =
        |world: &mut World, who: &Who| world.run(who, |unit, _| signing_key::confirm(unit, id));
    let herself = Who(ann.who.0.clone(), vec![Role::Admin]);
    let robot = Who(agent("robot").0, vec![Role::Admin]);
    for who in [&herself, &robot, &person("bob", Role::Approver), &engine()] {
        assert_eq!(
            confirm(&mut world, who).unwrap_err().code,
            Code::Forbidden,
            "{who:?}"
        );
    }
    confirm(&mut world, &eve).unwrap();
    assert_eq!(
        confirm(&mut world, &eve).unwrap_err().code,
        Code::IllegalMove
    );
    let state = world.see::<SigningKey>(id).unwrap();
    assert_eq!(state.owner, ann.who.0);
    assert_eq!(state.confirmed.as_ref().map(|h| &h.by), Some(&eve.0));

    let revoke = |world: &mut World, who: &Who, why: &str| {
        world.run(who, |unit, _| signing_key::revoke(unit, id, why))
    };
    let bob = person("bob", Role::Approver);
    assert_eq!(
        revoke(&mut world, &bob, "mine now").unwrap_err().code,
        Code::Forbidden
    );
    assert_eq!(
        revoke(&mut world, &ann.who, "").unwrap_err().code,
        Code::Invalid
    );
    revoke(&mut world, &eve, "left the company").unwrap();
    assert_eq!(
        confirm(&mut world, &eve).unwrap_err().code,
        Code::IllegalMove
    );
    assert_eq!(
        register(&mut world, &ann.who, &fine).unwrap_err().code,
        Code::Conflict
    );
    world.check_replay();
}

/// The bytes that are signed, as `docs/approvals.md` gives them.
#[test]
fn the_bytes_of_a_statement() {
    let request: crate::approval::Requested = serde_json::from_value(json!({
        "approval": "apr_00000000000000000000000000000001",
        "binding": {
            "directive": "dir_00000000000000000000000000000002",
            "digest": Digest::of(b"contract"),
            "snapshot": format!("snp_{}", Digest::of(b"snapshot")),
            "verdicts": [format!("vrd_{}", Digest::of(b"verdict"))],
            "rules": Digest::of(b"rules"),
            "shown": Digest::of(b"shown"),
        },
        "subject": null, "because": [], "needed": 1, "among": ["approver"], "barred": [],
        "expires_at": "2026-03-01T05:00:00Z", "signed": true,
    }))
    .unwrap();
    let ann = Holder::new("ann", 1);
    let word = Word {
        tenant: TENANT,
        decision: Choice::Approve,
        reason: None,
        principal: Actor::new(kernel::PrincipalKind::Human, "ann"),
        on_behalf_of: None,
        key: ann.id(),
        made_at: Timestamp::parse("2026-03-01T04:05:06Z").unwrap(),
    };
    let signed = ann.signs(Statement::of(&request, word));
    let message = String::from_utf8(signed.statement.message().unwrap()).unwrap();
    let documented = include_str!("../../../../docs/approvals.md");
    assert!(
        documented.contains(&message),
        "docs/approvals.md gives:\n{message}"
    );
    for text in [
        ann.public().to_string(),
        signed.signature,
        ann.id().to_string(),
    ] {
        assert!(
            documented.contains(&text),
            "docs/approvals.md gives: {text}"
        );
    }
}
