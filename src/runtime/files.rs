//! Files and directories of our own: whoever else may write where they lie can't have them
//! be other files, by a link that was there before.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags, fchmod, fstat};
use rustix::io::Errno;
use rustix::process::geteuid;

/// What nobody else may do.
const OTHERS: u32 = 0o077;

/// Makes a directory that we alone may enter, or sees to it that it is one. What lies above
/// it is made as directories are.
///
/// # Errors
/// When it can't be made, is a link, or belongs to somebody else.
pub fn own_directory(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let made = std::fs::DirBuilder::new().mode(0o700).create(path);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(refused)?;
    let found = fstat(&directory)?;
    if found.st_uid != geteuid().as_raw() {
        let owner = found.st_uid;
        return Err(io::Error::other(format!(
            "it belongs to another user ({owner}); give the agent a data directory of its own"
        )));
    }
    if found.st_mode & OTHERS != 0 {
        fchmod(&directory, Mode::RWXU)?;
    }
    Ok(())
}

/// Opens a file to read and write it, or makes an empty one that we alone may read.
///
/// # Errors
/// When it can't be opened, or is a link.
pub fn own_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(path).map_err(|error| {
        let number = error.raw_os_error();
        number.map_or(error, |number| refused(Errno::from_raw_os_error(number)))
    })
}

fn refused(error: Errno) -> io::Error {
    match error {
        Errno::LOOP | Errno::NOTDIR => {
            io::Error::other("it is a link, or no directory; the agent writes through none")
        }
        other => other.into(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let (target, link) = (place.path().join("target"), place.path().join("link"));
        std::fs::write(&target, "precious").unwrap();
        symlink(&target, &link).unwrap();
        let error = own_file(&link).unwrap_err();
        assert!(error.to_string().contains("link"), "{error}");
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");

        let (target, link) = (place.path().join("elsewhere"), place.path().join("record"));
        std::fs::create_dir(&target).unwrap();
        symlink(&target, &link).unwrap();
        let error = own_directory(&link).unwrap_err();
        assert!(error.to_string().contains("link"), "{error}");
    }

    #[test]
    fn what_is_there_is_kept_and_closed_to_others() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("deep/record");
        own_directory(&directory).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o777)).unwrap();
        own_directory(&directory).unwrap();
        assert_eq!(mode(&directory), 0o700);
        let file = directory.join("file");
        std::fs::write(&file, "kept").unwrap();
        own_file(&file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    }
}
