//! The ways of a Git server over HTTP that never ends, says nothing, or sends one
//! elsewhere.

use std::io::{Read, Result, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

/// How a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// Refs without end.
    EndlessRefs,
    /// Headers without end.
    EndlessHeaders,
    /// `100 Continue` without end.
    EndlessPromises,
    /// A byte of refs after each pause.
    Trickle(Duration),
    /// Not at all.
    Silence,
    /// With an address to ask instead.
    Redirect(String),
    /// With less than was announced.
    Cut,
    /// With a page.
    Page,
    /// With a status line and headers.
    Status(&'static str, &'static str),
    /// With a pack of 4,294,967,295 objects.
    EndlessPack,
    /// With words about work that brings nothing.
    EndlessProgress,
}

const REFS: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nConnection: close\r\n";
const PACK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\nConnection: close\r\n\r\n0008NAK\n";
const FIRST: &str = "001e# service=git-upload-pack\n0000";
const REF: &str = "1111111111111111111111111111111111111111";

/// Answers so, until the other side has had enough.
pub fn play(mut stream: &TcpStream, manner: &Manner) -> Result<()> {
    match manner {
        Manner::EndlessRefs => {
            write!(
                stream,
                "{REFS}\r\n{FIRST}{}",
                line(&format!("{REF} HEAD\0 side-band-64k\n"))
            )?;
            endless(stream, |n| {
                line(&format!("{REF} refs/heads/b{n}\n")).into_bytes()
            })
        }
        Manner::EndlessHeaders => {
            write!(stream, "{REFS}")?;
            endless(stream, |n| format!("X-{n}: {REF}\r\n").into_bytes())
        }
        Manner::EndlessPromises => endless(stream, |_| b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Manner::Trickle(pause) => {
            write!(stream, "{REFS}\r\n{FIRST}")?;
            let refs = line(&format!("{REF} HEAD\0 side-band-64k\n"));
            for byte in refs.bytes().cycle() {
                stream.write_all(&[byte])?;
                sleep(*pause);
            }
            Ok(())
        }
        Manner::Silence => stream.read_to_end(&mut Vec::new()).map(|_| ()),
        Manner::Redirect(to) => write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
        Manner::Cut => write!(stream, "{REFS}Content-Length: 1000\r\n\r\n{FIRST}"),
        Manner::Page => write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\r\n<html>Log in</html>"
        ),
        Manner::Status(line, headers) => write!(
            stream,
            "HTTP/1.1 {line}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
        ),
        Manner::EndlessPack => {
            write!(stream, "{PACK}")?;
            stream.write_all(&band(1, b"PACK\0\0\0\x02\xff\xff\xff\xff"))?;
            // An empty blob: its type, and nothing as zlib has it.
            let blob = b"\x30\x78\x9c\x03\x00\x00\x00\x00\x01".repeat(1000);
            endless(stream, |_| band(1, &blob))
        }
        Manner::EndlessProgress => {
            write!(stream, "{PACK}")?;
            endless(stream, |_| {
                sleep(Duration::from_millis(100));
                band(2, b"still at work on what was asked for\r")
            })
        }
    }
}

fn endless(mut stream: &TcpStream, piece: impl Fn(u64) -> Vec<u8>) -> Result<()> {
    for number in 0.. {
        stream.write_all(&piece(number))?;
    }
    Ok(())
}

fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

fn band(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut packet = format!("{:04x}", bytes.len() + 5).into_bytes();
    packet.push(number);
    packet.extend_from_slice(bytes);
    packet
}
