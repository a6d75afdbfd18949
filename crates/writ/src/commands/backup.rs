//! Backup and restore: a copy of the whole ledger in one file, and a data
//! directory from such a copy or from an archive.

use super::{Json, print};
use crate::failure::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use kernel::TenantId;
use ledger::checkpoint::audit;
use ledger::{Store, replay, verify};
use serde_json::{Value, json};
use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use store::Sqlite;
use store::sqlite::{Backup, FILE_NAME};

/// `writ backup`.
pub(crate) async fn backup(output: Json, data: &Path, file: &Path) -> Result<(), Failure> {
    let bar = bar("copying", "pages");
    let copy = Backup::take(data, file, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    let store = copy.store()?;
    let logs = intact(&store, &bar).await?;
    drop(store);
    copy.keep()?;
    bar.finish_and_clear();
    let bytes = std::fs::metadata(file).map_or(0, |meta| meta.len());
    let answer = json!({"backup": file, "bytes": bytes, "logs": logs});
    print(output, &answer, |_| {
        format!(
            "{} logs, {bytes} bytes, verified: {}\n\
             secrets of sources and modules, and keys, are not in it: keep them apart\n",
            logs.len(),
            file.display()
        )
    });
    Ok(())
}

/// `writ restore`.
pub(crate) async fn restore(output: Json, file: &Path, data: &Path) -> Result<(), Failure> {
    if !file.is_file() {
        return Err(
            Failure::failed(format!("there is no backup `{}`", file.display()))
                .hint("give the file that `writ backup` made"),
        );
    }
    let fill = |directory: PathBuf| -> Filling<'_> {
        Box::pin(async move {
            let target = directory.join(FILE_NAME);
            std::fs::copy(file, &target).map_err(|e| failed(&target, &e))?;
            Ok(Sqlite::open(&directory)?)
        })
    };
    let logs = into_directory(data, fill).await?;
    restored(output, &data.display().to_string(), &logs);
    Ok(())
}

/// Says what was restored where, and what is still to be done.
pub(crate) fn restored(output: Json, place: &str, logs: &[Value]) {
    let answer = json!({"place": place, "logs": logs});
    print(output, &answer, |_| {
        format!(
            "{} logs, verified and replayed: {}\n\
             put the secrets of sources and modules back before you start writ; \
             what is missing is made anew\n",
            logs.len(),
            place
        )
    });
}

/// What fills a new data directory and opens it.
pub(crate) type Filling<'a> = Pin<Box<dyn Future<Output = Result<Sqlite, Failure>> + Send + 'a>>;

/// Makes a data directory that is whole or not there: it is filled and checked
/// beside its place, and takes its name at the end. Says which logs it holds.
pub(crate) async fn into_directory<'a>(
    data: &Path,
    fill: impl FnOnce(PathBuf) -> Filling<'a>,
) -> Result<Vec<Value>, Failure> {
    refuse_a_full(data)?;
    let place = std::path::absolute(data).map_err(|e| failed(data, &e))?;
    let mut name = place.as_os_str().to_owned();
    name.push(".restoring");
    let beside = PathBuf::from(name);
    // What a restore that was killed has left.
    match std::fs::remove_dir_all(&beside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(&beside, &e)),
        _ => {}
    }
    make_private(&beside)?;
    let done = filled(&beside, fill).await;
    let moved = match done {
        Ok(logs) => moved(&beside, &place).map(|()| logs),
        Err(failure) => Err(failure),
    };
    if moved.is_err() {
        // The failure itself is what counts.
        drop(std::fs::remove_dir_all(&beside));
    }
    moved
}

async fn filled<'a>(
    beside: &Path,
    fill: impl FnOnce(PathBuf) -> Filling<'a>,
) -> Result<Vec<Value>, Failure> {
    let store = fill(beside.to_owned()).await?;
    let logs = checked(&store).await?;
    store.flush().await?;
    Ok(logs)
}

/// Verifies and replays every log, and audits its tree with every checkpoint
/// that it holds; says how each ends.
pub(crate) async fn checked(store: &dyn Store) -> Result<Vec<Value>, Failure> {
    let bar = bar("verifying", "entries");
    let logs = intact(store, &bar).await?;
    let registry = flow::registry();
    for tenant in store.tenants().await? {
        let report = replay::log(store, &registry, tenant, |p| bar.set_position(p.done)).await?;
        if let Some(first) = report.differences.first() {
            return Err(Failure::integrity(format!(
                "tenant `{tenant}`: the states are not what the entries make: {}",
                first.what
            )));
        }
        let tree = audit(store, tenant, &[], |done| bar.set_position(done)).await?;
        if let Some(fault) = tree.fault {
            return Err(Failure::integrity(format!(
                "tenant `{tenant}`: entry {}: {}",
                fault.seq, fault.what
            )));
        }
    }
    bar.finish_and_clear();
    Ok(logs)
}

fn moved(beside: &Path, place: &Path) -> Result<(), Failure> {
    let sync = |path: &Path| {
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(|e| failed(path, &e))
    };
    sync(&beside.join(FILE_NAME))?;
    sync(beside)?;
    // An empty directory gives way; one that was filled meanwhile does not.
    std::fs::rename(beside, place).map_err(|e| failed(place, &e))?;
    sync(place.parent().unwrap_or(place))
}

fn refuse_a_full(data: &Path) -> Result<(), Failure> {
    let mut items = match std::fs::read_dir(data) {
        Ok(items) => items,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(data, &e)),
    };
    if items.next().is_none() {
        return Ok(());
    }
    Err(
        Failure::failed(format!("`{}` is not empty", data.display()))
            .hint("restore into a new directory, and move the old one aside yourself"),
    )
}

fn make_private(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(|e| failed(folder, &e))
}

/// Verifies every log and says how each ends.
async fn intact(store: &dyn Store, bar: &ProgressBar) -> Result<Vec<Value>, Failure> {
    bar.set_message("verifying");
    let mut logs = Vec::new();
    for tenant in store.tenants().await? {
        logs.push(intact_log(store, tenant, bar).await?);
    }
    if logs.is_empty() {
        return Err(Failure::failed("the ledger has no tenant yet"));
    }
    Ok(logs)
}

async fn intact_log(
    store: &dyn Store,
    tenant: TenantId,
    bar: &ProgressBar,
) -> Result<Value, Failure> {
    let report = verify::log(store, tenant, |p| bar.set_position(p.done)).await?;
    if report.is_intact() {
        return Ok(json!({"tenant": tenant, "entries": report.entries, "head": report.head}));
    }
    let what = match (&report.fault, report.engine.first()) {
        (Some(fault), _) => format!("entry {}: {}", fault.seq, fault.what),
        (None, line) => line.cloned().unwrap_or_default(),
    };
    Err(Failure::integrity(format!("tenant `{tenant}`: {what}"))
        .hint("run `writ ledger verify`; what is damaged is neither backed up nor restored"))
}

/// A bar for a long work.
pub(crate) fn bar(what: &'static str, of: &'static str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    let template = format!("{{spinner}} {{msg}} {{human_pos}}/{{human_len}} {of} {{wide_bar}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Up;
    use crate::up;
    use ledger::Head;

    /// A data directory that writ has served.
    async fn served(directory: &Path) -> up::Running {
        let mut up = Up::on(directory.to_owned(), "127.0.0.1:0".into());
        up.pack = Some("incident".into());
        up::start(&up).await.unwrap()
    }

    async fn heads(data: &Path) -> Vec<(TenantId, Head)> {
        let store = Sqlite::open_read_only(data).unwrap();
        let mut heads = Vec::new();
        for tenant in store.tenants().await.unwrap() {
            heads.push((tenant, store.head(tenant).await.unwrap()));
        }
        heads
    }

    fn message(failure: &Failure) -> String {
        format!("{failure:?}")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_ledger_is_backed_up_while_it_is_written_and_restored_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let (data, file) = (place.path().join("data"), place.path().join("b.db"));
        let running = served(&data).await;
        let control = running.control.clone();
        let writer = tokio::spawn(async move {
            for n in 0..60 {
                let actor = kernel::Actor::system("test");
                let standing = flow::identity::Standing::Member;
                let name = format!("member-{n}");
                control.found(&name, standing, actor).await.unwrap();
            }
        });
        backup(Json::Yes, &data, &file).await.unwrap();
        writer.await.unwrap();
        let again = backup(Json::Yes, &data, &file).await.unwrap_err();
        assert!(message(&again).contains("there already"), "{again:?}");
        running.stop().await.unwrap();
        let whole = place.path().join("whole.db");
        backup(Json::Yes, &data, &whole).await.unwrap();
        let files: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
        assert_eq!(files.len(), 3, "no partial file is left: {files:?}");

        let restored = place.path().join("restored");
        restore(Json::Yes, &whole, &restored).await.unwrap();
        assert_eq!(heads(&restored).await, heads(&data).await);
        let early = place.path().join("early");
        restore(Json::Yes, &file, &early).await.unwrap();
        assert!(!heads(&early).await.is_empty());
        let full = restore(Json::Yes, &whole, &restored).await.unwrap_err();
        assert!(message(&full).contains("not empty"), "{full:?}");
        for secret in ["secrets", "module-secrets"] {
            assert!(!restored.join(secret).exists(), "{secret}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_damaged_backup_or_archive_restores_nothing() {
        let place = tempfile::tempdir().unwrap();
        let (data, file) = (place.path().join("data"), place.path().join("b.db"));
        served(&data).await.stop().await.unwrap();
        backup(Json::Yes, &data, &file).await.unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        let needle = b"tenant.founded";
        let at = bytes.windows(needle.len()).position(|w| w == needle);
        bytes[at.expect("a kind stands in the file")] ^= 1;
        let bad = place.path().join("bad.db");
        std::fs::write(&bad, &bytes).unwrap();
        let target = place.path().join("new");
        for file in [
            bad,
            place.path().join("none.db"),
            place.path().join("b.db-x"),
        ] {
            assert!(
                restore(Json::Yes, &file, &target).await.is_err(),
                "{file:?}"
            );
            assert!(!target.exists(), "{file:?}");
            assert!(!place.path().join("new.restoring").exists(), "{file:?}");
        }
    }
}
