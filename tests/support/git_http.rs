//! A Git server over HTTP on loopback: `git http-backend` behind a listener that
//! speaks just enough CGI. It can be stopped and started again on its port, demand a
//! password, and be told to answer with an error.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test server runs git itself, and a test may panic"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use base64::Engine as _;

use super::hostile_git::{Manner, play};

/// Serves every repository below a directory. Stops when dropped.
pub struct GitHttp {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: Option<Running>,
}

struct Shared {
    root: PathBuf,
    rules: Mutex<Rules>,
    released: Condvar,
    requests: AtomicUsize,
    logins: AtomicUsize,
}

#[derive(Default, Clone)]
struct Rules {
    /// `user:password` to demand.
    login: Option<String>,
    /// A status line to answer everything with, such as `503 Service Unavailable`.
    status: Option<String>,
    /// Whether nothing is answered for now.
    hold: bool,
    /// Whether pushes are refused.
    read_only: bool,
    /// A manner, and what is answered so.
    manner: Option<(Manner, Asked)>,
}

/// What a manner is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Any request.
    All,
    /// One that asks for objects, or brings some.
    Objects,
}

struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl GitHttp {
    /// Starts on a free port. The repositories must be bare; pushes are allowed.
    pub fn start(root: &Path) -> Self {
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            rules: Mutex::default(),
            released: Condvar::new(),
            requests: AtomicUsize::new(0),
            logins: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let running = Some(run(listener, &shared));
        Self {
            address,
            shared,
            running,
        }
    }

    /// The URL of a repository below the root.
    pub fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.address)
    }

    /// The URL with a user and password written into it.
    pub fn url_with_login(&self, login: &str, repository: &str) -> String {
        format!("http://{login}@{}/{repository}", self.address)
    }

    /// From now on demands `user:password`; `None` lets everybody in.
    pub fn demand_login(&self, login: Option<&str>) {
        self.shared.rules.lock().unwrap().login = login.map(str::to_owned);
    }

    /// From now on answers everything with a status; `None` serves again.
    pub fn answer_with(&self, status: Option<&str>) {
        self.shared.rules.lock().unwrap().status = status.map(str::to_owned);
    }

    /// From now on refuses pushes, or takes them again.
    pub fn set_read_only(&self, read_only: bool) {
        self.shared.rules.lock().unwrap().read_only = read_only;
    }

    /// From now on lets requests wait, until it is released.
    pub fn hold(&self) {
        self.shared.rules.lock().unwrap().hold = true;
    }

    /// Answers those that wait, and all others.
    pub fn release(&self) {
        self.shared.rules.lock().unwrap().hold = false;
        self.shared.released.notify_all();
    }

    /// From now on answers so; `None` serves again.
    pub fn answer_as(&self, manner: Option<(Manner, Asked)>) {
        self.shared.rules.lock().unwrap().manner = manner;
    }

    /// How many requests came with a login so far.
    pub fn logins(&self) -> usize {
        self.shared.logins.load(Ordering::SeqCst)
    }

    /// How many requests came in so far.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Refuses connections until [`restart`](Self::restart).
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.store(true, Ordering::SeqCst);
            // Wakes the listener; where it fails, the listener is gone already.
            let _ = TcpStream::connect(self.address);
            running.thread.join().unwrap();
        }
    }

    /// Serves again, on the same port.
    pub fn restart(&mut self) {
        self.stop();
        let listener = TcpListener::bind(self.address).unwrap();
        self.running = Some(run(listener, &self.shared));
    }
}

impl Drop for GitHttp {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(listener: TcpListener, shared: &Arc<Shared>) -> Running {
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, shared) = (Arc::clone(&stop), Arc::clone(shared));
    let thread = std::thread::spawn(move || {
        for stream in listener.incoming() {
            if stopped.load(Ordering::SeqCst) {
                return;
            }
            let (Ok(stream), shared) = (stream, Arc::clone(&shared)) else {
                continue;
            };
            // A client that goes away mid-request is no failure of the test.
            std::thread::spawn(move || serve(&stream, &shared).ok());
        }
    });
    Running { stop, thread }
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let request = read_request(stream)?;
    shared.requests.fetch_add(1, Ordering::SeqCst);
    if !request.header("authorization").is_empty() {
        shared.logins.fetch_add(1, Ordering::SeqCst);
    }
    let rules = shared.rules.lock().unwrap();
    let released = shared.released.wait_while(rules, |rules| rules.hold);
    let rules = released.unwrap().clone();
    match &rules.manner {
        Some((manner, Asked::All)) => return play(stream, manner),
        Some((manner, Asked::Objects)) if request.method == "POST" => return play(stream, manner),
        _ => {}
    }
    if request.header("transfer-encoding") == "chunked" {
        return reply(stream, "411 Length Required", "", b"");
    }
    if let Some(status) = rules.status {
        return reply(stream, &status, "", b"");
    }
    if let Some(login) = rules.login {
        let expected = base64::engine::general_purpose::STANDARD.encode(login);
        if request.header("authorization") != format!("Basic {expected}") {
            let challenge = "WWW-Authenticate: Basic realm=\"git\"\r\n";
            return reply(stream, "401 Unauthorized", challenge, b"");
        }
    }
    let output = backend(&shared.root, &request, rules.read_only)?;
    let split = output.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = output.split_at(split.map_or(output.len(), |at| at + 4));
    let head = String::from_utf8_lossy(head);
    let mut status = "200 OK".to_owned();
    let mut headers = String::new();
    for line in head.lines().filter(|line| !line.is_empty()) {
        if let Some(given) = line.strip_prefix("Status: ") {
            given.clone_into(&mut status);
        } else {
            headers.push_str(line);
            headers.push_str("\r\n");
        }
    }
    reply(&mut stream, &status, &headers, body)
}

fn read_request(stream: &TcpStream) -> std::io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((key, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let header = (key.to_ascii_lowercase(), value.trim().to_owned());
        request.headers.push(header);
    }
    request.body = read_body(&mut reader, &request)?;
    Ok(request)
}

fn read_body(reader: &mut impl BufRead, request: &Request) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let length = request.header("content-length").parse().unwrap_or(0);
    reader.take(length).read_to_end(&mut body)?;
    Ok(body)
}

fn backend(root: &Path, request: &Request, read_only: bool) -> std::io::Result<Vec<u8>> {
    let mut child = Command::new("git")
        .args([
            "-c",
            &format!("http.receivepack={}", !read_only),
            "http-backend",
        ])
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
        .env("GIT_PROTOCOL", request.header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().unwrap();
    let body = request.body.clone();
    // Beside the reading, or both sides wait for a full pipe.
    let writer = std::thread::spawn(move || stdin.write_all(&body).ok());
    let output = child.wait_with_output()?;
    writer.join().unwrap();
    Ok(output.stdout)
}

fn reply(mut stream: impl Write, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)?;
    stream.flush()
}
