//! Validators that a pack adds in CEL, on the built flow: they are asked beside
//! the four at every choke point, one that warns asks for a person, one that
//! blocks or cannot be evaluated stops, and what they looked at is on record.

use gate::{ChokePoint, Directive, VerdictRecord};
use kernel::{Span, Verdict};
use testkit::alerts::Alert;
use testkit::{Loop, Person, Sample, checks};

const RULES: &str = "  - name: not_so_hot
    title: It is not too hot for machines to decide
    require: \"!has(fields.heat) || fields.heat.value < 50.0\"
    verdict: WARN
    reason: it is so hot that a person should look
    runbook: https://runbooks.example/heat
  - name: notes_are_cheap
    require: \"step.cost.micros <= int(contract.budget.micros / 10)\"
    verdict: BLOCK
    reason: a note costs more than a tenth of the budget
    modules: [http.request]
    types: [machine.other]
";

fn sample(rules: &str) -> Sample {
    Sample {
        validators: rules.to_owned(),
        ..Sample::default()
    }
}

async fn verdicts(control: &Loop) -> Vec<VerdictRecord> {
    let all = control.all::<VerdictRecord>(control.home()).await;
    all.into_iter().map(|(_, record)| record).collect()
}

#[tokio::test]
async fn what_a_pack_adds_is_asked_everywhere_and_recorded_with_what_it_looked_at() {
    let mut control = Loop::start(1, &sample(RULES)).await;
    let tenant = control.home();
    let hash = control.control.in_force(tenant).unwrap().pack.rules.hash;
    let other = Loop::start(1, &sample(&RULES.replace("< 50.0", "< 51.0"))).await;
    let another = other.control.in_force(other.home()).unwrap();
    assert_ne!(hash, another.pack.rules.hash, "the text is hashed");

    let (_, approval) = control.incident(tenant, "press-1").await;
    let plan = verdicts(&control).await.pop().unwrap().given;
    assert_eq!(plan.verdict, Verdict::Warn);
    let order: Vec<_> = plan.results.iter().map(|r| r.check.as_str()).collect();
    assert_eq!(
        order[3..7],
        ["compliance", "not_so_hot", "notes_are_cheap", "residency"]
    );
    let warned = &plan.results[4];
    assert_eq!(warned.verdict, Verdict::Warn);
    assert_eq!(warned.reason, "it is so hot that a person should look");
    assert_eq!(
        warned.runbook.as_deref(),
        Some("https://runbooks.example/heat")
    );
    let looked_at = &warned.inputs["looked_at"][0]["values"];
    assert!(looked_at["fields.heat.value"].is_number(), "{looked_at}");
    assert_eq!(plan.results[5].verdict, Verdict::Allow, "of another type");

    let person = Person::named("ann");
    control.approve(tenant, &person, approval).await.unwrap();
    control.pass(Span::from_secs(60)).await.unwrap();
    let mut points: Vec<ChokePoint> = Vec::new();
    for record in verdicts(&control).await {
        let given = &record.given;
        assert_eq!(record.result("not_so_hot").unwrap().verdict, Verdict::Warn);
        points.push(given.question.choke_point);
    }
    for point in [
        ChokePoint::PlanApproval,
        ChokePoint::StepExecution,
        ChokePoint::ExternalWrite,
    ] {
        assert!(points.contains(&point), "{points:?}");
    }
    let (_, directive) = control.only::<Directive>(tenant).await;
    assert_eq!(directive.status, gate::directive::Status::Complete);
    checks::all(&control).await;

    // A restart compiles the same.
    control.crash().await.unwrap();
    let again = control.control.in_force(tenant).unwrap();
    assert_eq!(again.pack.rules.hash, hash);
    assert_eq!(again.pack.rules.conditions.len(), 2);
}

#[tokio::test]
async fn a_condition_that_is_false_or_fails_blocks_the_plan() {
    for (require, reason) in [
        ("fields.heat.value < 50.0", "hot"),
        // A number is no text: it loads, and fails when it is asked.
        (
            "fields.heat.value.startsWith('x')",
            "it cannot be evaluated, so it blocks: the types or values do not fit the expression",
        ),
        (
            "contract.constraints.nothing == 1",
            "it cannot be evaluated, so it blocks: no field `nothing`; test it with `has(…)`",
        ),
        (
            "step.cost.micros + 1",
            "it cannot be evaluated, so it blocks: the condition gives a int, not a boolean",
        ),
    ] {
        let rules =
            format!("  - {{ name: cool, require: \"{require}\", verdict: BLOCK, reason: hot }}\n");
        let control = Loop::start(1, &sample(&rules)).await;
        let alerts = Alert::pair("press-1", control.now());
        control.receive(control.home(), &alerts).await.unwrap();
        control.pass(Span::from_secs(2)).await.unwrap();
        let given = verdicts(&control).await.pop().unwrap().given;
        assert_eq!(given.verdict, Verdict::Block, "{require}");
        let result = given.results.iter().find(|r| r.check == "cool").unwrap();
        assert_eq!(result.reason, reason, "{require}");
        assert_eq!(given.results.len(), 11, "none is cut short");
        checks::all(&control).await;
    }
}
