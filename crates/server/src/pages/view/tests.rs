//! What comes from outside stays text, on every page that shows it.

mod gate;
mod says;

use super::approvals::{ApprovalRow, ApprovalsView, FilterView, approvals_page};
use super::budgets::{BudgetRow, BudgetsView, CounterRow, budgets_page};
use super::bulk::{BulkResult, BulkRow, BulkView, bulk_page};
use super::checkpoint::{CheckpointView, InclusionView};
use super::delegations::{DelegationRow, DelegationsView, delegations_page};
use super::directive::{
    Act, ApprovalView, Decision, DirectiveView, MoveView, PasskeyView, RevisionView, SigningView,
    StepView, VoteView, directive_page,
};
use super::directives::{DirectiveRow, Listing, RunRow, directives_page, runs_page};
use super::edit::{ConfirmView, EditView, confirm_page, edit_page};
use super::error::{ErrorView, error_page};
use super::evidence::{
    BodyView, ClaimView, EvidenceRef, EvidenceView, FieldView, GroundView, SnapshotView,
    evidence_page, snapshot_page,
};
use super::gate::{BudgetLine, CheckView, StopView, VerdictView};
use super::incident::{
    DetectionView, EvidenceRow, FactorView, Happening, IncidentView, MoveForm, incident_page,
};
use super::incidents::{IncidentRow, incidents_page};
use super::kill::{DrillView, EngagementView, KillView, Right, kill_page};
use super::ledger::{
    EntryFilter, EntryRow, EntryView, LedgerView, ProofView, entry_page, ledger_page,
};
use super::login::{LoginView, login_page};
use super::meter::Gauge;
use super::overview::{OverviewView, overview_page};
use super::packs::{DeclaredView, GroupView, PackView, packs_page};
use super::part::{Need, Pager, Who};
use super::people::{KeyRow, PrincipalRow, principals_page};
use super::run::{AttemptView, RunStepView, RunView, run_page};
use super::sensed::{CandidateRow, SignalRow, candidates_page, signals_page};
use super::signing_keys::{SigningKeyRow, SigningKeysView, signing_keys_page};
use super::why::{Chapter, ReasonView, WhyView, why_page};
use super::{Flash, Frame, Section, Theme, Viewer};
use kernel::{Ratio, Span, Timestamp, Verdict};
use maud::Markup;
use serde_json::{Value, json};

/// What a hostile webhook would put into every field.
const HOSTILE: &str =
    "<script>alert(1)</script>\"' onmouseover=\"x() `<i>`\u{202e}\u{0}\u{7}javascript:alert(2)";

fn h() -> String {
    HOSTILE.to_owned()
}
/// What writ itself words: names of enumerations, amounts, hashes.
fn own() -> String {
    "own".to_owned()
}
fn hs() -> Vec<String> {
    vec![h(), h()]
}
fn at() -> Timestamp {
    Timestamp::from_micros(1_772_337_600_000_000)
}
fn who() -> Who {
    Who {
        actor: h(),
        name: Some(h()),
    }
}
fn value() -> Value {
    json!({ HOSTILE: [HOSTILE, { "b": HOSTILE }] })
}
fn pager() -> Pager {
    Pager {
        next: Some("/x?cursor=1".into()),
        first: None,
    }
}

fn frame() -> Frame {
    Frame {
        now: at(),
        section: Section::Overview,
        theme: Theme::System,
        viewer: Some(Viewer {
            name: h(),
            roles: vec![own()],
            tenant: h(),
            csrf: "0a".into(),
            follows: true,
            waiting: 2,
            stopped: hs(),
        }),
        flash: Some(Flash::Approved),
        here: "/".into(),
    }
}

fn verdict() -> VerdictView {
    VerdictView {
        id: h(),
        choke_point: h(),
        target: h(),
        verdict: Verdict::Block,
        evaluated_at: at(),
        policy: h(),
        rules: h(),
        determining: hs(),
        checks: vec![CheckView {
            check: h(),
            verdict: Verdict::Warn,
            reason: h(),
            inputs: value(),
            runbook: Some(h()),
        }],
        withheld: hs(),
    }
}

fn snapshot() -> SnapshotView {
    let claim = || ClaimView {
        value: value(),
        source: h(),
        trust: h(),
        observed_at: at(),
        evidence: h(),
    };
    SnapshotView {
        id: h(),
        subject: h(),
        schema: h(),
        schema_hash: h(),
        state_version: 1,
        fields: vec![FieldView {
            field: h(),
            claim: claim(),
            confidence: Ratio::ONE,
            contradictions: vec![claim()],
        }],
        grounds: vec![GroundView {
            evidence: h(),
            entry: h(),
            source_type: h(),
            source_id: h(),
            locator: h(),
            observed_at: at(),
        }],
    }
}

fn directive() -> DirectiveView {
    DirectiveView {
        id: h(),
        objective: h(),
        kind: h(),
        status: h(),
        reason: Some(h()),
        waits_for: vec![own(), h()],
        revision: 2,
        round: 1,
        digest: h(),
        issued_by: who(),
        role: h(),
        subjects: hs(),
        constraints: vec![(h(), value())],
        success_metrics: hs(),
        budget: own(),
        cost: own(),
        timebox: Span::from_secs(60),
        action_class: h(),
        drafted_at: at(),
        expires_at: at(),
        origin: Some(h()),
        run: Some(h()),
        steps: vec![StepView {
            id: h(),
            module: h(),
            traits: hs(),
            input: value(),
            cost: own(),
            evidence: vec![EvidenceRef {
                label: h(),
                evidence: Some(h()),
            }],
            status: Some(h()),
        }],
        plan: Some(verdict()),
        verdicts: vec![verdict()],
        budgets: vec![BudgetLine {
            budget: h(),
            verdict: Verdict::Warn,
            reason: h(),
            before: own(),
            amount: own(),
            after: own(),
            soft: Some(own()),
            cap: own(),
            gauge: Gauge::default(),
        }],
        stopped: vec![StopView {
            scope: h(),
            at: at(),
            by: who(),
            reason: h(),
        }],
        snapshot: Some(snapshot()),
        approval: Some(ApprovalView {
            id: h(),
            status: "pending".into(),
            because: hs(),
            needed: 1,
            among: vec![own()],
            barred: vec![who()],
            votes: vec![VoteView {
                by: who(),
                at: at(),
                reason: Some(h()),
                key: Some(h()),
                on_behalf_of: Some(who()),
            }],
            expires_at: at(),
            decided_at: None,
            reason: Some(h()),
            signed: Some(SigningView {
                statement: own(),
                passkeys: vec![PasskeyView {
                    id: own(),
                    name: h(),
                    credential: own(),
                }],
            }),
            escalated: vec![own()],
            escalates: Some((at(), vec![own()])),
            seats: vec![None, Some(who())],
        }),
        decision: Decision::Open,
        acts: vec![Act::Edit, Act::Retry],
        replaced: vec![RevisionView {
            digest: h(),
            by: who(),
            at: at(),
            changed: hs(),
        }],
        moves: vec![MoveView {
            to: h(),
            by: who(),
            at: at(),
            reason: Some(h()),
            entry: h(),
        }],
    }
}

fn directive_row() -> DirectiveRow {
    DirectiveRow {
        id: h(),
        objective: h(),
        status: h(),
        subject: h(),
        budget: own(),
        issued_by: who(),
        drafted_at: at(),
    }
}

fn run_row() -> RunRow {
    RunRow {
        id: h(),
        objective: h(),
        status: h(),
        subject: h(),
        done: (0, 1),
        started_at: at(),
        parked: true,
    }
}

fn incident_row() -> IncidentRow {
    IncidentRow {
        id: h(),
        title: h(),
        severity: h(),
        status: h(),
        subject: h(),
        confidence: Ratio::ONE,
        created_at: at(),
    }
}

fn approval_row() -> ApprovalRow {
    ApprovalRow {
        id: h(),
        directive: h(),
        objective: h(),
        subject: h(),
        status: h(),
        budget: own(),
        modules: hs(),
        verdict: Some(Verdict::Allow),
        because: hs(),
        votes: (0, 1),
        requested_at: at(),
        escalated: vec![own()],
        expires_at: at(),
        closed: Some(h()),
    }
}

fn entry_row() -> EntryRow {
    EntryRow {
        seq: 1,
        id: h(),
        kind: h(),
        category: own(),
        stream: h(),
        at: at(),
        actor: who(),
        subject: None,
    }
}

fn counter() -> CounterRow {
    CounterRow {
        budget: h(),
        value: h(),
        period: h(),
        standing: h(),
        consumed: own(),
        reserved: own(),
        soft: Some(own()),
        hard: own(),
        gauge: Gauge::default(),
    }
}

fn happening() -> Happening {
    Happening {
        at: at(),
        what: h(),
        detail: Some(h()),
        category: own(),
        by: who(),
        entry: h(),
        about: Some(h()),
    }
}

fn listing<R>(row: R) -> Listing<R> {
    Listing {
        rows: vec![row],
        statuses: vec![own()],
        status: Some(h()),
        pager: pager(),
    }
}

fn incident() -> IncidentView {
    IncidentView {
        id: h(),
        title: h(),
        severity: h(),
        status: h(),
        subject: h(),
        created_at: at(),
        confidence: Ratio::ONE,
        band: own(),
        model: h(),
        factors: vec![FactorView {
            name: h(),
            value: Ratio::ONE,
            weight: Ratio::ONE,
            contribution: Ratio::ONE,
        }],
        promoted: hs(),
        candidate: Some(h()),
        bundle: Some(h()),
        detections: vec![DetectionView {
            id: h(),
            rule: h(),
            severity: h(),
            at: at(),
            explanation: h(),
            signals: 1,
        }],
        evidence: vec![EvidenceRow {
            id: h(),
            label: h(),
            observed_at: at(),
        }],
        directives: vec![directive_row()],
        summary: Some(h()),
        timeline: vec![happening()],
        moves: vec![MoveForm {
            action: h(),
            label: own(),
            reason: Need::Required,
        }],
    }
}

fn run() -> RunView {
    RunView {
        id: h(),
        directive: h(),
        objective: h(),
        subject: h(),
        status: h(),
        reason: Some(h()),
        started_at: at(),
        ended_at: None,
        steps: vec![RunStepView {
            id: h(),
            phase: "step".into(),
            module: h(),
            status: h(),
            idempotency_key: h(),
            attempts: vec![AttemptView {
                number: 1,
                started_at: at(),
                ended_at: None,
                outcome: Some(h()),
                reason: Some(h()),
                permit: Some(h()),
            }],
            next_at: Some(at()),
            output: Some(value()),
            proof: Some(value()),
            reason: Some(h()),
            compensation: Some(h()),
            resolvable: true,
        }],
        verdicts: vec![verdict()],
        controls: vec!["pause".into(), "resume".into(), "abort".into()],
    }
}

fn evidence(body: BodyView) -> EvidenceView {
    EvidenceView {
        id: h(),
        kind: h(),
        source: h(),
        source_id: h(),
        locator: h(),
        subjects: hs(),
        trust: h(),
        observed_at: at(),
        fetched_at: at(),
        connector: h(),
        content_type: h(),
        digest: h(),
        bytes: 1,
        body,
        entry: Some(h()),
    }
}

fn ledger(proof: ProofView) -> LedgerView {
    LedgerView {
        head: (1, h()),
        rows: vec![entry_row()],
        categories: vec![own()],
        filter: EntryFilter {
            category: own(),
            kind: h(),
            subject: h(),
            directive: h(),
            actor: h(),
            trace: h(),
            stream: h(),
            from: h(),
            until: h(),
        },
        pager: pager(),
        proof: Some(proof),
        provable: true,
        checkpoint: Some(CheckpointView {
            size: 1,
            head: 2,
            root: h(),
            key: h(),
            at: at(),
            cosigners: vec![(h(), at())],
            note: h(),
        }),
    }
}

fn kill() -> KillView {
    KillView {
        engaged: vec![EngagementView {
            scope: h(),
            status: h(),
            by: who(),
            at: at(),
            reason: h(),
            release: Some((who(), at(), h())),
            swept: Some(h()),
            own_request: false,
        }],
        everywhere: Some(h()),
        home: true,
        tools: hs(),
        drills: vec![DrillView {
            scope: h(),
            by: who(),
            at: at(),
            note: h(),
            passed: false,
            took_ms: Some((1, 2)),
        }],
        history: vec![happening()],
        rights: vec![Right::Engage, Right::Release],
    }
}

/// Every page, with hostile text in every field.
fn bulk() -> BulkView {
    BulkView {
        max: Some(5),
        rows: vec![BulkRow {
            id: own(),
            directive: own(),
            digest: own(),
            objective: h(),
            subject: h(),
            kind: h(),
            issued_by: who(),
            cost: own(),
            steps: vec![(h(), value())],
            verdict: Some(verdict()),
            because: hs(),
            expires_at: at(),
        }],
        results: vec![BulkResult {
            directive: own(),
            objective: h(),
            result: own(),
            detail: Some(h()),
        }],
    }
}

fn delegations() -> DelegationsView {
    DelegationsView {
        people: vec![(own(), h())],
        rows: vec![DelegationRow {
            id: own(),
            of: own(),
            by: who(),
            to: who(),
            kinds: hs(),
            status: own(),
            until: at(),
            at: at(),
            reason: h(),
            revoked: Some((who(), h())),
            may_revoke: true,
        }],
    }
}

fn signing_keys() -> SigningKeysView {
    SigningKeysView {
        registers: Some(own()),
        tenant: own(),
        keys: vec![SigningKeyRow {
            id: own(),
            name: h(),
            owner: who(),
            status: own(),
            public: h(),
            registered_at: at(),
            confirmed: Some((who(), at())),
            revoked: Some((who(), at())),
            reason: Some(h()),
            may_confirm: true,
            may_revoke: true,
        }],
    }
}

fn pages() -> Vec<(&'static str, Markup)> {
    let f = frame();
    let entry = EntryView {
        row: entry_row(),
        stream_version: 1,
        trace_id: h(),
        causation: Some(h()),
        directive: Some(h()),
        snapshot: Some(h()),
        caused: vec![entry_row()],
        payload: value().to_string(),
        payload_hash: h(),
        prev_hash: h(),
        hash: h(),
        inclusion: InclusionView::Broken(h()),
        holds: false,
        neighbours: (Some(h()), Some(h())),
    };
    let candidate = CandidateRow {
        id: h(),
        subject: h(),
        status: h(),
        reasons: hs(),
        confidence: Some((Ratio::ONE, own())),
        rules: hs(),
        incident: Some(h()),
        opened_at: at(),
    };
    let signal = SignalRow {
        id: h(),
        kind: h(),
        subject: h(),
        severity: h(),
        status: h(),
        summary: h(),
        observed_at: at(),
        evidence: Some(h()),
    };
    let pack = PackView {
        residency: Err("no pack is in force".into()),
        name: h(),
        version: h(),
        description: h(),
        hash: h(),
        hashes: vec![(own(), h())],
        loaded_at: at(),
        groups: vec![GroupView {
            title: h(),
            items: vec![DeclaredView {
                name: h(),
                text: h(),
            }],
        }],
    };
    let principal = PrincipalRow {
        id: h(),
        name: h(),
        kind: h(),
        roles: vec![own()],
        status: h(),
        keys: vec![KeyRow {
            id: h(),
            name: h(),
            status: h(),
            issued_at: at(),
            expires_at: Some(at()),
        }],
    };
    let overview = OverviewView {
        approvals: Some(vec![approval_row()]),
        incidents: Some(vec![incident_row()]),
        runs: Some(vec![run_row()]),
        budgets: Some(vec![counter()]),
        head: Some((1, h())),
        entries: Some(vec![entry_row()]),
    };
    let budgets = BudgetsView {
        burns: vec![gate::burn()],
        counters: vec![counter()],
        declared: vec![BudgetRow {
            name: h(),
            scope: h(),
            period: h(),
            soft: Some(own()),
            hard: own(),
        }],
    };
    let approvals = ApprovalsView {
        waiting: vec![approval_row()],
        decided: vec![approval_row()],
        filter: FilterView {
            types: hs(),
            classes: vec![own()],
            issuers: vec![(h(), h())],
            directive_type: h(),
            subject: h(),
            statuses: vec![own()],
            decidable: true,
            ..FilterView::default()
        },
        bulk: true,
    };
    let edit = EditView {
        directive: h(),
        seen: h(),
        contract: h(),
        fault: Some(h()),
    };
    let confirm = ConfirmView {
        directive: h(),
        seen: h(),
        before: own(),
        after: format!("{HOSTILE}\n{HOSTILE}"),
        changed: hs(),
        may_approve: true,
    };
    let why = WhyView {
        start: h(),
        cut: true,
        chapters: vec![Chapter {
            question: own(),
            reasons: vec![ReasonView {
                row: entry_row(),
                sentence: h(),
                about: Some(h()),
                explains: Some(1),
            }],
        }],
        entries: 1,
    };
    let problem = ErrorView {
        status: 409,
        message: h(),
        hint: Some(h()),
        trace: Some(h()),
        back: Some("/".into()),
    };
    let login = LoginView {
        next: h(),
        fault: Some(h()),
    };
    let broken = ProofView::Broken {
        entries: 1,
        seq: Some(2),
        entry: Some(h()),
        what: hs(),
    };
    let differs = ProofView::Differs { differences: hs() };
    let mut pages = gate::pages();
    pages.extend([
        ("overview", overview_page(&f, &overview)),
        ("approvals", approvals_page(&f, &approvals)),
        ("incidents", incidents_page(&f, &listing(incident_row()))),
        ("incident", incident_page(&f, &incident())),
        ("candidates", candidates_page(&f, &listing(candidate))),
        ("signals", signals_page(&f, &listing(signal))),
        ("directives", directives_page(&f, &listing(directive_row()))),
        ("directive", directive_page(&f, &directive())),
        ("edit", edit_page(&f, &edit)),
        ("confirm", confirm_page(&f, &confirm)),
        ("runs", runs_page(&f, &listing(run_row()))),
        ("run", run_page(&f, &run())),
        ("budgets", budgets_page(&f, &budgets)),
        ("kill", kill_page(&f, &kill())),
        ("ledger, broken", ledger_page(&f, &ledger(broken))),
        ("ledger, differs", ledger_page(&f, &ledger(differs))),
        ("entry", entry_page(&f, &entry)),
        ("why", why_page(&f, &why)),
        (
            "evidence",
            evidence_page(&f, &evidence(BodyView::Text(h()))),
        ),
        (
            "evidence, cut",
            evidence_page(&f, &evidence(BodyView::Cut(h()))),
        ),
        ("snapshot", snapshot_page(&f, &snapshot())),
        ("pack", packs_page(&f, Some(&pack))),
        ("principals", principals_page(&f, &[principal])),
        ("several", bulk_page(&f, &bulk())),
        ("delegations", delegations_page(&f, &delegations())),
        ("signing keys", signing_keys_page(&f, &signing_keys())),
        ("error", error_page(&f, &problem)),
        ("login", login_page(&f, &login)),
    ]);
    pages
}

#[test]
fn hostile_text_stays_text_on_every_page() {
    for (name, markup) in pages() {
        let page = markup.into_string();
        let scripts = page.matches("<script").count();
        let own = page.matches("<script src=\"/static/").count();
        assert_eq!(scripts, own, "{name}: only our own scripts");
        assert!(page.contains("&lt;script&gt;"), "{name}: it is shown");
        for bad in [
            "onmouseover=\"x",
            "<i>",
            "href=\"javascript",
            " style=",
            "<style",
        ] {
            assert!(!page.contains(bad), "{name}: {bad:?}");
        }
        let read = readable(&page);
        for hidden in ['\u{202e}', '\u{0}', '\u{7}'] {
            let near = read
                .find(hidden)
                .map(|at| read.get(at.saturating_sub(60)..at));
            assert_eq!(near, None, "{name}: {hidden:?}");
        }
        assert!(read.contains("U+202E"), "{name}: what is hidden is shown");
    }
}

/// What a person reads: no tags, and no text areas, which hold text as it was
/// typed.
fn readable(page: &str) -> String {
    let mut out = String::new();
    for (at, part) in page.split("<textarea").enumerate() {
        let shown = match at {
            0 => part,
            _ => part.split_once("</textarea>").map_or("", |(_, tail)| tail),
        };
        for (nth, piece) in shown.split('<').enumerate() {
            let text = match nth {
                0 => piece,
                _ => piece.split_once('>').map_or("", |(_, tail)| tail),
            };
            out.push_str(text);
        }
    }
    out
}

#[test]
fn every_form_that_changes_something_carries_the_session() {
    for (name, markup) in pages() {
        let page = markup.into_string();
        for form in page.split("<form method=\"post\"").skip(1) {
            let form = form.split("</form>").next().unwrap();
            let sign_in = form.starts_with(" action=\"/login\"");
            let carries = form.contains("name=\"csrf\" value=\"0a\"");
            assert!(carries || sign_in, "{name}: {form}");
        }
    }
}

#[test]
fn a_decision_is_bound_to_what_is_shown() {
    let page = directive_page(&frame(), &directive()).into_string();
    for action in ["approve", "reject"] {
        let form = page.split(&format!("class=\"{action}\"")).nth(1).unwrap();
        let form = form.split("</form>").next().unwrap();
        for bound in ["seen", "approval"] {
            assert!(form.contains(&format!("name=\"{bound}\"")), "{action}");
        }
    }
    let closed = DirectiveView {
        decision: Decision::Closed("not you".into()),
        ..directive()
    };
    let page = directive_page(&frame(), &closed).into_string();
    assert!(!page.contains("class=\"approve\"") && page.contains("not you"));
}
