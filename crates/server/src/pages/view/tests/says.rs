//! What the pages about autonomy and about a verdict say in each case, and what
//! they leave out.

use super::super::autonomy::{LadderView, Right, RungView, SetbackView, ladder_page};
use super::super::explain::{ExplainView, explain_page};
use super::super::history::{HistoryView, history_page};
use super::gate::explanation;
use super::{at, frame, verdict};
use crate::pages::view::part::Who;
use gate::autonomy::{Proof, Rung};
use gate::explain::{Explanation, Line, RUNBOOKS};
use gate::history::{Fact, FactStanding, FactStatus};
use kernel::{Actor, PrincipalKind, Role, Verdict};
use maud::{Markup, PreEscaped};
use serde_json::json;

#[track_caller]
fn says(page: &Markup, what: &str, words: &[&str], not: &[&str]) {
    let text = &page.0;
    for word in words {
        assert!(text.contains(word), "{what}: no `{word}` in {text}");
    }
    for word in not {
        assert!(!text.contains(word), "{what}: `{word}` in {text}");
    }
}

/// One section of a page.
fn section(page: Markup, id: &str) -> Markup {
    let (_, rest) = page.0.split_once(&format!("id=\"{id}\"")).unwrap();
    PreEscaped(rest.split("</section>").next().unwrap().to_owned())
}

fn who() -> Who {
    Who {
        actor: "human:ann".to_owned(),
        name: Some("Ann".to_owned()),
    }
}

fn rung() -> RungView {
    RungView {
        kind: "host.mend".to_owned(),
        rung: Rung::Supervised,
        granted: None,
        runs: 7,
        needed: 50,
        alone: 0,
        proofs: Vec::new(),
        setbacks: Vec::new(),
    }
}

fn page(of: RungView, rights: &[Right]) -> Markup {
    let view = LadderView {
        types: vec![of],
        rights: rights.to_vec(),
    };
    ladder_page(&frame(), &view)
}

fn signed_off(of: RungView) -> RungView {
    RungView {
        granted: Some((who(), at(), "it went well".to_owned())),
        ..of
    }
}

#[test]
fn a_rung_says_what_it_means_and_how_far_it_is() {
    let sentences = [
        (Rung::Supervised, "A person approves every run."),
        (Rung::Eligible, "Everything is proved; a person has to sign"),
        (Rung::Autonomous, "It runs without a person."),
    ];
    for (of, sentence) in sentences {
        let page = page(RungView { rung: of, ..rung() }, &[]);
        let others = sentences.iter().filter(|(other, _)| *other != of);
        let others: Vec<&str> = others.map(|(_, sentence)| *sentence).collect();
        let marked = format!("data-rung=\"{of}\"");
        says(&page, "rung", &[sentence, &marked], &others);
    }
    let progress = r#"value="7" max="50" aria-label="7 of 50 approved runs""#;
    let not = ["without one", "Signed off by", "What threw it back"];
    says(&page(rung(), &[]), "few", &[progress], &not);
    let many = RungView {
        runs: 60,
        alone: 3,
        ..rung()
    };
    let progress = r#"value="50" max="50" aria-label="60 of 50 approved runs""#;
    let words = [progress, "3 succeeded without one"];
    says(&page(many, &[]), "many", &words, &[]);
}

#[test]
fn proofs_sign_offs_and_setbacks_are_told_apart() {
    for (holds, word, other) in [
        (true, " proved</span>", " open</span>"),
        (false, " open</span>", " proved</span>"),
    ] {
        let proof = Proof {
            name: "drill",
            holds,
            text: "drilled lately".to_owned(),
        };
        let of = RungView {
            proofs: vec![proof],
            ..rung()
        };
        says(&page(of, &[]), "proof", &[word, "drilled lately"], &[other]);
    }
    let words = ["Signed off by", "Ann", "it went well"];
    says(&page(signed_off(rung()), &[]), "granted", &words, &[]);
    let threw = [
        (true, " violation</span>", " failed run</span>"),
        (false, " failed run</span>", " violation</span>"),
    ];
    for (violation, word, other) in threw {
        let setback = SetbackView {
            at: at(),
            violation,
            reason: "the host was down".to_owned(),
            runs: 12,
            directive: "dir_1".to_owned(),
        };
        let of = RungView {
            setbacks: vec![setback],
            ..rung()
        };
        let words = [
            "What threw it back (1)",
            word,
            "at 12 runs",
            "the host was down",
        ];
        says(&page(of, &[]), "setback", &words, &[other]);
    }
}

#[test]
fn a_form_stands_only_where_it_may_be_used() {
    let (grant, withdraw) = (
        "action=\"/autonomy/grant\"",
        "action=\"/autonomy/withdraw\"",
    );
    let eligible = || RungView {
        rung: Rung::Eligible,
        ..rung()
    };
    let autonomous = || RungView {
        rung: Rung::Autonomous,
        ..signed_off(rung())
    };
    let both = &[Right::Grant, Right::Withdraw][..];
    for (what, of, rights, forms) in [
        ("not proved", rung(), both, &[][..]),
        ("proved", eligible(), both, &[grant][..]),
        ("proved, no right", eligible(), &[], &[]),
        ("proved, another right", eligible(), &[Right::Withdraw], &[]),
        ("signed off", autonomous(), both, &[withdraw]),
        ("signed off, no right", autonomous(), &[], &[]),
        (
            "signed off, another right",
            autonomous(),
            &[Right::Grant],
            &[],
        ),
        // Signed off once, and something is open again: it can be taken back.
        ("open again", signed_off(rung()), both, &[withdraw]),
    ] {
        let not: Vec<&str> = [grant, withdraw]
            .into_iter()
            .filter(|form| !forms.contains(form))
            .collect();
        let page = page(of, rights);
        says(&page, what, forms, &not);
        if !forms.is_empty() {
            let typed = r#"name="type" value="host.mend""#;
            says(&page, what, &[typed], &[]);
        }
    }
}

fn explained(change: impl FnOnce(&mut Explanation)) -> Markup {
    let mut of = explanation();
    of.summary = "it was stopped".to_owned();
    of.withheld.clear();
    of.checks = vec![
        line("freshness", Verdict::Allow, "fresh"),
        line("budget", Verdict::Block, "too dear"),
    ];
    change(&mut of);
    let editors = of.who.editors.iter();
    let view = ExplainView {
        issued_by: who(),
        editors: editors.map(|_| who()).collect(),
        verdict: verdict(),
        explanation: of,
    };
    explain_page(&frame(), &view)
}

fn line(check: &str, verdict: Verdict, reason: &str) -> Line {
    Line {
        check: check.to_owned(),
        verdict,
        reason: reason.to_owned(),
        inputs: json!({}),
        remedies: vec![format!("mend {check}")],
        runbook: format!("{RUNBOOKS}{check}"),
    }
}

#[test]
fn what_would_have_to_change_is_what_did_not_pass() {
    let way = |check: &str| format!("class=\"way\" data-check=\"{check}\"");
    let link = format!("href=\"{RUNBOOKS}budget\"");
    let words = [&way("budget"), "too dear", "mend budget", &link];
    let not = [
        &way("freshness"),
        "mend freshness",
        "every check let it pass",
        "Permit withheld",
    ];
    let change = |page| section(page, "change");
    says(&explained(|_| ()), "a block", &["it was stopped"], &[]);
    says(&change(explained(|_| ())), "a block", &words, &not);
    let passed = explained(|of| of.checks.truncate(1));
    let nothing = "Nothing: every check let it pass.";
    says(
        &change(passed),
        "all passed",
        &[nothing],
        &[&way("freshness")],
    );
    let withheld = explained(|of| {
        of.checks.truncate(1);
        of.withheld = vec!["the kill switch".to_owned()];
    });
    let words = ["Permit withheld: ", "the kill switch"];
    says(&change(withheld), "withheld", &words, &[nothing]);
    let outside = explained(|of| of.checks[1].runbook = "https://runbooks.example/x".to_owned());
    let words = ["Runbook: ", "https://runbooks.example/x"];
    says(&change(outside), "a runbook of the pack", &words, &[&link]);
}

#[test]
fn who_asked_for_what_and_under_which_rules_is_said() {
    let chain = format!("href=\"/why/{}\"", explanation().id);
    let roles = explained(|of| {
        of.who.roles = vec![Role::Approver];
        of.who.editors = vec![Actor::new(PrincipalKind::Human, "bea")];
        of.who.origin = Some("inc_1".to_owned());
    });
    let words = ["Ann", "approver", "host/a", &chain];
    says(&roles, "who", &words, &["nobody", "nothing recorded"]);
    let nobody = explained(|of| {
        of.who.roles.clear();
        of.who.editors.clear();
        of.who.origin = None;
        of.what.subject = None;
    });
    let words = ["nobody", "nothing recorded"];
    says(&nobody, "nobody", &words, &["approver", "host/a"]);

    // Each of the three says by itself whether it is in force.
    for nth in 0..8_u8 {
        let bit = |at: u8| nth & (1 << at) != 0;
        let page = explained(|of| {
            of.what.in_force = bit(0);
            of.under.policy_in_force = bit(1);
            of.under.rules_in_force = bit(2);
        });
        for (at, label) in [(0, "Version"), (1, "Policy set"), (2, "All rules")] {
            let rest = page
                .0
                .split(&format!(">{label}<"))
                .last()
                .unwrap_or_default();
            let said = rest.split("</dd>").next().unwrap_or_default();
            assert_eq!(said.contains("in force"), bit(at), "{label}: {said}");
            assert_eq!(said.contains("replaced since"), !bit(at), "{label}: {said}");
        }
    }
}

#[test]
fn policies_that_determined_stand_as_they_are_written() {
    let gone = "Its set is in force no more.";
    let none = "No policy determined the answer";
    let written = explained(|of| {
        let policy = &mut of.under.determining[0];
        policy.id = "no-nights".to_owned();
        let written = policy.written.as_mut().unwrap();
        written.file = "night.cedar".to_owned();
        written.text = "forbid all".to_owned();
    });
    let words = [
        "no-nights",
        "night.cedar",
        ":3",
        "<pre><code>",
        "forbid all",
    ];
    says(&written, "written", &words, &[gone, none]);
    let replaced = explained(|of| of.under.determining[0].written = None);
    says(&replaced, "replaced", &[gone], &[none]);
    let nobody = explained(|of| of.under.determining.clear());
    says(&nobody, "none", &[none], &[gone]);
}

fn fact(of: &str) -> FactStanding {
    let fact: Fact = serde_json::from_str(of).unwrap();
    FactStanding {
        fact,
        status: FactStatus::Ready,
        counted_since: Some(at()),
        window_from: at(),
        key: Some("host/a".to_owned()),
        value: Some(json!(61)),
        latest: Some(at()),
    }
}

const COUNT: &str = r#"{"name": "f", "happening": "step_permitted", "per": "subject", "within": "day", "measure": "count"}"#;
const SINCE: &str = r#"{"name": "f", "happening": "step_permitted", "per": "subject_and_agent", "within": "2h", "measure": "seconds_since", "only": {"modules": ["noop"], "cost_classes": ["CHEAP"]}}"#;

fn history(of: FactStanding) -> Markup {
    let view = HistoryView {
        facts: Some(vec![of]),
        ..HistoryView::default()
    };
    section(history_page(&frame(), &view), "f")
}

#[test]
fn a_fact_says_what_it_tells_and_what_it_cannot_tell() {
    let untold = ["nothing yet", "give a subject", "never", "counting back"];
    let words = [
        "61 times",
        "host/a",
        "> ready<",
        "the day so far",
        "which began",
    ];
    says(&history(fact(COUNT)), "a count", &words, &untold);
    let one = FactStanding {
        value: Some(json!(1)),
        ..fact(COUNT)
    };
    says(&history(one), "once", &["1 time<"], &["1 times"]);
    let words = [
        "1m1s ago",
        "the last 2h",
        "; modules <code><bdi>noop</bdi></code>",
        "; cost <code><bdi>CHEAP</bdi></code>",
    ];
    let not = ["which began", "; types", "; data", "; destinations"];
    says(&history(fact(SINCE)), "seconds", &words, &not);
    let never = FactStanding {
        value: None,
        latest: None,
        ..fact(SINCE)
    };
    let words = ["never within the window", ">never<"];
    says(&history(never), "never", &words, &["nothing yet"]);
    for (of, lacks) in [
        (COUNT, "give a subject<"),
        (SINCE, "give a subject and an agent"),
    ] {
        let unknown = FactStanding {
            key: None,
            ..fact(of)
        };
        let words = ["nothing yet", lacks];
        says(&history(unknown), "for nobody", &words, &["61"]);
    }
    let back = FactStanding {
        status: FactStatus::CountingBack,
        ..fact(COUNT)
    };
    let words = [
        "nothing yet",
        "> counting back<",
        "Policies that name it block",
    ];
    says(
        &history(back),
        "counting back",
        &words,
        &["61 times", "> ready<"],
    );
}
