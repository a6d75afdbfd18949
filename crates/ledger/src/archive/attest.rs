//! Whose log an archive is: the tree is grown from the entries, and every
//! checkpoint that the archive carries, or that someone kept, must be what the
//! tree is at its size and be signed by a key of the log.

use super::form::Carried;
use super::walk::Fault;
use super::{checkpoint_name, size_of};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::keys::LogKeyEvent;
use crate::entry::Entry;
use crate::merkle::Frontier;
use crate::note::{NoteFault, VerifierKey};
use kernel::port::Objects;
use kernel::{Digest, Event as _, Refusal, TenantId};
use std::collections::BTreeMap;

/// What the one who verifies an archive brings along.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Keys of the logs. Without any, those count that a log names itself,
    /// which whoever wrote the whole archive anew would have chosen.
    pub keys: Vec<VerifierKey>,
    /// Checkpoints that were kept elsewhere, already verified.
    pub kept: Vec<Checkpoint>,
    /// What becomes of entries that no signed checkpoint covers.
    pub uncovered: Uncovered,
}

/// What becomes of entries that no signed checkpoint covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uncovered {
    /// They are a fault.
    #[default]
    Refused,
    /// They are taken: an archive of the time before segments were signed.
    Accepted,
}

/// What the tree must be at some size.
struct Claim {
    place: Option<String>,
    checkpoint: Checkpoint,
    /// With its signatures, where they are still to be verified.
    carried: Option<Carried>,
}

/// Holds the entries of an archive against its checkpoints.
pub(super) struct Attest {
    tenant: TenantId,
    /// The keys that were given for this log.
    given: Vec<VerifierKey>,
    /// The keys that the log names.
    named: Vec<VerifierKey>,
    uncovered: Uncovered,
    frontier: Frontier,
    head: Digest,
    claims: BTreeMap<u64, Vec<Claim>>,
    /// What fits the tree, but is signed by no key that is known yet.
    unknown: Vec<Claim>,
    /// The largest size whose signature by a key that counts holds.
    covered: u64,
    signers: Vec<VerifierKey>,
    checkpoints: u64,
    /// Entries are missing: the tree says nothing any more.
    broken: bool,
}

/// What was attested.
pub(super) struct Attested {
    pub(super) head: Digest,
    pub(super) root: Digest,
    pub(super) checkpoints: u64,
    pub(super) covered: u64,
    pub(super) signers: Vec<VerifierKey>,
}

impl Attest {
    /// At the start of a log, with the checkpoints that lie in its archive.
    pub(super) async fn begin(
        objects: &dyn Objects,
        names: &[String],
        tenant: TenantId,
        trust: &Trust,
    ) -> Result<(Self, Vec<Fault>), Refusal> {
        let ours = |origin: &str| origin.ends_with(&format!("/{tenant}"));
        let of_log = |key: &&VerifierKey| ours(key.name().as_str());
        let mut attest = Self {
            tenant,
            given: trust.keys.iter().filter(of_log).cloned().collect(),
            named: Vec::new(),
            uncovered: trust.uncovered,
            frontier: Frontier::default(),
            head: Digest::ZERO,
            claims: BTreeMap::new(),
            unknown: Vec::new(),
            covered: 0,
            signers: Vec::new(),
            checkpoints: 0,
            broken: false,
        };
        let mut faults = Vec::new();
        if attest.given.is_empty() && !trust.keys.is_empty() {
            let what = format!("no key of this log was given; its name ends in `/{tenant}`");
            faults.push(Fault { object: None, what });
        }
        for kept in trust.kept.iter().filter(|kept| ours(&kept.origin)) {
            attest.claim(None, kept.clone(), None);
        }
        for name in names {
            match attest.object(objects, name).await? {
                Ok(carried) => {
                    let checkpoint = carried.checkpoint.clone();
                    attest.claim(Some(name.clone()), checkpoint, Some(carried));
                }
                Err(what) => faults.push(Fault {
                    object: Some(name.clone()),
                    what,
                }),
            }
        }
        Ok((attest, faults))
    }

    async fn object(
        &self,
        objects: &dyn Objects,
        name: &str,
    ) -> Result<Result<Carried, String>, Refusal> {
        let Some(bytes) = objects.get(name).await? else {
            return Ok(Err("it is listed, but cannot be read".into()));
        };
        Ok(Carried::parse(self.tenant, &bytes).and_then(|carried| {
            let size = carried.checkpoint.size;
            match size_of(self.tenant, name) == Some(size) {
                true => Ok(carried),
                false => Err(format!(
                    "it is a checkpoint of {size} entries, which is not what its name says"
                )),
            }
        }))
    }

    fn claim(&mut self, place: Option<String>, checkpoint: Checkpoint, carried: Option<Carried>) {
        let claims = self.claims.entry(checkpoint.size).or_default();
        claims.push(Claim {
            place,
            checkpoint,
            carried,
        });
    }

    /// Takes in the entries of a segment and the checkpoint that it carries.
    pub(super) fn take(
        &mut self,
        object: &str,
        entries: &[Entry],
        carried: Option<Carried>,
    ) -> Vec<Fault> {
        if self.broken {
            return Vec::new();
        }
        if let Some(carried) = carried {
            let checkpoint = carried.checkpoint.clone();
            self.claim(Some(object.to_owned()), checkpoint, Some(carried));
        }
        let mut faults = Vec::new();
        for entry in entries {
            self.frontier.push(entry.hash, entry.at);
            self.head = entry.hash;
            if let Some(LogKeyEvent::Generated(generated)) = key_event(entry) {
                self.named.extend(VerifierKey::parse(&generated.key).ok());
                self.recognise();
            }
            for claim in self.claims.remove(&entry.seq).unwrap_or_default() {
                faults.extend(self.compare(claim));
            }
        }
        // The tiles that have grown are not kept here.
        drop(self.frontier.take_grown());
        faults
    }

    /// Entries are missing, so the tree cannot be grown on.
    pub(super) fn broken(&mut self) {
        self.broken = true;
    }

    /// Compares a claim with the tree, which has its size now.
    fn compare(&mut self, claim: Claim) -> Option<Fault> {
        if claim.checkpoint.root != self.frontier.root() {
            let size = claim.checkpoint.size;
            let what = match claim.place {
                Some(_) => format!("the first {size} entries do not give the root in it"),
                None => format!(
                    "history was rewritten: the first {size} entries are not those of the \
                     checkpoint that was kept"
                ),
            };
            let object = claim.place;
            return Some(Fault { object, what });
        }
        match &claim.carried {
            // Whoever kept it has verified it.
            None => self.covered = self.covered.max(claim.checkpoint.size),
            Some(carried) => match self.verified(carried) {
                Ok(true) => {}
                Ok(false) => self.unknown.push(claim),
                Err(what) => {
                    let object = claim.place;
                    return Some(Fault { object, what });
                }
            },
        }
        None
    }

    /// Whether the checkpoint is signed by a key that is known; what a key that
    /// counts has signed is covered.
    fn verified(&mut self, carried: &Carried) -> Result<bool, String> {
        let known = self.given.iter().chain(&self.named);
        let known = known.filter(|key| key.name().as_str() == carried.checkpoint.origin);
        let by = match carried.note.verify(known) {
            Ok(by) => by,
            Err(NoteFault::Unsigned(_)) => return Ok(false),
            Err(fault) => return Err(fault.to_string()),
        };
        self.checkpoints += 1;
        let counts = |key: &&&VerifierKey| self.given.is_empty() || self.given.contains(key);
        let by: Vec<VerifierKey> = by.iter().filter(counts).map(|key| (*key).clone()).collect();
        if !by.is_empty() {
            self.covered = self.covered.max(carried.checkpoint.size);
        }
        for key in by {
            if !self.signers.contains(&key) {
                self.signers.push(key);
            }
        }
        Ok(true)
    }

    /// Looks again at what no known key had signed: the log may name its key
    /// later than it signs with it.
    fn recognise(&mut self) {
        for claim in std::mem::take(&mut self.unknown) {
            let recognised = claim.carried.as_ref().map(|carried| self.verified(carried));
            if !matches!(recognised, Some(Ok(true))) {
                self.unknown.push(claim);
            }
        }
    }

    /// Ends the walk at this position.
    pub(super) fn end(mut self, at: u64) -> (Attested, Vec<Fault>) {
        self.recognise();
        let mut faults: Vec<Fault> = self.beyond(at).into_iter().collect();
        faults.extend(self.unknown.iter().map(|claim| self.stranger(claim)));
        if !self.broken && faults.is_empty() {
            faults.extend(self.not_covered(at));
        }
        let attested = Attested {
            head: self.head,
            root: self.frontier.root(),
            checkpoints: self.checkpoints,
            covered: self.covered,
            signers: self.signers,
        };
        (attested, faults)
    }

    /// What is wrong with a checkpoint that no known key has signed.
    fn stranger(&self, claim: &Claim) -> Fault {
        let known = self.given.iter().chain(&self.named);
        let carried = claim.carried.as_ref();
        let what = match carried.map(|carried| carried.note.verify(known)) {
            Some(Err(NoteFault::Unsigned(signers))) => format!(
                "it is signed by {signers}, which was not given and which this log does not name"
            ),
            Some(Err(fault)) => fault.to_string(),
            _ => "it is signed for another log".to_owned(),
        };
        let object = claim.place.clone();
        Fault { object, what }
    }

    /// A checkpoint of more entries than there are.
    fn beyond(&self, at: u64) -> Option<Fault> {
        let mut beyond = self.claims.range(at + 1..).rev();
        let (size, claims) = beyond.next()?;
        let says = match claims.iter().find_map(|claim| claim.place.as_ref()) {
            Some(name) => format!("`{name}` says that the archive reaches so far"),
            None => "a checkpoint that was kept says that the log reached so far".to_owned(),
        };
        Some(Fault {
            object: None,
            what: format!(
                "entries {} to {size} are missing: no segment holds them, and {says}",
                at + 1
            ),
        })
    }

    fn not_covered(&self, at: u64) -> Option<Fault> {
        if self.covered >= at || self.uncovered == Uncovered::Accepted {
            return None;
        }
        let by = match self.given.is_empty() {
            true => "no signed checkpoint covers them",
            false => "no checkpoint that a given key signed covers them",
        };
        let what = format!(
            "entries {} to {at} may be anyone's: {by}; the next segment that this writ seals \
             covers all before it, and `--uncovered` takes them as they are",
            self.covered + 1
        );
        let name = checkpoint_name(self.tenant, at);
        let object = Some(name).filter(|_| self.covered > 0);
        Some(Fault { object, what })
    }
}

fn key_event(entry: &Entry) -> Option<LogKeyEvent> {
    if !LogKeyEvent::KINDS.contains(&entry.kind.as_str()) {
        return None;
    }
    let payload = serde_json::from_str(&entry.payload).ok()?;
    LogKeyEvent::decode(&entry.kind, &payload).ok()
}
