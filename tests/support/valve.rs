//! A forwarder of connections on loopback that can be shut: then it takes connections and
//! bytes, and nothing comes through, as from a machine that hangs.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// Forwards to one address.
pub struct Valve {
    address: SocketAddr,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Valve {
    /// Forwards from a free port, open at first. Its threads end with their connections,
    /// the one that listens with the test process.
    pub fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Arc::<Gate>::default();
        let shared = Arc::clone(&gate);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client sees a target that is away as a connection that ends.
                if let Ok(server) = TcpStream::connect(target) {
                    pump(&client, &server, &shared);
                    pump(&server, &client, &shared);
                }
            }
        });
        Self { address, gate }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing comes through, either way.
    pub fn shut(&self) {
        *self.gate.shut.lock().unwrap() = true;
    }

    /// Lets through what waits, and all that comes.
    pub fn open(&self) {
        *self.gate.shut.lock().unwrap() = false;
        self.gate.opened.notify_all();
    }
}

impl Drop for Valve {
    fn drop(&mut self) {
        self.open();
    }
}

fn pump(from: &TcpStream, to: &TcpStream, gate: &Arc<Gate>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let gate = Arc::clone(gate);
    std::thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let shut = gate.shut.lock().unwrap();
            drop(gate.opened.wait_while(shut, |shut| *shut).unwrap());
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        // The other end may be gone already.
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    });
}
