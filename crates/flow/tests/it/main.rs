//! The whole control loop over storage in memory, driven by hand, and of two
//! nodes over one store: what a person sees of it, and what must hold whatever
//! happens. After each step the checks of the test kit read the ledger and the
//! simulated outside.

mod archive;
mod attested;
mod autonomy;
mod budgets;
mod bundle;
mod chaos;
mod checkpoints;
mod conflicts;
mod cosigning;
mod crash;
mod escalation;
mod golden;
mod groups;
mod history;
mod nodes;
mod order;
mod outcomes;
mod personal;
mod policies;
mod residency;
mod rewritten;
mod sealing;
mod session;
mod stopping;
mod storage;
mod validators;
mod whole;
mod why;
