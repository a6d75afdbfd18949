//! What may be decided on together with others.

use super::world::{POLICY, World, agent, person, rules, source};
use crate::approval::Settings;
use crate::operations::{bulk_max, in_bulk};
use kernel::{Code, Role};
use serde_json::{Value, json};

#[test]
fn what_policy_names_may_be_decided_on_with_others() {
    let check = |bulk: Value, module: &str, max: Option<usize>, may: bool| {
        let mut world = World::new();
        let mut changed = source();
        changed["approvals"]["bulk"] = bulk.clone();
        world.rules = rules(changed, POLICY);
        let (_, approval) = world.waiting(&agent("scout"), &[module]);
        let ann = person("ann", Role::Approver);
        let got = world.run(&ann, |unit, env| {
            let got = bulk_max(env);
            assert_eq!(got.as_ref().ok(), max.as_ref(), "{bulk}");
            in_bulk(unit, env, approval)
        });
        assert_eq!(got.is_ok(), may, "{bulk} {module}: {got:?}");
        assert!(got.err().is_none_or(|e| e.code == Code::Forbidden));
    };
    let mending = json!({"max": 5, "of": {"action_classes": ["internal_mutation"]}});
    check(Value::Null, "mend", None, false);
    check(mending.clone(), "mend", Some(5), true);
    check(mending, "tell", Some(5), false);
    let kind = json!({"max": 2, "of": {"directive_types": ["thing.mend"]}});
    check(kind, "tell", Some(2), true);
}

#[test]
fn bounds_of_bulk_are_checked_when_a_pack_is_loaded() {
    let check = |bulk: Value, fault: &str| {
        let mut changed = source();
        changed["approvals"]["bulk"] = bulk;
        let settings: Settings = serde_json::from_value(changed["approvals"].clone()).unwrap();
        let faults = settings.faults().join("; ");
        assert_eq!(faults.is_empty(), fault.is_empty(), "{faults}");
        assert!(faults.contains(fault), "no `{fault}` in `{faults}`");
    };
    let of = json!({"directive_types": ["thing.mend"]});
    check(json!({"max": 2, "of": of}), "");
    check(json!({"max": 50, "of": of}), "");
    check(
        json!({"max": 1, "of": of}),
        "approvals.bulk.max: is not 2 to 50",
    );
    check(
        json!({"max": 51, "of": of}),
        "approvals.bulk.max: is not 2 to 50",
    );
    check(
        json!({"max": 2, "of": {}}),
        "approvals.bulk.of: names nothing",
    );
}
