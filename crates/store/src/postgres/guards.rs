//! What PostgreSQL must hold by itself: its own catalogue says whether the
//! indexes are whole and the guards of `schema_1.sql` still in force.

use super::connect::Pool;
use super::read::Question;
use super::row::value;
use ledger::store::StoreFault;

const INDEXES: &str = "SELECT format('index `%s` is not valid', c.relname) AS what \
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
    JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = 'writ' AND NOT (i.indisvalid AND i.indisready)";
const SECURITY: &str = "SELECT format('row-level security of `%s` is off', t.name) AS what \
    FROM unnest(ARRAY['entries', 'documents', 'objects', 'tiles', 'spans', 'logs', 'due']) t (name) \
    LEFT JOIN pg_class c ON c.relname = t.name AND c.relnamespace = 'writ'::regnamespace \
    WHERE NOT coalesce(c.relrowsecurity AND c.relforcerowsecurity, false)";
const TRIGGERS: &str = "SELECT format('the trigger that keeps `%s` append-only is gone', t.name) AS what \
    FROM unnest(ARRAY['entries', 'objects', 'spans', 'logs', 'documents', 'tiles']) t (name) \
    LEFT JOIN pg_class c ON c.relname = t.name AND c.relnamespace = 'writ'::regnamespace \
    LEFT JOIN pg_trigger g ON g.tgrelid = c.oid AND g.tgname = 'append_only' \
    WHERE g.tgenabled IS DISTINCT FROM 'A'";
const RIGHTS: &str = "SELECT format('the role `writ_app` may change `%s`', t.name) AS what \
    FROM unnest(ARRAY['writ.entries', 'writ.objects']) t (name) \
    WHERE has_table_privilege('writ_app', t.name, 'UPDATE, DELETE, TRUNCATE')";

/// What is wrong; empty when nothing.
pub(super) async fn check(pool: &Pool) -> Result<Vec<String>, StoreFault> {
    let mut faults = Vec::new();
    for sql in [INDEXES, SECURITY, TRIGGERS, RIGHTS] {
        for row in Question::across(sql).rows(pool).await? {
            faults.push(value(&row, "what")?);
        }
    }
    Ok(faults)
}
