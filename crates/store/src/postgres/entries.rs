//! Entries by their keys: the positions of a page come from a walk along one
//! index in the order of the log, and only their rows are read. Where the key
//! of an index goes on with the kind, there is a walk for each kind, and the
//! first positions of all of them are the page.

use super::columns::{integer, trace};
use super::connect::Pool;
use super::read::{Question, limit};
use super::row::{self, ENTRY_COLUMNS};
use kernel::names::Name as _;
use kernel::{TenantId, Timestamp};
use ledger::entry::Entry;
use ledger::query::{EntryQuery, Order};
use ledger::store::StoreFault;

/// Every kind of entry in the tenant's log with its category: a search in the
/// index on kinds for each of them.
const KINDS: &str = "WITH RECURSIVE k (category, kind) AS (\
    (SELECT category, kind FROM writ.entries WHERE tenant = $1 ORDER BY category, kind LIMIT 1) \
    UNION ALL SELECT n.category, n.kind FROM k CROSS JOIN LATERAL (\
        SELECT category, kind FROM writ.entries \
        WHERE tenant = $1 AND (category, kind) > (k.category, k.kind) \
        ORDER BY category, kind LIMIT 1) n) SELECT category, kind FROM k";

pub(super) async fn page(
    pool: &Pool,
    tenant: TenantId,
    query: &EntryQuery,
) -> Result<Vec<Entry>, StoreFault> {
    let question = question(tenant, query);
    question.all(pool, |row| row::entry(tenant, row)).await
}

/// A walk along an index.
struct Walk {
    /// The columns before the position, each with what it must be. `k` is one
    /// of the kinds.
    key: Vec<(&'static str, String)>,
    /// The kinds of which each has a walk, where the index goes on with them.
    kinds: Option<String>,
    /// What else must hold of a row.
    others: String,
}

impl Walk {
    /// The positions, as many as asked for.
    fn sql(&self, range: &Range) -> String {
        let Some(((column, value), before)) = self.key.split_last() else {
            return String::new();
        };
        let before: String = before
            .iter()
            .map(|(column, value)| format!(" AND {column} = {value}"))
            .collect();
        let direction = range.direction;
        // The last column is compared together with the position, so that no
        // index but the one meant is in the order that is asked for.
        let walk = format!(
            "SELECT seq FROM writ.entries WHERE tenant = $1{before} \
             AND ({column}, seq) >= ({value}, {}) AND ({column}, seq) <= ({value}, {}){} \
             ORDER BY {column} {direction}, seq {direction} LIMIT {}",
            range.low, range.high, self.others, range.rows
        );
        match &self.kinds {
            None => walk,
            Some(kinds) => format!(
                "SELECT w.seq FROM ({kinds}) k CROSS JOIN LATERAL ({walk}) w \
                 ORDER BY w.seq {direction} LIMIT {}",
                range.rows
            ),
        }
    }
}

/// The lowest and the highest position, which way, and how many rows.
struct Range {
    low: String,
    high: String,
    direction: &'static str,
    rows: String,
}

impl Range {
    fn of(query: &EntryQuery, question: &mut Question) -> Self {
        let beyond = query.beyond_seq.map(integer);
        let until = query.until_seq.map(integer);
        let (low, high, direction) = match query.order {
            Order::Ascending => (beyond.map(|seq| seq.saturating_add(1)), until, "ASC"),
            Order::Descending => (until, beyond.map(|seq| seq.saturating_sub(1)), "DESC"),
        };
        Self {
            low: question.value(low.unwrap_or(i64::MIN)),
            high: question.value(high.unwrap_or(i64::MAX)),
            direction,
            rows: question.value(limit(query.limit)),
        }
    }
}

fn question(tenant: TenantId, query: &EntryQuery) -> Question {
    let mut question = Question::of(tenant, "");
    let range = Range::of(query, &mut question);
    let walk = walk(query, &mut question);
    let direction = range.direction;
    let rows = format!("SELECT {ENTRY_COLUMNS} FROM writ.entries WHERE tenant = $1");
    question.sql = if walk.key.is_empty() {
        format!(
            "{rows} AND seq >= {} AND seq <= {}{} ORDER BY seq {direction} LIMIT {}",
            range.low, range.high, walk.others, range.rows
        )
    } else {
        // One search for each position: the limit keeps the planner from
        // looking for the positions among all rows.
        let positions = walk.sql(&range);
        format!(
            "SELECT e.* FROM ({positions}) p \
             CROSS JOIN LATERAL ({rows} AND seq = p.seq LIMIT 1) e ORDER BY p.seq {direction}"
        )
    };
    question
}

/// The walk of a query: along the index of the key that stands for the fewest
/// entries, as far as can be told from what it is a key of.
fn walk(query: &EntryQuery, question: &mut Question) -> Walk {
    let mut key = keys(query, question);
    let names: Vec<&str> = key.iter().map(|(name, _)| *name).collect();
    let (walked, by_kind) = match names.as_slice() {
        ["subject", "actor", ..] => (2, true),
        ["subject" | "actor", ..] => (1, true),
        ["kind" | "category", ..] => (0, true),
        [] => (0, false),
        _ => (1, false),
    };
    let rest = key.split_off(walked);
    let is_kind = |name: &str| name == "kind" || name == "category";
    // The kinds that are walked along are those that are asked for; but a kind
    // belongs to one category only as long as nobody says otherwise.
    let left = |name: &str| !by_kind || !is_kind(name) || (walked > 0 && name == "category");
    let mut others = conditions(&rest, left);
    if key.first().is_some_and(|(name, _)| *name == "directive") {
        // Its index leaves out what has none, and a comparison of rows does
        // not say that there is one.
        others.push_str(" AND directive IS NOT NULL");
    }
    for (condition, at) in [("at >=", query.from), ("at <", query.until)] {
        if let Some(at) = at.map(Timestamp::as_micros) {
            let value = question.value(at);
            others.push_str(&format!(" AND {condition} {value}"));
        }
    }
    let kinds = by_kind.then(|| {
        let columns = match walked {
            0 => "category, kind",
            _ => "DISTINCT kind",
        };
        if walked == 0 {
            key.push(("category", "k.category".to_owned()));
        }
        key.push(("kind", "k.kind".to_owned()));
        let asked = conditions(&rest, is_kind);
        format!("SELECT {columns} FROM ({KINDS}) k WHERE true{asked}")
    });
    Walk { key, kinds, others }
}

/// The conditions of those of these keys that are chosen.
fn conditions(keys: &[(&'static str, String)], chosen: impl Fn(&str) -> bool) -> String {
    let chosen = keys.iter().filter(|(name, _)| chosen(name));
    chosen
        .map(|(name, value)| format!(" AND {name} = {value}"))
        .collect()
}

/// The keys that are asked for, those of the fewest entries first.
fn keys(query: &EntryQuery, question: &mut Question) -> Vec<(&'static str, String)> {
    let mut keys = Vec::new();
    if let Some(stream) = &query.stream {
        keys.push(("stream", question.value(stream.as_str().to_owned())));
    }
    if let Some(id) = query.trace {
        keys.push(("trace_id", question.value(trace(id))));
    }
    if let Some(id) = query.directive {
        keys.push(("directive", question.value(id.0)));
    }
    if let Some(subject) = &query.subject {
        keys.push(("subject", question.value(subject.to_string())));
    }
    if let Some(actor) = &query.actor {
        keys.push(("actor", question.value(actor.to_string())));
    }
    if let Some(kind) = &query.kind {
        keys.push(("kind", question.value(kind.clone())));
    }
    if let Some(category) = query.category {
        keys.push(("category", question.value(category.name())));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Postgres;
    use kernel::{Category, DirectiveId, StreamId, TraceId};
    use testkit::PostgresServer;

    const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(7));

    /// The plan of a query walks along this index, in its order, and looks up
    /// no more than the rows of the page.
    async fn check(store: &Postgres, query: EntryQuery, index: &str) {
        for order in [Order::Ascending, Order::Descending] {
            let query = EntryQuery {
                order,
                beyond_seq: Some(7),
                ..query.clone()
            };
            let mut asked = question(TENANT, &query);
            asked.sql = format!("EXPLAIN {}", asked.sql);
            let rows = asked.rows(&store.pool).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            let plan = plan.join("\n");
            let walked = format!("using {index} on entries");
            assert!(plan.contains(&walked), "{plan}");
            for of_all_rows in ["Seq Scan", "Bitmap", "Filter: (seq"] {
                assert!(!plan.contains(of_all_rows), "{plan}");
            }
            // What is not in the order of its index is sorted by two columns.
            let sorted = |line: &str| line.contains("Sort Key") && line.contains(',');
            assert!(!plan.lines().any(sorted), "{plan}");
            let looked_up = index == "entries_pkey" || plan.contains("AND (seq = ");
            assert!(looked_up, "{plan}");
        }
    }

    #[tokio::test]
    async fn every_key_is_a_walk_along_its_index() {
        let database = PostgresServer::shared().database();
        let store = Postgres::open(&database.url()).await.unwrap();
        let base = EntryQuery::default;
        let by = |query| EntryQuery {
            actor: "system:any".parse().ok(),
            ..query
        };
        let about = |query| EntryQuery {
            subject: "service/any".parse().ok(),
            ..query
        };
        let kind = |query| EntryQuery {
            kind: Some("note.noted".into()),
            ..query
        };
        let category = |query| EntryQuery {
            category: Some(Category::Outcome),
            ..query
        };
        let stream = EntryQuery {
            stream: Some(StreamId::new("note", 1)),
            ..base()
        };
        let trace = EntryQuery {
            trace: TraceId::new(1),
            ..base()
        };
        let directive = EntryQuery {
            directive: Some(DirectiveId(uuid::Uuid::from_u128(1))),
            ..base()
        };
        for (query, index) in [
            (base(), "entries_pkey"),
            (kind(base()), "entries_kind"),
            (category(base()), "entries_kind"),
            (by(base()), "entries_actor"),
            (by(category(base())), "entries_actor"),
            (about(base()), "entries_subject"),
            (about(kind(base())), "entries_subject"),
            (about(by(base())), "entries_subject_actor"),
            (about(by(kind(base()))), "entries_subject_actor"),
            (stream.clone(), "entries_stream"),
            (by(stream), "entries_stream"),
            (trace.clone(), "entries_trace"),
            (about(trace), "entries_trace"),
            (directive.clone(), "entries_directive"),
            (kind(directive), "entries_directive"),
        ] {
            check(&store, query, index).await;
        }
    }
}
