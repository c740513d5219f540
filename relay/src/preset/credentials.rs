//! Which credentials a source can have: one that nothing looks at would be a mistake that nobody notices.

use super::{Authentication, Preset};
use crate::verification::Verification;

impl Preset {
    /// The kinds of credentials of a source that demands this: what the provider's requests can prove themselves with, so
    /// that a credential can be there before it is asked for, and what is asked for.
    #[must_use]
    pub fn credentials(&self, demanded: &Verification) -> Vec<Authentication> {
        let kinds = self.authentication.iter().copied().chain(self.looked_at(demanded));
        let mut kinds: Vec<_> = kinds.filter(|kind| kind.has_credentials()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// What the check of a demand reads.
    fn looked_at(&self, demanded: &Verification) -> Vec<Authentication> {
        use Authentication::{ApiKey, Basic, Bearer, External, Hmac, Oauth2Client, PublicKey, VerifyToken};
        match demanded {
            Verification::None {} | Verification::Jwt(_) => Vec::new(),
            Verification::Provider {} => self.default_schemes().flat_map(|scheme| self.looked_at(scheme)).collect(),
            Verification::Credentials {} => vec![Basic, Oauth2Client, ApiKey, Bearer],
            Verification::Token(_) => vec![VerifyToken],
            Verification::Hmac(hmac) if hmac.also_equal.iter().any(|it| it.value.is_none()) => vec![Hmac, External],
            Verification::Hmac(_) | Verification::Twilio(_) => vec![Hmac],
            Verification::Ed25519(_) | Verification::Ecdsa(_) => vec![PublicKey],
            Verification::Paypal {} => vec![External],
        }
    }
}

impl Authentication {
    /// Whether there are credentials of this kind.
    fn has_credentials(self) -> bool {
        !matches!(self, Self::None | Self::Jwt)
    }
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    #[test]
    fn a_source_has_what_its_provider_sends_and_what_it_demands() {
        use Authentication::{ApiKey, Basic, Bearer, External, Hmac, Oauth2Client};
        let stripe = find("stripe").unwrap().default_schemes().next().unwrap();
        let veriff = find("veriff").unwrap().default_schemes().next().unwrap();
        for (provider, demanded, kinds) in [
            ("ondato", &Verification::None {}, vec![Basic, Oauth2Client]),
            ("ondato", &Verification::Credentials {}, vec![Basic, Oauth2Client, ApiKey, Bearer]),
            ("ondato", stripe, vec![Basic, Oauth2Client, Hmac]),
            ("ondato", veriff, vec![Basic, Oauth2Client, Hmac, External]),
            ("stripe", &Verification::Provider {}, vec![Hmac]),
            ("stripe", &Verification::Paypal {}, vec![Hmac, External]),
            ("veriff", &Verification::Provider {}, vec![Hmac, External]),
        ] {
            assert_eq!(find(provider).unwrap().credentials(demanded), kinds, "{provider} {demanded:?}");
        }
    }
}
