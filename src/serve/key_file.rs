//! The sealing keys of a newcomer who gave none: a file beside the database, readable by its owner only.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use relay::keyring::Keyring;
use secrecy::{ExposeSecret, SecretString};

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    #[error(
        "the database holds secrets sealed with keys that are not here: bring back {0}, or set HOOKYARD_MASTER_KEYS"
    )]
    Lost(PathBuf),
    #[error("{0} cannot be used; set HOOKYARD_MASTER_KEYS instead, or mend the file")]
    File(PathBuf, #[source] std::io::Error),
}

/// The keys in `path`. They are made if nothing was ever sealed: new keys for old secrets would only hide the loss.
pub(crate) fn read_or_make(path: &Path, holds_sealed: bool) -> Result<SecretString, KeyFileError> {
    let unusable = |error| KeyFileError::File(path.to_owned(), error);
    match fs::read_to_string(path) {
        Ok(text) => Ok(SecretString::from(text.trim())),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(error)),
        Err(_) if holds_sealed => Err(KeyFileError::Lost(path.to_owned())),
        Err(_) => make(path).map_err(unusable),
    }
}

fn make(path: &Path) -> std::io::Result<SecretString> {
    let text = Keyring::generate_text();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", text.expose_secret())?;
    file.sync_all()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_are_made_once_for_their_owner_only_and_never_to_replace_lost_ones() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("hookyard.keys");
        assert!(matches!(read_or_make(&path, true), Err(KeyFileError::Lost(_))));
        let made = read_or_make(&path, false).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_or_make(&path, true).unwrap().expose_secret(), made.expose_secret());
    }
}
