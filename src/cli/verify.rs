//! The flags by which commits have to be signed, and entries of the record are.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;

use crate::model::Revision;
use crate::record::SigningKey;
use crate::source::verify::{Keys, Mode, Policy};

/// Which commits have to be signed, and with which keys.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signatures of commits")]
pub struct VerifyArgs {
    /// Deploy only what is properly signed: the newest commit (head), or every commit since the last accepted one (since-last)
    #[arg(long = "verify", env = "AGENT_VERIFY", value_name = "MODE", value_parser = mode)]
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

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "head" => Ok(Mode::Head),
        "since-last" => Ok(Mode::SinceLast),
        _ => Err(format!("`{text}` is neither `head` nor `since-last`")),
    }
}

impl VerifyArgs {
    /// What is asked for; none where no commit has to be signed.
    pub fn policy(&self) -> anyhow::Result<Option<Policy>> {
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
        Ok(Some(Policy {
            mode,
            keys: self.keys.clone(),
            since: self.since.clone(),
        }))
    }
}

/// What entries of the record are signed with.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signatures of the record")]
pub struct SigningArgs {
    /// Private SSH key to sign the record's entries with
    #[arg(
        long = "record-signing-key",
        env = "AGENT_RECORD_SIGNING_KEY",
        value_name = "FILE"
    )]
    key: Option<PathBuf>,
    /// File with the passphrase of that key, if it is encrypted
    #[arg(
        long = "record-signing-passphrase-file",
        env = "AGENT_RECORD_SIGNING_PASSPHRASE_FILE",
        value_name = "FILE",
        requires = "key"
    )]
    passphrase: Option<PathBuf>,
}

impl SigningArgs {
    /// The key; none where entries are not signed.
    pub fn key(&self) -> anyhow::Result<Option<SigningKey>> {
        let file = self.key.as_ref();
        let key = file.map(|file| SigningKey::read(file, self.passphrase.as_deref()));
        Ok(key.transpose()?)
    }
}
