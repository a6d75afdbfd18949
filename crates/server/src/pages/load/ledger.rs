//! The ledger: entries, one entry, verify, replay.

use super::checkpoint::{included, newest};
use super::common::{Names, pager, paging};
use crate::http::Place;
use crate::http::problem::{Answer, Kind, Problem};
use crate::pages::view::Section;
use crate::pages::view::ledger::{
    EntryFilter, EntryView, LedgerView, ProofView, entry_page, ledger_page,
};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use gate::access::Permission;
use kernel::names::Name;
use kernel::{Category, Digest, EntryId, Refusal, StreamId, Timestamp, TraceId};
use ledger::{Entry, EntryQuery, Order};
use std::str::FromStr;

/// What an entry led to, shown at most.
const CAUSED_MAX: usize = 50;
/// Entries after an entry that are searched for what it led to.
const CAUSED_SEARCHED: usize = 500;

/// A filter that is filled in, parsed.
fn filled<T: FromStr<Err = Refusal>>(visit: &Visit, name: &str) -> Answer<Option<T>> {
    let text = visit
        .query
        .text(name)
        .map(str::trim)
        .filter(|t| !t.is_empty());
    let parsed = text.map(str::parse::<T>).transpose();
    parsed.map_err(|e| e.at(name).into())
}

fn text(visit: &Visit, name: &str) -> String {
    visit.query.text(name).unwrap_or_default().trim().to_owned()
}

fn query(visit: &Visit) -> Answer<EntryQuery> {
    let trace = text(visit, "trace");
    let trace = match trace.as_str() {
        "" => None,
        given => Some(TraceId::parse(given).ok_or_else(|| {
            Problem::new(
                Kind::Invalid,
                format!("`{}` is no trace id", given.escape_debug()),
            )
            .hint("it has 32 lowercase hex digits")
        })?),
    };
    let instant = |name: &str| -> Answer<Option<Timestamp>> {
        let given = text(visit, name);
        let given = Some(given.as_str()).filter(|text| !text.is_empty());
        let parsed = given.map(Timestamp::parse).transpose();
        parsed.map_err(|e| e.at(name).into())
    };
    let given = |name: &str| Some(text(visit, name)).filter(|t| !t.is_empty());
    Ok(EntryQuery {
        stream: given("stream").map(|s| StreamId::from_stored(&s)),
        kind: given("kind"),
        category: filled(visit, "category")?,
        actor: filled(visit, "actor")?,
        subject: filled(visit, "subject")?,
        directive: filled(visit, "directive")?,
        trace,
        from: instant("from")?,
        until: instant("until")?,
        ..EntryQuery::default()
    })
}

async fn view(visit: &Visit, proof: Option<ProofView>) -> Answer<LedgerView> {
    let store = visit.app.ledger().store();
    let tenant = visit.caller.tenant();
    let names = Names::of(visit).await?;
    let paging = paging(visit, "/ledger")?;
    let asked = EntryQuery {
        beyond_seq: paging.beyond_seq,
        order: paging.order,
        limit: paging.rows(),
        ..query(visit)?
    };
    let head = store.head(tenant).await?;
    let rows = ledger::query::page(store, tenant, &asked).await?;
    let page = paging.page(rows, |e| e.seq, |e| names.row(&e));
    Ok(LedgerView {
        head: (head.seq, head.hash.to_string()),
        rows: page.items,
        categories: Category::ALL.iter().map(ToString::to_string).collect(),
        filter: EntryFilter {
            category: text(visit, "category"),
            kind: text(visit, "kind"),
            subject: text(visit, "subject"),
            directive: text(visit, "directive"),
            actor: text(visit, "actor"),
            trace: text(visit, "trace"),
            stream: text(visit, "stream"),
            from: text(visit, "from"),
            until: text(visit, "until"),
        },
        pager: pager(visit, "/ledger", page.next_cursor),
        proof,
        provable: visit.may(Permission::LedgerVerify),
        checkpoint: newest(visit, head.seq).await?,
    })
}

async fn with_proof(visit: &Visit, proof: Option<ProofView>) -> Answer<Response> {
    let view = view(visit, proof).await?;
    let frame = visit.frame(Section::Ledger).await?;
    shown(ledger_page(&frame, &view))
}

pub(crate) async fn ledger(visit: Visit) -> Answer<Response> {
    with_proof(&visit, None).await
}

pub(crate) async fn verify(visit: Visit) -> Answer<Response> {
    let store = visit.app.ledger().store();
    let report = ledger::verify::log(store, visit.caller.tenant(), |_| {}).await?;
    // The tree stands on the entries, so it is looked at after them.
    let tree = match report.is_intact() {
        true => {
            ledger::checkpoint::audit(store, visit.caller.tenant(), &[], |_| {})
                .await?
                .fault
        }
        false => None,
    };
    let proof = match report.is_intact() && tree.is_none() {
        true => ProofView::Intact {
            entries: report.entries,
            head: report.head.to_string(),
        },
        false => {
            let fault = report.fault.as_ref().or(tree.as_ref());
            let what = fault.map(|f| f.what.clone());
            ProofView::Broken {
                entries: report.entries,
                seq: fault.map(|f| f.seq),
                entry: fault.and_then(|f| f.entry).map(|e| e.to_string()),
                what: what.into_iter().chain(report.engine).collect(),
            }
        }
    };
    with_proof(&visit, Some(proof)).await
}

pub(crate) async fn replay(visit: Visit) -> Answer<Response> {
    let (store, registry) = (visit.app.ledger().store(), visit.app.ledger().registry());
    let report = ledger::replay::log(store, registry, visit.caller.tenant(), |_| {}).await?;
    let proof = match report.is_equal() {
        true => ProofView::Equal {
            entries: report.entries,
            states: report.states,
            hash: report.state_hash.to_string(),
        },
        false => ProofView::Differs {
            differences: report
                .differences
                .into_iter()
                .map(|d| {
                    let stream = d.stream.unwrap_or_default();
                    let seq = d.seq.map(|s| format!("#{s} ")).unwrap_or_default();
                    format!("{seq}{stream}: {}", d.what)
                })
                .collect(),
        },
    };
    with_proof(&visit, Some(proof)).await
}

/// The entry next to `seq` in this direction.
async fn next_to(visit: &Visit, seq: u64, order: Order) -> Answer<Option<String>> {
    let query = EntryQuery {
        beyond_seq: Some(seq),
        order,
        limit: 1,
        ..EntryQuery::default()
    };
    let store = visit.app.ledger().store();
    let found = store.entries(visit.caller.tenant(), &query).await?;
    Ok(found.first().map(|e| e.id.to_string()))
}

async fn caused(visit: &Visit, entry: &Entry) -> Answer<Vec<Entry>> {
    let query = EntryQuery {
        beyond_seq: Some(entry.seq),
        limit: CAUSED_SEARCHED,
        ..EntryQuery::default()
    };
    let store = visit.app.ledger().store();
    let mut found = store.entries(visit.caller.tenant(), &query).await?;
    found.retain(|e| e.causation == Some(entry.id));
    found.truncate(CAUSED_MAX);
    Ok(found)
}

pub(crate) async fn entry(visit: Visit, Place(id): Place<String>) -> Answer<Response> {
    let id: EntryId = id.parse()?;
    let tenant = visit.caller.tenant();
    let found = visit.app.ledger().store().entry(tenant, id).await?;
    let entry = found.ok_or_else(|| crate::routes::documents::missing("entry", &id.to_string()))?;
    let names = Names::of(&visit).await?;
    let holds = Digest::of(entry.payload.as_bytes()) == entry.payload_hash
        && entry.computed_hash(tenant) == entry.hash;
    let caused = caused(&visit, &entry).await?;
    let view = EntryView {
        row: names.row(&entry),
        stream_version: entry.stream_version,
        trace_id: entry.trace_id.to_string(),
        causation: entry.causation.map(|e| e.to_string()),
        directive: entry.directive.map(|d| d.to_string()),
        snapshot: entry.snapshot.map(|s| s.to_string()),
        caused: caused.iter().map(|e| names.row(e)).collect(),
        payload_hash: entry.payload_hash.to_string(),
        prev_hash: entry.prev_hash.to_string(),
        hash: entry.hash.to_string(),
        holds,
        neighbours: (
            next_to(&visit, entry.seq, Order::Descending).await?,
            next_to(&visit, entry.seq, Order::Ascending).await?,
        ),
        inclusion: included(&visit, entry.seq).await?,
        payload: entry.payload,
    };
    let frame = visit.frame(Section::Ledger).await?;
    shown(entry_page(&frame, &view))
}
