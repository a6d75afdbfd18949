//! One directive: its contract, what the gate said, what was believed, and
//! what the visitor may do.

use super::common::{Names, gauge, in_status};
use super::evidence::{snapshot_view, tell_fate, tell_fates};
use crate::http::Place;
use crate::http::problem::Answer;
use crate::inbox::Inbox;
use crate::pages::view::Section;
use crate::pages::view::directive::{
    Act, ApprovalView, Decision, DirectiveView, MoveView, PasskeyView, RevisionView, SigningView,
    StepView, VoteView, directive_page,
};
use crate::pages::view::evidence::EvidenceRef;
use crate::pages::view::gate::{BudgetLine, CheckView, StopView, VerdictView};
use crate::pages::view::part;
use crate::pages::visit::{Visit, shown};
use ::act::Run;
use axum::response::Response;
use gate::access::Permission;
use gate::approval::{Choice, Statement, Word};
use gate::budget::Line;
use gate::directive::Status;
use gate::signing_key::Status as KeyStatus;
use gate::{
    Approval, ChokePoint, CostClass, Directive, Grounding, KillSwitch, SigningKey, VerdictRecord,
};
use kernel::names::Name as _;
use kernel::{Actor, DirectiveId, PrincipalKind, Role, Snapshot, limits};
use ledger::DocumentQuery;
use serde_json::Value;

pub(super) fn verdict_view(record: &VerdictRecord) -> VerdictView {
    let given = &record.given;
    let checks = given.results.iter().map(|result| CheckView {
        check: result.check.clone(),
        verdict: result.verdict,
        reason: result.reason.clone(),
        inputs: result.inputs.clone(),
        runbook: result.runbook.clone(),
    });
    VerdictView {
        id: record.id.to_string(),
        choke_point: given.question.choke_point.to_string(),
        target: given.question.target.clone(),
        verdict: given.verdict,
        evaluated_at: given.evaluated_at,
        policy: given.policy.to_string(),
        rules: given.rules.to_string(),
        determining: given.determining.clone(),
        checks: checks.collect(),
        withheld: record.withheld.clone(),
    }
}

/// What the gate's budget check said of each budget.
fn budget_lines(record: &VerdictRecord) -> Vec<BudgetLine> {
    let Some(result) = record.result("budget") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    collect_lines(&result.inputs, &mut found);
    found.iter().map(budget_line).collect()
}

/// The lines stand under `budgets`, of a plan once for each step.
fn collect_lines(inputs: &Value, found: &mut Vec<Line>) {
    match inputs {
        Value::Object(members) => {
            for (name, member) in members {
                match serde_json::from_value::<Vec<Line>>(member.clone()) {
                    Ok(lines) if name == "budgets" => merge(lines, found),
                    _ => collect_lines(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_lines(item, found)),
        _ => {}
    }
}

/// Steps follow one another: together they lead from the first one's before
/// to the last one's after.
fn merge(lines: Vec<Line>, found: &mut Vec<Line>) {
    for line in lines {
        match found.iter_mut().find(|f| f.counter == line.counter) {
            None => found.push(line),
            Some(known) => {
                known.verdict = known.verdict.max(line.verdict);
                let amount = known.amount.plus(&line.amount).unwrap_or(known.amount);
                known.after = known.before.plus(&amount).unwrap_or(line.after);
                known.amount = amount;
            }
        }
    }
}

fn budget_line(line: &Line) -> BudgetLine {
    BudgetLine {
        budget: line.budget.clone(),
        verdict: line.verdict,
        reason: line.reason.clone(),
        before: line.before.to_string(),
        amount: line.amount.to_string(),
        after: line.after.to_string(),
        soft: line.soft.map(|s| s.to_string()),
        cap: line.hard.to_string(),
        gauge: gauge(&line.before, &line.after, line.soft.as_ref(), &line.hard),
    }
}

fn evidence_ref(grounding: &Grounding, snapshot: Option<&Snapshot>) -> EvidenceRef {
    let mut grounds = snapshot.iter().flat_map(|s| s.grounds.iter());
    let (given, ground) = match grounding {
        Grounding::Source {
            source_type,
            source_id,
        } => (
            format!("{source_type} {}", part::short(source_id)),
            grounds.find(|g| g.source_type == *source_type && g.source_id == *source_id),
        ),
        Grounding::Entry(entry) => (
            format!("entry {}", part::short(&entry.to_string())),
            grounds.find(|g| g.entry == *entry),
        ),
        Grounding::Locator(locator) => (locator.clone(), grounds.find(|g| g.locator == *locator)),
    };
    let known = ground.map(|g| format!("{} {}", g.source_type, part::short(&g.source_id)));
    EvidenceRef {
        label: known.unwrap_or(given),
        evidence: ground.map(|g| g.evidence.to_string()),
    }
}

fn approval_view(
    names: &Names,
    id: String,
    approval: &Approval,
    signed: Option<SigningView>,
    seats: &[Option<&Actor>],
) -> ApprovalView {
    let request = &approval.request;
    let words = |roles: &[Role]| roles.iter().map(ToString::to_string).collect();
    let votes = approval.votes.iter().map(|vote| VoteView {
        by: names.who(&vote.by),
        at: vote.at,
        reason: vote.reason.clone(),
        key: vote.signed.as_ref().map(|s| s.statement.key.to_string()),
        on_behalf_of: vote.on_behalf_of.as_ref().map(|b| names.who(&b.principal)),
    });
    ApprovalView {
        id,
        status: approval.status.to_string(),
        because: request.because.clone(),
        needed: request.needed,
        among: words(&request.among),
        // writ itself approves nothing, so it need not be told that it may not.
        barred: request
            .barred
            .iter()
            .filter(|a| a.kind != PrincipalKind::System)
            .map(|a| names.who(a))
            .collect(),
        votes: votes.collect(),
        expires_at: request.expires_at,
        decided_at: approval.decided_at,
        reason: approval.reason.clone(),
        signed,
        escalated: words(&approval.escalated_to),
        escalates: approval
            .next_escalation()
            .filter(|_| approval.status == gate::approval::Status::Pending)
            .map(|step| (step.at, words(&step.to))),
        seats: seats
            .iter()
            .map(|seat| seat.map(|actor| names.who(actor)))
            .collect(),
    }
}

fn acts(visit: &Visit, directive: &Directive) -> Vec<Act> {
    let mut acts = Vec::new();
    if directive.is_editable() && visit.may(Permission::DirectivePropose) {
        acts.push(Act::Edit);
    }
    if directive.status == Status::Blocked && visit.may(Permission::DirectiveControl) {
        acts.push(Act::Retry);
    }
    acts
}

/// The verdicts on a directive, oldest first.
pub(super) async fn verdicts(visit: &Visit, id: DirectiveId) -> Answer<Vec<VerdictRecord>> {
    let query = DocumentQuery {
        directive: Some(id),
        limit: limits::PAGE_ROWS_MAX,
        ..DocumentQuery::default()
    };
    let rows = visit.list::<VerdictRecord>(query).await?;
    Ok(rows.into_iter().map(|(_, record)| record).collect())
}

fn stops(names: &Names, switch: Option<&KillSwitch>, directive: &Directive) -> Vec<StopView> {
    let contract = &directive.contract;
    let engaged = switch.iter().flat_map(|s| s.engaged.iter());
    let covering = engaged.filter(|(scope, _)| {
        let mut steps = contract.steps.iter();
        steps.any(|step| scope.covers(&step.module, &contract.issued_by))
    });
    covering
        .map(|(scope, engagement)| StopView {
            scope: scope.to_string(),
            at: engagement.at,
            by: names.who(&engagement.by),
            reason: engagement.reason.clone(),
        })
        .collect()
}

fn steps(
    visit: &Visit,
    directive: &Directive,
    snapshot: Option<&Snapshot>,
    run: Option<&Run>,
) -> Vec<StepView> {
    let capabilities = visit.app.control().capabilities();
    let view = |step: &gate::Step| {
        let mut traits = Vec::new();
        match capabilities.get(&step.module) {
            None => traits.push("no such module here".to_owned()),
            Some(module) => {
                traits.push(format!("version {}", module.version));
                if module.cost_class != CostClass::Cheap {
                    traits.push(format!("cost class {}", module.cost_class));
                }
                let outside = match module.writes_outside {
                    true => "writes outside",
                    false => "stays inside",
                };
                traits.push(outside.to_owned());
                let undo = match module.reversible {
                    true => "can be undone",
                    false => "cannot be undone",
                };
                traits.push(undo.to_owned());
            }
        }
        StepView {
            id: step.id.clone(),
            module: step.module.clone(),
            traits,
            input: Value::Object(step.input.clone()),
            cost: step.cost.to_string(),
            evidence: step
                .evidence
                .iter()
                .map(|g| evidence_ref(g, snapshot))
                .collect(),
            status: run
                .and_then(|r| r.step(&step.id))
                .map(|s| s.task.status.to_string()),
        }
    };
    directive.contract.steps.iter().map(view).collect()
}

/// The verdict on the plan in force, and all others.
fn split(
    directive: &Directive,
    records: &[VerdictRecord],
) -> (Option<VerdictRecord>, Vec<VerdictView>) {
    let is_plan = |r: &&VerdictRecord| {
        let question = &r.given.question;
        question.choke_point == ChokePoint::PlanApproval && question.digest == directive.digest
    };
    let plan = records
        .iter()
        .filter(is_plan)
        .max_by_key(|r| r.given.evaluated_at)
        .cloned();
    let others = records
        .iter()
        .filter(|r| plan.as_ref().is_none_or(|p| p.id != r.id));
    let views = others.map(verdict_view).collect();
    (plan, views)
}

pub(crate) async fn directive(visit: Visit, Place(id): Place<String>) -> Answer<Response> {
    let directive = visit.get::<Directive>(&id).await?;
    let names = Names::of(&visit).await?;
    let contract = &directive.contract;
    let snapshot_id = contract.snapshot.to_string();
    let snapshot = visit.find::<Snapshot>(&snapshot_id).await?;
    let run = match directive.run {
        None => None,
        Some(run) => visit.find::<Run>(&run.to_string()).await?,
    };
    let switch = visit.find::<KillSwitch>(gate::kill::ID).await?;
    let approval = latest_approval(&visit, &directive).await?;
    let records = verdicts(&visit, directive.id).await?;
    let (plan, others) = split(&directive, &records);
    let inbox = Inbox::of(&visit.app, &visit.caller).await?;
    let mut seats = Vec::new();
    let decision = match &approval {
        None => Decision::Closed("Nobody is asked to decide.".to_owned()),
        Some((_, approval)) => match inbox.seats(approval) {
            Ok(found) => {
                seats = found;
                Decision::Open
            }
            Err(why) => Decision::Closed(format!("Nothing to decide for you: {why}.")),
        },
    };
    let signing = match &approval {
        Some((_, approval)) if approval.request.signed => Some(signing(&visit, approval).await?),
        _ => None,
    };
    let mut view = DirectiveView {
        id,
        objective: contract.objective.clone(),
        kind: contract.kind.clone(),
        status: directive.status.to_string(),
        reason: directive.reason.clone(),
        waits_for: directive
            .waits_for
            .iter()
            .map(ToString::to_string)
            .collect(),
        revision: directive.revision,
        round: directive.round,
        digest: directive.digest.to_string(),
        issued_by: names.who(&contract.issued_by),
        role: contract.role.clone(),
        subjects: contract
            .scope
            .subjects
            .iter()
            .map(ToString::to_string)
            .collect(),
        constraints: contract.constraints.clone().into_iter().collect(),
        success_metrics: contract.success_metrics.clone(),
        budget: contract.budget.to_string(),
        cost: contract.cost()?.to_string(),
        timebox: contract.timebox,
        action_class: contract.action_class.to_string(),
        drafted_at: directive.drafted_at,
        expires_at: directive.expires_at,
        origin: directive.origin.clone(),
        run: directive.run.map(|r| r.to_string()),
        steps: steps(&visit, &directive, snapshot.as_ref(), run.as_ref()),
        budgets: plan.as_ref().map(budget_lines).unwrap_or_default(),
        plan: plan.as_ref().map(verdict_view),
        verdicts: others,
        stopped: stops(&names, switch.as_ref(), &directive),
        snapshot: snapshot.map(|s| snapshot_view(snapshot_id, &s)),
        approval: approval.map(|(id, a)| approval_view(&names, id, &a, signing, &seats)),
        decision,
        acts: acts(&visit, &directive),
        replaced: directive
            .replaced
            .iter()
            .map(|r| RevisionView {
                digest: r.digest.to_string(),
                by: names.who(&r.by),
                at: r.at,
                changed: r.changed.clone(),
            })
            .collect(),
        moves: directive
            .moves
            .iter()
            .rev()
            .map(|m| MoveView {
                to: m.to.to_string(),
                by: names.who(&m.by),
                at: m.at,
                reason: m.reason.clone(),
                entry: m.entry.to_string(),
            })
            .collect(),
    };
    tell_all_fates(&visit, &mut view).await?;
    let frame = visit.frame(Section::Directives).await?;
    shown(directive_page(&frame, &view))
}

/// What the visitor would sign to agree, and with which of their passkeys.
async fn signing(visit: &Visit, approval: &Approval) -> Answer<SigningView> {
    let own = visit.caller.actor();
    let active = in_status(&[KeyStatus::Active.name()], limits::PAGE_ROWS_MAX);
    let keys = visit.list::<SigningKey>(active).await?;
    let mut view = SigningView::default();
    for (id, key) in keys.into_iter().filter(|(_, key)| key.owner == *own) {
        let Some(passkey) = key.registered.public.passkey else {
            continue;
        };
        let word = Word {
            tenant: visit.caller.tenant(),
            decision: Choice::Approve,
            reason: None,
            principal: own.clone(),
            on_behalf_of: None,
            key: key.registered.key,
            made_at: visit.now,
        };
        let statement = Statement::of(&approval.request, word);
        view.statement = kernel::json::canonical(&statement).map_err(kernel::Refusal::from)?;
        view.passkeys.push(PasskeyView {
            id,
            name: key.registered.name,
            credential: passkey.credential,
        });
    }
    Ok(view)
}

/// Says wherever a value stands sealed what has become of it.
async fn tell_all_fates(visit: &Visit, view: &mut DirectiveView) -> Answer<()> {
    if let Some(snapshot) = &mut view.snapshot {
        tell_fates(visit, snapshot).await?;
    }
    let verdicts = view.plan.iter_mut().chain(&mut view.verdicts);
    let inputs = verdicts.flat_map(|verdict| &mut verdict.checks);
    let values = view.constraints.iter_mut().map(|(_, value)| value);
    let values = values.chain(view.steps.iter_mut().map(|step| &mut step.input));
    let values: Vec<&mut Value> = values.chain(inputs.map(|c| &mut c.inputs)).collect();
    for value in values {
        tell_fate(visit, value).await?;
    }
    Ok(())
}

/// The approval that is pending or in force, or the last one that was.
async fn latest_approval(
    visit: &Visit,
    directive: &Directive,
) -> Answer<Option<(String, Approval)>> {
    if let Some(id) = directive.approval {
        let found = visit.find::<Approval>(&id.to_string()).await?;
        return Ok(found.map(|a| (id.to_string(), a)));
    }
    let query = DocumentQuery {
        directive: Some(directive.id),
        ..in_status(&[], 1)
    };
    Ok(visit.list::<Approval>(query).await?.into_iter().next())
}
