//! Roots, tiles and proofs of trees whose leaf *n* has the data
//! SHA-256(*n* in decimal).

use super::world::{proof, root};
use async_trait::async_trait;
use kernel::Digest;
use ledger::StoreFault;
use ledger::merkle::{
    ProofFault, RangeRoot, TileSource, Tiles, leaf, verify_consistency, verify_inclusion, width,
};
use serde_json::{Value, json};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

fn data(size: u64) -> Vec<Digest> {
    (0..size)
        .map(|n| Digest::of(n.to_string().as_bytes()))
        .collect()
}

/// Tiles made from the leaves, by their definition.
struct Made(Vec<Digest>);

#[async_trait]
impl TileSource for &Made {
    async fn hashes(&self, level: u8, index: u64, width: usize) -> Result<Vec<Digest>, StoreFault> {
        let leaves = 256_usize.pow(u32::from(level));
        let first = usize::try_from(index).unwrap() * 256;
        let hash = |place: usize| root(&self.0[place * leaves..(place + 1) * leaves]);
        Ok((first..first + width).map(hash).collect())
    }
}

/// What does not wait needs no runtime.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).as_mut().poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn roots() -> Vec<Value> {
    (0..=17)
        .chain([31, 32, 33, 255, 256, 257, 258, 511, 512, 513, 1_000, 65_535, 65_536, 65_537])
        .map(|size| json!({"kind": "root", "name": format!("root of {size}"), "size": size, "root": root(&data(size))}))
        .collect()
}

fn tiles() -> Vec<Value> {
    let case = |(size, level, index): (u64, u8, u64)| {
        let made = Made(data(size));
        let hashes = now((&made).hashes(level, index, width(level, index, size))).unwrap();
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
        json!({
            "kind": "tile", "name": format!("tile {index} of level {level} in a tree of {size}"),
            "size": size, "level": level, "index": index,
            "width": hashes.len(), "sha256": Digest::of(&bytes),
        })
    };
    [
        (1, 0, 0),
        (255, 0, 0),
        (256, 0, 0),
        (256, 1, 0),
        (600, 0, 1),
        (600, 0, 2),
        (600, 1, 0),
        (65_537, 0, 256),
        (65_537, 1, 0),
        (65_537, 2, 0),
    ]
    .into_iter()
    .map(case)
    .collect()
}

fn inclusions() -> Vec<Value> {
    let mut cases = Vec::new();
    for size in [1_u64, 2, 3, 7, 8, 11, 255, 256, 257, 600] {
        let made = Made(data(size));
        let mut indices = vec![0, size / 3, size / 2, size - 1];
        indices.dedup();
        for index in indices {
            let hashes = now(Tiles::new(&made, size).inclusion(index)).unwrap();
            cases.push(json!({
                "kind": "inclusion", "name": format!("leaf {index} of {size}"),
                "size": size, "index": index, "root": root(&made.0), "hashes": hashes,
            }));
        }
    }
    cases
}

fn consistencies() -> Vec<Value> {
    let case = |(old, size): (u64, u64)| {
        let made = Made(data(size));
        let hashes = now(Tiles::new(&made, size).consistency(old)).unwrap();
        json!({
            "kind": "consistency", "name": format!("from {old} to {size}"),
            "old_size": old, "size": size, "hashes": hashes,
            "old_root": root(&data(old)), "root": root(&made.0),
        })
    };
    [
        (1, 1),
        (1, 2),
        (1, 8),
        (2, 3),
        (3, 7),
        (4, 7),
        (4, 8),
        (6, 8),
        (7, 7),
        (255, 256),
        (256, 257),
        (256, 600),
        (300, 600),
        (599, 600),
    ]
    .into_iter()
    .map(case)
    .collect()
}

fn ranges() -> Vec<Value> {
    let case = |(first, last, size): (u64, u64, u64)| {
        let entries = data(size);
        json!({
            "kind": "range", "name": format!("leaves {first} to {} of {size}", last - 1),
            "first": first, "last": last, "size": size,
            "hashes": proof(&entries, &(first..last)), "root": root(&entries),
        })
    };
    [
        (0, 1, 1),
        (0, 7, 7),
        (3, 4, 7),
        (6, 7, 7),
        (0, 5, 7),
        (2, 6, 7),
        (1, 2, 2),
        (3, 5, 8),
        (254, 258, 600),
        (0, 256, 600),
        (256, 512, 600),
        (100, 600, 600),
        (599, 600, 600),
        (511, 512, 513),
    ]
    .into_iter()
    .map(case)
    .collect()
}

/// A case made wrong.
fn worse(case: &Value, name: &str, fault: &str, change: impl Fn(&mut Value)) -> Value {
    let mut case = case.clone();
    change(&mut case);
    case["name"] = json!(format!("{}, {name}", case["name"].as_str().unwrap()));
    case["fault"] = json!(fault);
    case
}

fn find(cases: &[Value], name: &str) -> Value {
    cases
        .iter()
        .find(|case| case["name"] == name)
        .unwrap()
        .clone()
}

fn bad(good: &[Value]) -> Vec<Value> {
    let wrong = json!(Digest::of(b"wrong"));
    let mut cases = Vec::new();
    let hashes = |case: &mut Value| case["hashes"].as_array().unwrap().clone();
    for name in [
        "leaf 3 of 7",
        "leaf 300 of 600",
        "from 3 to 7",
        "from 300 to 600",
        "leaves 2 to 5 of 7",
        "leaves 254 to 257 of 600",
    ] {
        let case = find(good, name);
        cases.push(worse(&case, "a hash changed", "root", |c| {
            c["hashes"][1] = wrong.clone()
        }));
        cases.push(worse(&case, "two hashes swapped", "root", |c| {
            c["hashes"].as_array_mut().unwrap().swap(0, 1)
        }));
        cases.push(worse(&case, "a hash too few", "proof", |c| {
            let fewer = hashes(c);
            c["hashes"] = json!(fewer[..fewer.len() - 1]);
        }));
        cases.push(worse(&case, "a hash too many", "proof", |c| {
            c["hashes"].as_array_mut().unwrap().push(wrong.clone());
        }));
        cases.push(worse(&case, "another root", "root", |c| {
            c["root"] = wrong.clone()
        }));
    }
    let inclusion = find(good, "leaf 3 of 7");
    cases.push(worse(&inclusion, "claimed for leaf 2", "root", |c| {
        c["index"] = json!(2)
    }));
    cases.push(worse(&inclusion, "claimed for leaf 7", "proof", |c| {
        c["index"] = json!(7)
    }));
    let consistency = find(good, "from 3 to 7");
    cases.push(worse(&consistency, "another older root", "root", |c| {
        c["old_root"] = wrong.clone()
    }));
    let same = find(good, "from 7 to 7");
    cases.push(worse(&same, "another root", "root", |c| {
        c["root"] = wrong.clone()
    }));
    let power = find(good, "from 4 to 8");
    cases.push(worse(&power, "another older root", "root", |c| {
        c["old_root"] = wrong.clone()
    }));
    cases
}

pub(crate) fn cases() -> Vec<Value> {
    let mut cases = roots();
    cases.extend(tiles());
    cases.extend(inclusions());
    cases.extend(consistencies());
    cases.extend(ranges());
    let bad = bad(&cases);
    cases.extend(bad);
    cases
}

fn digest(value: &Value) -> Digest {
    Digest::parse(value.as_str().unwrap()).unwrap()
}

/// The word for what writ finds wrong.
fn fault(case: &Value) -> Option<&'static str> {
    let number = |name: &str| case[name].as_u64().unwrap();
    let hashes: Vec<Digest> = case["hashes"]
        .as_array()
        .map_or_else(Vec::new, |l| l.iter().map(digest).collect());
    let found = match case["kind"].as_str().unwrap() {
        "inclusion" => {
            let tree = (number("size"), digest(&case["root"]));
            let entry = Digest::of(case["index"].to_string().as_bytes());
            verify_inclusion(leaf(entry), number("index"), tree, &hashes)
        }
        "consistency" => {
            let old = (number("old_size"), digest(&case["old_root"]));
            verify_consistency(old, (number("size"), digest(&case["root"])), &hashes)
        }
        "range" => {
            let leaves = number("first")..number("last");
            let Some(mut tree) = RangeRoot::new(leaves.clone(), number("size"), hashes) else {
                return Some("proof");
            };
            leaves.for_each(|n| tree.push(Digest::of(n.to_string().as_bytes())));
            return (tree.root() != Some(digest(&case["root"]))).then_some("root");
        }
        _ => return None,
    };
    match found {
        Ok(()) => None,
        Err(ProofFault::Root | ProofFault::OldRoot) => Some("root"),
        Err(ProofFault::Length | ProofFault::Beyond { .. } | ProofFault::Shrunk { .. }) => {
            Some("proof")
        }
    }
}

#[test]
fn writ_says_what_the_vectors_say() {
    for case in cases() {
        assert_eq!(fault(&case), case["fault"].as_str(), "{case}");
    }
}
