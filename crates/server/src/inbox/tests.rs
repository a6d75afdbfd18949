//! What the filters keep, and who may decide on what: one fact at a time.

use super::*;
use gate::approval::About;
use kernel::Span;
use serde_json::{Value, json};

const NOW: &str = "2026-03-01T10:00:00.000000Z";

fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

fn id(prefix: &str, digits: usize) -> String {
    format!("{prefix}_{}", "0".repeat(digits))
}

/// A request that waits until an hour from now.
fn approval() -> Approval {
    let digest = "0".repeat(64);
    let state = json!({
        "request": {
            "approval": id("apr", 32),
            "binding": {
                "directive": id("dir", 32), "digest": digest, "snapshot": id("snp", 64),
                "verdicts": [], "rules": digest, "shown": digest,
            },
            "subject": "host/a", "because": [], "needed": 2, "among": ["approver"],
            "barred": ["agent:scout"], "expires_at": "2026-03-01T11:00:00.000000Z",
            "about": {
                "directive_type": "host.look", "action_class": "internal_mutation",
                "issued_by": "agent:scout",
            },
        },
        "status": "pending", "votes": [], "human_override": false, "reason": null,
        "requested_at": NOW, "decided_at": null, "entry": id("ent", 32),
    });
    serde_json::from_value(state).unwrap()
}

fn changed(change: impl FnOnce(&mut Approval)) -> Approval {
    let mut approval = approval();
    change(&mut approval);
    approval
}

/// Ann, an approver.
fn inbox() -> Inbox {
    Inbox {
        actor: "human:ann".parse().unwrap(),
        roles: vec![Role::Approver],
        may: true,
        now: now(),
        given: Vec::new(),
    }
}

fn filter(query: &str) -> Filter {
    let uri = format!("/v1/approvals?{query}").parse().unwrap();
    Filter::read(&Query::read(&uri).unwrap()).unwrap()
}

#[test]
fn a_filter_keeps_what_is_meant_and_what_says_nothing_only_when_it_is_not_asked_for() {
    let silent = || changed(|a| a.request.about = None);
    let other = || {
        changed(|a| {
            a.request.about = Some(About {
                directive_type: "host.break".to_owned(),
                action_class: ActionClass::ExternalHumanTouch,
                issued_by: "human:bob".parse().unwrap(),
            });
        })
    };
    for (query, keeps, keeps_other, keeps_silent) in [
        ("", true, true, true),
        ("type=host.look", true, false, false),
        ("type=host.break", false, true, false),
        ("class=internal_mutation", true, false, false),
        ("class=external_human_touch", false, true, false),
        ("issuer=agent:scout", true, false, false),
        ("issuer=human:bob", false, true, false),
        ("type=host.look&issuer=human:bob", false, false, false),
        ("decidable=true", true, true, true),
        ("overdue=true", false, false, false),
    ] {
        let filter = filter(query);
        let found = [approval(), other(), silent()].map(|a| filter.keeps(&a, &inbox()));
        assert_eq!(found, [keeps, keeps_other, keeps_silent], "{query}");
        assert_eq!(filter.is_empty(), query.is_empty(), "{query}");
    }
}

#[test]
fn overdue_is_what_waits_and_was_escalated_or_is_at_its_end() {
    let ends = |seconds: i64| {
        changed(|a| {
            let end = now().as_micros() + seconds * 1_000_000;
            a.request.expires_at = Timestamp::from_micros(end);
        })
    };
    let overdue = filter("overdue=true");
    for (what, approval, is_overdue) in [
        ("in time", ends(1), false),
        ("at its end", ends(0), true),
        ("escalated", changed(|a| a.escalations = 1), true),
        (
            "escalated and decided",
            changed(|a| {
                a.escalations = 1;
                a.status = Status::Approved;
            }),
            false,
        ),
        (
            "at its end and refused by silence",
            Approval {
                status: Status::Expired,
                ..ends(0)
            },
            false,
        ),
    ] {
        assert_eq!(overdue.keeps(&approval, &inbox()), is_overdue, "{what}");
    }
}

fn vote(by: &str, on_behalf_of: Option<&str>) -> Vote {
    let behalf = on_behalf_of
        .map(|principal| json!({ "principal": principal, "delegation": id("dlg", 32) }));
    let mut vote = json!({ "by": by, "at": NOW, "reason": null });
    if let Some(behalf) = behalf {
        vote["on_behalf_of"] = behalf;
    }
    serde_json::from_value(vote).unwrap()
}

#[test]
fn who_cannot_decide_is_told_why() {
    type Change = fn(&mut Inbox);
    let with = |change: Change| {
        let mut inbox = inbox();
        change(&mut inbox);
        inbox
    };
    let me = || inbox();
    for (what, inbox, approval, why) in [
        ("may", me(), approval(), ""),
        (
            "decided",
            me(),
            changed(|a| a.status = Status::Used),
            "the approval is used",
        ),
        (
            "no permission",
            with(|i| i.may = false),
            approval(),
            "your roles do not decide",
        ),
        (
            "an agent",
            with(|i| i.actor = "agent:a".parse().unwrap()),
            approval(),
            "only a person decides",
        ),
        (
            "another role",
            with(|i| i.roles = vec![Role::Operator]),
            approval(),
            "it takes one of the roles: approver",
        ),
        (
            "escalated to the role",
            with(|i| i.roles = vec![Role::Operator]),
            changed(|a| a.escalated_to = vec![Role::Operator]),
            "",
        ),
        (
            "wrote it",
            me(),
            changed(|a| a.request.barred.push("human:ann".parse().unwrap())),
            "you wrote it",
        ),
        (
            "agreed already",
            me(),
            changed(|a| a.votes.push(vote("human:ann", None))),
            "you have agreed already",
        ),
        (
            "somebody agreed in their place",
            me(),
            changed(|a| a.votes.push(vote("human:bob", Some("human:ann")))),
            "you have agreed already",
        ),
        (
            "another agreed",
            me(),
            changed(|a| a.votes.push(vote("human:bob", None))),
            "",
        ),
    ] {
        let seats = inbox.seats(&approval).map(|seats| seats.len());
        let said = seats.clone().err().unwrap_or_default();
        assert_eq!(seats.is_ok(), why.is_empty(), "{what}: {said}");
        assert!(said.contains(why), "{what}: {said}");
        let decidable = filter("decidable=true").keeps(&approval, &inbox);
        assert_eq!(decidable, why.is_empty(), "{what}");
    }
}

fn delegations(change: impl FnOnce(&mut Value)) -> Delegations {
    let mut state = json!({
        "by": "human:bob",
        "given": [{
            "granted": {
                "delegation": id("dlg", 32), "to": "human:ann", "roles": ["approver"],
                "until": "2026-03-01T10:00:00.000001Z", "reason": "on leave",
            },
            "at": NOW, "revoked": null,
        }],
        "entry": id("ent", 32),
    });
    change(&mut state["given"][0]);
    serde_json::from_value(state).unwrap()
}

/// An operator by herself decides nothing here, in bob's place she does.
#[test]
fn a_seat_in_anothers_place_holds_while_the_delegation_does() {
    let seats = |given: Delegations, approval: &Approval| {
        let inbox = Inbox {
            roles: vec![Role::Operator],
            given: vec![given],
            ..inbox()
        };
        let seats = inbox.seats(approval);
        seats.map(|seats| seats.into_iter().map(|s| s.cloned()).collect::<Vec<_>>())
    };
    let bob: Actor = "human:bob".parse().unwrap();
    let given = delegations(|_| ());
    assert_eq!(seats(given, &approval()), Ok(vec![Some(bob.clone())]));
    let revoked = json!({ "by": "human:bob", "at": NOW, "reason": "back" });
    for (what, given) in [
        ("over", delegations(|d| d["granted"]["until"] = json!(NOW))),
        ("revoked", delegations(|d| d["revoked"] = revoked)),
        (
            "to another",
            delegations(|d| d["granted"]["to"] = json!("human:cid")),
        ),
        (
            "other roles",
            delegations(|d| d["granted"]["roles"] = json!(["admin"])),
        ),
        (
            "other types",
            delegations(|d| d["granted"]["kinds"] = json!({ "directive_types": ["host.break"] })),
        ),
    ] {
        assert!(seats(given, &approval()).is_err(), "{what}");
    }
    for (what, approval) in [
        ("bob wrote it", changed(|a| a.request.barred = vec![bob])),
        (
            "bob agreed already",
            changed(|a| a.votes.push(vote("human:bob", None))),
        ),
        (
            "she agreed already",
            changed(|a| a.votes.push(vote("human:ann", None))),
        ),
    ] {
        assert!(seats(delegations(|_| ()), &approval).is_err(), "{what}");
    }
    // Both seats are offered, her own first.
    let inbox = Inbox {
        given: vec![delegations(|_| ())],
        ..inbox()
    };
    let approval = approval();
    let both = inbox.seats(&approval).unwrap();
    assert_eq!((both.len(), both[0]), (2, None));
    assert_eq!(
        now().plus(Span::from_secs(3600)),
        approval.request.expires_at
    );
}
