//! A proxy on loopback: HTTP (whole URLs and CONNECT) and SOCKS 5 on one port. Whatever
//! host it is asked for is on this machine.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A proxy that remembers whom it was asked for. Its threads end with their connections, the
/// one that listens with the test process.
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Listens on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let shared = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let asked = Arc::clone(&shared);
                // A client that goes away is no error of the proxy's.
                std::thread::spawn(move || serve(client, &asked).ok());
            }
        });
        Self { address, asked }
    }

    /// Where it listens, without a scheme.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Whom it was asked for, as `host:port`, and the first line that was sent there where
    /// that can be read.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut client: TcpStream, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut first = [0; 1];
    client.read_exact(&mut first)?;
    let (target, begun) = if first[0] == 5 {
        (socks(&mut client)?, Vec::new())
    } else {
        http(&mut client, first[0])?
    };
    let port = target
        .rsplit(':')
        .next()
        .and_then(|port| port.parse::<u16>().ok());
    let port = port.ok_or_else(|| io::Error::other(target.clone()))?;
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let begun = if begun.is_empty() {
        some(&mut client)?
    } else {
        begun
    };
    let line = begun
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    let line = String::from_utf8(line.to_vec()).unwrap_or_default();
    asked.lock().unwrap().push(format!("{target} {line}"));
    server.write_all(&begun)?;
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let _ = io::copy(&mut client, &mut server);
    server.shutdown(Shutdown::Both)
}

fn some(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 16 << 10];
    let count = client.read(&mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// RFC 1928, without a login: the name or address that is asked for.
fn socks(client: &mut TcpStream) -> io::Result<String> {
    let mut count = [0; 1];
    client.read_exact(&mut count)?;
    client.read_exact(&mut vec![0; count[0].into()])?;
    client.write_all(&[5, 0])?;
    let mut head = [0; 4];
    client.read_exact(&mut head)?;
    let host = match head[3] {
        1 => {
            let mut address = [0; 4];
            client.read_exact(&mut address)?;
            Ipv4Addr::from(address).to_string()
        }
        3 => {
            client.read_exact(&mut count)?;
            let mut name = vec![0; count[0].into()];
            client.read_exact(&mut name)?;
            String::from_utf8_lossy(&name).into_owned()
        }
        other => return Err(io::Error::other(format!("an address of type {other}"))),
    };
    let mut port = [0; 2];
    client.read_exact(&mut port)?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, port[0], port[1]])?;
    Ok(format!("{host}:{}", u16::from_be_bytes(port)))
}

/// The target of a request, and the request where it is to be passed on.
fn http(client: &mut TcpStream, first: u8) -> io::Result<(String, Vec<u8>)> {
    let mut head = vec![first];
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0; 1];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut words = text.split(' ');
    let (method, url) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        return Ok((url.to_owned(), Vec::new()));
    }
    let target = url
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap_or_default();
    Ok((target.to_owned(), head))
}
