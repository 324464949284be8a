//! What the agent guarantees, on a real control plane.

#![expect(
    clippy::disallowed_methods,
    reason = "tests run programs that have bounds of their own"
)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the demo; neither needs all of it")]
mod support;

mod adopt;
mod api_server_outage;
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
mod diff_agrees_with_daemon;
mod diff_recorded;
mod drift;
mod edited_sources;
mod fields_agree_with_dry_run;
mod fixture;
mod foreign_fields;
mod forge;
mod gitea;
mod holds;
mod hostile_files;
mod idle;
mod in_the_cluster;
mod kustomization_reads_only_its_repository;
mod last_good_stays;
mod moving_an_object_is_a_hand_over;
mod never_drift;
mod newer_revision_ends_a_wait;
mod nobodys_fields;
mod notes;
mod nothing_is_pruned_by_accident;
mod once_tells_the_truth;
mod one_bad_object;
mod order;
mod proposals;
mod proposed_deletions;
mod prune_never_touches_foreign;
mod pull_requests;
mod random_edits;
mod readiness;
mod readme;
mod record_elsewhere;
mod record_is_signed;
mod record_is_the_log;
mod remote_outage;
mod replace;
mod scopes_match_the_cluster;
mod soak;
mod storm;
mod take_over;
mod throttled;
mod tidy;
mod twenty_units;
mod two_agents;
mod watches;
mod webhook;
mod yaml_as_kubectl;
