//! What name servers answer: a real one on this machine, asked by the real resolver, over UDP.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use reqwest::dns::Resolve;
use tokio::net::UdpSocket;

use super::{Case, guard, of_layer};
use crate::egress::Url;
use crate::egress::guard::Refusal;
use crate::egress::resolver::{Guarded, LookupError, SystemLookup};

/// Answers by a case, and remembers what it was asked.
struct Server {
    case: Case,
    asked: Mutex<HashMap<RecordType, Vec<Name>>>,
}

impl Server {
    async fn start(case: &Case) -> (Arc<Self>, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let server = Arc::new(Self { case: case.clone(), asked: Mutex::default() });
        let serving = Arc::clone(&server);
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, sender)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..length]).unwrap();
                if let Some(answer) = serving.answer(&question) {
                    socket.send_to(&answer.to_vec().unwrap(), sender).await.unwrap();
                }
            }
        });
        (server, address)
    }

    fn answer(&self, question: &Message) -> Option<Message> {
        let query = question.queries.first().unwrap();
        let turn = {
            let mut asked = self.asked.lock().unwrap();
            let names = asked.entry(query.query_type()).or_default();
            names.push(query.name().clone());
            names.len() - 1
        };
        let mut answer = Message::response(question.id, question.op_code);
        answer.metadata.recursion_desired = true;
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        match self.case.rcode.as_deref() {
            Some("TIMEOUT") => return None,
            Some("SERVFAIL") => answer.metadata.response_code = ResponseCode::ServFail,
            Some("NODATA") => {}
            Some(other) => panic!("{}: {other}", self.case.id),
            None if self.is_expanded(query) => {
                answer.add_answers(self.records(query, turn));
            }
            None => answer.metadata.response_code = ResponseCode::NXDomain,
        }
        Some(answer)
    }

    /// One case has an answer only for whoever appends a search suffix to the name.
    fn is_expanded(&self, query: &Query) -> bool {
        let host = Url::parse(&self.case.url).unwrap().host_str().unwrap().to_owned();
        self.case.id != "dns-27" || query.name().to_ascii() != format!("{host}.")
    }

    fn records(&self, query: &Query, turn: usize) -> Vec<Record> {
        let (mut owner, mut records) = (query.name().clone(), Vec::new());
        for target in &self.case.cname {
            let target: Name = format!("{target}.").parse().unwrap();
            records.push(Record::from_rdata(owner, 0, RData::CNAME(CNAME(target.clone()))));
            owner = target;
        }
        let addresses = self.case.dns.get(turn.min(self.case.dns.len() - 1)).unwrap();
        let of_type = addresses.iter().filter_map(|address| match (address, query.query_type()) {
            (IpAddr::V4(address), RecordType::A) => Some(RData::A(A(*address))),
            (IpAddr::V6(address), RecordType::AAAA) => Some(RData::AAAA(AAAA(*address))),
            _ => None,
        });
        records.extend(of_type.map(|data| Record::from_rdata(owner.clone(), 0, data)));
        records
    }

    fn asked(&self) -> Vec<Name> {
        self.asked.lock().unwrap().values().flatten().cloned().collect()
    }
}

/// The resolver as it is in production, but for where it asks, and with a search list that it must not use.
fn lookup(server: SocketAddr) -> SystemLookup {
    let mut connection = ConnectionConfig::udp();
    connection.port = server.port();
    let server = NameServerConfig::new(server.ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec!["corp.example.".parse().unwrap()], vec![server]);
    SystemLookup::of(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())).unwrap()
}

/// What the client may dial, for each attempt; or why it may dial nothing.
async fn attempts(case: &Case) -> (Vec<Result<Vec<IpAddr>, String>>, Arc<Server>) {
    let (server, address) = Server::start(case).await;
    let budget = Duration::from_millis(if case.rcode.as_deref() == Some("TIMEOUT") { 100 } else { 5_000 });
    let guarded = Guarded { guard: Arc::new(guard()), lookup: Arc::new(lookup(address)), port: 443, budget };
    let host = Url::parse(&case.url).unwrap().host_str().unwrap().to_owned();
    let mut dialled = Vec::new();
    for _ in 0..case.dns.len().max(1) {
        let answer = guarded.resolve(host.parse().unwrap()).await;
        dialled.push(match answer {
            Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
            Err(error) => Err(error.to_string()),
        });
    }
    (dialled, server)
}

#[tokio::test]
async fn no_answer_leads_to_a_forbidden_address_and_each_attempt_asks_once() {
    for case in of_layer("dns") {
        let (attempts, server) = attempts(&case).await;
        let public = Ok(vec![IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1))]);
        assert!(attempts.iter().any(Result::is_err), "{}: {attempts:?}", case.id);
        for (answer, attempt) in case.dns.iter().zip(&attempts) {
            let is_public = public.as_ref().is_ok_and(|public| public == answer);
            assert!(attempt.is_err() != is_public && (!is_public || *attempt == public), "{}: {attempts:?}", case.id);
        }
        let asked = server.asked();
        // For IPv4 and for IPv6; more only of a server that fails.
        let most = 2 * attempts.len();
        assert!(case.rcode.is_some() || asked.len() <= most, "{}: asked for {asked:?}", case.id);
    }
}

#[tokio::test]
async fn what_failed_is_told_from_what_was_refused() {
    let (no_address, failed, late) = (
        LookupError::NoAddress.to_string(),
        "the name could not be resolved".to_owned(),
        LookupError::TimedOut.to_string(),
    );
    for (id, text) in [
        ("dns-21", Refusal::OwnAddress("203.0.113.10".to_owned()).to_string()),
        ("dns-23", failed),
        ("dns-24", late),
        ("dns-25", no_address),
    ] {
        let case = of_layer("dns").into_iter().find(|case| case.id == id).unwrap();
        assert_eq!(attempts(&case).await.0, [Err(text)], "{id}");
    }
}

#[tokio::test]
async fn no_search_suffix_is_ever_asked_for() {
    let case = of_layer("dns").into_iter().find(|case| case.id == "dns-27").unwrap();
    let (_, server) = attempts(&case).await;
    let asked = server.asked();
    assert!(!asked.is_empty() && asked.iter().all(|name| name.to_ascii() == "search.evil."), "{asked:?}");
}
