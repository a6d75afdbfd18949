//! What may happen in a simulation. A move carries numbers, which are taken
//! modulo what there is when it is made: so any part of a list of moves can be
//! made, which is what shrinking needs.

use crate::Dice;

/// Numbers that a move chooses by.
pub(super) type Chance = [usize; 3];

/// What somebody does at a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A source delivers alerts: new ones, again, in another order, late, or
    /// ended.
    Alert(Chance),
    /// What is due is ticked, so many streams of it.
    Tick(Chance),
    /// A person approves something, or says no.
    Decide(Chance),
    /// A person edits and approves, or asks again.
    Edit(Chance),
    /// A person halts, resumes, gives up, takes back or resolves a run.
    Steer(Chance),
    /// A person engages a scope of the kill switch, or has one released.
    Kill(Chance),
    /// An agent sets budget aside, settles, gives back or holds on.
    Spend(Chance),
    /// An admin loads the pack with other caps.
    Load(Chance),
}

/// What befalls the storage of a node, or a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The next append fails; nothing of it is kept.
    FailAppend,
    /// The next append is kept, and nobody hears of it.
    LoseReply,
    /// The process dies at the next append, before it.
    DieBefore,
    /// The process dies at the next append, after it.
    DieAfter,
    /// The process dies after so many more calls of its storage.
    DieAt(u64),
    /// The next append is answered and not kept. No seed makes it up: it shows
    /// that the judge would find it.
    Lie,
    /// Storage cannot be reached from the node.
    Part,
    /// It can again.
    Heal,
    /// The process dies now.
    Crash,
    /// The process dies while its next request to the outside is on its way.
    Hang,
}

/// One move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Somebody does something at the node of this number.
    Act(usize, Action),
    /// What the first does is on its way to the disk while the second is done
    /// at another node.
    Race((usize, Action), (usize, Action)),
    /// So many seconds go by, in which what is due is ticked.
    Pass(u32),
    /// So many seconds go by in which nobody ticks anything.
    Stall(u32),
    /// Something befalls a node.
    Befall(usize, Fate),
}

fn chance(dice: &mut Dice) -> Chance {
    std::array::from_fn(|_| dice.roll(1 << 20))
}

fn action(dice: &mut Dice) -> Action {
    let chance = chance(dice);
    match dice.roll(27) {
        0..=4 => Action::Alert(chance),
        5..=8 => Action::Tick(chance),
        9..=17 => Action::Decide(chance),
        18 | 19 => Action::Edit(chance),
        20 | 21 => Action::Steer(chance),
        22 | 23 => Action::Kill(chance),
        24 | 25 => Action::Spend(chance),
        _ => Action::Load(chance),
    }
}

fn fate(dice: &mut Dice) -> Fate {
    match dice.roll(12) {
        0 => Fate::FailAppend,
        1 => Fate::LoseReply,
        2 => Fate::DieBefore,
        3 => Fate::DieAfter,
        4 | 5 => Fate::DieAt(dice.roll(40) as u64),
        6 => Fate::Part,
        7..=9 => Fate::Heal,
        10 => Fate::Crash,
        _ => Fate::Hang,
    }
}

/// The moves that this seed makes up.
#[must_use]
pub fn moves(seed: u64, count: usize) -> Vec<Move> {
    let mut dice = Dice::new(seed ^ 0x5eed);
    let all = (0..count).map(|_| {
        let node = dice.roll(1 << 10);
        match dice.roll(16) {
            0..=6 => Move::Act(node, action(&mut dice)),
            7..=9 => {
                let first = (node, action(&mut dice));
                Move::Race(first, (node + 1, action(&mut dice)))
            }
            10 => Move::Stall(*dice.pick(&[1, 25, 130, 700, 3_600, 90_000]).unwrap_or(&1)),
            11..=13 => {
                let spans = [1, 1, 1, 2, 2, 2, 5, 5, 30, 30, 300, 90_000];
                Move::Pass(*dice.pick(&spans).unwrap_or(&1))
            }
            _ => Move::Befall(node, fate(&mut dice)),
        }
    });
    all.collect()
}
