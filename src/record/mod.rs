//! What happened, as commits on the branch `live/<environment>`: their text and
//! tree (pure), and the branch that takes them.

pub mod branch;
mod compact;
mod drifted;
pub mod entry;
pub mod event;
pub mod foreign;
pub mod history;
pub mod lines;
mod local;
pub mod names;
pub mod notes;
mod notes_branch;
mod notes_push;
mod outcome;
pub mod path;
pub mod recorded;
pub mod report;
pub mod select;
mod signature;
mod signing;
pub mod status;
pub mod status_files;
mod store;
pub mod story;
pub mod text;
mod theirs;
pub mod view;

pub use branch::{RecordBranch, content_id};
pub use drifted::Drifted;
pub use entry::{Entry, bounded};
pub use event::Event;
pub use history::{Departed, FileChange, History, ObjectFiles};
pub use names::{BranchPattern, PatternError};
pub use notes_branch::{NotesBranch, notes_ref};
pub use notes_push::{NotesError, PushedNotes};
pub use outcome::{Below, PushError, Pushed, RecordError};
pub use recorded::{Facts, Recorded};
pub use select::{ObjectPattern, Selection};
pub(crate) use signature::{author, committer};
pub(crate) use signing::Draft;
pub use signing::{SigningKey, SigningKeyError};
pub use text::README;
pub(crate) use text::{COMMITTER_EMAIL, COMMITTER_NAME};
pub use view::{RecordView, ViewError, environments_in_repository, environments_of_remote, fetch};
