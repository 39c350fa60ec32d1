//! Attacks from inside a session, and odd things on the node and in the cluster: each with a session beside it whose
//! records stay whole. The scripts are in `tests/hostile`; docs/security.md says what is found and what is not.

#[path = "hostile/bundles.rs"]
mod bundles;
#[path = "hostile/cgroups.rs"]
mod cgroups;
#[path = "hostile/exec_storm.rs"]
mod exec_storm;
#[path = "hostile/foreign.rs"]
mod foreign;
#[path = "hostile/full_disk.rs"]
mod full_disk;
#[path = "hostile/idle_connections.rs"]
mod idle_connections;
#[path = "hostile/inside.rs"]
mod inside;
#[path = "hostile/pods.rs"]
mod pods;
#[path = "hostile/record_ids.rs"]
mod record_ids;

use crate::Test;

/// Those that wait for long and disturb no other test: they run beside the scenarios.
pub const BESIDE: &[(&str, Test)] = &[(
    "hostile::foreign::another_kubelets_container_is_a_gap",
    foreign::another_kubelets_container_is_a_gap,
)];

/// The others; `cargo xtask test hostile` runs all of both.
pub const TESTS: &[(&str, Test)] = &[
    ("hostile::cgroups::forged_cgroups_belong_to_no_session", cgroups::forged_cgroups_belong_to_no_session),
    (
        "hostile::cgroups::thousands_of_unknown_containers_hold_up_nothing",
        cgroups::thousands_of_unknown_containers_hold_up_nothing,
    ),
    ("hostile::bundles::bundles_that_block_hold_up_nothing", bundles::bundles_that_block_hold_up_nothing),
    (
        "hostile::exec_storm::a_storm_with_arguments_holds_up_nothing",
        exec_storm::a_storm_with_arguments_holds_up_nothing,
    ),
    (
        "hostile::exec_storm::a_signal_ends_the_trace_of_a_storm",
        exec_storm::a_signal_ends_the_trace_of_a_storm,
    ),
    ("hostile::full_disk::the_loss_of_a_full_disk_is_counted", full_disk::the_loss_of_a_full_disk_is_counted),
    ("hostile::record_ids::two_runs_in_a_boot_share_none", record_ids::two_runs_in_a_boot_share_none),
    ("hostile::idle_connections_keep_no_client_out", idle_connections::idle_connections_keep_no_client_out),
    (
        "hostile::inside::thousands_of_sub_cgroups_starve_no_session",
        inside::thousands_of_sub_cgroups_starve_no_session,
    ),
    (
        "hostile::inside::a_reused_namespace_number_is_no_entering",
        inside::a_reused_namespace_number_is_no_entering,
    ),
    ("hostile::inside::a_chosen_code_and_name_hide_no_killer", inside::a_chosen_code_and_name_hide_no_killer),
    ("hostile::pods::an_odd_pod_costs_itself_alone", pods::an_odd_pod_costs_itself_alone),
    ("hostile::pods::sixty_large_pods_fit_into_memory", pods::sixty_large_pods_fit_into_memory),
];
