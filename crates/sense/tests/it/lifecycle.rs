//! Every lifecycle, each status × each trigger, against an explicit list.

use kernel::lifecycle::Lifecycle;
use kernel::names::Name;
use sense::{candidate, dead_letter, incident, investigation};

fn check<S: Name + std::fmt::Debug, T: Name + std::fmt::Debug>(
    lifecycle: &Lifecycle<S, T>,
    expected: &[(&str, &str, &str)],
) {
    let mut moves = 0;
    for from in S::ALL {
        for trigger in T::ALL {
            let wanted = expected
                .iter()
                .find(|(f, t, _)| *f == from.name() && *t == trigger.name());
            match (lifecycle.next(*from, *trigger), wanted) {
                (Ok(to), Some((_, _, wanted))) => {
                    assert_eq!(to.name(), *wanted);
                    moves += 1;
                }
                (Err(refusal), None) => {
                    assert_eq!(refusal.code, kernel::Code::IllegalMove);
                    assert!(refusal.hint.is_some(), "it names the allowed moves");
                }
                (outcome, wanted) => panic!("{from:?} {trigger:?}: {outcome:?}, not {wanted:?}"),
            }
        }
    }
    assert_eq!(moves, expected.len());
}

#[test]
fn incident() {
    check(
        &incident::LIFECYCLE,
        &[
            ("OPEN", "acknowledge", "ACKNOWLEDGED"),
            ("OPEN", "resolve", "RESOLVED"),
            ("ACKNOWLEDGED", "mitigate", "MITIGATING"),
            ("ACKNOWLEDGED", "resolve", "RESOLVED"),
            ("MITIGATING", "resolve", "RESOLVED"),
            ("RESOLVED", "close", "CLOSED"),
        ],
    );
}

#[test]
fn investigation() {
    check(
        &investigation::LIFECYCLE,
        &[
            ("CREATED", "analyze", "ANALYZING"),
            ("CREATED", "close", "CLOSED"),
            ("ANALYZING", "decide", "DECIDED"),
            ("ANALYZING", "close", "CLOSED"),
            ("DECIDED", "wait_for_human", "WAITING_FOR_HUMAN"),
            ("DECIDED", "close", "CLOSED"),
            ("WAITING_FOR_HUMAN", "close", "CLOSED"),
        ],
    );
}

#[test]
fn candidate() {
    check(
        &candidate::LIFECYCLE,
        &[
            ("collecting", "collect", "collecting"),
            ("collecting", "promote", "promoted"),
            ("collecting", "reject", "rejected"),
            ("collecting", "merge", "merged"),
            ("rejected", "collect", "collecting"),
            ("rejected", "merge", "merged"),
        ],
    );
}

#[test]
fn dead_letter() {
    check(&dead_letter::LIFECYCLE, &[("kept", "redrive", "redriven")]);
}
