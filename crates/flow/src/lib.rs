//! The control loop: the boxes composed into commands, ticks and runs. No HTTP
//! and no SQL; everything here drives the pure crates through the ledger.

pub mod identity;
