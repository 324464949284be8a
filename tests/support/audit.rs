//! Who asked the API server for what, from its audit log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use jiff::Timestamp;
use serde::Deserialize;

use super::control_plane::ControlPlane;

/// A place in the audit log.
#[derive(Clone, Copy, Debug)]
pub struct AuditPosition(u64);

impl AuditPosition {
    /// In bytes from the beginning of the log.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl ControlPlane {
    /// Every request since the start.
    pub fn audit(&self) -> Vec<AuditEvent> {
        self.audit_since(AuditPosition(0))
    }

    /// The end of the audit log as of now: of its last whole line, since one may be
    /// being written.
    pub fn audit_position(&self) -> AuditPosition {
        /// Longer than any event.
        const TAIL: u64 = 1 << 18;
        let Ok(mut log) = File::open(self.file("audit.log")) else {
            return AuditPosition(0);
        };
        let length = log.metadata().expect("it is open").len();
        let from = length.saturating_sub(TAIL);
        let mut tail = Vec::new();
        log.seek(SeekFrom::Start(from))
            .and_then(|_| log.take(length - from).read_to_end(&mut tail))
            .expect("the audit log can be read");
        let line_end = tail.iter().rposition(|byte| *byte == b'\n');
        AuditPosition(line_end.map_or(from, |at| from + at as u64 + 1))
    }

    /// The requests that came after a place in the audit log.
    pub fn audit_since(&self, position: AuditPosition) -> Vec<AuditEvent> {
        let mut text = String::new();
        let mut log = File::open(self.file("audit.log")).expect("there is an audit log");
        log.seek(SeekFrom::Start(position.0))
            .expect("files can be sought in");
        log.read_to_string(&mut text)
            .expect("the audit log is text");
        parse(&text)
    }
}

/// A request, as the API server saw it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    #[serde(rename = "auditID")]
    pub audit_id: String,
    /// `ResponseStarted` (of a watch), `ResponseComplete`, or `Panic`.
    pub stage: String,
    /// The path with its query.
    #[serde(rename = "requestURI")]
    pub uri: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    pub user: User,
    #[serde(default)]
    pub user_agent: String,
    #[serde(default, rename = "objectRef")]
    pub object: ObjectRef,
    #[serde(default, rename = "responseStatus")]
    pub response: Response,
    /// When the request came.
    #[serde(rename = "requestReceivedTimestamp")]
    pub received: Timestamp,
    /// When this stage was reached: the end of the response, but for a watch's start.
    #[serde(rename = "stageTimestamp")]
    pub reached: Timestamp,
}

#[derive(Clone, Debug, Deserialize)]
pub struct User {
    #[serde(default)]
    pub username: String,
}

/// What the request was about; all empty for `/version` and the like.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectRef {
    pub api_group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Response {
    /// The HTTP status.
    pub code: u16,
}

impl AuditEvent {
    pub fn is_dry_run(&self) -> bool {
        self.uri.contains("dryRun=")
    }

    /// Whether it asked to change something stored.
    pub fn is_write(&self) -> bool {
        let reads = matches!(self.verb.as_str(), "get" | "list" | "watch");
        !reads && !self.is_dry_run() && !self.is_review()
    }

    /// Reviews (of access, of tokens) are created, but stored nowhere.
    fn is_review(&self) -> bool {
        self.object.resource.ends_with("reviews")
    }
}

/// Reads whole lines; the last one may still be being written.
fn parse(log: &str) -> Vec<AuditEvent> {
    log.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).expect("the audit log holds audit events"))
        .collect()
}
