//! The archiver: takes each segment from where the record says that it stands
//! to `verified`, then seals the next range.

use super::content::{Content, Source};
use super::segment::{self, LockKind, Segment, SegmentEvent, Status, Stored, Verified};
use super::{checkpoint_name, form, object_name, range_of};
use crate::bundle::{self, FORMAT};
use crate::checkpoint::{Signer, log_keys};
use crate::entry::Head;
use crate::handle::Ledger;
use crate::merkle::{Stored as StoredTiles, Tiles};
use crate::query::{DocumentQuery, Order};
use crate::store::Store;
use kernel::port::{Lock, ObjectFault, Objects};
use kernel::{Ctx, Digest, Refusal, Span, TenantId, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Entries in a segment at most, whatever is asked.
const ENTRIES_MAX: u64 = 1_000_000;

/// How a log is archived.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Entries in a segment.
    pub entries: u64,
    /// How long a segment is locked.
    pub keep: Span,
    /// How often the object store is asked before a run gives up; what was
    /// begun goes on with the next run.
    pub tries: u32,
    /// How long is waited between the first and the second try; twice as long
    /// after each.
    pub pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            entries: 10_000,
            keep: Span::from_secs(365 * 24 * 3600),
            tries: 4,
            pause: Duration::from_millis(500),
        }
    }
}

/// Up to where a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only segments that are full: what a running writ does by itself.
    Full,
    /// Everything that is recorded now.
    Head,
}

/// What a run has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Entries up to here are archived.
    pub done: u64,
    /// And shall be up to here.
    pub end: u64,
}

/// An object store with how a log gets there.
#[derive(Clone)]
pub struct Archive {
    objects: Arc<dyn Objects>,
    settings: Settings,
}

impl Archive {
    /// An archive in this object store.
    ///
    /// # Errors
    /// When a setting is out of its bounds.
    pub fn new(objects: Arc<dyn Objects>, settings: Settings) -> Result<Self, Refusal> {
        if !(1..=ENTRIES_MAX).contains(&settings.entries) || settings.keep == Span::ZERO {
            return Err(Refusal::invalid(format!(
                "a segment holds 1 to {ENTRIES_MAX} entries and is locked for some time"
            )));
        }
        Ok(Self { objects, settings })
    }

    /// The object store.
    #[must_use]
    pub fn objects(&self) -> &dyn Objects {
        self.objects.as_ref()
    }

    /// How a log gets there.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Whether a run up to the last full segment has something to do.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn is_due(&self, store: &dyn Store, tenant: TenantId) -> Result<bool, Refusal> {
        if begun(store, tenant).await?.is_some() {
            return Ok(true);
        }
        let last = newest(store, tenant).await?;
        let last = last.map_or(0, |segment| segment.outline.last);
        let head = store.head(tenant).await?;
        Ok(head.seq.saturating_sub(last) >= self.settings.entries)
    }

    /// Archives a log: goes on with what was begun, then seals what is new,
    /// each segment under a checkpoint by `signer`. Gives the segments that it
    /// took to `verified`. `ctx` makes the circumstances of each command.
    ///
    /// # Errors
    /// When the object store or the ledger fails, the log cannot be signed, the object store does not
    /// lock, or holds something else than what this log would put there. What
    /// was reached stands in the record, and the next run goes on from it.
    pub async fn run(
        &self,
        (ledger, signer): (&Ledger, &Signer),
        tenant: TenantId,
        reach: Reach,
        ctx: &(dyn Fn() -> Ctx + Send + Sync),
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Vec<Segment>, Refusal> {
        // Before the end is read: the first key is an entry of its own.
        signer.ready(ledger, ctx()).await?;
        let end = ledger.store().head(tenant).await?.seq;
        let run = Run {
            archive: self,
            ledger,
            signer,
            tenant,
            ctx,
            source: Source::open(ledger.store(), tenant).await?,
        };
        let mut done = Vec::new();
        while let Some(begun) = begun(ledger.store(), tenant).await? {
            done.push(run.finish(begun, None).await?);
        }
        let mut last = newest(ledger.store(), tenant).await?;
        loop {
            let at = last.as_ref().map_or(0, |segment| segment.outline.last);
            progress(Progress { done: at, end });
            let Some(content) = run.next(last.as_ref(), end, reach).await? else {
                return Ok(done);
            };
            let before = last.as_ref().map(|segment| segment.outline.first);
            let sealed = run.seal(&content, before).await?;
            let verified = run.finish(sealed, Some(content)).await?;
            done.push(verified.clone());
            last = Some(verified);
        }
    }

    /// Asks the object store, again and again while another try may help.
    async fn patiently<T, F, Fut>(&self, mut ask: F) -> Result<T, ObjectFault>
    where
        F: FnMut() -> Fut + Send,
        Fut: Future<Output = Result<T, ObjectFault>> + Send,
        T: Send,
    {
        let mut pause = self.settings.pause;
        for attempt in 1.. {
            match ask().await {
                Err(ObjectFault::Unavailable(what)) if attempt < self.settings.tries => {
                    tracing::warn!(attempt, error = %what, "the object store does not answer");
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                done => return done,
            }
        }
        Err(ObjectFault::Unavailable("it was not asked".into()))
    }
}

/// One run over one log.
struct Run<'a> {
    archive: &'a Archive,
    ledger: &'a Ledger,
    signer: &'a Signer,
    tenant: TenantId,
    ctx: &'a (dyn Fn() -> Ctx + Send + Sync),
    source: Source<'a>,
}

impl Run<'_> {
    /// What the segment after `last` holds, and its checkpoint; `None` when
    /// nothing is to be sealed.
    async fn next(
        &self,
        last: Option<&Segment>,
        end: u64,
        reach: Reach,
    ) -> Result<Option<Content>, Refusal> {
        let head = last.map_or(Head::EMPTY, |segment| Head {
            seq: segment.outline.last,
            hash: segment.outline.last_hash,
        });
        if let Some(range) = self.found_after(head.seq, end).await? {
            let mut content = self.source.read(head, range, true).await?;
            content.outline.checkpoint = self.carried(head.seq + 1, range).await?;
            return Ok(Some(content));
        }
        let full = head.seq + self.archive.settings.entries;
        if head.seq >= end || (reach == Reach::Full && full > end) {
            return Ok(None);
        }
        let mut content = self.source.read(head, full.min(end), false).await?;
        let last = content.outline.last;
        if content.own_only && self.source.own_only(last, end).await? {
            // To archive only that something was archived would never end.
            return Ok(None);
        }
        let note = self.signer.sign_at(self.ledger, (self.ctx)(), last).await?;
        content.outline.checkpoint = Some(note.to_string());
        Ok(Some(content))
    }

    /// The checkpoint that a segment in the object store carries already;
    /// `None` when no key of this log signed it.
    async fn carried(&self, first: u64, last: u64) -> Result<Option<String>, Refusal> {
        let name = object_name(self.tenant, first, last);
        let bytes = self.fetched(&name).await?;
        let decoded = form::decode(self.tenant, &bytes)
            .map_err(|what| Refusal::integrity(format!("`{name}` in the object store: {what}")))?;
        let keys = log_keys(self.ledger.store(), self.tenant).await?.all()?;
        let signed = decoded.signed.map(|carried| carried.note);
        let signed = signed.filter(|note| note.verify(&keys).is_ok());
        Ok(signed.map(|note| note.to_string()))
    }

    /// The head of the bundle that a segment is.
    async fn bundle_head(&self, segment: &Segment) -> Result<Option<bundle::Head>, Refusal> {
        let outline = &segment.outline;
        let Some(checkpoint) = &outline.checkpoint else {
            return Ok(None);
        };
        let (store, tenant) = (self.ledger.store(), self.tenant);
        let mut head = bundle::Head {
            checkpoint: checkpoint.clone(),
            first: outline.first,
            format: FORMAT.to_owned(),
            // They would prove nothing.
            keys: Vec::new(),
            last: outline.last,
            proof: Vec::new(),
            tenant,
        };
        let mut tiles = Tiles::new(StoredTiles { store, tenant }, outline.last);
        head.proof = tiles.beside(&head.leaves()).await?;
        Ok(Some(head))
    }

    /// Where the segment that the object store holds after this position ends:
    /// after a restore, the archive knows more than the ledger.
    async fn found_after(&self, seq: u64, end: u64) -> Result<Option<u64>, Refusal> {
        let prefix = format!("{}/", self.tenant);
        let objects = self.archive.objects();
        let names = self.archive.patiently(|| objects.list(&prefix)).await?;
        let ranges = names.iter().filter_map(|name| range_of(self.tenant, name));
        let after: Vec<_> = ranges.filter(|(_, last)| *last > seq).collect();
        let Some(furthest) = after.iter().map(|(_, last)| *last).max() else {
            return Ok(None);
        };
        if furthest > end {
            return Err(Refusal::integrity(format!(
                "the archive of {} holds entries up to {furthest}, the ledger ends at {end}",
                self.tenant
            ))
            .hint("entries were lost: restore the ledger with `writ archive restore`"));
        }
        let next = after.iter().filter(|(first, _)| *first == seq + 1);
        Ok(next.map(|(_, last)| *last).min())
    }

    async fn seal(&self, content: &Content, before: Option<u64>) -> Result<Segment, Refusal> {
        let outline = content.outline.clone();
        let seal = move |unit: &mut kernel::Unit<'_>| segment::seal(unit, &outline, before);
        Ok(self.ledger.run((self.ctx)(), seal).await?.answer)
    }

    async fn advance(&self, first: u64, event: SegmentEvent) -> Result<Segment, Refusal> {
        let advance =
            move |unit: &mut kernel::Unit<'_>| segment::advance(unit, first, event.clone());
        Ok(self.ledger.run((self.ctx)(), advance).await?.answer)
    }

    /// Takes a segment to `verified`.
    async fn finish(
        &self,
        mut segment: Segment,
        content: Option<Content>,
    ) -> Result<Segment, Refusal> {
        if segment.status == Status::Sealed {
            let content = match content {
                Some(content) => content,
                None => self.again(&segment).await?,
            };
            segment = self.store(&segment, &content.lines).await?;
        }
        if segment.status == Status::Stored {
            segment = self.verify(&segment).await?;
        }
        Ok(segment)
    }

    /// The content of a segment that was sealed before.
    async fn again(&self, segment: &Segment) -> Result<Content, Refusal> {
        let outline = &segment.outline;
        let head = Head {
            seq: outline.first - 1,
            hash: outline.prev_hash,
        };
        let content = self.source.read(head, outline.last, true).await?;
        if content.outline.content != outline.content {
            return Err(Refusal::integrity(format!(
                "entries {} to {} are not what was sealed",
                outline.first, outline.last
            ))
            .hint("run `writ ledger verify`"));
        }
        Ok(content)
    }

    async fn store(&self, segment: &Segment, lines: &[u8]) -> Result<Segment, Refusal> {
        let outline = &segment.outline;
        let name = object_name(self.tenant, outline.first, outline.last);
        let head = self.bundle_head(segment).await?;
        let bytes = form::encode(self.tenant, outline, head.as_ref(), lines)?;
        let put = self.put(&name, bytes).await?;
        self.check(&name, &put.bytes, segment)?;
        let (lock, until) = self.locked(&name, &put).await?;
        if let Some(checkpoint) = &outline.checkpoint {
            let beside = checkpoint_name(self.tenant, outline.last);
            let put = self.put(&beside, checkpoint.clone().into_bytes()).await?;
            same(&beside, &put.bytes, checkpoint)?;
            self.locked(&beside, &put).await?;
        }
        let stored = Stored {
            digest: Digest::of(&put.bytes),
            bytes: put.bytes.len() as u64,
            object: name,
            lock,
            until,
        };
        self.advance(outline.first, SegmentEvent::Stored(stored))
            .await
    }

    /// Puts an object, or finds the one that was put before a crash, perhaps by
    /// another version of zstd.
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<Put, Refusal> {
        let now = (self.ctx)().now;
        let until = now.plus(self.archive.settings.keep);
        let objects = self.archive.objects();
        let put = self.archive.patiently(|| objects.put(name, &bytes, until));
        match put.await {
            Ok(()) => Ok(Put {
                bytes,
                least: until,
            }),
            Err(ObjectFault::Exists(_)) => Ok(Put {
                bytes: self.fetched(name).await?,
                least: now,
            }),
            Err(fault) => Err(fault.into()),
        }
    }

    /// How the object store says that it locks what was put.
    async fn locked(
        &self,
        name: &str,
        put: &Put,
    ) -> Result<(LockKind, Option<Timestamp>), Refusal> {
        let objects = self.archive.objects();
        match self.archive.patiently(|| objects.lock(name)).await? {
            Lock::ReadOnly => Ok((LockKind::ReadOnly, None)),
            Lock::Compliance(at) if at >= put.least => Ok((LockKind::Compliance, Some(at))),
            Lock::Compliance(_) | Lock::None => Err(unlocked(name)),
        }
    }

    async fn verify(&self, segment: &Segment) -> Result<Segment, Refusal> {
        let Some(stored) = &segment.stored else {
            return Err(Refusal::integrity("a stored segment without its object"));
        };
        let bytes = self.fetched(&stored.object).await?;
        let digest = Digest::of(&bytes);
        if digest != stored.digest {
            return Err(Refusal::integrity(format!(
                "`{}` in the object store is not what was stored",
                stored.object
            ))
            .hint("look who else writes there; the segment does not count as verified"));
        }
        self.check(&stored.object, &bytes, segment)?;
        if let Some(checkpoint) = &segment.outline.checkpoint {
            let beside = checkpoint_name(self.tenant, segment.outline.last);
            same(&beside, &self.fetched(&beside).await?, checkpoint)?;
        }
        let event = SegmentEvent::Verified(Verified { digest });
        self.advance(segment.outline.first, event).await
    }

    async fn fetched(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        let objects = self.archive.objects();
        let found = self.archive.patiently(|| objects.get(name)).await?;
        found.ok_or_else(|| {
            Refusal::integrity(format!("`{name}` is gone from the object store"))
                .hint("look who else may delete there")
        })
    }

    /// Checks that these bytes hold what was sealed.
    fn check(&self, name: &str, bytes: &[u8], segment: &Segment) -> Result<(), Refusal> {
        let what = match form::decode(self.tenant, bytes) {
            Err(what) => what,
            Ok(decoded) if decoded.outline.content != segment.outline.content => {
                "it holds something else than what was sealed".into()
            }
            // What was taken over from an object may carry a checkpoint that
            // this log's keys did not sign; it is not recorded then.
            Ok(decoded)
                if segment.outline.checkpoint.is_some()
                    && decoded.outline.checkpoint != segment.outline.checkpoint =>
            {
                "it carries another checkpoint than the one that was sealed".into()
            }
            Ok(_) => return Ok(()),
        };
        Err(
            Refusal::integrity(format!("`{name}` in the object store: {what}"))
                .hint("look who else writes there; the segment does not count as stored"),
        )
    }
}

/// What the object store holds under a name.
struct Put {
    bytes: Vec<u8>,
    /// It must be locked until then at least.
    least: Timestamp,
}

/// Checks that this is the checkpoint.
fn same(name: &str, bytes: &[u8], checkpoint: &str) -> Result<(), Refusal> {
    if bytes == checkpoint.as_bytes() {
        return Ok(());
    }
    Err(Refusal::integrity(format!(
        "`{name}` in the object store is another checkpoint"
    ))
    .hint("look who else writes there; the segment does not count as stored"))
}

/// The newest segment of a log.
async fn newest(store: &dyn Store, tenant: TenantId) -> Result<Option<Segment>, Refusal> {
    one(store, tenant, &[], Order::Descending).await
}

/// The oldest segment of a log that has not come to its end.
async fn begun(store: &dyn Store, tenant: TenantId) -> Result<Option<Segment>, Refusal> {
    let statuses = [Status::Sealed, Status::Stored];
    one(store, tenant, &statuses, Order::Ascending).await
}

async fn one(
    store: &dyn Store,
    tenant: TenantId,
    statuses: &[Status],
    order: Order,
) -> Result<Option<Segment>, Refusal> {
    let query = DocumentQuery {
        kind: <Segment as kernel::Aggregate>::KIND.to_owned(),
        statuses: statuses.iter().map(ToString::to_string).collect(),
        order,
        limit: 1,
        ..DocumentQuery::default()
    };
    let found = store.documents(tenant, &query).await?;
    let parse = |body: &str| {
        serde_json::from_str(body)
            .map_err(|e| Refusal::integrity(format!("a segment's state does not parse: {e}")))
    };
    let found = found.first().map(|document| parse(&document.body));
    found.transpose()
}

fn unlocked(name: &str) -> Refusal {
    Refusal::unavailable(format!(
        "the object store took `{name}`, but does not lock it; it does not count as stored"
    ))
    .hint("use a bucket that was made with Object Lock and a store that enforces it")
}
