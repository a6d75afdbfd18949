//! Signing: the log's key from its private file, the tree from its tiles, the
//! checkpoint onto the ledger. Beside the append path, never in it.

use super::keys::{self, LogKeys};
use super::record::{self, Checkpoints, Signed};
use super::{Checkpoint, LogName};
use crate::handle::Ledger;
use crate::merkle::{Stored, Tiles};
use crate::note::{Algorithm, Note, SigningKey, VerifierKey};
use crate::query::EntryQuery;
use crate::request;
use crate::store::{Store, StoreFault};
use kernel::port::{Entropy, PrivateFiles};
use kernel::{Aggregate, Ctx, Digest, Refusal, StreamId, TenantId};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Entries read at a time when looking for news.
const NEWS_PAGE: usize = 64;
/// How often signing starts again because another node signed first.
const RETRIES_MAX: usize = 4;

/// Signs the checkpoints of an installation's logs.
#[derive(Clone)]
pub struct Signer {
    files: Arc<dyn PrivateFiles>,
    entropy: Arc<dyn Entropy>,
    log: LogName,
    /// Held while what was signed last is read and written again.
    at_work: Arc<Mutex<()>>,
}

/// What signing came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A checkpoint was signed and is on the ledger.
    Signed(Signed),
    /// Nothing but checkpoints and cosignatures was added since this one.
    Unchanged(Signed),
    /// The log is empty.
    Empty,
}

/// A state of a log's own, read from storage.
async fn state<A: Aggregate + DeserializeOwned>(
    store: &dyn Store,
    tenant: TenantId,
    id: &str,
) -> Result<Option<A>, StoreFault> {
    let found = store.document(tenant, &StreamId::of::<A>(id)).await?;
    let parse = |body: String| {
        serde_json::from_str(&body)
            .map_err(|e| StoreFault::Damaged(format!("state of `{}/{id}`: {e}", A::KIND)))
    };
    found.map(|document| parse(document.body)).transpose()
}

/// The newest checkpoints of a log.
///
/// # Errors
/// When storage does not answer.
pub async fn checkpoints(store: &dyn Store, tenant: TenantId) -> Result<Checkpoints, StoreFault> {
    let found = state(store, tenant, record::STREAM).await?;
    Ok(found.unwrap_or_default())
}

/// The keys of a log.
///
/// # Errors
/// When storage does not answer.
pub async fn log_keys(store: &dyn Store, tenant: TenantId) -> Result<LogKeys, StoreFault> {
    let found = state(store, tenant, keys::STREAM).await?;
    Ok(found.unwrap_or_default())
}

/// Whether anything but checkpoints and cosignatures was added after the first
/// `size` entries: a checkpoint alone is no news, or each would call for the
/// next.
///
/// # Errors
/// When storage does not answer.
pub async fn has_news(store: &dyn Store, tenant: TenantId, size: u64) -> Result<bool, StoreFault> {
    let mut beyond_seq = size;
    loop {
        let query = EntryQuery {
            beyond_seq: Some(beyond_seq),
            limit: NEWS_PAGE,
            ..EntryQuery::default()
        };
        let page = store.entries(tenant, &query).await?;
        let own = |kind: &str| kind == Checkpoints::KIND || kind == LogKeys::KIND;
        if page.iter().any(|entry| !own(entry.stream.kind())) {
            return Ok(true);
        }
        match page.last() {
            Some(last) if page.len() == NEWS_PAGE => beyond_seq = last.seq,
            _ => return Ok(false),
        }
    }
}

impl Signer {
    /// A signer whose keys are in these files.
    #[must_use]
    pub fn new(files: Arc<dyn PrivateFiles>, entropy: Arc<dyn Entropy>, log: LogName) -> Self {
        Self {
            files,
            entropy,
            log,
            at_work: Arc::default(),
        }
    }

    /// Sees to it that the log has a key that signs.
    ///
    /// # Errors
    /// When its file is missing or cannot be written, or the ledger refuses.
    pub async fn ready(&self, ledger: &Ledger, ctx: Ctx) -> Result<(), Refusal> {
        self.key(ledger, ctx).await.map(drop)
    }

    /// Signs the tree as it was at `size` entries. Nothing is recorded here:
    /// it is for whoever records it with what it is about.
    ///
    /// # Errors
    /// As [`Signer::sign`], and when the log is not that long.
    pub async fn sign_at(&self, ledger: &Ledger, ctx: Ctx, size: u64) -> Result<Note, Refusal> {
        let (store, tenant) = (ledger.store(), ctx.tenant);
        let key = self.key(ledger, ctx).await?;
        let last = checkpoints(store, tenant).await?;
        let (_, note) = self
            .signed(store, tenant, &key, last.latest(), Some(size))
            .await?;
        Ok(note)
    }

    /// Remembers what another node has signed by the same key, as if it had
    /// been signed here: should the database be set back, neither signs
    /// another tree of that size.
    ///
    /// # Errors
    /// When the note is not signed by the key that it names, or the file
    /// cannot be written.
    pub async fn heed(&self, tenant: TenantId, signed: &Signed) -> Result<(), Refusal> {
        let public = VerifierKey::parse(&signed.key)
            .map_err(|e| Refusal::integrity(format!("log key: {e}")))?;
        let _alone = self.at_work.lock().await;
        let remembered = self.remembered(tenant, &public).await?;
        if remembered.is_some_and(|(largest, _)| largest >= signed.size) {
            return Ok(());
        }
        let checkpoint = super::kept(signed.note.as_bytes(), std::slice::from_ref(&public))
            .map_err(|refusal| Refusal::integrity(refusal.message))?;
        self.remember(tenant, &public, &checkpoint).await
    }

    /// The key that signs; the first one is made.
    async fn key(&self, ledger: &Ledger, ctx: Ctx) -> Result<SigningKey, Refusal> {
        match log_keys(ledger.store(), ctx.tenant).await?.active()? {
            Some(public) => self.load(ctx.tenant, &public).await,
            None => {
                let key = self.new_key(ctx.tenant).await?;
                install(ledger, (ctx, None), (key.verifier().clone(), None), "").await?;
                Ok(key)
            }
        }
    }

    /// Signs the log as it stands, if there is news.
    ///
    /// # Errors
    /// `unavailable` when the key's file is missing or not private, `integrity`
    /// when the log does not extend what was signed before.
    pub async fn sign(&self, ledger: &Ledger, ctx: Ctx) -> Result<Outcome, Refusal> {
        let mut tries = 0;
        loop {
            match self.attempt(ledger, self.another(&ctx)).await {
                Err(refusal) if refusal.code == kernel::Code::Conflict && tries < RETRIES_MAX => {
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn attempt(&self, ledger: &Ledger, ctx: Ctx) -> Result<Outcome, Refusal> {
        let (store, tenant) = (ledger.store(), ctx.tenant);
        let last = checkpoints(store, tenant).await?.latest().cloned();
        if let Some(last) = &last
            && !has_news(store, tenant, last.size).await?
        {
            return Ok(Outcome::Unchanged(last.clone()));
        }
        if store.head(tenant).await?.seq == 0 {
            return Ok(Outcome::Empty);
        }
        let key = self.key(ledger, self.another(&ctx)).await?;
        // Read after the key was made, so that the checkpoint covers it.
        let (checkpoint, note) = self
            .signed(store, tenant, &key, last.as_ref(), None)
            .await?;
        let (public, last) = (key.verifier().clone(), last.map(|last| last.size));
        let done = ledger
            .run(ctx, move |unit| {
                record::record(unit, &checkpoint, (&public, &note), last)
            })
            .await?;
        Ok(Outcome::Signed(done.answer))
    }

    /// The checkpoint of this size, or of the whole log, signed; the log must
    /// extend what was signed before.
    async fn signed(
        &self,
        store: &dyn Store,
        tenant: TenantId,
        key: &SigningKey,
        last: Option<&Signed>,
        size: Option<u64>,
    ) -> Result<(Checkpoint, Note), Refusal> {
        let _alone = self.at_work.lock().await;
        let head = store.head(tenant).await?.seq;
        let size = size.unwrap_or(head);
        if size > head {
            let what = format!("the log has {head} entries, not {size}");
            return Err(Refusal::not_found(what));
        }
        let mut tiles = Tiles::new(Stored { store, tenant }, head);
        let root = tiles.root_at(size).await?;
        let before = last.map(|last| (last.size, last.root));
        let remembered = self.remembered(tenant, key.verifier()).await?;
        for (old, old_root) in before.into_iter().chain(remembered) {
            extends(&mut tiles, old, old_root).await?;
        }
        let checkpoint = Checkpoint::new(key.verifier().name(), size, root);
        // INVARIANT(one-tree-per-key): what is about to be signed is on disk
        // beside the key before there is a signature, so that a database that
        // was set back cannot have another tree signed by the same key. What
        // is remembered already vouches for every smaller tree.
        if remembered.is_none_or(|(largest, _)| largest < size) {
            self.remember(tenant, key.verifier(), &checkpoint).await?;
        }
        let text = checkpoint.to_string();
        let fault = |e| Refusal::integrity(format!("the checkpoint: {e}"));
        let mut note = Note::new(text.clone()).map_err(fault)?;
        note.add(key.sign(&text, 0));
        Ok((checkpoint, note))
    }

    /// The same circumstances for another command: its ids must differ.
    fn another(&self, ctx: &Ctx) -> Ctx {
        let mut another = Ctx::new(
            ctx.tenant,
            ctx.now,
            ctx.actor.clone(),
            ctx.trace,
            self.entropy.bits(),
        )
        .with_roles(ctx.roles.clone());
        another.causation = ctx.causation;
        another
    }

    /// Makes a new key that signs from now on, once per `once`; the old one is
    /// retired.
    ///
    /// # Errors
    /// When the key's file cannot be written or the ledger refuses.
    pub async fn rotate(
        &self,
        ledger: &Ledger,
        (ctx, once): (Ctx, Option<request::Key>),
        reason: &str,
    ) -> Result<VerifierKey, Refusal> {
        let parse = |text: String| {
            VerifierKey::parse(&text).map_err(|e| Refusal::integrity(format!("log key: {e}")))
        };
        if let Some(once) = &once
            && let Some(first) = request::answered(ledger.store(), ctx.tenant, once).await?
        {
            return parse(first);
        }
        let keys = log_keys(ledger.store(), ctx.tenant).await?;
        let active = keys.active()?;
        let key = self.new_key(ctx.tenant).await?;
        let public = key.verifier().clone();
        parse(install(ledger, (ctx, once), (public, active), reason).await?)
    }

    /// A new key, in its file. The file comes before the ledger: a crash
    /// between the two leaves a file that nothing names, never a key on the
    /// ledger that nobody has.
    async fn new_key(&self, tenant: TenantId) -> Result<SigningKey, Refusal> {
        let origin = self.log.origin(tenant);
        let fault = |e| Refusal::invalid(format!("the log's key: {e}"));
        let [a, b] = [self.entropy.bits(), self.entropy.bits()];
        let mut seed = [0; 32];
        seed.iter_mut()
            .zip(a.to_be_bytes().into_iter().chain(b.to_be_bytes()))
            .for_each(|(to, from)| *to = from);
        let key = SigningKey::new(origin.map_err(fault)?, Algorithm::Ed25519, &seed);
        let key = key.map_err(fault)?;
        let name = file(tenant, key.verifier(), "key");
        let text = format!("{}\n", key.to_secret_text());
        self.on_disk(move |files| files.create(&name, text.as_bytes()))
            .await?;
        Ok(key)
    }

    async fn load(&self, tenant: TenantId, public: &VerifierKey) -> Result<SigningKey, Refusal> {
        let name = file(tenant, public, "key");
        let (asked, shown) = (name.clone(), public.clone());
        let bytes = self.on_disk(move |files| files.read(&asked)).await?;
        let bytes = bytes.ok_or_else(|| {
            Refusal::unavailable(format!(
                "the private half of the log's key `{}+{:08x}` is missing: no file `{name}`",
                shown.name(),
                shown.id()
            ))
            .hint("put the file back, or make a new key with `writ ledger key rotate`")
        })?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        match SigningKey::parse(text.trim_end_matches('\n')) {
            Ok(key) if key.verifier() == public => Ok(key),
            _ => Err(Refusal::unavailable(format!(
                "the file `{name}` does not hold the private half of `{public}`"
            ))
            .hint("put the right file back, or make a new key with `writ ledger key rotate`")),
        }
    }

    /// What this key was last asked to sign on this machine.
    async fn remembered(
        &self,
        tenant: TenantId,
        public: &VerifierKey,
    ) -> Result<Option<(u64, Digest)>, Refusal> {
        let name = file(tenant, public, "last");
        let asked = name.clone();
        let Some(bytes) = self.on_disk(move |files| files.read(&asked)).await? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes).unwrap_or_default();
        let last = Checkpoint::parse(&text)
            .map_err(|e| Refusal::integrity(format!("the file `{name}`: {e}")))?;
        Ok(Some((last.size, last.root)))
    }

    async fn remember(
        &self,
        tenant: TenantId,
        public: &VerifierKey,
        checkpoint: &Checkpoint,
    ) -> Result<(), Refusal> {
        let (name, text) = (file(tenant, public, "last"), checkpoint.to_string());
        self.on_disk(move |files| files.replace(&name, text.as_bytes()))
            .await
    }

    /// File calls wait for the disk, so they leave the runtime's threads alone.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn PrivateFiles) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let files = self.files.clone();
        tokio::task::spawn_blocking(move || work(files.as_ref()))
            .await
            .map_err(|e| Refusal::unavailable(format!("a private file: {e}")))?
    }
}

/// Records that this key signs from now on instead of the one that is expected;
/// the key as text, or the one that was recorded for the same request.
async fn install(
    ledger: &Ledger,
    (ctx, once): (Ctx, Option<request::Key>),
    (public, expected): (VerifierKey, Option<VerifierKey>),
    reason: &str,
) -> Result<String, Refusal> {
    let reason = reason.to_owned();
    let work = move |unit: &mut kernel::Unit<'_>| {
        keys::install(unit, &public, expected.as_ref(), &reason)?;
        Ok(public.to_string())
    };
    Ok(ledger.run_once(ctx, once, work).await?.answer)
}

fn file(tenant: TenantId, public: &VerifierKey, what: &str) -> String {
    format!("{tenant}.{:08x}.{what}", public.id())
}

/// Refuses when the tree is not an extension of the older one.
async fn extends(tiles: &mut Tiles<Stored<'_>>, old: u64, old_root: Digest) -> Result<(), Refusal> {
    let hint = "nothing was signed; run `writ ledger verify` and compare with older checkpoints; \
                after a restore from a backup, `writ ledger key rotate` starts a new key";
    if old > tiles.size() {
        return Err(Refusal::integrity(format!(
            "the log has {} entries, but a checkpoint of {old} was signed: entries were removed",
            tiles.size()
        ))
        .hint(hint));
    }
    if tiles.root_at(old).await? != old_root {
        return Err(Refusal::integrity(format!(
            "the log does not extend the checkpoint of {old} entries that was signed: \
             it was rewritten"
        ))
        .hint(hint));
    }
    Ok(())
}
