//! What tests and the demo run on: a real control plane, real repositories, the
//! real agent, and waiting for conditions.

pub mod agent;
pub mod audit;
pub mod build;
pub mod consistency;
pub mod control_plane;
mod credentials;
pub mod files;
pub mod git;
pub mod git_http;
pub mod gitea;
pub mod hook;
pub mod hostile_git;
mod kubectl;
pub mod leash;
pub mod liar;
mod modules;
pub mod parts;
pub mod policy;
pub mod ports;
pub mod programs;
mod progress;
pub mod proxy;
pub mod signed;
pub mod soak;
pub mod sshd;
pub mod stage;
pub mod team;
pub mod valve;
pub mod wait;
pub mod webhook;
