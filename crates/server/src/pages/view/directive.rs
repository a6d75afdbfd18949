//! One directive: what is proposed, why, what the gate said, and the forms to
//! decide on it.

use super::evidence::{EvidenceRef, SnapshotView, evidence_refs, grounds, snapshot_panel};
use super::gate::{
    BudgetLine, StopView, VerdictView, budget_effect, stops, verdict_list, verdict_panel,
};
use super::part::{self, Need, Who};
use super::{Frame, chip, json, text};
use kernel::{Span, Timestamp};
use maud::{Markup, html};
use serde_json::Value;

/// One step.
#[derive(Clone, Debug)]
pub struct StepView {
    /// Its name.
    pub id: String,
    /// The module.
    pub module: String,
    /// What the module declares, in words: cost class, reversible or not.
    pub traits: Vec<String>,
    /// Its input.
    pub input: Value,
    /// What is set aside for it.
    pub cost: String,
    /// What it rests on.
    pub evidence: Vec<EvidenceRef>,
    /// Where it stands in the run, if there is one.
    pub status: Option<String>,
}

/// A version of the contract that was replaced.
#[derive(Clone, Debug)]
pub struct RevisionView {
    /// Its digest.
    pub digest: String,
    /// Who replaced it.
    pub by: Who,
    /// When.
    pub at: Timestamp,
    /// What the newer version changed.
    pub changed: Vec<String>,
}

/// A move.
#[derive(Clone, Debug)]
pub struct MoveView {
    /// Where it went.
    pub to: String,
    /// Who moved it.
    pub by: Who,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Option<String>,
    /// The entry.
    pub entry: String,
}

/// A yes.
#[derive(Clone, Debug)]
pub struct VoteView {
    /// Whose.
    pub by: Who,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Option<String>,
    /// The key that they signed it with, where they did.
    pub key: Option<String>,
    /// In whose place, where they did not decide for themselves.
    pub on_behalf_of: Option<Who>,
}

/// The approval that is pending or in force.
#[derive(Clone, Debug)]
pub struct ApprovalView {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub status: String,
    /// Why a person must agree; empty when none must.
    pub because: Vec<String>,
    /// How many must agree.
    pub needed: u32,
    /// Which roles may.
    pub among: Vec<String>,
    /// Who may not, because they wrote it.
    pub barred: Vec<Who>,
    /// Who said yes.
    pub votes: Vec<VoteView>,
    /// Silence is a refusal from here on.
    pub expires_at: Timestamp,
    /// When it was given or ended.
    pub decided_at: Option<Timestamp>,
    /// Why it ended.
    pub reason: Option<String>,
    /// Whether a yes must be signed with the person's own key.
    pub signed: Option<SigningView>,
    /// The roles that it was escalated to, because nobody answered.
    pub escalated: Vec<String>,
    /// When further roles may decide, if nobody has by then.
    pub escalates: Option<(Timestamp, Vec<String>)>,
    /// In whose places the viewer may decide; `None` stands for their own.
    pub seats: Vec<Option<Who>>,
}

/// A passkey of the viewer's.
#[derive(Clone, Debug)]
pub struct PasskeyView {
    /// The key's id.
    pub id: String,
    /// What they call it.
    pub name: String,
    /// The credential.
    pub credential: String,
}

/// What the viewer would sign, and with what.
#[derive(Clone, Debug, Default)]
pub struct SigningView {
    /// The statement in JSON, but for the key, the reason and the time.
    pub statement: String,
    /// The viewer's passkeys that count.
    pub passkeys: Vec<PasskeyView>,
}

/// What the viewer may do here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Approve and reject.
    Open,
    /// Nothing, for this reason.
    Closed(String),
}

/// A further act that the viewer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Edit the contract.
    Edit,
    /// Ask the gate again.
    Retry,
}

/// One directive.
#[derive(Clone, Debug)]
pub struct DirectiveView {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub objective: String,
    /// The type of directive.
    pub kind: String,
    /// Where it stands.
    pub status: String,
    /// Why it is there.
    pub reason: Option<String>,
    /// The directives that it waits for: they change the same subjects.
    pub waits_for: Vec<String>,
    /// The version of the contract.
    pub revision: u32,
    /// How often the gate was asked afresh.
    pub round: u32,
    /// The digest of the version.
    pub digest: String,
    /// Who issued it.
    pub issued_by: Who,
    /// The role that it is addressed to.
    pub role: String,
    /// What it may touch.
    pub subjects: Vec<String>,
    /// What it must keep to.
    pub constraints: Vec<(String, Value)>,
    /// How success is known.
    pub success_metrics: Vec<String>,
    /// The most that it may cost.
    pub budget: String,
    /// What its steps cost.
    pub cost: String,
    /// How long it may take.
    pub timebox: Span,
    /// What it does to the world.
    pub action_class: String,
    /// When it was drafted.
    pub drafted_at: Timestamp,
    /// When its timebox ends.
    pub expires_at: Timestamp,
    /// What it came from, for example an incident's id.
    pub origin: Option<String>,
    /// The run.
    pub run: Option<String>,
    /// Its steps.
    pub steps: Vec<StepView>,
    /// The verdict on the plan in force.
    pub plan: Option<VerdictView>,
    /// Other verdicts: on its steps, and on earlier rounds.
    pub verdicts: Vec<VerdictView>,
    /// What it does to the budgets.
    pub budgets: Vec<BudgetLine>,
    /// What the kill switch stops of it.
    pub stopped: Vec<StopView>,
    /// What was believed.
    pub snapshot: Option<SnapshotView>,
    /// The approval.
    pub approval: Option<ApprovalView>,
    /// Whether the viewer may decide.
    pub decision: Decision,
    /// What else the viewer may do.
    pub acts: Vec<Act>,
    /// Earlier versions.
    pub replaced: Vec<RevisionView>,
    /// How it came here.
    pub moves: Vec<MoveView>,
}

/// Renders it.
#[must_use]
pub fn directive_page(frame: &Frame, view: &DirectiveView) -> Markup {
    let now = frame.now;
    let body = html! {
        header.title {
            p.crumb { a href="/directives" { "Directives" } " / " (part::full_id(&view.id)) }
            h1 { (text::shown(&view.objective)) }
            p.chips {
                span #directive-status { (chip::status(&view.status)) } " "
                @for subject in &view.subjects { (part::subject(subject)) " " }
                span.hint { (text::shown(&view.kind)) " · version " (view.revision) " · by " (part::actor(&view.issued_by)) }
            }
            @if let Some(reason) = &view.reason { p.why-status { (text::prose(reason)) } }
            @if !view.waits_for.is_empty() {
                p.why-status #waits-for { "It waits for "
                    @for (at, id) in view.waits_for.iter().enumerate() { @if at > 0 { ", " } a href={ "/directives/" (text::segment(id)) } { (part::id_text(id)) } }
                    ", asked for before it, which changes the same subject. It starts by itself when that has ended and it is approved." }
            }
        }
        div.split {
            aside.col.side {
                (part::section("decide", "Decision", decide(frame, view)))
            }
            div.col {
                (part::section("steps", "What it would do", steps(view)))
                (part::section("why", "Why this?", why(now, view)))
                (part::section("budget", "Budget effect", budget_effect(&view.budgets)))
                (part::section("kill", "Kill switch", stops(now, &view.stopped)))
                @if let Some(snapshot) = &view.snapshot {
                    (part::section("snapshot", "What was believed", snapshot_panel(now, snapshot)))
                }
                (part::section("contract", "Contract", contract(now, view)))
                @if !view.verdicts.is_empty() {
                    (part::section("verdicts", "Other verdicts of the gate", verdict_list(now, &view.verdicts)))
                }
                (part::section("history", "History", history(now, view)))
            }
        }
    };
    frame.page(&format!("{}: {}", view.status, view.objective), body)
}

fn steps(view: &DirectiveView) -> Markup {
    html! {
        ol.steps {
            @for step in &view.steps {
                li {
                    p.step-head {
                        strong { (text::shown(&step.id)) } " "
                        code.tag { (text::shown(&step.module)) } " "
                        @if let Some(status) = &step.status { (chip::status(status)) " " }
                        span.grow {}
                        span.money { (step.cost) }
                    }
                    @if !step.traits.is_empty() { p.hint { (text::shown(&step.traits.join(" · "))) } }
                    (json::pretty(&step.input))
                    p.rests { span.hint { "rests on " } (evidence_refs(&step.evidence)) }
                }
            }
        }
        p.total { "All steps together " b { (view.cost) } ", allowed are " b { (view.budget) } "." }
    }
}

fn why(now: Timestamp, view: &DirectiveView) -> Markup {
    html! {
        p {
            @if let Some(origin) = &view.origin { "It came from " (part::id_link(origin)) ". " }
            a href={ "/why/" (text::segment(&view.id)) } { "The whole chain back to the raw evidence" }
        }
        @if let Some(snapshot) = &view.snapshot {
            h3 { "Evidence" }
            (grounds(now, &snapshot.grounds))
        }
        h3 { "The gate" }
        @match &view.plan {
            Some(plan) => (verdict_panel(now, plan)),
            None => (part::empty("The gate has not been asked about this version yet.")),
        }
    }
}

fn decide(frame: &Frame, view: &DirectiveView) -> Markup {
    html! {
        (summary(view))
        @if let Some(approval) = &view.approval { (approval_facts(frame.now, approval)) }
        @if let Some(run) = &view.run {
            p { a.button.primary #run-link href={ "/runs/" (text::segment(run)) } { "See the run" } }
        }
        @match (&view.decision, &view.approval) {
            (Decision::Open, Some(approval)) => (decision_forms(frame, view, approval)),
            (Decision::Closed(why), _) => p.closed { (text::prose(why)) },
            (Decision::Open, None) => p.closed { "Nobody is asked to decide." },
        }
        @if view.acts.contains(&Act::Retry) {
            (part::form(frame, &format!("/directives/{}/retry", text::segment(&view.id)), "retry", html! {
                button type="submit" { "Ask the gate again" }
            }))
        }
        @if view.acts.contains(&Act::Edit) {
            p { a.button #edit href={ "/directives/" (text::segment(&view.id)) "/edit" } { "Edit the contract…" } }
        }
    }
}

/// What is decided on, in four lines, so that it is not missed on a small
/// screen.
fn summary(view: &DirectiveView) -> Markup {
    html! {
        (part::facts(&[
            ("Gate", html! { @match &view.plan { Some(plan) => (chip::verdict(plan.verdict)), None => span.hint { "not asked" } } }),
            ("Does", html! { @for (at, step) in view.steps.iter().enumerate() { @if at > 0 { " → " } code { (text::shown(&step.module)) } } }),
            ("Costs up to", html! { b { (view.cost) } }),
            ("Touches", html! { (text::shown(&view.action_class.replace('_', " "))) }),
        ]))
    }
}

fn approval_facts(now: Timestamp, approval: &ApprovalView) -> Markup {
    let pending = approval.status == "pending";
    html! {
        p { "Approval " (chip::status(&approval.status)) " "
            @if pending { span.hint { "silence is a refusal " (part::brief_time(now, approval.expires_at)) } }
            @else if let Some(at) = approval.decided_at { (part::brief_time(now, at)) }
        }
        @if let Some(reason) = &approval.reason { p { (text::prose(reason)) } }
        @if approval.needed == 0 {
            p { "No person had to agree." }
        } @else {
            p { b { (approval.votes.len()) " of " (approval.needed) } " agreed (" (approval.among.join(", ")) "). Asked because:" }
            ul.tight { @for reason in &approval.because { li { (text::prose(reason)) } } }
        }
        @if !approval.escalated.is_empty() {
            p.escalated { span.sign aria-hidden="true" { "▲ " } "Nobody answered in time: it also asks " (approval.escalated.join(", ")) "." }
        }
        @if let Some((at, to)) = &approval.escalates {
            p.hint { "If nobody has decided, it also asks " (to.join(", ")) " " (part::brief_time(now, *at)) "." }
        }
        @for vote in &approval.votes {
            p.vote { span.sign aria-hidden="true" { "✓ " } (part::actor(&vote.by))
                @if let Some(whom) = &vote.on_behalf_of { " for " (part::actor(whom)) }
                " " (part::brief_time(now, vote.at))
                @if let Some(reason) = &vote.reason { ": " (text::prose(reason)) }
                @if let Some(key) = &vote.key { br; span.hint { "signed with " (part::id_text(key)) } } }
        }
        @if pending && !approval.barred.is_empty() {
            p.hint { "May not approve, having written it: "
                @for (at, who) in approval.barred.iter().enumerate() { @if at > 0 { ", " } (part::actor(who)) } }
        }
    }
}

fn decision_forms(frame: &Frame, view: &DirectiveView, approval: &ApprovalView) -> Markup {
    let base = format!("/directives/{}", text::segment(&view.id));
    let shown = html! {
        input type="hidden" name="approval" value=(approval.id);
        input type="hidden" name="seen" value=(view.digest);
        (seats(&approval.seats, "approve"))
    };
    let shown_no = html! {
        input type="hidden" name="approval" value=(approval.id);
        input type="hidden" name="seen" value=(view.digest);
        (seats(&approval.seats, "reject"))
    };
    html! {
        div.bound data-bound=(view.digest) {
            @if let Some(signing) = &approval.signed {
                (sign(frame, &base, approval, signing, &shown))
            } @else {
                (part::form(frame, &format!("{base}/approve"), "approve", html! {
                    (shown)
                    (part::reason_field("approve-reason", "Note", Need::Optional))
                    button.primary.good type="submit" { "Approve" }
                }))
            }
            (part::form(frame, &format!("{base}/reject"), "reject", html! {
                (shown_no)
                (part::reason_field("reject-reason", "Why not", Need::Required))
                button.bad type="submit" { "Reject" }
            }))
            p.hint { "You decide on version " (view.revision) ", digest " (part::id_text(&view.digest))
                ". If it, or what the gate said of it, changes before you press, your decision is refused." }
        }
    }
}

/// In whose place the viewer decides.
fn seats(seats: &[Option<Who>], form: &str) -> Markup {
    let id = format!("{form}-for");
    html! {
        @if seats.iter().any(Option::is_some) {
            div.field {
                label for=(id) { "Decide" }
                select id=(id) name="on_behalf_of" {
                    @for seat in seats {
                        @match seat {
                            None => option value="" { "for yourself" },
                            Some(whom) => option value=(whom.actor) {
                                "on behalf of " (text::plain(whom.name.as_ref().unwrap_or(&whom.actor)))
                            },
                        }
                    }
                }
            }
        }
    }
}

/// A yes that is signed: with a passkey here, or with a key at the command line.
fn sign(
    frame: &Frame,
    base: &str,
    approval: &ApprovalView,
    signing: &SigningView,
    shown: &Markup,
) -> Markup {
    html! {
        p #must-sign { "A yes to this is signed with your own key, so that nobody can say it for you." }
        @if signing.passkeys.is_empty() {
            p.hint { "You have no passkey that counts here: " a href="/signing-keys" { "register one" } ", and have it confirmed." }
        } @else {
            form.approve method="post" action={ (base) "/approve" } data-passkey="sign" data-statement=(signing.statement) {
                input type="hidden" name="csrf" value=(frame.csrf());
                (shown)
                input type="hidden" name="signed" value="";
                div.field hidden[signing.passkeys.len() == 1] {
                    label for="passkey" { "Passkey" }
                    select #passkey data-keys {
                        @for key in &signing.passkeys {
                            option value=(key.id) data-credential=(key.credential) { (text::plain(&key.name)) }
                        }
                    }
                }
                (part::reason_field("approve-reason", "Note", Need::Optional))
                button.primary.good type="submit" { "Sign and approve" }
                p.fault role="alert" hidden {}
            }
            script src="/static/passkey.js" defer {}
        }
        details {
            summary { "At the command line" }
            pre { "writ approve " (text::plain(&approval.id)) " --key FILE" }
        }
    }
}

fn contract(now: Timestamp, view: &DirectiveView) -> Markup {
    html! {
        (part::facts(&[
            ("Action class", text::shown(&view.action_class.replace('_', " "))),
            ("Addressed to", text::shown(&view.role)),
            ("Budget", html! { (view.budget) }),
            ("Timebox", html! { (part::span(view.timebox)) ", ends " (part::brief_time(now, view.expires_at)) }),
            ("Drafted", part::time(now, view.drafted_at)),
            ("Gate asked", html! { "round " (view.round) }),
            ("Digest", part::full_id(&view.digest)),
        ]))
        @if !view.success_metrics.is_empty() {
            h3 { "Success is" }
            ul.tight { @for metric in &view.success_metrics { li { (text::prose(metric)) } } }
        }
        @if !view.constraints.is_empty() {
            h3 { "Constraints" }
            dl.facts { @for (name, value) in &view.constraints { div { dt { (text::shown(name)) } dd { (json::inline(value)) } } } }
        }
    }
}

fn history(now: Timestamp, view: &DirectiveView) -> Markup {
    html! {
        ol.timeline {
            @for moved in &view.moves {
                li {
                    p { (chip::status(&moved.to)) " " (part::time(now, moved.at)) }
                    p.hint { "by " (part::actor(&moved.by)) " · entry " (part::id_link(&moved.entry)) }
                    @if let Some(reason) = &moved.reason { p { (text::prose(reason)) } }
                }
            }
        }
        @if !view.replaced.is_empty() {
            h3 { "Earlier versions" }
            ul.tight {
                @for (at, revision) in view.replaced.iter().enumerate() {
                    li { "Version " (at + 1) " " (part::id_text(&revision.digest)) " replaced by " (part::actor(&revision.by)) " "
                        (part::brief_time(now, revision.at)) "; changed: " (text::shown(&revision.changed.join(", ")))
                        " " a href={ "/directives/" (text::segment(&view.id)) "/diff?from=" (at + 1) "&to=" (at + 2) } { "what" } }
                }
            }
        }
    }
}
