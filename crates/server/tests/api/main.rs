//! The server from outside, in one process: the real store, the real control
//! loop, requests through the real router.

mod harness;
mod pack;

mod archive;
mod authorisation;
mod bad_input;
mod budgets;
mod checkpoints;
mod commands;
mod conflicts;
mod control_loop;
mod deciding;
mod erasure;
mod events;
mod explain;
mod export;
mod facts;
mod history;
mod matrix;
mod openapi;
mod overload;
mod pages_guard;
mod policies;
mod reading;
mod residency;
mod sessions;
mod templates;
mod webhooks;
mod wire;
mod witness;
