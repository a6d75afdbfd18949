//! Every target over its corpus, and over changes of it that a seed makes.
//! `WRIT_FUZZ_SEED` and `WRIT_FUZZ_ROUNDS` choose others.
#![allow(
    clippy::disallowed_methods,
    reason = "the seed of a run comes from whoever starts it"
)]

use fuzz::mutate::Mutator;
use fuzz::{TARGETS, Target, seeds};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")),
    )
}

/// Runs a target; what breaks it is kept where it can be looked at.
fn run(target: &Target, input: &[u8], seed: u64) -> bool {
    let done = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    done.unwrap_or_else(|_| {
        let folder = std::env::temp_dir().join("writ-fuzz");
        let file = folder.join(format!("{}-{}", target.name, kernel::Digest::of(input)));
        let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, input));
        panic!(
            "`{}` breaks with seed {seed}: {} ({kept:?}); copy it to fuzz/corpus/{} when it is mended",
            target.name,
            file.display(),
            target.name
        )
    })
}

fn target(name: &str) {
    let target = fuzz::find(name).unwrap();
    let corpus = seeds::corpus(target);
    let seed = variable("WRIT_FUZZ_SEED").unwrap_or(1);
    let taken = corpus
        .iter()
        .filter(|input| run(target, input, seed))
        .count();
    assert!(
        taken > 0,
        "no input of the corpus is taken, so that little of `{name}` is tried"
    );
    let mut mutator = Mutator::new(seed, target, &corpus);
    let rounds = variable("WRIT_FUZZ_ROUNDS").unwrap_or(target.rounds.into());
    let mut outcomes = [0_u64; 2];
    for _ in 0..rounds {
        let input = mutator.input();
        outcomes[usize::from(run(target, &input, seed))] += 1;
    }
    let [refused, taken] = outcomes;
    assert!(
        refused > 0 && taken > 0,
        "{refused} were refused and {taken} taken of `{name}`"
    );
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { target(stringify!($name)); })*
        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),*];
            assert_eq!(run.as_slice(), TARGETS.iter().map(|t| t.name).collect::<Vec<_>>());
        }
    };
}

targets!(
    json, money, names, directive, definition, pack, cel, cedar, webhook, query, bundle,
    checkpoint, segment, signature,
);
