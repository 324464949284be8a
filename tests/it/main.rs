//! What the agent guarantees, on a real control plane.

#![expect(
    clippy::disallowed_methods,
    reason = "tests run programs that have bounds of their own"
)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the demo; neither needs all of it")]
mod support;

mod a_name_is_a_name;
mod a_slow_unit_holds_nobody_up;
mod added_while_leaving;
mod admission;
mod adopt;
mod another_cluster;
mod another_namespace;
mod another_repository;
mod any_history;
mod api_server_outage;
mod believed;
mod budget_per_environment;
mod caught_up;
mod cli_adopt;
mod cli_diff;
mod cli_health;
mod cli_history;
mod cli_render;
mod cli_report;
mod cli_schema;
mod cli_status;
mod cli_validate;
mod cli_why;
mod commit_signatures;
mod contended;
mod crash_at_any_moment;
mod credentials_are_renewed;
mod diff_agrees_with_daemon;
mod diff_recorded;
mod done_and_not_told;
mod drift;
mod edited_sources;
mod endless_git_servers;
mod entries_survive_a_full_disk;
mod fields_agree_with_dry_run;
mod fixture;
mod foreign_fields;
mod forge;
mod git_over_ssh;
mod gitea;
mod given_up_first;
mod hostile_files;
mod hostile_sizes;
mod idle;
mod immutable_fields;
mod in_the_cluster;
mod kinds_that_are_missing;
mod kubeconfig_as_kubectl;
mod kustomization_reads_only_its_repository;
mod last_good_stays;
mod lies;
mod listeners_hold;
mod locked_out;
mod made_meanwhile;
mod moving_an_object_is_a_hand_over;
mod never_drift;
mod newer_revision_ends_a_wait;
mod no_text_ends_the_agent;
mod nobodys_fields;
mod notes;
mod nothing_foreign_is_deleted;
mod nothing_is_left_running;
mod nothing_is_pruned_by_accident;
mod odd_surroundings;
mod once_tells_the_truth;
mod one_bad_object;
mod order;
mod orderly_stop;
mod proposals;
mod proposed_deletions;
mod proxies;
mod prune_never_touches_foreign;
mod pull_requests;
mod random_edits;
mod readiness;
mod readme;
mod record_elsewhere;
mod record_is_signed;
mod record_is_the_log;
mod refusals;
mod refused_is_not_applied;
mod refused_verbs;
mod remote_outage;
mod renamed_environment;
mod replace;
mod restored;
mod scopes_match_the_cluster;
mod secrets_stay_unsaid;
mod shown;
mod soak;
mod storm;
mod suspended;
mod take_over;
mod throttled;
mod tidy;
mod twenty_units;
mod two_agents;
mod versions;
mod watches;
mod webhook;
mod what_cannot_be_read;
mod what_waits_to_go;
mod whose_decision;
mod whose_deed;
mod witness_lost;
mod yaml_as_kubectl;
