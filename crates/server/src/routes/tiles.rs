//! A log as C2SP tlog-tiles serves it: checkpoint, tiles of hashes, bundles of
//! entries. An entry of the tree is the 32 bytes of an entry's hash; the
//! payloads stay where they are. Guarded like the rest of the API, so caches
//! keep it for the caller alone; a public mirror copies these files as they
//! are and serves them openly.

use super::table::{Gives, Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::Place;
use crate::http::problem::{Answer, Kind, Problem};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gate::access::Permission;
use kernel::TenantId;
use ledger::checkpoint::checkpoints;
use ledger::merkle::{Stored, TILE_WIDTH, Tile, TilePath, TileSource as _, width};

/// What a tile holds never changes.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
/// The checkpoint does.
const FRESH: &str = "private, no-cache";

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::LedgerRead);
    vec![
        Route::get(
            "/v1/tlog/{tenant}/checkpoint",
            read,
            "the newest checkpoint as a signed note (C2SP tlog-tiles)",
            checkpoint,
        )
        .gives(Gives::Text),
        Route::get(
            "/v1/tlog/{tenant}/tile/{*path}",
            read,
            "a tile of the log's Merkle tree, or a bundle of entry hashes (C2SP tlog-tiles)",
            tile,
        )
        .gives(Gives::Raw),
    ]
}

/// Another tenant's log does not exist for the caller.
fn own(caller: &Caller, tenant: &str) -> Answer<TenantId> {
    match tenant.parse::<TenantId>() {
        Ok(tenant) if tenant == caller.tenant() => Ok(tenant),
        _ => Err(super::documents::missing("log of a tenant", tenant)),
    }
}

async fn checkpoint(
    State(app): State<App>,
    caller: Caller,
    Place(tenant): Place<String>,
) -> Answer<Response> {
    let tenant = own(&caller, &tenant)?;
    let recent = checkpoints(app.ledger().store(), tenant).await?;
    let signed = recent
        .latest()
        .ok_or_else(|| Problem::new(Kind::NotFound, "no checkpoint was signed yet"))?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, FRESH),
    ];
    Ok((headers, signed.cosigned_note()?.to_string()).into_response())
}

async fn tile(
    State(app): State<App>,
    caller: Caller,
    Place((tenant, path)): Place<(String, String)>,
) -> Answer<Response> {
    let tenant = own(&caller, &tenant)?;
    let missing = || super::documents::missing("tile", &path);
    let asked = TilePath::parse(&path).ok_or_else(missing)?;
    let store = app.ledger().store();
    let level = asked.level.unwrap_or(0);
    let size = store.head(tenant).await?.seq;
    if (width(level, asked.index, size) as u64) < asked.width {
        return Err(missing());
    }
    let count = usize::try_from(asked.width).unwrap_or(0);
    let bytes = match asked.level {
        None => {
            let beyond = asked.index * TILE_WIDTH;
            let leaves = store.leaves(tenant, beyond, count).await?;
            let framed = leaves.iter().flat_map(|leaf| {
                // The length of an entry, in two bytes, and the entry.
                let length = [0, 32];
                length.into_iter().chain(leaf.hash.0)
            });
            framed.collect()
        }
        Some(level) => {
            let stored = Stored { store, tenant };
            let hashes = stored.hashes(level, asked.index, count).await?;
            Tile {
                level,
                index: asked.index,
                hashes,
            }
            .to_bytes()
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, FOR_EVER),
    ];
    Ok((headers, bytes).into_response())
}
