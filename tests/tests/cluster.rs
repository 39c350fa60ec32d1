//! The cluster tier: real debug sessions on a real Kubernetes, against what `debugtrail trace` says of them.
//!
//! One embedded cluster serves all tests and is taken down after the last, which a harness of static values could
//! not do; so this is a program of its own with the usual options.

#[path = "cluster/agent.rs"]
mod agent;
#[path = "cluster/api_server.rs"]
mod api_server;
#[path = "cluster/bad_input.rs"]
mod bad_input;
#[path = "cluster/clock.rs"]
mod clock;
#[path = "cluster/confined.rs"]
mod confined;
#[path = "cluster/daemonset.rs"]
mod daemonset;
#[path = "cluster/forgotten.rs"]
mod forgotten;
#[path = "cluster/gone.rs"]
mod gone;
#[path = "cluster/hostile.rs"]
mod hostile;
#[path = "cluster/leaving.rs"]
mod leaving;
#[path = "cluster/node_debug.rs"]
mod node_debug;
#[path = "cluster/pins.rs"]
mod pins;
#[path = "cluster/processes.rs"]
mod processes;
#[path = "cluster/prometheus.rs"]
mod prometheus;
#[path = "cluster/proxy.rs"]
mod proxy;
#[path = "cluster/running.rs"]
mod running;
#[path = "cluster/scenarios.rs"]
mod scenarios;
#[path = "cluster/several.rs"]
mod several;
#[path = "cluster/static_pod.rs"]
mod static_pod;
#[path = "cluster/unresolved.rs"]
mod unresolved;
#[path = "cluster/upgrade.rs"]
mod upgrade;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use debugtrail_tests::scenarios::all_pass;
use debugtrail_tests::tier::Tier;
use libtest_mimic::{Arguments, Trial};
use xtask::times;

/// Scenarios, and what runs beside them, at the same time: most of one is waiting.
const AT_ONCE: usize = 5;

type Test = fn(&Tier) -> Result<()>;

const TESTS: &[(&str, Test)] = &[
    ("agent::goes_on_where_it_was_killed", agent::goes_on_where_it_was_killed),
    ("agent::knows_its_pods_without_the_api", agent::knows_its_pods_without_the_api),
    ("agent::closes_what_a_power_loss_cut_off", agent::closes_what_a_power_loss_cut_off),
    ("agent::waits_for_room_on_a_full_disk", agent::waits_for_room_on_a_full_disk),
    ("agent::one_on_a_node", agent::one_on_a_node),
    ("pins::everything_is_recorded_while_it_is_dead", pins::everything_is_recorded_while_it_is_dead),
    ("pins::killed_again_and_again_in_a_storm", pins::killed_again_and_again_in_a_storm),
    ("pins::killed_at_any_moment_of_its_start", pins::killed_at_any_moment_of_its_start),
    ("upgrade::an_upgrade_to_other_structures", upgrade::an_upgrade_to_other_structures),
    ("upgrade::an_unreadable_generation_is_a_gap", upgrade::an_unreadable_generation_is_a_gap),
    ("pins::the_clock_steps_while_it_is_dead", pins::the_clock_steps_while_it_is_dead),
    ("pins::unpin_removes_every_trace", pins::unpin_removes_every_trace),
    ("prometheus::scrapes_an_agent", prometheus::scrapes_an_agent),
    ("processes::arguments_are_shown_without_secrets", processes::arguments_are_shown_without_secrets),
    ("processes::the_loss_of_a_full_ring_is_counted", processes::the_loss_of_a_full_ring_is_counted),
    ("running::sessions_that_run_when_the_trace_starts", running::sessions_that_run_when_the_trace_starts),
    ("several::each_under_its_own_name", several::each_under_its_own_name),
    ("several::only_the_wanted_namespace", several::only_the_wanted_namespace),
    ("several::every_container_when_asked", several::every_container_when_asked),
    ("api_server::a_session_ends_while_it_is_away", api_server::a_session_ends_while_it_is_away),
    (
        "api_server::a_session_found_running_ends_while_it_is_away",
        api_server::a_session_found_running_ends_while_it_is_away,
    ),
    ("api_server::the_trace_starts_while_it_is_away", api_server::the_trace_starts_while_it_is_away),
    ("gone::a_watch_that_cannot_resume_lists_anew", gone::a_watch_that_cannot_resume_lists_anew),
    (
        "proxy::names_come_through_it_and_its_password_is_kept",
        proxy::names_come_through_it_and_its_password_is_kept,
    ),
    ("node_debug::profiles_of_older_kubectls", node_debug::profiles_of_older_kubectls),
    ("static_pod::named_as_the_api_names_its_mirror", static_pod::named_as_the_api_names_its_mirror),
    (
        "unresolved::outside_of_all_pods_the_runtime_names_it",
        unresolved::outside_of_all_pods_the_runtime_names_it,
    ),
    ("unresolved::an_unknown_container_is_reported_once", unresolved::an_unknown_container_is_reported_once),
    (
        "unresolved::nothing_is_reported_while_the_api_server_is_away",
        unresolved::nothing_is_reported_while_the_api_server_is_away,
    ),
    ("clock::steps_in_the_middle_of_a_session", clock::steps_in_the_middle_of_a_session),
    (
        "leaving::an_interrupt_leaves_nothing_in_the_kernel",
        leaving::an_interrupt_leaves_nothing_in_the_kernel,
    ),
    ("leaving::a_hangup_leaves_nothing_in_the_kernel", leaving::a_hangup_leaves_nothing_in_the_kernel),
    ("leaving::an_agent_ignores_a_hangup", leaving::an_agent_ignores_a_hangup),
    ("leaving::a_closed_pipe_is_a_quiet_end", leaving::a_closed_pipe_is_a_quiet_end),
    ("bad_input::unknown_credentials_are_refused", bad_input::unknown_credentials_are_refused),
    ("bad_input::a_right_that_is_missing_is_named", bad_input::a_right_that_is_missing_is_named),
    ("bad_input::an_agent_that_is_refused_tries_again", bad_input::an_agent_that_is_refused_tries_again),
    (
        "bad_input::rights_that_are_not_needed_may_be_missing",
        bad_input::rights_that_are_not_needed_may_be_missing,
    ),
    ("bad_input::a_namespace_that_is_unknown_may_come", bad_input::a_namespace_that_is_unknown_may_come),
    ("bad_input::another_machines_node_is_refused", bad_input::another_machines_node_is_refused),
    ("bad_input::doctor_finds_that_it_can_record", bad_input::doctor_finds_that_it_can_record),
    ("bad_input::doctor_names_missing_rights", bad_input::doctor_names_missing_rights),
    (
        "bad_input::doctor_names_the_blind_spot_of_a_sandbox",
        bad_input::doctor_names_the_blind_spot_of_a_sandbox,
    ),
    ("forgotten::candidates_return_to_zero", forgotten::candidates_return_to_zero),
    // From here on the DaemonSet is on the cluster.
    ("daemonset::the_applied_files_get_ready", daemonset::the_applied_files_get_ready),
    (
        "confined::it_may_do_what_the_overlay_says_and_no_more",
        confined::it_may_do_what_the_overlay_says_and_no_more,
    ),
    ("confined::it_runs_on_a_node_whose_sys_is_private", confined::it_runs_on_a_node_whose_sys_is_private),
    ("confined::doctor_in_its_pod_finds_nothing_to_fix", confined::doctor_in_its_pod_finds_nothing_to_fix),
    ("daemonset::every_scenario_runs_through_it", daemonset::every_scenario_runs_through_it),
    ("daemonset::it_is_killed_in_the_middle_of_sessions", daemonset::it_is_killed_in_the_middle_of_sessions),
    (
        "daemonset::its_pod_is_deleted_in_the_middle_of_sessions",
        daemonset::its_pod_is_deleted_in_the_middle_of_sessions,
    ),
    ("confined::the_privileged_overlay_takes_over", confined::the_privileged_overlay_takes_over),
    ("daemonset::a_deleted_agent_leaves_its_ledger", daemonset::a_deleted_agent_leaves_its_ledger),
    (
        "daemonset::unpin_takes_its_programs_out_of_the_node",
        daemonset::unpin_takes_its_programs_out_of_the_node,
    ),
    // Last: having tried in vain for a minute, kubelet and controllers take up to another one to try again.
    ("daemonset::the_api_server_is_away_for_a_minute", daemonset::the_api_server_is_away_for_a_minute),
];

fn main() -> ExitCode {
    let tier = Tier::default();
    let result = run(&Arguments::from_args(), &tier);
    xtask::interrupt::wait_if_interrupted();
    match (result, tier.down()) {
        (Ok(true), Ok(())) => ExitCode::SUCCESS,
        (result, down) => {
            for error in result.err().into_iter().chain(down.err()) {
                eprintln!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

/// True where all have passed.
fn run(arguments: &Arguments, tier: &Tier) -> Result<bool> {
    xtask::interrupt::install()?;
    let (scenarios, mut alone) = scenarios::trials(tier)?;
    // First, as they take longest.
    let mut beside: Vec<Trial> =
        hostile::BESIDE.iter().map(|&(name, test)| trial(name, tier, test)).collect();
    beside.extend(scenarios);
    // Before the DaemonSet, which TESTS ends with.
    alone.extend(hostile::TESTS.iter().map(|&(name, test)| trial(name, tier, test)));
    alone.extend(TESTS.iter().map(|&(name, test)| trial(name, tier, test)));
    times::begin("cases of the cluster tier at the same time");
    let beside_passed = all_pass(arguments, AT_ONCE, beside);
    times::begin("cases of the cluster tier one by one");
    // One at a time: they stop the API server and step the clock of the others.
    let alone_passed = all_pass(arguments, 1, alone);
    times::print();
    Ok(beside_passed && alone_passed)
}

fn trial(name: &str, tier: &Tier, test: impl Fn(&Tier) -> Result<()> + Send + 'static) -> Trial {
    let (tier, case) = (tier.clone(), name.to_owned());
    Trial::test(name, move || {
        let began = Instant::now();
        let result = test(&tier);
        times::step(&case, began.elapsed());
        result.map_err(|error| format!("{error:#}").into())
    })
}
