//! What a person asks to be replayed: a whole log, one stream, or a thing with
//! what belongs to it, now or as it was.

use super::{Plan, Report, by_plan, stream};
use crate::as_of::{self, AsOf};
use crate::registry::Registry;
use crate::store::Store;
use crate::verify::Progress;
use kernel::{Refusal, StreamId, TenantId};
use std::collections::BTreeSet;

/// What is to be replayed; a whole log when nothing is named.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Only this stream.
    pub stream: Option<StreamId>,
    /// Only the incident, directive or other thing with this id, with what
    /// belongs to it.
    pub of: Option<String>,
    /// As it was then; there is nothing to compare with.
    pub as_of: Option<AsOf>,
}

/// Replays what is asked for.
///
/// # Errors
/// `invalid` when both a stream and a thing are named or the log does not
/// reach the position; `not_found` when nothing is there; storage that does
/// not answer. What replay finds is in the report.
pub async fn answer(
    store: &dyn Store,
    registry: &Registry,
    tenant: TenantId,
    ask: &Ask,
    progress: impl FnMut(Progress) + Send,
) -> Result<Report, Refusal> {
    let until_seq = match ask.as_of {
        Some(as_of) => Some(as_of::seq_of(store, tenant, as_of).await?),
        None => None,
    };
    let (name, streams) = match (&ask.stream, &ask.of) {
        (None, None) => {
            let plan = Plan {
                until_seq,
                ..Plan::default()
            };
            return Ok(by_plan(store, registry, tenant, plan, progress).await?);
        }
        (Some(stream), None) => (stream.as_str(), BTreeSet::from([stream.clone()])),
        (None, Some(id)) => {
            let streams = stream::belonging(store, registry, tenant, id).await?;
            (id.as_str(), streams)
        }
        (Some(_), Some(_)) => {
            return Err(
                Refusal::invalid("a stream and a thing are both named").hint("name one of them")
            );
        }
    };
    let report = stream::streams(store, registry, tenant, &streams, until_seq).await?;
    if report.states == 0 && report.is_equal() {
        let when = until_seq.map_or_else(String::new, |seq| format!(" as of position {seq}"));
        return Err(Refusal::not_found(format!(
            "`{}` has no entry{when}",
            name.escape_debug()
        )));
    }
    Ok(report)
}
