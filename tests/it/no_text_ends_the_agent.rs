//! No text that others write makes a reader of it panic or take for ever: what lies in
//! `tests/fuzz`, changed at random. A few hundred changes of each are tried, or as many as
//! `FUZZ_CASES` says; `FUZZ_SEED` begins elsewhere.
//!
//! What was tried last lies in the scratch directory that a failure names: it goes into the
//! corpus with the mend.

use std::env;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::{Duration, Instant};

use agent::config::{FieldPath, resolve};
use agent::forge::webhook::Delivery;
use agent::model::{Digest, EntryKind, Tree, TreeError};
use agent::record::entry::trailers;
use agent::render::yaml::documents;
use agent::runtime::net::{Loopback, Proxies, Target};
use agent::source::RepoUrl;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Far beyond what any of them takes, on a machine that does other things as well.
const BOUND: Duration = Duration::from_secs(20);
const LARGEST: usize = 64 << 10;

/// Where readers part ways.
const WORDS: [&str; 24] = [
    "\n",
    " ",
    "\t",
    "\0",
    "\u{202e}",
    "\u{feff}",
    ":",
    ": ",
    "- ",
    "&a ",
    "*a",
    "<<",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "/*",
    "..",
    "%",
    "://",
    "@",
    "99999999999999999999",
];

#[test]
fn configuration() {
    fuzz("config", |text| {
        let resolved = resolve(&One(text.as_bytes().to_vec()));
        let _ = resolved.problems().to_string();
    });
}

#[test]
fn manifests() {
    fuzz("yaml", |text| {
        for document in documents(text).into_iter().flatten() {
            document.position("/a/0");
        }
    });
}

#[test]
fn messages_of_commits() {
    fuzz("trailers", |text| drop(trailers(text)));
}

#[test]
fn proxies() {
    fuzz("proxies", |text| {
        let mut lines = text.lines();
        let [proxy, direct, target] = [(); 3].map(|()| lines.next().unwrap_or_default().to_owned());
        let read = Proxies::read(|name| match name {
            "all_proxy" => Some(proxy.clone()),
            "no_proxy" => Some(direct.clone()),
            _ => None,
        });
        let target = Target {
            scheme: "https",
            host: &target,
            port: Some(1),
        };
        let proxy = read
            .as_ref()
            .ok()
            .and_then(|all| all.towards(target, Loopback::Proxied));
        let _ = proxy.map(ToString::to_string);
    });
}

#[test]
fn webhooks() {
    fuzz("webhooks", |text| {
        let (head, body) = text.split_once('\n').unwrap_or_default();
        let (name, value) = head.split_once(": ").unwrap_or_default();
        let mut headers = HeaderMap::new();
        let header = name
            .parse::<HeaderName>()
            .ok()
            .zip(HeaderValue::from_str(value).ok());
        headers.extend(header.map(|(name, value)| (Some(name), value)));
        if body.starts_with("payload=") {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert("content-type", form);
        }
        let delivery = Delivery::of(&headers).unwrap_or_else(|| Delivery::unsigned(&headers));
        let _ = delivery.hint(body.as_bytes());
    });
}

#[test]
fn addresses_of_repositories() {
    fuzz("addresses", |text| {
        let url = text.parse::<RepoUrl>();
        let _ = url.map(|url| (url.to_string(), url.short_name()));
    });
}

#[test]
fn paths_of_fields() {
    fuzz("fields", |text| {
        let object = serde_json::json!({"spec": {"containers": [{"name": "a"}]}});
        let path = FieldPath::parse(text);
        let _ = path.map(|path| (path.resolve(&object).is_some(), path.did_you_mean(&object)));
    });
}

/// Tries a reader on all of its corpus, and on changes of that.
fn fuzz(target: &str, read: impl Fn(&str)) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz")
        .join(target);
    let mut paths: Vec<_> = fs::read_dir(corpus)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let number = |name, other| env::var(name).map_or(other, |text| text.parse().unwrap());
    let (cases, mut chance) = (number("FUZZ_CASES", 300), Chance(number("FUZZ_SEED", 1)));
    let changed = (0..cases).map(|_| chance.changed(&seeds));
    for bytes in seeds.iter().cloned().chain(changed) {
        let text = String::from_utf8_lossy(&bytes);
        let began = Instant::now();
        let ended = panic::catch_unwind(AssertUnwindSafe(|| read(&text)));
        let took = began.elapsed();
        if ended.is_err() || took > BOUND {
            let path = env::temp_dir().join(format!("fuzz-{target}"));
            fs::write(&path, &*text).unwrap();
            panic!("{target}: {} after {took:?}: {ended:?}", path.display());
        }
    }
}

/// Xorshift: the same numbers in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end.max(1) as u64)).unwrap()
    }

    fn changed(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(8) {
            let (one, other) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
            let range = one.min(other)..one.max(other);
            match self.below(6) {
                0 => drop(bytes.drain(range)),
                1 => {
                    let part = bytes[range].repeat(1 << self.below(10));
                    bytes.splice(one..one, part);
                }
                2 => {
                    let other = &seeds[self.below(seeds.len())];
                    bytes.splice(range, other.clone());
                }
                3 => {
                    if let Some(byte) = bytes.get_mut(one) {
                        *byte ^= 1 << self.below(8);
                    }
                }
                _ => {
                    let word = WORDS[self.below(WORDS.len())].repeat(1 << self.below(4));
                    bytes.splice(one..one, word.into_bytes());
                }
            }
            bytes.truncate(LARGEST);
        }
        bytes
    }
}

/// A repository of one `agent.yaml` and two directories below each other.
struct One(Vec<u8>);

impl Tree for One {
    fn list(&self, directory: &str) -> Result<Vec<(String, EntryKind)>, TreeError> {
        let entry = |name: &str, kind| (name.to_owned(), kind);
        match directory {
            "" => Ok(vec![
                entry("a", EntryKind::Directory),
                entry("agent.yaml", EntryKind::File),
            ]),
            "a" => Ok(vec![entry("b", EntryKind::Directory)]),
            "a/b" => Ok(Vec::new()),
            path => Err(TreeError::NotFound {
                path: path.to_owned(),
            }),
        }
    }

    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        Ok(match path {
            "" | "a" | "a/b" => Some(EntryKind::Directory),
            "agent.yaml" => Some(EntryKind::File),
            _ => None,
        })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        match path {
            "agent.yaml" => Ok(self.0.clone()),
            path => Err(TreeError::NotFound {
                path: path.to_owned(),
            }),
        }
    }

    fn digest(&self, path: &str) -> Result<Digest, TreeError> {
        Ok(Digest::of_bytes(path.as_bytes()))
    }
}
