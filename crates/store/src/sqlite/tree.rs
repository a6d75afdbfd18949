//! The Merkle tree: what it grows by, and its leaves, tiles and spans.

use super::fault;
use super::read::{collect, limit, log_number, seq_value};
use super::row::LOG_STRIDE;
use kernel::{Digest, TenantId, Timestamp};
use ledger::merkle::{Grown, Span, Tile};
use ledger::store::{Leaf, StoreFault};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// Stores what a log's tree has grown by.
pub(super) fn store(
    transaction: &Transaction<'_>,
    log: i64,
    grown: &Grown,
) -> Result<(), StoreFault> {
    for tile in &grown.tiles {
        transaction
            .prepare_cached(
                "INSERT INTO tiles (log, level, number, hashes) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (log, level, number) DO UPDATE SET hashes = excluded.hashes",
            )
            .map_err(fault)?
            .execute(params![
                log,
                tile.level,
                seq_value(tile.index),
                tile.to_bytes()
            ])
            .map_err(fault)?;
    }
    for span in &grown.spans {
        transaction
            .prepare_cached(
                "INSERT INTO spans (log, level, number, at_min, at_max) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .map_err(fault)?
            .execute(params![
                log,
                span.level,
                seq_value(span.index),
                span.at_min.as_micros(),
                span.at_max.as_micros()
            ])
            .map_err(fault)?;
    }
    Ok(())
}

pub(super) fn leaves(
    connection: &Connection,
    tenant: TenantId,
    beyond_seq: u64,
    rows: usize,
) -> Result<Vec<Leaf>, StoreFault> {
    let Some(log) = log_number(connection, tenant)? else {
        return Ok(Vec::new());
    };
    let sql = "SELECT hash, at FROM entries WHERE position > ? AND position < ? \
               ORDER BY position LIMIT ?";
    let first = log * LOG_STRIDE + seq_value(beyond_seq).min(LOG_STRIDE - 1);
    let values = vec![
        Value::from(first),
        Value::from((log + 1) * LOG_STRIDE),
        Value::from(limit(rows)),
    ];
    collect(connection, sql, values, |row| {
        Ok(Leaf {
            hash: Digest(row.get(0).map_err(fault)?),
            at: Timestamp::from_micros(row.get(1).map_err(fault)?),
        })
    })
}

pub(super) fn tile(
    connection: &Connection,
    tenant: TenantId,
    level: u8,
    index: u64,
) -> Result<Option<Tile>, StoreFault> {
    let Some(log) = log_number(connection, tenant)? else {
        return Ok(None);
    };
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached("SELECT hashes FROM tiles WHERE log = ?1 AND level = ?2 AND number = ?3")
        .map_err(fault)?
        .query_row(params![log, level, seq_value(index)], |row| row.get(0))
        .optional()
        .map_err(fault)?;
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    let hashes = Tile::hashes_of(&bytes).ok_or_else(|| {
        StoreFault::Damaged(format!("tile {index} of level {level} cannot be read"))
    })?;
    Ok(Some(Tile {
        level,
        index,
        hashes,
    }))
}

pub(super) fn spans(
    connection: &Connection,
    tenant: TenantId,
    level: u8,
    from_index: u64,
    rows: usize,
) -> Result<Vec<Span>, StoreFault> {
    let Some(log) = log_number(connection, tenant)? else {
        return Ok(Vec::new());
    };
    let sql = "SELECT number, at_min, at_max FROM spans \
               WHERE log = ? AND level = ? AND number >= ? ORDER BY number LIMIT ?";
    let values = vec![
        Value::from(log),
        Value::from(i64::from(level)),
        Value::from(seq_value(from_index)),
        Value::from(limit(rows)),
    ];
    collect(connection, sql, values, |row| {
        let number: i64 = row.get(0).map_err(fault)?;
        Ok(Span {
            level,
            index: number.unsigned_abs(),
            at_min: Timestamp::from_micros(row.get(1).map_err(fault)?),
            at_max: Timestamp::from_micros(row.get(2).map_err(fault)?),
        })
    })
}
