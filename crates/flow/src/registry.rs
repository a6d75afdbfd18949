//! Every kind of aggregate that stands on the ledger, in one list: what replay
//! folds, and what the documents about lifecycles and events are made from.

use kernel::aggregate::Fold;
use ledger::Registry;

/// The folds of every aggregate.
#[must_use]
pub fn registry() -> Registry {
    Registry::new([
        Fold::of::<ledger::archive::Segment>(),
        Fold::of::<crate::identity::Tenant>(),
        Fold::of::<crate::identity::Principal>(),
        Fold::of::<crate::identity::Key>(),
        Fold::of::<crate::force::PackRecord>(),
        Fold::of::<crate::policies::Policies>(),
        Fold::of::<crate::personal::Ring>(),
        Fold::of::<crate::personal::SubjectKey>(),
        Fold::of::<world::Evidence>(),
        Fold::of::<world::State>(),
        Fold::of::<kernel::Snapshot>(),
        Fold::of::<sense::Signal>(),
        Fold::of::<sense::dead_letter::DeadLetter>(),
        Fold::of::<sense::detection::Detection>(),
        Fold::of::<sense::watch::Watch>(),
        Fold::of::<sense::candidate::Candidate>(),
        Fold::of::<sense::bundle::Bundle>(),
        Fold::of::<sense::incident::Incident>(),
        Fold::of::<sense::investigation::Investigation>(),
        Fold::of::<gate::Directive>(),
        Fold::of::<gate::Approval>(),
        Fold::of::<gate::SigningKey>(),
        Fold::of::<gate::Delegations>(),
        Fold::of::<gate::VerdictRecord>(),
        Fold::of::<gate::KillSwitch>(),
        Fold::of::<gate::conflict::Claim>(),
        Fold::of::<gate::Autonomy>(),
        Fold::of::<gate::PermitRecord>(),
        Fold::of::<gate::history::Kept>(),
        Fold::of::<gate::history::Tally>(),
        Fold::of::<gate::budget::Counter>(),
        Fold::of::<gate::budget::Reservation>(),
        Fold::of::<act::Run>(),
        Fold::of::<crate::session::Session>(),
        Fold::of::<crate::session::Reading>(),
    ])
}
