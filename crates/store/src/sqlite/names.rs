//! Names that rows carry as numbers: the writer's side. Streams, actors and
//! subjects are numbered per log; kinds with their category for all logs.

use super::fault;
use kernel::Category;
use kernel::names::Name;
use ledger::store::StoreFault;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::HashMap;

/// Names kept in memory at most; beyond it they are read anew.
const KEPT_MAX: usize = 200_000;

/// Numbers of names, as the one writer knows them.
#[derive(Default)]
pub(super) struct Numbers {
    names: HashMap<i64, HashMap<Box<str>, i64>>,
    kinds: HashMap<Box<str>, Vec<(Category, i64)>>,
    kept: usize,
    /// The number of the next new name, once it was looked up.
    next_name: Option<i64>,
}

impl Numbers {
    /// Forgets everything. To be called when a transaction that numbered names
    /// was not committed.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The number of this name in this log; a name that is new gets one.
    pub(super) fn name(
        &mut self,
        transaction: &Transaction<'_>,
        log: i64,
        name: &str,
    ) -> Result<i64, StoreFault> {
        if let Some(number) = self.names.get(&log).and_then(|names| names.get(name)) {
            return Ok(*number);
        }
        let number = match find_name(transaction, log, name)? {
            Some(number) => number,
            None => {
                let number = self.next_name(transaction)?;
                transaction
                    .prepare_cached("INSERT INTO names (number, log, name) VALUES (?1, ?2, ?3)")
                    .map_err(fault)?
                    .execute(params![number, log, name])
                    .map_err(fault)?;
                self.next_name = Some(number + 1);
                number
            }
        };
        if self.kept >= KEPT_MAX {
            self.names.clear();
            self.kept = 0;
        }
        self.kept += 1;
        let names = self.names.entry(log).or_default();
        names.insert(name.into(), number);
        Ok(number)
    }

    /// The number of this kind of entries with this category; a new one gets
    /// one.
    pub(super) fn kind(
        &mut self,
        transaction: &Transaction<'_>,
        kind: &str,
        category: Category,
    ) -> Result<i64, StoreFault> {
        let known = self.kinds.get(kind).and_then(|numbers| {
            let number = numbers.iter().find(|(of, _)| *of == category);
            number.map(|(_, number)| *number)
        });
        if let Some(number) = known {
            return Ok(number);
        }
        let found: Option<i64> = transaction
            .prepare_cached("SELECT number FROM kinds WHERE kind = ?1 AND category = ?2")
            .map_err(fault)?
            .query_row([kind, category.name()], |row| row.get(0))
            .optional()
            .map_err(fault)?;
        let number = match found {
            Some(number) => number,
            None => {
                let number = next(transaction, "SELECT max(number) FROM kinds")?;
                transaction
                    .prepare_cached(
                        "INSERT INTO kinds (number, kind, category) VALUES (?1, ?2, ?3)",
                    )
                    .map_err(fault)?
                    .execute(params![number, kind, category.name()])
                    .map_err(fault)?;
                number
            }
        };
        let numbers = self.kinds.entry(kind.into()).or_default();
        numbers.push((category, number));
        Ok(number)
    }

    fn next_name(&self, transaction: &Transaction<'_>) -> Result<i64, StoreFault> {
        match self.next_name {
            Some(number) => Ok(number),
            None => next(transaction, "SELECT max(number) FROM names"),
        }
    }
}

fn next(transaction: &Transaction<'_>, sql: &str) -> Result<i64, StoreFault> {
    let last: Option<i64> = transaction
        .prepare_cached(sql)
        .map_err(fault)?
        .query_row([], |row| row.get(0))
        .map_err(fault)?;
    Ok(last.unwrap_or(0) + 1)
}

/// The number of this name in this log, if it has one.
pub(super) fn find_name(
    connection: &Connection,
    log: i64,
    name: &str,
) -> Result<Option<i64>, StoreFault> {
    connection
        .prepare_cached("SELECT number FROM names WHERE log = ?1 AND name = ?2")
        .map_err(fault)?
        .query_row(params![log, name], |row| row.get(0))
        .optional()
        .map_err(fault)
}

/// The numbers of the kinds of entries with this name and this category; what
/// is `None` may be any.
pub(super) fn find_kinds(
    connection: &Connection,
    kind: Option<&str>,
    category: Option<Category>,
) -> Result<Vec<i64>, StoreFault> {
    let mut select = connection
        .prepare_cached(
            "SELECT number FROM kinds WHERE kind = ifnull(?1, kind) \
             AND category = ifnull(?2, category) ORDER BY number",
        )
        .map_err(fault)?;
    let rows = select
        .query_map(params![kind, category.map(Name::name)], |row| row.get(0))
        .map_err(fault)?;
    rows.collect::<Result<_, _>>().map_err(fault)
}
