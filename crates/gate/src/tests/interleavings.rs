//! Any interleaving of operations: no step is admitted unless it is approved
//! and nothing stops it, no cap is overrun, and the entries alone make the
//! states. A failing case prints its seed and its shrunk sequence.

use super::world::{POLICY, World, agent, engine, person, rules, source};
use crate::approval::Status as ApprovalStatus;
use crate::budget::{self, Actual, Counter, Reservation};
use crate::conflict::{self, Claim};
use crate::directive::Status;
use crate::kill::{self, KillSwitch, Scope};
use crate::operations::{self, Approve};
use crate::{Admission, Approval, Directive, Permit, VerdictRecord, permit};
use kernel::{Aggregate, DirectiveId, Role, RunId, Subject};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

#[derive(Clone, Debug)]
enum Move {
    Draft(usize),
    Begin(usize),
    Propose(usize),
    Retry(usize),
    Edit(usize),
    Approve(usize, usize),
    Reject(usize),
    Block(usize),
    Start(usize),
    Pause(usize),
    Resume(usize),
    Complete(usize),
    Abort(usize),
    LetGo(usize),
    Admit(usize, usize),
    Settle(usize, usize),
    Engage(usize),
    Request(usize),
    Confirm(usize, usize),
    Rules(usize),
    Tick,
    Pass(usize),
}

const MODULES: [&[&str]; 4] = [&["look"], &["mend"], &["mend", "look"], &["tell"]];
const SCOPES: [&str; 4] = ["global", "tool:mend", "agent:scout", "tool:tell"];
const PEOPLE: [&str; 3] = ["ann", "bob", "eve"];
const SPANS: [&str; 3] = ["1s", "10m", "40m"];

fn moves() -> impl Strategy<Value = Move> {
    let n = 0_usize..4;
    prop_oneof![
        2 => n.clone().prop_map(Move::Draft),
        4 => n.clone().prop_map(Move::Begin),
        4 => n.clone().prop_map(Move::Propose),
        2 => n.clone().prop_map(Move::Retry),
        1 => n.clone().prop_map(Move::Edit),
        8 => (n.clone(), 0_usize..3).prop_map(|(d, p)| Move::Approve(d, p)),
        1 => n.clone().prop_map(Move::Reject),
        1 => n.clone().prop_map(Move::Block),
        8 => n.clone().prop_map(Move::Start),
        2 => n.clone().prop_map(Move::Pause),
        3 => n.clone().prop_map(Move::Resume),
        1 => n.clone().prop_map(Move::Complete),
        1 => n.clone().prop_map(Move::Abort),
        2 => n.clone().prop_map(Move::LetGo),
        16 => (n.clone(), 0_usize..2).prop_map(|(d, s)| Move::Admit(d, s)),
        3 => (n.clone(), 0_usize..3).prop_map(|(r, a)| Move::Settle(r, a)),
        2 => n.clone().prop_map(Move::Engage),
        2 => n.clone().prop_map(Move::Request),
        3 => (n.clone(), 0_usize..3).prop_map(|(s, p)| Move::Confirm(s, p)),
        1 => (0_usize..3).prop_map(Move::Rules),
        3 => Just(Move::Tick),
        2 => (0_usize..3).prop_map(Move::Pass),
    ]
}

#[derive(Default)]
struct Seen {
    directives: Vec<DirectiveId>,
    permitted: usize,
    blocked: usize,
}

fn run_of(index: usize) -> RunId {
    RunId(Uuid::from_u128(100 + index as u128))
}

/// Makes one move. What is refused changes nothing and is fine.
fn make(world: &mut World, seen: &mut Seen, made: &Move) {
    let scout = agent("scout");
    let pick = |index: usize| {
        seen.directives
            .get(index % seen.directives.len().max(1))
            .copied()
    };
    let (with, index) = match made {
        Move::Draft(kind) => {
            let contract = world.contract(&scout, MODULES[*kind]);
            let id = world.draft(&scout, contract);
            return seen.directives.push(id);
        }
        Move::Begin(kind) => return begin(world, seen, *kind),
        Move::Settle(which, actual) => return settle(world, *which, *actual),
        Move::Engage(s) | Move::Request(s) | Move::Confirm(s, _) => return switch(world, made, *s),
        Move::Rules(version) => return change_rules(world, *version),
        Move::Tick => return tick(world),
        Move::Pass(span) => return world.pass(SPANS[*span]),
        Move::Propose(d)
        | Move::Retry(d)
        | Move::Edit(d)
        | Move::Reject(d)
        | Move::Block(d)
        | Move::Start(d)
        | Move::Pause(d)
        | Move::Resume(d)
        | Move::Complete(d)
        | Move::Abort(d)
        | Move::LetGo(d)
        | Move::Approve(d, _)
        | Move::Admit(d, _) => (pick(*d), *d),
    };
    let Some(id) = with else { return };
    let run = run_of(index % seen.directives.len());
    if let Move::Admit(_, step) = made {
        return admit(world, seen, id, run, &format!("s{step}"));
    }
    let directive = world.directive(id);
    let approval = directive.approval;
    let who = match made {
        Move::Approve(_, p) => person(PEOPLE[*p], Role::Approver),
        Move::Reject(_) => person("bob", Role::Approver),
        Move::Edit(_) => person("eve", Role::Operator),
        _ => engine(),
    };
    let before = world.entries.len();
    let result = world.run(&who, |unit, env| match made {
        Move::Propose(_) => operations::propose(unit, env, id).map(drop),
        Move::Retry(_) => operations::retry(unit, env, id).map(drop),
        Move::Edit(_) => {
            let mut contract = directive.contract.clone();
            contract.objective.push('!');
            let cart = Subject::parse("service/cart").unwrap();
            match contract.scope.subjects.contains(&cart) {
                true => contract.scope.subjects.retain(|s| *s != cart),
                false => contract.scope.subjects.push(cart),
            }
            operations::edit(unit, env, id, contract).map(drop)
        }
        Move::Approve(..) | Move::Reject(_) => {
            let Some(approval) = approval else {
                return Ok(());
            };
            let seen = directive.digest;
            if let Move::Reject(_) = made {
                return operations::reject(unit, &operations::Reject::of(approval, seen, "no"));
            }
            let asked = Approve::to(approval, seen);
            operations::approve(unit, env, &asked).map(drop)
        }
        Move::Block(_) => operations::block(unit, id, "not now"),
        Move::Start(_) => operations::start(unit, env, id, run).map(drop),
        Move::Pause(_) => operations::pause(unit, id, "wait"),
        Move::Resume(_) => operations::resume(unit, id),
        Move::Complete(_) => operations::complete(unit, id),
        Move::Abort(_) => operations::abort(unit, id, "enough"),
        Move::LetGo(_) if is_undone(&directive) => conflict::let_go(unit, id),
        _ => Ok(()),
    });
    if let Err(refusal) = result {
        assert_eq!(world.entries.len(), before);
        assert_ne!(refusal.code, kernel::Code::Integrity, "{made:?}: {refusal}");
    }
}

/// Whether what a directive did is being undone: it keeps its places until
/// that has ended.
fn is_undone(directive: &Directive) -> bool {
    directive.run.is_some() && matches!(directive.status, Status::Aborted | Status::Expired)
}

/// The straight way from a draft to its start, so that what comes after it is
/// reached often.
fn begin(world: &mut World, seen: &mut Seen, kind: usize) {
    let index = seen.directives.len();
    for made in [
        Move::Draft(kind),
        Move::Propose(index),
        Move::Approve(index, 0),
        Move::Approve(index, 1),
        Move::Start(index),
    ] {
        make(world, seen, &made);
    }
}

/// Asks for a step, redeems the permit, and holds the answer against what the
/// world says.
fn admit(world: &mut World, seen: &mut Seen, id: DirectiveId, run: RunId, step: &str) {
    match world.admit(id, run, step, 1) {
        Ok(Admission::Permitted(permit)) => {
            seen.permitted += 1;
            check_permit(world, id, &permit);
            world
                .run(&engine(), |unit, _| permit::redeem(unit, &permit))
                .unwrap();
        }
        Ok(Admission::Blocked { verdict, reasons }) => {
            seen.blocked += 1;
            assert!(!reasons.is_empty());
            let record = world.see::<VerdictRecord>(verdict).unwrap();
            assert!(!record.verdict().passes() || record.withheld == reasons);
        }
        Err(refusal) => assert_ne!(refusal.code, kernel::Code::Integrity, "{refusal}"),
    }
}

fn check_permit(world: &World, id: DirectiveId, permit: &Permit) {
    let directive = world.directive(id);
    assert_eq!(directive.status, Status::Executing);
    assert_eq!(permit.digest(), directive.digest);
    assert!(world.now < directive.expires_at && world.now < permit.expires_at());
    let approval = world.see::<Approval>(directive.approval.unwrap()).unwrap();
    assert_eq!(approval.status, ApprovalStatus::Used);
    assert_eq!(approval.request.binding.digest, directive.digest);
    assert_eq!(approval.request.binding.rules, world.rules.hash);
    assert!(approval.votes.len() >= approval.request.needed as usize);
    if let Some(switch) = world.see::<KillSwitch>(kill::ID) {
        let stopped = switch.stops(permit.module(), &directive.contract.issued_by);
        assert_eq!(stopped, None);
    }
    let held = world.see::<Reservation>(permit.reservation()).unwrap();
    assert_eq!((held.status(), held.ask.directive), ("held", Some(id)));
    let record = world.see::<crate::PermitRecord>(permit.id()).unwrap();
    for verdict in &record.issued.verdicts {
        assert!(
            world
                .see::<VerdictRecord>(verdict)
                .unwrap()
                .verdict()
                .passes()
        );
    }
}

fn settle(world: &mut World, which: usize, actual: usize) {
    let held: Vec<_> = world.all::<Reservation>();
    let held: Vec<_> = held.iter().filter(|r| r.status() == "held").collect();
    let Some(one) = held.get(which % held.len().max(1)) else {
        return;
    };
    let id = one.ask.reservation;
    let actual = match actual {
        0 => Actual::Nothing,
        1 => Actual::Unknown,
        _ => Actual::Known(super::world::money("1.50 EUR")),
    };
    world
        .run(&engine(), |unit, _| budget::settle(unit, id, actual))
        .unwrap();
}

fn switch(world: &mut World, made: &Move, scope: usize) {
    let scope: Scope = SCOPES[scope].parse().unwrap();
    let who = match made {
        Move::Confirm(_, p) => person(PEOPLE[*p], Role::Operator),
        _ => person("ann", Role::Operator),
    };
    let result = world.run(&who, |unit, _| match made {
        Move::Engage(_) => kill::engage(unit, scope, "smoke"),
        Move::Request(_) => kill::request_release(unit, &scope, "put out"),
        _ => kill::confirm_release(unit, &scope),
    });
    if let Err(refusal) = result {
        assert_ne!(refusal.code, kernel::Code::Integrity, "{refusal}");
    }
}

fn change_rules(world: &mut World, version: usize) {
    let mut changed = source();
    match version {
        0 => {}
        1 => changed["budgets"][0]["hard"] = json!("25 EUR"),
        _ => changed["approvals"]["expires_after"] = json!("20m"),
    }
    world.rules = rules(changed, POLICY);
}

/// Everything that is due is looked at, as the scheduler does.
fn tick(world: &mut World) {
    for directive in world.all::<Directive>() {
        let id = directive.id;
        let ticked = world
            .run(&engine(), |unit, _| operations::expire(unit, id))
            .unwrap();
        if ticked == operations::Expiry::MustAbort {
            world
                .run(&engine(), |unit, _| operations::abort(unit, id, "timebox"))
                .unwrap();
        }
    }
    for approval in world.all::<Approval>() {
        let id = approval.request.approval;
        world
            .run(&engine(), |unit, _| operations::tick_approval(unit, id))
            .unwrap();
    }
    for reservation in world.all::<Reservation>() {
        let id = reservation.ask.reservation;
        world
            .run(&engine(), |unit, _| budget::expire(unit, id))
            .unwrap();
    }
}

/// What must hold after every move.
fn check_world(world: &World) {
    for counter in world.all::<Counter>() {
        let used = counter.used().unwrap();
        assert!(!used.exceeds(&counter.terms.hard).unwrap(), "{counter:?}");
    }
    for directive in world.all::<Directive>() {
        let approval = directive.approval.and_then(|id| world.see::<Approval>(id));
        let status = approval.map(|a| a.status);
        match directive.status {
            Status::Approved => assert_eq!(status, Some(ApprovalStatus::Approved)),
            Status::Executing | Status::Paused | Status::Complete | Status::Aborted => {
                assert_eq!(status, Some(ApprovalStatus::Used));
            }
            Status::Proposed => assert_eq!(status, Some(ApprovalStatus::Pending)),
            Status::Draft | Status::Blocked => assert_eq!(status, None),
            Status::Expired => assert_ne!(status, Some(ApprovalStatus::Approved)),
        }
    }
}

/// Who changes a subject stands in its queue, in the same order everywhere, and
/// only the first has begun; what has ended stands nowhere.
fn check_queues(world: &World) {
    let claims = world.all::<Claim>();
    let of = |id: DirectiveId| world.directive(id);
    let order = |claim: &Claim| -> Vec<_> { claim.queue.iter().map(|p| p.directive).collect() };
    for claim in &claims {
        for (at, place) in claim.queue.iter().enumerate() {
            let directive = of(place.directive);
            let waits = matches!(directive.status, Status::Proposed | Status::Approved);
            let works = matches!(directive.status, Status::Executing | Status::Paused);
            assert!(waits || works || is_undone(&directive), "{directive:?}");
            assert!(waits || at == 0, "only the first has begun: {claim:?}");
        }
        for other in &claims {
            let shared = |all: Vec<DirectiveId>, with: &Claim| -> Vec<_> {
                let kept = all.into_iter();
                kept.filter(|id| with.place(*id).is_some()).collect()
            };
            assert_eq!(shared(order(claim), other), shared(order(other), claim));
        }
    }
    for directive in world.all::<Directive>() {
        let changes = directive.contract.steps.iter().any(|s| s.module != "look");
        let lives = !matches!(
            directive.status,
            Status::Draft | Status::Blocked | Status::Complete | Status::Aborted | Status::Expired
        );
        let mut behind = std::collections::BTreeSet::new();
        for subject in &directive.contract.scope.subjects {
            let claim = world.see::<Claim>(subject);
            let place = claim.as_ref().and_then(|claim| claim.place(directive.id));
            assert!(
                !lives || changes == place.is_some(),
                "{directive:?} {claim:?}"
            );
            if let (Some(at), Some(claim)) = (place.and_then(|at| at.checked_sub(1)), claim) {
                behind.insert(claim.queue[at].directive);
            }
        }
        assert_eq!(directive.waits_for, behind, "{directive:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn nothing_acts_without_the_gate(sequence in prop::collection::vec(moves(), 1..80)) {
        let mut world = World::new();
        let mut seen = Seen::default();
        for made in &sequence {
            make(&mut world, &mut seen, made);
            check_world(&world);
            check_queues(&world);
        }
        world.check_replay();
    }
}

/// The random sequences reach what they are about: a fixed set of them admits
/// and blocks steps.
#[test]
fn the_sequences_reach_permits_and_blocks() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut permitted, mut blocked) = (0, 0);
    for _ in 0..40 {
        let sequence = prop::collection::vec(moves(), 60..80);
        let sequence = sequence.new_tree(&mut runner).unwrap().current();
        let mut world = World::new();
        let mut seen = Seen::default();
        for made in &sequence {
            make(&mut world, &mut seen, made);
        }
        permitted += seen.permitted;
        blocked += seen.blocked;
    }
    assert!(permitted > 20 && blocked > 5, "{permitted} {blocked}");
}
