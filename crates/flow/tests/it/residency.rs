//! Data residency over the whole loop: what is reached where nobody may reach
//! is blocked and never called, attestations end, a node's own stores count,
//! and calls and money are spread over regions.

use flow::residency::Report;
use gate::VerdictRecord;
use gate::budget::{Call, Model, Reservation, ReservationStatus, reserve_call};
use gate::directive::Status;
use gate::residency::{Store, StoreRole};
use gate::{CostClass, Directive};
use kernel::{Money, Span, Verdict};
use ledger::{Ledger, Settings};
use testkit::{Loop, Person, Sample, checks};

fn seconds(count: u32) -> Span {
    Span::from_secs(count)
}

fn changed(from: &str, to: &str) -> Sample {
    let mut sample = Sample::default();
    assert!(sample.residency.contains(from));
    sample.residency = sample.residency.replace(from, to);
    sample
}

async fn report(control: &Loop) -> Report {
    let since = control.now().minus(seconds(86_400));
    let found = control.control.residency(control.home(), since);
    found.await.unwrap()
}

#[tokio::test]
async fn a_region_that_is_not_allowed_blocks_the_plan() {
    let sample = changed("regions: [eu]", "regions: [us]");
    let control = Loop::start(31, &sample).await;
    let tenant = control.home();
    let alerts = testkit::alerts::Alert::pair("press-1", control.now());
    control.receive(tenant, &alerts).await.unwrap();
    control.pass(seconds(2)).await.unwrap();
    checks::all(&control).await;
    let (_, directive) = control.only::<Directive>(tenant).await;
    assert_eq!(directive.status, Status::Blocked);
    let (_, verdict) = control.only::<VerdictRecord>(tenant).await;
    let result = verdict.result("residency").unwrap();
    assert_eq!(result.verdict, Verdict::Block);
    assert!(
        result.reason.starts_with(
            "step `cool`: destination `plant.example` is in region `eu`, allowed is `us`"
        ),
        "{}",
        result.reason
    );
    assert!(control.world.http.asked().is_empty());
    let report = report(&control).await;
    assert_eq!((report.attested, report.total), (0, 4));
    assert_eq!(report.faults.len(), 4, "{:?}", report.faults);
}

#[tokio::test]
async fn an_attestation_that_ends_stops_the_steps_that_are_left() {
    let until = "by: plant, at: 2026-01-01T00:00:00Z, until: 2026-03-01T10:01:00Z";
    let sample = changed("by: plant, at: 2026-01-01T00:00:00Z", until);
    let control = Loop::start(32, &sample).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let (_, approval) = control.incident(tenant, "press-1").await;
    control.pass(seconds(60)).await.unwrap();
    control.approve(tenant, &ann, approval).await.unwrap();
    control.pass(seconds(60)).await.unwrap();
    checks::all(&control).await;
    assert!(control.world.http.asked().is_empty(), "nothing was called");
    let (_, directive) = control.only::<Directive>(tenant).await;
    assert_eq!(directive.status, Status::Paused);
    let found = report(&control).await;
    assert_eq!((found.attested, found.total), (3, 4));
    assert!(
        found.faults[0].contains("ended at 2026-03-01T10:01:00"),
        "{:?}",
        found.faults
    );
}

#[tokio::test]
async fn calls_and_money_are_spread_over_regions() {
    let control = Loop::start(33, &Sample::default()).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let (_, approval) = control.incident(tenant, "press-1").await;
    control.approve(tenant, &ann, approval).await.unwrap();
    control.pass(seconds(60)).await.unwrap();
    let call = |provider: &str| Call {
        amount: Money::parse("1.90 EUR", None).unwrap(),
        tokens: 0,
        cost_class: CostClass::Cheap,
        directive: None,
        subject: None,
        tool: "chat".into(),
        model: Some(Model {
            provider: provider.into(),
            name: "large".into(),
        }),
        lease: seconds(60),
        justification: None,
    };
    let mut verdicts = Vec::new();
    for provider in ["acme", "elsewhere"] {
        let call = call(provider);
        let outcome = control.run(tenant, &ann, move |unit, env| {
            let id = unit.ctx().next_id();
            let register = env.rules.residency.as_ref();
            let outcome = reserve_call(unit, &env.rules.budgets, register, id, call.clone())?;
            Ok((id, outcome))
        });
        verdicts.push(outcome.await.unwrap());
    }
    assert_eq!(verdicts[0].1.verdict, Verdict::Allow);
    let (refused, outcome) = &verdicts[1];
    assert_eq!(outcome.verdict, Verdict::Block);
    assert!(
        outcome
            .reason
            .starts_with("residency: provider `elsewhere` has no entry"),
        "{}",
        outcome.reason
    );
    let recorded = control.find::<Reservation>(tenant, refused).await.unwrap();
    assert_eq!(recorded.status, ReservationStatus::Refused);
    checks::all(&control).await;

    let report = report(&control).await;
    assert_eq!(report.faults, [""; 0]);
    assert_eq!((report.attested, report.total), (4, 4));
    let used: Vec<_> = report
        .endpoints
        .iter()
        .filter(|e| e.calls > 0)
        .map(|e| (e.line.endpoint.as_str(), e.calls, e.money[0].to_string()))
        .collect();
    let expected = [
        ("destinations/plant.example", 2, "1.10 EUR".to_owned()),
        ("providers/acme", 1, "1.90 EUR".to_owned()),
    ];
    assert_eq!(used, expected);
    assert_eq!(report.distribution.len(), 1);
    assert_eq!(report.distribution[0].calls, 3);
    assert_eq!(
        report.distribution[0].money[0].amount.to_string(),
        "3.00 EUR"
    );

    // The provider moves away: what it was sent stands out from now on.
    let mut moved = changed(
        "    region: eu\n    attestation:\n      { retention: 30d",
        "    region: us\n    attestation:\n      { retention: 30d",
    );
    moved.residency = moved.residency.replace("regions: [eu]", "regions: [us]");
    control.load(tenant, &moved).await.unwrap();
    let report = self::report(&control).await;
    let astray: Vec<_> = report
        .faults
        .iter()
        .filter(|f| f.contains("calls since"))
        .collect();
    assert_eq!(astray.len(), 1, "{:?}", report.faults);
    let shares: Vec<_> = report
        .distribution
        .iter()
        .map(|s| (s.region.as_str(), s.calls, s.calls_share.ppm()))
        .collect();
    assert_eq!(shares, [("eu", 3, 1_000_000), ("us", 0, 0)]);
}

#[tokio::test]
async fn a_pack_without_a_register_is_refused_where_steps_reach_out() {
    let control = Loop::start(34, &Sample::default()).await;
    let mut files = Sample::default().files();
    files.remove("residency.yaml");
    let ctx = control.control.system_ctx(control.home(), "setup");
    let refused = control
        .control
        .load_pack(ctx, None, files)
        .await
        .unwrap_err();
    assert!(
        refused
            .message
            .contains("steps may reach `plant.example`, and nobody says its region"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_node_that_keeps_data_elsewhere_is_not_ready_and_starts_no_step() {
    let control = Loop::start(35, &Sample::default()).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    let (_, approval) = control.incident(tenant, "press-1").await;
    control.approve(tenant, &ann, approval).await.unwrap();
    assert!(control.control.may_keep_data().is_ok());

    let ledger = Ledger::open(
        control.store.reopen(),
        flow::registry(),
        Settings::default(),
    );
    let modules = act::builtin::registry(&testkit::World::outside()).unwrap();
    let stores = vec![Store {
        role: StoreRole::Ledger,
        at: "db.us".into(),
    }];
    let ports = control.control.ports().clone();
    let node = flow::Control::open_on(ledger.unwrap(), ports, modules, stores);
    let node = std::sync::Arc::new(node.await.unwrap());
    let refused = node.may_keep_data().unwrap_err();
    assert!(
        refused
            .message
            .contains("name `db.us` under `stores.ledger`"),
        "{refused}"
    );
    let ctx = node.system_ctx(tenant, "setup");
    let loaded = node.load_pack(ctx, None, Sample::default().files()).await;
    assert!(loaded.unwrap_err().message.contains("`db.us`"));

    let moved = Loop {
        control: node,
        store: control.store.reopen(),
        ..control
    };
    moved.pass(seconds(60)).await.unwrap();
    assert!(moved.world.http.asked().is_empty(), "nothing was called");
    let (_, directive) = moved.only::<Directive>(tenant).await;
    assert_eq!(directive.status, Status::Paused);

    // A pack that names the store is loaded, and the node is ready.
    let mut named = Sample::default();
    let place = "  ledger:\n";
    let more = "  ledger:\n    db.us: { region: eu, attestation: { retention: unbounded, training: \
                false, logging: none, by: x, at: 2026-01-01T00:00:00Z } }\n";
    assert!(named.residency.contains(place));
    named.residency = named.residency.replace(place, more);
    moved.load(tenant, &named).await.unwrap();
    assert!(moved.control.may_keep_data().is_ok());
}
