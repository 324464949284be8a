//! Addresses on loopback, and what an agent's admin page says there.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// An address that nobody listens at.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let address = listener.local_addr().expect("it is bound");
    address.to_string()
}

/// What `/readyz` answers, with its head; why there is no answer.
pub fn readyz(address: &str) -> Result<String, String> {
    let answer = TcpStream::connect(address).and_then(|mut stream| {
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    answer.map_err(|error| error.to_string())
}
