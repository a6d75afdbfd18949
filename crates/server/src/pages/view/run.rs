//! One run, step by step.

use super::gate::{VerdictView, verdict_list};
use super::part::{self, Need};
use super::{Frame, chip, json, text};
use kernel::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

/// One attempt of a step.
#[derive(Clone, Debug)]
pub struct AttemptView {
    /// Which, from 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<String>,
    /// Why it did not succeed.
    pub reason: Option<String>,
    /// The permit.
    pub permit: Option<String>,
}

/// One step of a run.
#[derive(Clone, Debug)]
pub struct RunStepView {
    /// Its name.
    pub id: String,
    /// `step`, or `compensation` when it undoes the step.
    pub phase: String,
    /// The module.
    pub module: String,
    /// Where it stands.
    pub status: String,
    /// The key that the other side knows it by.
    pub idempotency_key: String,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptView>,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
    /// What came back.
    pub output: Option<Value>,
    /// What a read after the write showed.
    pub proof: Option<Value>,
    /// Why the latest attempt did not succeed.
    pub reason: Option<String>,
    /// What undoes it, and where that stands.
    pub compensation: Option<String>,
    /// Whether its result is unknown and the viewer may say what it was.
    pub resolvable: bool,
}

/// A run.
#[derive(Clone, Debug)]
pub struct RunView {
    /// Its id.
    pub id: String,
    /// Its directive.
    pub directive: String,
    /// What the directive is for.
    pub objective: String,
    /// What it is about.
    pub subject: String,
    /// Where it stands.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its steps.
    pub steps: Vec<RunStepView>,
    /// What the gate said of its steps.
    pub verdicts: Vec<VerdictView>,
    /// What the viewer can do: `pause`, `resume`, `abort`.
    pub controls: Vec<String>,
}

/// Renders it.
#[must_use]
pub fn run_page(frame: &Frame, view: &RunView) -> Markup {
    let now = frame.now;
    let steps = view.steps.iter().filter(|s| s.phase == "step");
    let (done, all) = (
        steps.clone().filter(|s| s.status == "succeeded").count(),
        steps.count(),
    );
    let body = html! {
        header.title {
            p.crumb { a href="/runs" { "Runs" } " / " (part::full_id(&view.id)) }
            h1 { (text::shown(&view.objective)) }
            p.chips {
                span #run-status { (chip::status(&view.status)) } " " (part::subject(&view.subject)) " "
                span.hint { (done) " of " (all) " steps · directive " (part::id_link(&view.directive)) " · started " (part::brief_time(now, view.started_at))
                    @if let Some(at) = view.ended_at { " · ended " (part::brief_time(now, at)) } }
            }
            @if let Some(reason) = &view.reason { p.why-status { (text::prose(reason)) } }
        }
        div.split {
            div.col {
                (part::section("steps", "Steps", html! {
                    ol.steps { @for step in &view.steps { (step_item(frame, view, step)) } }
                }))
                @if !view.verdicts.is_empty() {
                    (part::section("verdicts", "The gate at each step", verdict_list(now, &view.verdicts)))
                }
            }
            aside.col.side {
                (part::section("control", "Control", controls(frame, view)))
            }
        }
    };
    frame.page(&format!("{}: {}", view.status, view.objective), body)
}

fn step_item(frame: &Frame, view: &RunView, step: &RunStepView) -> Markup {
    let now = frame.now;
    let key = format!("{}-{}", step.phase, step.id);
    html! {
        li data-step=(key) {
            p.step-head {
                strong { @if step.phase == "compensation" { "undo " } (text::shown(&step.id)) } " " code.tag { (text::shown(&step.module)) } " " (chip::status(&step.status))
            }
            @if let (Some(reason), true) = (&step.reason, step.attempts.is_empty()) { p { (text::prose(reason)) } }
            @if let Some(next) = step.next_at { p.hint { "Tried again " (part::brief_time(now, next)) } }
            @if !step.attempts.is_empty() {
                ol.attempts {
                    @for attempt in &step.attempts {
                        li {
                            "Attempt " (attempt.number) " " (part::brief_time(now, attempt.started_at)) " "
                            @match &attempt.outcome { Some(outcome) => (chip::status(outcome)), None => (chip::chip(chip::Tone::Live, "sent, no answer yet")) }
                            @if let Some(permit) = &attempt.permit { " " span.hint { "permit " (part::id_link(permit)) } }
                            @if let Some(reason) = &attempt.reason { p { (text::prose(reason)) } }
                        }
                    }
                }
            }
            (part::facts(&[
                ("Idempotency key", part::id_text(&step.idempotency_key)),
                ("Undone by", html! { @match &step.compensation { Some(text) => (text::shown(text)), None => span.hint { "nothing declared" } } }),
            ]))
            @if let Some(output) = &step.output {
                details id={ "out-" (key) } { summary { "What came back" } (json::pretty(output)) }
            }
            @if let Some(proof) = &step.proof {
                details id={ "proof-" (key) } open { summary { "Proof" } (json::pretty(proof)) }
            }
            @if step.resolvable { (resolve(frame, view, step)) }
        }
    }
}

fn resolve(frame: &Frame, view: &RunView, step: &RunStepView) -> Markup {
    let action = format!(
        "/runs/{}/steps/{}/resolve",
        text::segment(&view.id),
        text::segment(&step.id)
    );
    let field = format!("resolve-{}-{}", step.phase, step.id);
    html! {
        div.parked {
            p { strong { "Nobody knows whether this happened." } " It was sent and no answer came, and the other side does not honour an idempotency key. Look there, then say what you found." }
            (part::form(frame, &action, "resolve", html! {
                input type="hidden" name="phase" value=(step.phase);
                (part::reason_field(&field, "What you found", Need::Required))
                div.actions {
                    button type="submit" name="outcome" value="succeeded" { "It happened" }
                    button type="submit" name="outcome" value="failed" { "It did not happen" }
                }
            }))
        }
    }
}

fn controls(frame: &Frame, view: &RunView) -> Markup {
    html! {
        @if view.controls.is_empty() { (part::empty("Nothing to control: it is over, or your roles do not allow it.")) }
        @for control in &view.controls {
            (part::form(frame, &format!("/runs/{}/{}", text::segment(&view.id), text::segment(control)), "control", html! {
                @match control.as_str() {
                    "resume" => { (part::reason_field("resume-reason", "Why go on", Need::Required)) button.primary type="submit" { "Resume" } }
                    "pause" => { (part::reason_field("pause-reason", "Why pause", Need::Required)) button type="submit" { "Pause" } }
                    _ => { (part::reason_field("abort-reason", "Why abort", Need::Required)) button.bad type="submit" { "Abort and undo" } }
                }
            }))
        }
        p { a href={ "/why/" (text::segment(&view.id)) } { "Why did this run happen?" } }
        p { a href={ "/ledger?directive=" (text::segment(&view.directive)) } { "Its entries in the ledger" } }
    }
}
