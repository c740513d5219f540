//! What a proxy says first when it speaks the PROXY protocol, version 2.

use std::net::SocketAddr;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// On behalf of this client, to port 443 of the client's own address.
#[must_use]
pub fn from(client: SocketAddr) -> Vec<u8> {
    let (family, address) = match client {
        SocketAddr::V4(client) => (0x11, client.ip().octets().to_vec()),
        SocketAddr::V6(client) => (0x21, client.ip().octets().to_vec()),
    };
    let ports = [client.port().to_be_bytes(), 443_u16.to_be_bytes()].concat();
    header(0x21, family, &[&address[..], &address, &ports].concat())
}

/// From the proxy itself, to see whether the relay lives.
#[must_use]
pub fn local() -> Vec<u8> {
    header(0x20, 0, &[])
}

fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}
