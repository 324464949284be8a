//! The flags by which commits have to be signed.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::Args;

use crate::model::{EnvironmentName, Revision};
use crate::source::verify::{Keys, Mode, Policy, Verifier};

/// Which commits have to be signed, and with which keys.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signatures of commits")]
pub struct VerifyArgs {
    /// Deploy only what is properly signed: the newest commit (head), or every commit since the last accepted one (since-last)
    #[arg(long = "verify", env = "AGENT_VERIFY", value_name = "MODE")]
    mode: Option<Mode>,
    /// File with the keys that may sign: SSH keys as `allowed_signers`, or an armored OpenPGP keyring
    #[arg(
        long = "verify-keys",
        env = "AGENT_VERIFY_KEYS",
        value_name = "FILE",
        value_delimiter = ','
    )]
    keys: Vec<PathBuf>,
    /// The commit up to which since-last trusts the history as it is [default: the first one that is seen]
    #[arg(
        long = "verify-since",
        env = "AGENT_VERIFY_SINCE",
        value_name = "COMMIT"
    )]
    since: Option<Revision>,
}

impl VerifyArgs {
    /// What judges the commits of an environment; none where none has to be signed.
    pub fn verifier(
        &self,
        environment: &EnvironmentName,
        data_dir: &Path,
        mirror: &Path,
    ) -> anyhow::Result<Option<Verifier>> {
        let Some(mode) = self.mode else {
            ensure!(
                self.keys.is_empty() && self.since.is_none(),
                "--verify-keys and --verify-since do nothing without --verify"
            );
            return Ok(None);
        };
        ensure!(
            !self.keys.is_empty(),
            "--verify needs the keys that may sign: name a file with --verify-keys"
        );
        ensure!(
            self.since.is_none() || mode == Mode::SinceLast,
            "--verify-since goes with --verify since-last"
        );
        // Better told now than with the first commit.
        Keys::read(&self.keys)?;
        let policy = Policy {
            mode,
            keys: self.keys.clone(),
            since: self.since.clone(),
        };
        Ok(Some(Verifier::new(policy, environment, data_dir, mirror)))
    }
}
