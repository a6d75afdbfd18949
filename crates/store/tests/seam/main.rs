//! What every store must do, whichever stands behind the seam: one suite, one
//! row per store. What only one of them has (a file, a role) is tested beside.

mod log;
mod proxy;
mod stores;

mod appending;
mod commands;
mod cut;
mod guards;
mod late;
mod nodes;
mod outages;
mod reading;

/// Runs each of these functions on each store, as a test of its own.
macro_rules! on_every_store {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        on_every_store! { @store sqlite Sqlite $($module::$name),+ }
        on_every_store! { @store postgres Postgres $($module::$name),+ }
        on_every_store! { @store memory Memory $($module::$name),+ }
    };
    (@store $store:ident $kind:ident $($module:ident :: $name:ident),+) => {
        mod $store {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let place = crate::stores::Place::new(crate::stores::Kind::$kind);
                crate::$module::$name(&place).await;
            })+
        }
    };
}

on_every_store! {
    appending::what_is_appended_is_read_back,
    appending::a_batch_that_expects_another_head_is_refused_whole,
    appending::batches_of_several_tenants_are_kept_all_or_none,
    appending::an_object_is_kept_once_and_listed_by_digest,
    appending::the_tree_grows_with_the_log_and_is_loaded_again,
    reading::queries_answer_as_a_plain_search_would,
    reading::documents_are_listed_as_a_plain_search_would,
    reading::documents_are_paged_in_the_order_of_bytes,
    reading::what_is_due_is_found_across_tenants,
    reading::tenants_see_nothing_of_each_other,
    commands::concurrent_commands_are_durable_chained_and_replayable,
    commands::a_refused_command_leaves_nothing,
    commands::a_panic_in_one_decision_does_not_stop_the_ledger,
    commands::idempotency_is_permanent_and_names_the_first,
    commands::an_act_that_is_due_is_found_until_it_is_done,
    nodes::writers_race_for_heads_and_nothing_is_lost,
    nodes::commands_of_two_nodes_never_rest_on_what_has_changed,
    nodes::a_node_sees_what_another_wrote_and_hears_of_it,
    nodes::a_claim_keeps_others_from_appending,
    late::a_command_that_is_late_again_and_again_claims_the_log,
}
