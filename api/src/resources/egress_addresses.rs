//! Where deliveries come from, for receivers that let nobody else in.

use ipnet::IpNet;
use poem::web::Data;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use crate::answer::Found;
use crate::app::App;
use crate::error::Error;

/// Where deliveries come from.
#[derive(Debug, Object)]
pub struct EgressAddresses {
    /// Addresses and networks, as the operator says them; empty if the operator says nothing. That a request comes from
    /// one of them proves nothing: only its signature does.
    pub addresses: Vec<String>,
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Destinations")]
impl Api {
    /// Get the addresses that deliveries come from
    ///
    /// Needs no key.
    #[oai(path = "/egress-addresses", method = "get", operation_id = "get_egress_addresses")]
    async fn get(&self, app: Data<&App>) -> Result<Found<EgressAddresses>, Error> {
        let addresses = app.guard.own_networks().iter().map(shown).collect();
        Ok(Found::of(EgressAddresses { addresses }))
    }
}

/// A network of one address is that address.
fn shown(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() { network.addr().to_string() } else { network.to_string() }
}
