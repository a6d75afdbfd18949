//! A log or a part of it, written to one file that anyone can verify.

use super::bundle::STANDARD;
use super::offline::Directory;
use super::{Json, print, query};
use crate::cli::ExportBundle;
use crate::client::Client;
use crate::failure::Failure;
use indicatif::ProgressBar;
use kernel::TenantId;
use ledger::bundle::{Export, Objects, Scope};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Exports a log, from a server, a data directory or a database.
pub(crate) async fn export(
    client: &Client,
    output: Json,
    asked: ExportBundle,
) -> Result<(), Failure> {
    let mut file = Target::create(&asked.file)?;
    let bar = ProgressBar::new_spinner();
    let written = written(client, &asked, &mut file, &bar).await;
    bar.finish_and_clear();
    if let Err(failure) = written {
        file.discard();
        return Err(failure);
    }
    file.finish()?;
    if asked.file != Path::new(STANDARD) {
        let answer = json!({"file": asked.file.display().to_string()});
        print(output, &answer, |_| {
            format!("exported: {}\n", asked.file.display())
        });
    }
    Ok(())
}

async fn written(
    client: &Client,
    asked: &ExportBundle,
    file: &mut Target,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    match Directory::named(&asked.offline).await? {
        None => {
            let parts = [
                ("from", asked.from.map(|n| n.to_string())),
                ("to", asked.to.map(|n| n.to_string())),
                ("objects", asked.objects.then(|| "with".to_owned())),
            ];
            let path = format!("/v1/ledger/export{}", query(&parts));
            client
                .download(&path, |bytes| {
                    bar.inc(bytes.len() as u64);
                    file.write(bytes)
                })
                .await
        }
        Some(directory) => offline(&directory, asked, file, bar).await,
    }
}

async fn offline(
    directory: &Directory,
    asked: &ExportBundle,
    file: &mut Target,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let tenant = tenant_of(directory, asked.tenant)?;
    let store = directory.store.as_ref();
    let scope = Scope {
        from: asked.from,
        to: asked.to,
        objects: if asked.objects {
            Objects::With
        } else {
            Objects::Without
        },
    };
    let mut export = Export::latest(store, tenant, &scope).await?;
    bar.set_length(export.entries());
    while let Some(lines) = export.next(store).await? {
        file.write(&lines)?;
        bar.set_position(export.written());
    }
    Ok(())
}

fn tenant_of(directory: &Directory, asked: Option<TenantId>) -> Result<TenantId, Failure> {
    match (asked, directory.tenants.as_slice()) {
        (Some(tenant), tenants) if tenants.contains(&tenant) => Ok(tenant),
        (Some(tenant), _) => Err(Failure::failed(format!(
            "there is no tenant `{tenant}` here"
        ))),
        (None, [only]) => Ok(*only),
        (None, many) => {
            let names: Vec<String> = many.iter().map(|t| format!("`{t}`")).collect();
            Err(Failure::usage("a bundle holds the log of one tenant")
                .hint(format!("give --tenant with one of {}", names.join(", "))))
        }
    }
}

/// The file that is written: under another name until it is whole.
enum Target {
    Standard,
    Part {
        open: BufWriter<File>,
        part: PathBuf,
        file: PathBuf,
    },
}

impl Target {
    fn create(file: &Path) -> Result<Self, Failure> {
        if file == Path::new(STANDARD) {
            return Ok(Self::Standard);
        }
        if file.exists() {
            return Err(
                Failure::failed(format!("`{}` exists already", file.display()))
                    .hint("name another file, or remove this one"),
            );
        }
        let mut part = file.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let open = File::create(&part)
            .map_err(|e| Failure::failed(format!("cannot write `{}`: {e}", part.display())))?;
        Ok(Self::Part {
            open: BufWriter::new(open),
            part,
            file: file.to_owned(),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = match self {
            Self::Standard => std::io::stdout().write_all(bytes),
            Self::Part { open, .. } => open.write_all(bytes),
        };
        written.map_err(|e| Failure::failed(format!("cannot write the bundle: {e}")))
    }

    /// Removes what was written of a bundle that does not come to its end.
    fn discard(self) {
        if let Self::Part { part, .. } = self {
            // What stays behind is named `.part` and has no end, so nobody
            // takes it for a bundle.
            let _ = std::fs::remove_file(part);
        }
    }

    fn finish(self) -> Result<(), Failure> {
        let fault = |e: std::io::Error| Failure::failed(format!("cannot write the bundle: {e}"));
        match self {
            Self::Standard => std::io::stdout().flush().map_err(fault),
            Self::Part { open, part, file } => {
                let open = open.into_inner().map_err(|e| fault(e.into_error()))?;
                open.sync_all().map_err(fault)?;
                std::fs::rename(part, file).map_err(fault)
            }
        }
    }
}
