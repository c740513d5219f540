//! The keys: those that seal what the database holds, and the operator's.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use entity::{DbErr, api_key, sealing};
use migration::sea_orm::DatabaseConnection;
use relay::keyring::Keyring;
use secrecy::ExposeSecret;

use super::finding::{Finding, story};
use crate::serve::{KEY_FILE, Settings};

const SEALING: &str = "sealing-keys";
const FILE: &str = "key-file";
const OPERATOR: &str = "operator-key";

/// The keys that a relay with these settings would seal with.
#[derive(Debug)]
pub(super) enum Given {
    Keys(Keyring),
    Nothing,
    /// They cannot be used, which was told.
    Unusable,
}

/// The keys, and what is to be said of them for themselves.
pub(super) fn given(settings: &Settings) -> (Given, Vec<Finding>) {
    match &settings.master_keys {
        Some(keys) => parsed(keys.expose_secret(), "HOOKYARD_MASTER_KEYS", Vec::new()),
        None => in_file(Path::new(KEY_FILE)),
    }
}

fn in_file(path: &Path) -> (Given, Vec<Finding>) {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return (Given::Nothing, Vec::new()),
        Err(error) => {
            let mend = format!("let this user read {KEY_FILE}, or set HOOKYARD_MASTER_KEYS");
            return (
                Given::Unusable,
                vec![Finding::problem(FILE, format!("{KEY_FILE} cannot be read: {error}"), mend)],
            );
        }
    };
    let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode() & 0o777);
    let finding = if mode & 0o077 == 0 {
        Finding::ok(FILE, format!("{KEY_FILE} is its owner's only"))
    } else {
        let found = format!(
            "others on this machine can open {KEY_FILE} (its mode is {mode:o}), and with it every secret in the database"
        );
        Finding::problem(
            FILE,
            found,
            format!("chmod 600 {KEY_FILE}; if others work here, change the key as well (see `hookyard reseal --help`)"),
        )
    };
    parsed(text.trim(), KEY_FILE, vec![finding])
}

fn parsed(text: &str, place: &str, mut findings: Vec<Finding>) -> (Given, Vec<Finding>) {
    match Keyring::parse(text) {
        Ok(keyring) => (Given::Keys(keyring), findings),
        Err(error) => {
            let mend = format!("write {place} as id:base64(32 bytes), several with commas between them");
            findings.push(Finding::problem(SEALING, format!("{place} cannot be used: {error}"), mend));
            (Given::Unusable, findings)
        }
    }
}

/// Whether they are the ones that this database needs.
pub(super) async fn needed(db: &DatabaseConnection, given: &Given) -> Result<Vec<Finding>, DbErr> {
    let needed = sealing::needed(db).await?;
    let keyring = match given {
        Given::Keys(keyring) => keyring,
        Given::Nothing => return Ok(vec![none(needed.is_empty())]),
        Given::Unusable => return Ok(Vec::new()),
    };
    let lacking = needed.iter().filter_map(|key| key.is_opened_by(keyring).err());
    let lacking: Vec<_> = lacking.map(|error| Finding::problem(SEALING, story(&error), MISSING)).collect();
    if !lacking.is_empty() {
        return Ok(lacking);
    }
    let (first, count) = (keyring.ids().first().copied().unwrap_or_default(), needed.len());
    Ok(vec![Finding::ok(SEALING, format!("`{first}` seals, and all {count} that sealed something here are given"))])
}

const MISSING: &str = "bring that key back from where keys are kept safe; nothing else opens what it sealed";

fn none(is_new: bool) -> Finding {
    if is_new {
        return Finding::ok(
            SEALING,
            format!(
                "none are given: `hookyard` makes {KEY_FILE} at its first start; hookyard-api and hookyard-worker want \
                 HOOKYARD_MASTER_KEYS"
            ),
        );
    }
    Finding::problem(
        SEALING,
        format!(
            "the database holds sealed secrets, and no key is here: neither HOOKYARD_MASTER_KEYS nor {KEY_FILE} in this \
             directory"
        ),
        format!("set HOOKYARD_MASTER_KEYS, bring {KEY_FILE} back, or run this in the relay's directory"),
    )
}

/// A key with fewer different characters was typed, not made.
const FEWEST: usize = 10;
const MAKE: &str =
    "make one with `hookyard keys create --operator`, or give a text such as `openssl rand -base64 32` makes";

/// Whether an operator can do anything, and nobody else.
pub(super) async fn operator(settings: &Settings, db: &DatabaseConnection, now: i64) -> Result<Finding, DbErr> {
    if let Some(finding) = settings.http.operator_key.as_ref().map(|key| of_settings(key.expose_secret())) {
        return Ok(finding);
    }
    let keys = api_key::of_operators(db).await?;
    Ok(match keys.iter().filter(|key| key.expires_at.is_none_or(|at| at > now)).count() {
        0 if !keys.is_empty() => {
            Finding::warning(OPERATOR, "every operator's key has expired: nobody can administer", MAKE)
        }
        0 => Finding::warning(OPERATOR, "there is no operator's key: nobody can make a tenant", MAKE),
        count => Finding::ok(OPERATOR, format!("{count} in the database")),
    })
}

fn of_settings(key: &str) -> Finding {
    let different: std::collections::HashSet<char> = key.chars().collect();
    if different.len() < FEWEST {
        let found =
            format!("HOOKYARD_OPERATOR_KEY can be guessed: it is made of {} different characters", different.len());
        return Finding::problem(OPERATOR, found, MAKE);
    }
    Finding::ok(OPERATOR, "given by HOOKYARD_OPERATOR_KEY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operators_key_is_made_of_many_characters() {
        for (key, verdict) in [
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "problem"),
            ("123456789123456789123456789123456789", "problem"),
            ("0123456789012345678901234567890123456789", "ok"),
            ("q8Zr1vXy6QmD3uJt5sLk9wHn2bCf7gPa", "ok"),
        ] {
            assert_eq!(of_settings(key).told(), (OPERATOR, verdict), "{key}");
        }
    }

    #[test]
    fn a_key_file_is_its_owners_only() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("keys");
        assert!(matches!(in_file(&path), (Given::Nothing, findings) if findings.is_empty()));
        std::fs::write(&path, Keyring::generate_text().expose_secret()).unwrap();
        for (mode, verdict) in [(0o600, "ok"), (0o400, "ok"), (0o640, "problem"), (0o604, "problem")] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let (given, findings) = in_file(&path);
            assert!(matches!(given, Given::Keys(_)) && findings[0].told() == (FILE, verdict), "{mode:o}: {findings:?}");
        }
    }
}
