//! Tests of the public surface, over one in-memory ledger whose states pass
//! through JSON on every read, as they do in the store.

mod support;

mod alertmanager;
mod confidence;
mod definitions;
mod expression;
mod incident;
mod intake;
mod json;
mod lifecycle;
mod order;
mod rules;
