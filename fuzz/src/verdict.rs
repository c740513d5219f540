//! What the relay says of a request.

use std::sync::{Arc, LazyLock};

use futures_util::FutureExt as _;
use relay::clock::Clock;
use relay::egress::{Egress, EgressSettings, Guard, LookingUp, Lookup, LookupError};
use relay::id::CredentialId;
use relay::verification::{Failure, Keys, Remote, Verification};

use crate::sent::Sent;

/// By a kind that needs nobody else's keys.
pub fn verdict(verification: &Verification, sent: &Sent, keys: &Keys) -> Result<Option<CredentialId>, Failure> {
    let verified = verification.verify(&sent.presented(), keys, &NOBODY).now_or_never();
    verified.expect("it waits for nothing")
}

static NOBODY: LazyLock<Remote> = LazyLock::new(|| {
    let settings =
        EgressSettings { allow: Vec::new(), ports: vec![443], http: false, proxy: None, addresses: Vec::new() };
    let egress = Egress::new(&settings, Arc::new(Guard::new(&settings, Vec::new())), Arc::new(NoNames));
    Remote::new(Arc::new(egress.expect("the client opens")), Clock::start())
});

struct NoNames;

impl Lookup for NoNames {
    fn lookup(&self, _: &str) -> LookingUp {
        Box::pin(async { Err(LookupError::NoAddress) })
    }
}
