//! A hostile world from a seed: replies and requests are lost, the process
//! dies between record and effect, people abort, halt and stop everything.
//! Whatever happens, each effect happens at most once, undoing goes in reverse
//! order, and nothing starts after an abort or under the kill switch.
//!
//! A failure prints its seed; put it in `SEED_ONLY` to see it again.

use crate::world::*;
use act::engine::{abort, pause, resolve_unknown, resume};
use act::run::Resolution;
use act::{Begun, Phase, RunStatus, TaskStatus};
use gate::kill::{self, Scope};
use kernel::{RunId, Span};

const SEEDS: u64 = 400;
const SEED_ONLY: Option<u64> = None;
const STEPS: usize = 4;

/// SplitMix64: small, and the same everywhere.
struct Dice(u64);
impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// Prints the seed when a test goes down with it.
struct Named(u64);
impl Drop for Named {
    #[allow(clippy::print_stderr, reason = "the seed is what a failure is about")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed: {}", self.0);
        }
    }
}

struct Chaos {
    world: World,
    dice: Dice,
    run: RunId,
    killed: bool,
    starts_at_abort: Option<usize>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut world = World::new();
        let steps = (0..STEPS).map(|n| {
            let module = if dice.roll(2) == 0 {
                "sim.keyed"
            } else {
                "sim.once"
            };
            reversible(&n.to_string(), module)
        });
        let steps = steps.collect();
        let run = world.created(Span::from_secs(36_000), steps);
        Self {
            world,
            dice,
            run,
            killed: false,
            starts_at_abort: None,
        }
    }

    fn forward_starts(&self) -> usize {
        let starts = self.world.starts();
        starts
            .iter()
            .filter(|(phase, _)| *phase == Phase::Step)
            .count()
    }

    /// One fate for the next request; undoing is never refused, so that what
    /// must be undone can be.
    fn draw_fate(&mut self, phase: Phase) {
        let fate = match self.dice.roll(12) {
            0 | 1 => Fate::LoseReply,
            2 => Fate::LoseRequest,
            3 if phase == Phase::Step => Fate::Refuse,
            4 => Fate::NotSent,
            _ => Fate::Answer,
        };
        self.world.outside.lock().unwrap().fates = vec![fate];
    }

    fn tick(&mut self) -> Option<RunStatus> {
        let before = self.forward_starts();
        match self.world.begin(self.run) {
            Begun::Finished(status) => return Some(status),
            Begun::Waiting { until } => self.wait(until),
            Begun::Blocked { .. } => assert!(self.killed, "only the kill switch blocks here"),
            Begun::Execute(assignment) => {
                if assignment.phase == Phase::Step {
                    assert!(!self.killed, "a step started under the kill switch");
                    assert_eq!(self.starts_at_abort, None, "a step started after the abort");
                    assert_eq!(self.forward_starts(), before + 1);
                }
                self.attempt(*assignment);
            }
        }
        None
    }

    fn attempt(&mut self, assignment: act::Assignment) {
        self.draw_fate(assignment.phase);
        let report = assignment.report();
        match self.dice.roll(8) {
            0 => {
                drop(assignment);
                self.world.recover(self.run);
            }
            1 => {
                self.world.perform(assignment);
                self.world.recover(self.run);
            }
            2 => {
                self.intervene();
                let outcome = self.world.perform(assignment);
                self.world.finish(&report, outcome).unwrap();
            }
            _ => {
                let outcome = self.world.perform(assignment);
                self.world.finish(&report, outcome).unwrap();
            }
        }
    }

    fn wait(&mut self, until: Option<kernel::Timestamp>) {
        let state = self.world.run(self.run);
        let unknown = state
            .tasks()
            .find(|(_, _, t)| t.status == TaskStatus::Unknown);
        if let Some((phase, step, task)) = unknown {
            // A person looks outside and says what is there.
            let what = task.input["do"].as_str().unwrap();
            let there = self.world.outside.lock().unwrap().count(what) > 0;
            let resolution = if there {
                Resolution::Succeeded
            } else {
                Resolution::Failed
            };
            let (run, step) = (self.run, step.to_owned());
            self.world
                .unit(person("looks"), |unit, _, registry| {
                    resolve_unknown(unit, registry, run, phase, &step, resolution, "looked")
                })
                .unwrap();
        } else if state.paused.is_some() || state.parked.is_some() {
            self.release();
            let run = self.run;
            self.world
                .unit(person("goes-on"), |unit, _, _| resume(unit, run, "go on"))
                .unwrap();
        } else if let Some(at) = until {
            self.world.pass(at.since(self.world.now()));
        }
    }

    fn release(&mut self) {
        if std::mem::take(&mut self.killed) {
            let asked =
                |unit: &mut kernel::Unit<'_>| kill::request_release(unit, &Scope::Tenant, "over");
            self.world
                .unit(person("a"), |unit, _, _| asked(unit))
                .unwrap();
            self.world
                .unit(person("b"), |unit, _, _| {
                    kill::confirm_release(unit, &Scope::Tenant)
                })
                .unwrap();
        }
    }

    /// Someone does something; what the lifecycle refuses changes nothing.
    fn intervene(&mut self) {
        let run = self.run;
        match self.dice.roll(10) {
            0 => {
                let asked = self
                    .world
                    .unit(person("x"), |unit, _, _| abort(unit, run, "stop"));
                if asked.is_ok() {
                    self.starts_at_abort = Some(self.forward_starts());
                }
            }
            1 if !self.killed => {
                self.world
                    .unit(person("x"), |unit, _, _| {
                        kill::engage(unit, Scope::Tenant, "stop")
                    })
                    .unwrap();
                self.killed = true;
            }
            2 => drop(
                self.world
                    .unit(person("x"), |unit, _, _| pause(unit, run, "halt")),
            ),
            3 => self.world.pass(Span::from_secs(5)),
            _ => {}
        }
    }

    fn check(&self, status: RunStatus) {
        let run = self.world.run(self.run);
        let outside = self.world.outside.lock().unwrap();
        let mut kinds: Vec<_> = outside.effects.iter().map(|e| e.what.as_str()).collect();
        let all = kinds.len();
        let order = kinds.clone();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), all, "an effect happened twice: {order:?}");
        let undone: Vec<_> = order.iter().filter(|w| w.starts_with("undo")).collect();
        let mut reverse = undone.clone();
        reverse.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(undone, reverse, "undoing goes in reverse order");
        let did: Vec<_> = order.iter().filter(|w| w.starts_with("do")).collect();
        assert!(did.is_sorted(), "steps go in order: {order:?}");
        if status == RunStatus::Completed {
            assert_eq!((did.len(), undone.len()), (STEPS, 0));
        }
        for step in &run.steps {
            let happened = outside.count(&format!("do-{}", step.id)) == 1;
            let taken_back = outside.count(&format!("undo-{}", step.id)) == 1;
            let succeeded = step.task.status == TaskStatus::Succeeded;
            assert_eq!(
                succeeded, happened,
                "the record says what happened: {}",
                step.id
            );
            assert_eq!(run.undone.contains(&step.id), taken_back, "{}", step.id);
            assert!(
                happened || !taken_back,
                "undone without being done: {}",
                step.id
            );
            let standing = run.standing().contains(&step.id);
            assert_eq!(standing, happened && !taken_back);
        }
        if let Some(starts) = self.starts_at_abort {
            assert_eq!(self.forward_starts(), starts);
        }
        assert_eq!(self.world.held_reservations(), 0, "budget is stranded");
    }
}

#[test]
fn whatever_happens_each_effect_happens_at_most_once() {
    let seeds = match SEED_ONLY {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    };
    let mut ends = std::collections::BTreeMap::<&str, u32>::new();
    for seed in seeds {
        let _named = Named(seed);
        let mut chaos = Chaos::new(seed);
        let mut status = None;
        for _ in 0..500 {
            if chaos.dice.roll(3) == 0 {
                chaos.intervene();
            }
            status = chaos.tick();
            if status.is_some() {
                break;
            }
        }
        let status = status.expect("the run ends");
        chaos.check(status);
        chaos.world.replay(chaos.run);
        *ends.entry(kernel::names::Name::name(status)).or_default() += 1;
    }
    if SEED_ONLY.is_none() {
        for end in ["completed", "failed", "canceled"] {
            assert!(ends.contains_key(end), "no run is {end}: {ends:?}");
        }
    }
}
