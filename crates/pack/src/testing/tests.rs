//! What the runbooks of the packs that ship propose is what the gate takes:
//! each proposal of each pack's tests goes through the plan's choke point. What
//! the packs are about is not known here.

use super::play::{Theatre, Ticks};
use super::{Case, Played};
use crate::files::Files;
use crate::model::Pack;
use gate::operations::{Approve, Decided, Proposed, Started, approve, draft, propose, start};
use gate::{
    ActionClass, Admission, AdmitRequest, Capabilities, Capability, CostClass, Directive, GateEnv,
    admit,
};
use kernel::{Actor, PrincipalKind, Role, RunId, Span, Timestamp};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static PACKS: LazyLock<Vec<Pack>> = LazyLock::new(read_packs);

fn packs() -> &'static [Pack] {
    &PACKS
}

fn read_packs() -> Vec<Pack> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs");
    let folders = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    let packs = folders.iter().map(|folder| {
        let mut files = Files::new();
        read(folder, folder, &mut files);
        crate::load(&files).unwrap()
    });
    packs.collect()
}

fn read(root: &Path, folder: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            files.insert(name.to_owned(), std::fs::read(&path).unwrap());
        }
    }
}

/// Modules as the execution declares those that write outside.
fn capabilities(pack: &Pack) -> Capabilities {
    let names = pack.modules.iter().map(|used| used.module.clone());
    let capability = |name: String| Capability {
        name,
        version: "1.0.0".to_owned(),
        cost_class: CostClass::Cheap,
        action_class: ActionClass::InternalMutation,
        requires_approval: false,
        writes_outside: true,
        reversible: true,
        traits: gate::TraitsOf::default(),
    };
    names.map(|name| (name.clone(), capability(name))).collect()
}

/// What the gate says to the proposals of a test that are made this long after
/// its end.
fn ask(pack: &Pack, case: &Case, after: Span) -> Vec<Proposed> {
    let capabilities = capabilities(pack);
    let env = GateEnv {
        rules: &pack.rules,
        capabilities: &capabilities,
        everywhere: None,
    };
    let mut theatre = Theatre::new(pack);
    let bodies: Vec<_> = case.play.iter().collect();
    theatre.play(case, &bodies, Ticks::AsTheyFallDue).unwrap();
    let at: Timestamp = case.settle_at.plus(after);
    let mut answers = Vec::new();
    for contract in theatre.contracts() {
        let answer = theatre
            .memory
            .command(at, None, |unit| {
                let id = draft(unit, contract, None)?;
                propose(unit, &env, id)
            })
            .unwrap();
        answers.push(answer);
    }
    answers
}

#[test]
fn what_is_proposed_in_time_waits_for_a_person() {
    let mut proposals = 0;
    for pack in packs() {
        for case in &pack.tests {
            for answer in ask(pack, case, Span::ZERO) {
                proposals += 1;
                let waits = matches!(answer, Proposed::Waiting { .. });
                assert!(waits, "{}: {answer:?}", case.name);
            }
        }
    }
    assert!(proposals > 0);
}

#[test]
fn what_is_proposed_on_old_knowledge_is_blocked() {
    for pack in packs() {
        for case in &pack.tests {
            for answer in ask(pack, case, Span::from_secs(7 * 86_400)) {
                let Proposed::Blocked { reasons, .. } = answer else {
                    panic!("{}: {answer:?}", case.name);
                };
                assert!(reasons.iter().any(|r| r.contains("fresh")), "{reasons:?}");
            }
        }
    }
}

#[test]
fn what_a_person_approves_is_permitted_step_by_step_up_to_the_outside() {
    for pack in packs() {
        let capabilities = capabilities(pack);
        let env = GateEnv {
            rules: &pack.rules,
            capabilities: &capabilities,
            everywhere: None,
        };
        for case in &pack.tests {
            let mut theatre = Theatre::new(pack);
            let bodies: Vec<_> = case.play.iter().collect();
            theatre.play(case, &bodies, Ticks::AsTheyFallDue).unwrap();
            for contract in theatre.contracts() {
                let steps = contract.steps.clone();
                let at = case.settle_at;
                let memory = &mut theatre.memory;
                let waiting = memory.command(at, None, |unit| {
                    let id = draft(unit, contract, None)?;
                    Ok((id, propose(unit, &env, id)?))
                });
                let (id, proposed) = waiting.unwrap();
                let Proposed::Waiting { approval } = proposed else {
                    panic!("{}: {proposed:?}", case.name);
                };
                let person = Actor::new(PrincipalKind::Human, "somebody");
                let decided = memory.command_by(person, vec![Role::Approver], at, None, |unit| {
                    let seen = unit.get::<Directive>(id)?.digest;
                    let approved = Approve::to(approval, seen);
                    approve(unit, &env, &approved)
                });
                assert!(matches!(decided.unwrap(), Decided::Approved));
                let run = RunId::from(uuid::Uuid::from_u128(1));
                let started = memory.command(at, None, |unit| start(unit, &env, id, run));
                assert!(matches!(started.unwrap(), Started::Started));
                for step in steps {
                    let admission = memory.command(at, None, |unit| {
                        let request = AdmitRequest {
                            directive: id,
                            step: step.id.clone(),
                            run,
                            attempt: 1,
                        };
                        admit(unit, &env, &request)
                    });
                    if let Admission::Blocked { reasons, .. } = admission.unwrap() {
                        panic!("{}, step `{}`: {reasons:?}", case.name, step.id);
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the order and however often: the same incidents.
    #[test]
    fn identities_do_not_depend_on_arrival(
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        keys in proptest::collection::vec(any::<u64>(), 16),
    ) {
        for pack in packs() {
            for case in &pack.tests {
                let forward: Vec<&Played> = case.play.iter().collect();
                let mut shuffled = forward.clone();
                shuffled.extend(picks.iter().map(|pick| *pick.get(&forward)));
                let mut order: Vec<usize> = (0..shuffled.len()).collect();
                order.sort_by_key(|at| keys.get(*at).copied().unwrap_or_default());
                let shuffled: Vec<&Played> = order.iter().map(|at| shuffled[*at]).collect();
                let identities = |bodies: &[&Played]| {
                    let mut theatre = Theatre::new(pack);
                    theatre.play(case, bodies, Ticks::AtTheEnd).unwrap();
                    theatre.identities().unwrap()
                };
                prop_assert_eq!(identities(&shuffled), identities(&forward), "{}", case.name);
            }
        }
    }
}
