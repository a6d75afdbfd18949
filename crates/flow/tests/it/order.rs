//! The same recorded webhooks give the same incidents, in whatever order and
//! how often they come. (How alerts are grouped into webhooks does count: a
//! bundle names the raw bodies that are its evidence.)

use kernel::{IncidentId, Span};
use sense::incident::Incident;
use std::collections::BTreeSet;
use testkit::alerts::Alert;
use testkit::{Dice, Loop, Sample, checks};

const SEEDS: u64 = 16;

/// Webhooks as Alertmanager sends them: grouped, and each with what it sent
/// before.
fn recorded(control: &Loop) -> Vec<Vec<Alert>> {
    let start = control.now();
    let mut webhooks = Vec::new();
    for (machine, offset) in [("press-1", 0), ("press-2", 3), ("press-3", 5)] {
        let at = start.minus(Span::from_secs(120 - offset));
        let [hot, slow] = Alert::pair(machine, at);
        let again = Alert::firing("TooSlow", machine, at.plus(Span::from_secs(30)));
        webhooks.push(vec![hot.clone()]);
        webhooks.push(vec![hot.clone(), slow.clone()]);
        webhooks.push(vec![slow, again]);
    }
    let later = start.minus(Span::from_secs(1));
    webhooks.push(vec![Alert::firing("DoorOpen", "press-1", later)]);
    // One alert alone is no incident.
    webhooks.push(vec![Alert::firing("TooHot", "press-4", later)]);
    webhooks
}

async fn incidents(control: &Loop) -> BTreeSet<IncidentId> {
    let all = control.all::<Incident>(control.home()).await;
    all.into_iter().map(|(_, incident)| incident.id).collect()
}

async fn receive(control: &Loop, webhooks: &[Vec<Alert>]) {
    for alerts in webhooks {
        control.receive(control.home(), alerts).await.unwrap();
    }
    control.pass(Span::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_and_repetition_do_not_matter() {
    let sample = Sample::default();
    let plain = Loop::start(0, &sample).await;
    receive(&plain, &recorded(&plain)).await;
    let expected = incidents(&plain).await;
    assert_eq!(expected.len(), 3);

    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let control = Loop::start(seed, &sample).await;
        let mut webhooks = recorded(&control);
        for _ in 0..dice.roll(8) {
            let again = dice.pick(&webhooks).cloned();
            webhooks.extend(again);
        }
        dice.shuffle(&mut webhooks);
        receive(&control, &webhooks).await;
        assert_eq!(incidents(&control).await, expected, "seed {seed}");
        // And what comes again afterwards changes nothing.
        dice.shuffle(&mut webhooks);
        receive(&control, &webhooks).await;
        assert_eq!(incidents(&control).await, expected, "seed {seed}, again");
        checks::all(&control).await;
    }
}
