//! What would have to change for a check to say otherwise, in sentences, from
//! the inputs that decided it. Each sentence is a way by itself, unless it
//! says that all are needed.

use super::{Change, Material};
use crate::budget::Line;
use crate::verdict::CheckResult;
use kernel::Verdict;
use serde_json::Value;

/// The ways out of what this check said.
pub(super) fn of(of: &Material<'_>, result: &CheckResult, changes: &[Change]) -> Vec<String> {
    let inputs = &result.inputs;
    match result.check.as_str() {
        "freshness" => freshness(result.verdict, inputs),
        "grounding" => grounding(inputs),
        "contradiction" => contradiction(inputs),
        "compliance" => compliance(inputs),
        "residency" => residency(inputs),
        "conflict" => conflict(),
        "policy" => policy(inputs, changes),
        "budget" => budget(result.verdict, inputs),
        "approval" => approval(of),
        "kill_switch" => kill_switch(),
        name => rule(name, inputs),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("?")
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

const AGAIN: &str = "then take a new snapshot and propose it anew";

fn freshness(verdict: Verdict, inputs: &Value) -> Vec<String> {
    let limit = match verdict {
        Verdict::Block => "hard_ttl",
        Verdict::Allow | Verdict::Warn => "soft_ttl",
    };
    let worst = verdict.to_string();
    let stale = list(inputs, "stale").iter();
    let mut ways: Vec<_> = stale
        .filter(|aged| text(aged, "verdict") == worst)
        .map(|aged| {
            let noun = match aged.get("field") {
                Some(_) => "field",
                None => "evidence",
            };
            format!(
                "`{}` would have to report the {noun} `{}` anew: it was {} old, allowed is less than {}",
                text(aged, "source"),
                text(aged, noun),
                text(aged, "age"),
                text(aged, limit),
            )
        })
        .collect();
    match ways.is_empty() {
        true => vec![format!("evidence about the subject must come in; {AGAIN}")],
        false => {
            ways.push(format!("all of these must come in; {AGAIN}"));
            ways
        }
    }
}

fn grounding(inputs: &Value) -> Vec<String> {
    let unresolved = list(inputs, "unresolved").iter();
    let steps: Vec<_> = unresolved
        .filter(|fault| fault.get("step").is_some())
        .map(|fault| {
            format!(
                "step `{}` must cite evidence that is in the snapshot `{}`",
                text(fault, "step"),
                text(inputs, "snapshot"),
            )
        })
        .collect();
    match steps.is_empty() {
        true => vec!["the directive must be bound to a snapshot of its first subject".to_owned()],
        false => steps,
    }
}

fn contradiction(inputs: &Value) -> Vec<String> {
    let faults = list(inputs, "contradicted").iter();
    faults
        .map(|fault| match fault.get("believed") {
            Some(believed) => format!(
                "`{}` and `{}` must report the same of the field `{}`; {AGAIN}",
                text(believed, "source"),
                list(fault, "against")
                    .first()
                    .map_or("?", |against| text(against, "source")),
                text(fault, "field"),
            ),
            None => format!(
                "the field `{}` must be known; {AGAIN}",
                text(fault, "field")
            ),
        })
        .collect()
}

fn compliance(inputs: &Value) -> Vec<String> {
    let refused = list(inputs, "refused").iter();
    refused
        .map(|fault| {
            let (kind, name) = (text(fault, "kind"), text(fault, "name"));
            let section = match kind {
                "tool" => "tools",
                "field" => "fields",
                "destination" => "destinations",
                _ => "data_classes",
            };
            let rule = match text(fault, "why") {
                "is denied" => format!("`compliance.{section}.deny` must no longer name it"),
                _ => format!("`compliance.{section}.allow` must name it"),
            };
            format!(
                "step `{}` must do without the {kind} `{name}`, or in the pack's validators.yaml {rule}",
                text(fault, "step"),
            )
        })
        .collect()
}

fn residency(inputs: &Value) -> Vec<String> {
    let refused = list(inputs, "refused").iter().filter_map(Value::as_str);
    let mut ways: Vec<_> = refused
        .map(|fault| format!("this must be mended in the pack's residency.yaml: {fault}"))
        .collect();
    ways.push("or the step must reach an endpoint in an allowed region".to_owned());
    ways
}

fn conflict() -> Vec<String> {
    vec![
        "the directives that came before must end: wait for them, or abort those that nobody \
         wants"
            .to_owned(),
    ]
}

fn policy(inputs: &Value, changes: &[Change]) -> Vec<String> {
    let mut ways: Vec<String> = changes.iter().map(way).collect();
    let errors = list(inputs, "errors");
    if !errors.is_empty() {
        ways.push("the policy that could not be evaluated must be mended".to_owned());
    }
    let determining = list(inputs, "determining").iter().filter_map(Value::as_str);
    let named: Vec<_> = determining.map(|id| format!("`{id}`")).collect();
    if ways.is_empty() {
        ways.push("no single fact that can be changed turns the answer of policy".to_owned());
    }
    ways.push(match named.is_empty() {
        true => "or a policy must permit it: none does".to_owned(),
        false => format!(
            "or another set must be promoted in place of {}",
            named.join(", ")
        ),
    });
    ways
}

fn way(change: &Change) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match change.attribute.as_str() {
        "human_approved" => "a person must have approved the directive".to_owned(),
        "justified" => {
            "the directive must carry a written justification (`constraints.justification`)"
                .to_owned()
        }
        "autonomous" => "the directive's type must have earned to go without a person".to_owned(),
        name => format!(
            "`{name}` would have to be {}{} (it was {})",
            change
                .bound
                .map_or_else(String::new, |bound| format!("{bound} ")),
            plain(&change.would_be),
            plain(&change.was)
        ),
    }
}

fn budget(verdict: Verdict, inputs: &Value) -> Vec<String> {
    let lines = list(inputs, "budgets").iter();
    let lines = lines.filter_map(|line| serde_json::from_value::<Line>(line.clone()).ok());
    let mut ways: Vec<_> = lines
        .filter(|line| line.verdict == verdict)
        .map(|line| {
            let cap = line.soft.filter(|_| verdict == Verdict::Warn);
            format!(
                "`{}` holds {} of {} and {} was asked for: wait for its next period, ask for less, \
                 or raise the cap in the pack's budgets.yaml to at least {}",
                line.budget,
                line.before,
                cap.unwrap_or(line.hard),
                line.amount,
                line.after,
            )
        })
        .collect();
    if ways.is_empty() {
        ways.push(
            "the reason names what is missing; caps stand in the pack's budgets.yaml".to_owned(),
        );
    }
    ways
}

fn approval(of: &Material<'_>) -> Vec<String> {
    let Some(approval) = of.approval else {
        return vec!["the directive must be proposed and approved".to_owned()];
    };
    let request = &approval.request;
    let missing = usize::try_from(request.needed)
        .unwrap_or(usize::MAX)
        .saturating_sub(approval.votes.len());
    let among: Vec<_> = request.among.iter().map(|r| format!("`{r}`")).collect();
    match approval.status {
        crate::approval::Status::Pending => vec![format!(
            "{missing} more with one of the roles {} must agree until {}",
            among.join(", "),
            request.expires_at
        )],
        status => vec![format!(
            "the approval is {status}: retry the directive, so that people are asked again"
        )],
    }
}

/// A rule of the pack.
fn rule(name: &str, inputs: &Value) -> Vec<String> {
    vec![match inputs.get("require").and_then(Value::as_str) {
        Some(require) => format!(
            "`{require}` must hold of what was looked at, or the rule `{name}` in the pack's \
             validators.yaml must change"
        ),
        None => format!("what `{name}` looked at must change"),
    }]
}

fn kill_switch() -> Vec<String> {
    vec!["the kill switch must be released: one person asks, another confirms".to_owned()]
}
