//! `hookyard reseal`: seals everything anew with the first key, so that the others can be taken away.

use std::path::Path;

use entity::sealing;
use relay::telemetry::TelemetrySettings;
use secrecy::SecretString;

use crate::place::Place;
use crate::serve::{self, Error};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example, three minutes after every process was started with the new key first:
  HOOKYARD_MASTER_KEYS=new:…,old:… hookyard reseal")]
pub(crate) struct Settings {
    #[command(flatten)]
    place: Place,

    /// The keys that seal secrets at rest, `id:base64(32 bytes)`, comma-separated: all is sealed with the first, the others
    /// open what they sealed. Without it they are read from `./hookyard.keys`
    #[arg(long, env = "HOOKYARD_MASTER_KEYS", value_name = "KEYS", hide_env_values = true)]
    master_keys: Option<SecretString>,

    #[command(flatten)]
    pub(crate) telemetry: TelemetrySettings,
}

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    let (db, clock) = settings.place.open().await?;
    let keyring = serve::keyring(settings.master_keys.as_ref(), Path::new(serve::KEY_FILE), true)?;
    let done = sealing::reseal(&db, &keyring, clock.now()).await?;
    db.close().await;
    println!("{} secrets sealed anew", done.count);
    for key in done.retired {
        println!("the key `{key}` is needed no more: take it out of the sealing keys");
    }
    match done.needed.as_slice() {
        [] => Ok(()),
        needed => Err(format!(
            "a process has begun to seal with another key meanwhile: {}. Run this again",
            needed.join(", ")
        )
        .into()),
    }
}
