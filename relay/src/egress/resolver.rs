//! Looks names up for the client, once a request, and lets an answer through only as a whole.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::guard::{Guard, Refusal};

/// Where names become addresses: the system's name servers, or what a test says.
pub trait Lookup: Send + Sync {
    /// All addresses of an absolute name (written without its final full stop), IPv4 and IPv6; empty if it has none.
    fn lookup(&self, name: &str) -> LookingUp;
}

/// A look-up on its way.
pub type LookingUp = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, LookupError>> + Send>>;

/// A name that has no address to be reached at. The destination is unreachable; nothing was refused.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// There is no such name, or it has no address.
    #[error("the name has no address")]
    NoAddress,
    /// Nobody answered within the budget.
    #[error("the name was not resolved in time")]
    TimedOut,
    /// A name server failed.
    #[error("the name could not be resolved")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// The longest look-up of a system that works; resolvers of C libraries give a server as long.
pub(super) const BUDGET: Duration = Duration::from_secs(5);

/// One query; leaves room in the budget for a second one.
const QUERY: Duration = Duration::from_secs(2);

/// How many addresses of an answer are tried at most.
const MAX_ADDRESSES: usize = 8;

/// The name servers in `/etc/resolv.conf`; neither its search list nor `/etc/hosts`.
pub struct SystemLookup(TokioResolver);

impl SystemLookup {
    /// Reads the system's configuration.
    ///
    /// # Errors
    /// It cannot be read or names no usable server.
    pub fn new() -> Result<Self, LookupError> {
        Self::of(TokioResolver::builder_tokio().map_err(failed)?)
    }

    /// With these name servers, whatever else is configured about them.
    pub(super) fn of(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<Self, LookupError> {
        let options = builder.options_mut();
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.timeout = QUERY;
        options.attempts = 1;
        Ok(Self(builder.build().map_err(failed)?))
    }
}

fn failed(error: NetError) -> LookupError {
    LookupError::Failed(error.into())
}

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> LookingUp {
        // The final full stop keeps the search list out.
        let (resolver, name) = (self.0.clone(), format!("{name}."));
        Box::pin(async move {
            match resolver.lookup_ip(name).await {
                Ok(answer) => Ok(answer.iter().collect()),
                Err(error) if error.is_no_records_found() => Ok(Vec::new()),
                Err(error) => Err(failed(error)),
            }
        })
    }
}

/// The resolver that the client asks.
#[derive(Clone)]
pub(super) struct Guarded {
    pub(super) guard: Arc<Guard>,
    pub(super) lookup: Arc<dyn Lookup>,
    /// A port like those that this client dials; which one it will be, it does not tell its resolver.
    pub(super) port: u16,
    /// The longest look-up, all name servers and tries together.
    pub(super) budget: Duration,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, port, budget) = (Arc::clone(&self.guard), self.port, self.budget);
        let answer = self.lookup.lookup(name.as_str());
        Box::pin(async move {
            let answer = tokio::time::timeout(budget, answer).await.map_err(|_| LookupError::TimedOut)??;
            let addresses = judged(&guard, answer, port)?;
            if addresses.is_empty() {
                return Err(LookupError::NoAddress.into());
            }
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// One forbidden address spoils the answer: whoever mixes them is up to no good, or will get one at random.
fn judged(guard: &Guard, answer: Vec<IpAddr>, port: u16) -> Result<Vec<IpAddr>, Refusal> {
    answer.iter().try_for_each(|address| guard.check_address(*address, port))?;
    Ok(answer.into_iter().take(MAX_ADDRESSES).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;
    use crate::egress::EgressSettings;

    /// Gives one answer after the other; nothing means that no answer ever comes.
    struct Scripted(Mutex<VecDeque<Answer>>);

    type Answer = Option<Result<Vec<IpAddr>, LookupError>>;

    impl Lookup for Scripted {
        fn lookup(&self, _: &str) -> LookingUp {
            match self.0.lock().unwrap().pop_front().unwrap() {
                Some(answer) => Box::pin(std::future::ready(answer)),
                None => Box::pin(std::future::pending()),
            }
        }
    }

    fn guarded(settings: &EgressSettings, answers: Vec<Answer>) -> Guarded {
        let guard = Arc::new(Guard::new(settings, Vec::new()));
        Guarded { guard, lookup: Arc::new(Scripted(Mutex::new(answers.into()))), port: 443, budget: Duration::ZERO }
    }

    /// The addresses that may be dialled, or the error's text.
    async fn resolved(guarded: &Guarded, name: &str) -> Result<Vec<IpAddr>, String> {
        let answer = guarded.resolve(name.parse().unwrap()).await.map_err(|error| error.to_string())?;
        Ok(answer.map(|address| address.ip()).collect())
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn an_answer_is_let_through_as_a_whole_or_not_at_all() {
        let many = (1..=9).map(|last| IpAddr::from([8, 8, 8, last])).collect::<Vec<_>>();
        let late = [&many[..], &addresses(&["10.0.0.1"])].concat();
        let settings = EgressSettings { allow: vec!["10.0.0.0/24".parse().unwrap()], ..EgressSettings::default() };
        for (settings, answer, expected) in [
            (EgressSettings::default(), addresses(&["8.8.8.8", "2606:4700:4700::1111"]), Ok(2)),
            (EgressSettings::default(), many.clone(), Ok(8)),
            (EgressSettings::default(), late.clone(), Err("10.0.0.1 is in 10.0.0.0/8 (private)")),
            (EgressSettings::default(), addresses(&["8.8.8.8", "::1"]), Err("::1 is in ::1/128 (loopback)")),
            (EgressSettings::default(), Vec::new(), Err("the name has no address")),
            (settings.clone(), late, Ok(8)),
            (settings, addresses(&["10.0.1.1"]), Err("10.0.1.1 is in")),
        ] {
            let guarded = guarded(&settings, vec![Some(Ok(answer.clone()))]);
            let dialled = resolved(&guarded, "example.com").await.map(|dialled| dialled.len());
            match (&dialled, expected) {
                (Ok(count), Ok(expected)) => assert_eq!(*count, expected, "{answer:?}"),
                (Err(text), Err(expected)) => assert!(text.starts_with(expected), "{text}"),
                _ => panic!("{answer:?}: {dialled:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_name_server_that_is_silent_does_not_hold_the_attempt() {
        let guarded = guarded(&EgressSettings::default(), vec![None]);
        assert_eq!(resolved(&guarded, "example.com").await, Err("the name was not resolved in time".to_owned()));
    }
}
