//! Git over SSH by the `ssh` program: hosts, algorithms, keys, agents and configuration are
//! exactly as OpenSSH has them.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::Error;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use tempfile::TempDir;

use super::pace::Act;
use super::pipes::Pipes;
use super::{Conversation, generic};
use crate::model::Redacted;
use crate::runtime::exec::Partner;
use crate::source::auth::SshLogin;
use crate::source::problem::SourceProblem;
use crate::source::url::{RepoUrl, Transport};

/// What of our environment is the program's: where it finds others, and the agent that
/// holds the keys.
const PASSED_ON: [&str; 6] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SSH_AUTH_SOCK",
    "KRB5CCNAME",
];

/// What is so for every call. Nobody is asked anything, no host is trusted because it is the
/// first of its name, nothing but this conversation goes through the connection, and none
/// outlives it.
const ALWAYS: [&str; 16] = [
    "-oStrictHostKeyChecking=yes",
    "-oUpdateHostKeys=no",
    "-oConnectTimeout=10",
    "-oServerAliveInterval=10",
    "-oServerAliveCountMax=2",
    "-oPasswordAuthentication=no",
    "-oKbdInteractiveAuthentication=no",
    "-oNumberOfPasswordPrompts=1",
    "-oForwardAgent=no",
    "-oClearAllForwardings=yes",
    "-oControlMaster=no",
    "-oControlPath=none",
    "-oPermitLocalCommand=no",
    "-oLogLevel=ERROR",
    "-x",
    "-T",
];

/// The user where neither the address nor OpenSSH's configuration is asked for one.
const USER: &str = "git";

/// The file that gives the program the passphrase, and the variable that it is in.
const ASKPASS: &str = "askpass";
const ANSWER: &str = "AGENT_SSH_ASKPASS_ANSWER";

/// The transport of one conversation.
pub(super) struct Ssh {
    conversation: Arc<Conversation>,
    program: Option<PathBuf>,
}

impl Ssh {
    /// `program` is `None` where there is none.
    pub(super) fn new(conversation: Arc<Conversation>, program: Option<PathBuf>) -> Self {
        Self {
            conversation,
            program,
        }
    }

    pub(super) fn start(&self, url: &str, first: Act, then: Act) -> Result<Pipes, SourceProblem> {
        let unreachable = |reason: &str| self.conversation.unreachable(reason);
        let Some(program) = self.program.clone() else {
            return Err(unreachable(
                "there is no `ssh` on PATH; install the client of OpenSSH (the package openssh-client or openssh)",
            ));
        };
        let address = url.parse::<RepoUrl>();
        let address = address.map_err(|error| unreachable(&error.to_string()))?;
        let login = &self.conversation.remote.credentials.ssh;
        // The program would go on with other keys, and say nothing of this one.
        login
            .read()
            .map_err(|error| self.conversation.unauthorized(&error))?;
        let arguments = arguments(&address, login, first.service());
        let mut arguments =
            arguments.ok_or_else(|| unreachable("its address has no host or no path"))?;
        let mut environment: Vec<(OsString, OsString)> = PASSED_ON
            .into_iter()
            .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
            .chain([("LC_ALL".into(), "C".into())])
            .collect();
        let kept = match &login.passphrase {
            None => {
                arguments.insert(0, "-oBatchMode=yes".into());
                None
            }
            Some(passphrase) => {
                let asked = askpass().map_err(|error| {
                    unreachable(&format!("ssh can't be given the passphrase: {error}"))
                })?;
                environment.extend(answered(asked.path(), passphrase));
                Some(asked)
            }
        };
        let partner = Partner {
            executable: program,
            arguments,
            environment,
        };
        Pipes::start(
            Arc::clone(&self.conversation),
            &partner,
            (first, then),
            kept,
        )
    }
}

impl SmartSubtransport for Ssh {
    /// Called for the refs alone: what follows goes through the same pipes.
    fn action(
        &self,
        url: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        let (first, then) = match service {
            Service::UploadPackLs | Service::UploadPack => (Act::FetchRefs, Act::Fetch),
            Service::ReceivePackLs | Service::ReceivePack => (Act::PushRefs, Act::Push),
        };
        match self.start(url, first, then) {
            Ok(pipes) => Ok(Box::new(pipes)),
            Err(problem) => {
                let error = generic(&problem.to_string());
                self.conversation.fail(problem);
                Err(error)
            }
        }
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// How the program is called; nothing where the address isn't one of SSH.
fn arguments(address: &RepoUrl, login: &SshLogin, command: &str) -> Option<Vec<OsString>> {
    let Transport::Ssh { host, port, user } = address.transport() else {
        return None;
    };
    let mut arguments = ALWAYS.map(OsString::from).to_vec();
    if let Some(file) = &login.known_hosts {
        arguments.push("-oGlobalKnownHostsFile=/dev/null".into());
        arguments.push(option("UserKnownHostsFile", file));
    }
    if let Some(key) = &login.key {
        arguments.push(option("IdentityFile", key));
        arguments.push("-oIdentitiesOnly=yes".into());
    }
    // A key that was given is a deploy key's; without one it is as OpenSSH's own
    // configuration says.
    let user = user.as_deref().or(login.key.as_ref().map(|_| USER));
    if let Some(user) = user {
        arguments.extend(["-l".into(), user.into()]);
    }
    // The usual one is left to the configuration, as Git leaves it.
    if *port != 22 {
        arguments.extend(["-p".into(), port.to_string().into()]);
    }
    let path = address.ssh_path()?;
    let path = path.replace('\'', r"'\''").replace('!', r"'\!'");
    arguments.extend([
        "--".into(),
        host.into(),
        format!("{command} '{path}'").into(),
    ]);
    Some(arguments)
}

/// A file as OpenSSH reads it in an option: percent signs and quotes have a meaning there.
fn option(name: &str, file: &Path) -> OsString {
    let file = file.display().to_string();
    let file = file.replace('%', "%%").replace('"', "\\\"");
    format!("-o{name}=\"{file}\"").into()
}

/// A program that answers ssh's question with the passphrase.
fn askpass() -> io::Result<TempDir> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join(ASKPASS);
    std::fs::write(&file, format!("#!/bin/sh\nprintf '%s\\n' \"${ANSWER}\"\n"))?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700))?;
    Ok(directory)
}

fn answered(directory: &Path, passphrase: &Redacted) -> [(OsString, OsString); 4] {
    [
        ("SSH_ASKPASS".into(), directory.join(ASKPASS).into()),
        ("SSH_ASKPASS_REQUIRE".into(), "force".into()),
        ("DISPLAY".into(), ":none".into()),
        (ANSWER.into(), passphrase.expose().into()),
    ]
}

#[cfg(test)]
mod tests;
