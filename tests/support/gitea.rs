//! A real forge on loopback: Gitea, with users, repositories, pull requests, webhooks.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::git::Repository;
use super::leash::{self, Process};
use super::parts::{port_was_taken, tail};
use super::programs::{Program, Programs};
use super::wait::{poll, unique, wait_seeing};

const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody else may take a port between our asking for it and its use.
const ATTEMPTS: u32 = 5;

const ADMIN: &str = "root-of-gitea";

/// A running Gitea. Dropped, it is gone, process and data.
pub struct Gitea {
    /// Dropped before the directory that it writes to.
    process: Mutex<Option<Process>>,
    program: PathBuf,
    directory: TempDir,
    port: u16,
    admin: User,
    runtime: Runtime,
    client: reqwest::Client,
}

/// Somebody with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login.
    pub name: String,
    /// For the API, and as the password for Git.
    pub token: String,
    password: String,
}

/// A repository there, and a clone of it that pushes as its owner.
pub struct Forged<'g> {
    /// The forge.
    pub gitea: &'g Gitea,
    /// Whose it is.
    pub owner: User,
    /// Without the owner.
    pub name: String,
    /// The bare repository on the forge's disk, and a clone to work in.
    pub repository: Repository,
}

impl Gitea {
    /// The one that the tests of a run share. It ends with the process.
    ///
    /// # Panics
    /// When it can't be started, in every test that asks for it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<Gitea, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start().map_err(|error| format!("{error:#}")))
            .as_ref()
            .unwrap_or_else(|error| panic!("no Gitea: {error}"))
    }

    /// Starts one, and waits until it answers.
    pub fn start() -> Result<Self> {
        let programs = Programs::build(&[Program::Gitea])?;
        let program = programs.path(Program::Gitea);
        let mut attempt = 1;
        loop {
            let mut gitea = Self::prepare(program)?;
            match gitea.bring_up() {
                Err(_) if port_was_taken(&gitea.log()) && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome.map(|()| gitea),
            }
        }
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Who may do everything.
    pub fn admin(&self) -> &User {
        &self.admin
    }

    /// A new user, whose name begins so.
    ///
    /// # Panics
    /// When it can't be made.
    pub fn user(&self, name: &str) -> User {
        self.try_user(&unique(name))
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// A new, empty, private repository of somebody's.
    ///
    /// # Panics
    /// When it can't be made.
    pub fn repository(&self, owner: &User, name: &str) -> Forged<'_> {
        let body = json!({"name": name, "default_branch": "main", "private": true});
        self.call(owner, "POST", "/user/repos", &body);
        self.forged(owner, name)
    }

    /// Somebody's repository that is there already.
    pub fn forged(&self, owner: &User, name: &str) -> Forged<'_> {
        let path = format!("{}/{name}.git", owner.name);
        let login = format!(
            "http://{}:{}@127.0.0.1:{}",
            owner.name, owner.token, self.port
        );
        // Gitea keeps repositories under names in lower case.
        let remote = self.file("repositories").join(path.to_lowercase());
        let url = format!("{}/{path}", self.url());
        Forged {
            gitea: self,
            owner: owner.clone(),
            name: name.to_owned(),
            repository: Repository::served(remote, url, &format!("{login}/{path}")),
        }
    }

    /// A call of its API as somebody, below `/api/v1`; the answer, null where it is empty.
    ///
    /// # Panics
    /// When it is refused.
    pub fn call(&self, user: &User, method: &str, path: &str, body: &Value) -> Value {
        self.try_call(user, method, path, body)
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// As [`call`](Self::call), where a refusal is to be expected.
    pub fn try_call(&self, user: &User, method: &str, path: &str, body: &Value) -> Result<Value> {
        let request = self.request(method, path).bearer_auth(&user.token);
        self.answer(request.json(body), &format!("{method} {path}"))
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.file("gitea.log")).unwrap_or_default()
    }

    /// Stops it, as if its machine were down.
    pub fn stop(&self) {
        drop(self.process.lock().expect("nobody panics with it").take());
    }

    /// Starts it again, on its port and with its data.
    ///
    /// # Panics
    /// When it doesn't answer.
    pub fn start_again(&self) {
        self.serve().unwrap_or_else(|error| panic!("{error:#}"));
    }

    fn prepare(program: &Path) -> Result<Self> {
        // As the agent's main does; another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = leash::scratch("gitea");
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let nobody = User {
            name: ADMIN.to_owned(),
            token: String::new(),
            password: String::new(),
        };
        let gitea = Self {
            process: Mutex::default(),
            program: program.to_owned(),
            directory,
            port,
            admin: nobody,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()?,
            client: reqwest::Client::builder().no_proxy().build()?,
        };
        fs::write(gitea.file("app.ini"), gitea.configuration())?;
        Ok(gitea)
    }

    fn configuration(&self) -> String {
        let data = self.directory.path().display();
        let beside = self.program.parent().expect("a program is in a directory");
        format!(
            "RUN_MODE = prod
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {static_root}
APP_DATA_PATH = {data}/data
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = {data}/gitea.db
[repository]
ROOT = {data}/repositories
DEFAULT_BRANCH = main
[indexer]
ISSUE_INDEXER_TYPE = db
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2$1000$50
[service]
DISABLE_REGISTRATION = true
[webhook]
ALLOWED_HOST_LIST = loopback
[session]
PROVIDER = memory
[picture]
DISABLE_GRAVATAR = true
[actions]
ENABLED = false
[cron]
ENABLED = false
[log]
LEVEL = warn
",
            port = self.port,
            static_root = beside.display(),
        )
    }

    fn bring_up(&mut self) -> Result<()> {
        self.run(&["migrate"])?;
        let password = format!("password of {ADMIN}");
        let said = self.run(&[
            "admin",
            "user",
            "create",
            "--username",
            ADMIN,
            "--password",
            &password,
            "--email",
            "root@example.com",
            "--admin",
            "--must-change-password=false",
            "--access-token",
        ])?;
        let token = said
            .split_whitespace()
            .find(|word| word.len() == 40 && word.chars().all(|digit| digit.is_ascii_hexdigit()));
        self.admin = User {
            name: ADMIN.to_owned(),
            token: token
                .with_context(|| format!("no token in {said}"))?
                .to_owned(),
            password,
        };
        self.serve()
    }

    fn serve(&self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.file("gitea.log"))?;
        let mut command = self.command(&["web"]);
        command.stdout(log.try_clone()?).stderr(log);
        let mut process = leash::spawn(&mut command).context("cannot start gitea")?;
        let answers = || {
            let request = self.request("GET", "/version");
            TcpStream::connect(("127.0.0.1", self.port))?;
            self.answer(request, "GET /version")
        };
        let outcome = poll(PATIENCE, || match process.ended() {
            Some(status) => Ok(Err(status.to_string())),
            None => answers().map(|_| Ok(())),
        });
        match outcome {
            Ok(Ok(())) => {
                *self.process.lock().expect("nobody panics with it") = Some(process);
                Ok(())
            }
            Ok(Err(ended)) => bail!("gitea ended, {ended}:\n{}", tail(&self.file("gitea.log"))),
            Err(error) => Err(error.context(tail(&self.file("gitea.log")))),
        }
    }

    /// Runs one of its commands to its end.
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .command(arguments)
            .output()
            .context("cannot run gitea")?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        ensure!(output.status.success(), "gitea {}: {said}", arguments[0]);
        Ok(said)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--config")
            .arg(self.file("app.ini"))
            .args(arguments)
            .current_dir(self.directory.path())
            .env("HOME", self.directory.path())
            .env("USER", "git")
            .env("GITEA_WORK_DIR", self.directory.path())
            .env("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT", "true")
            .stdin(Stdio::null());
        command
    }

    fn try_user(&self, name: &str) -> Result<User> {
        let password = format!("password of {name}");
        let body = json!({
            "username": name,
            "email": format!("{name}@example.com"),
            "password": password,
            "must_change_password": false,
        });
        self.try_call(&self.admin, "POST", "/admin/users", &body)?;
        let path = format!("/users/{name}/tokens");
        let request = self.request("POST", &path);
        let request = request.basic_auth(name, Some(&password));
        let request = request.json(&json!({"name": "test", "scopes": ["all"]}));
        let made = self.answer(request, "a new token")?;
        Ok(User {
            name: name.to_owned(),
            token: made["sha1"].as_str().unwrap_or_default().to_owned(),
            password,
        })
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/api/v1{path}", self.url());
        let method = Method::from_bytes(method.as_bytes()).expect("it is one of HTTP's");
        self.client.request(method, url)
    }

    fn answer(&self, request: reqwest::RequestBuilder, what: &str) -> Result<Value> {
        self.runtime.block_on(async {
            let response = request.timeout(PATIENCE).send().await?;
            let status = response.status();
            let text = response.text().await?;
            ensure!(status.is_success(), "{what}: {status}: {text}");
            Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Forged<'_> {
    /// A call of the API below the repository, as its owner.
    ///
    /// # Panics
    /// When it is refused.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/repos/{}/{}{path}", self.owner.name, self.name);
        self.gitea.call(&self.owner, method, &path, body)
    }

    fn get(&self, path: &str) -> Value {
        self.call("GET", path, &Value::Null)
    }

    /// Lets somebody in, with a right such as `write`.
    pub fn let_in(&self, user: &User, permission: &str) {
        let path = format!("/collaborators/{}", user.name);
        self.call("PUT", &path, &json!({"permission": permission}));
    }

    /// Somebody's fork of it.
    pub fn fork(&self, user: &User) -> Forged<'_> {
        let path = format!("/repos/{}/{}/forks", self.owner.name, self.name);
        self.gitea.call(user, "POST", &path, &json!({}));
        let fork = self.gitea.forged(user, &self.name);
        fork.repository.git(&["pull", "--quiet", "origin", "main"]);
        fork
    }

    /// Waits until Gitea knows that something was pushed: until then there are no pull
    /// requests.
    pub fn until_filled(&self) {
        let path = format!("/repos/{}/{}", self.owner.name, self.name);
        wait_seeing("the first push to be known", PATIENCE, || {
            let seen = self.gitea.call(&self.owner, "GET", &path, &Value::Null);
            if seen["empty"] == false {
                Ok(())
            } else {
                Err(seen)
            }
        });
    }

    /// Commits files onto a branch of that name, which begins at the working clone's
    /// `main`, and pushes it; gives the revision.
    pub fn branch(&self, branch: &str, message: &str, files: &[(&str, &str)]) -> String {
        let repository = &self.repository;
        let known = repository.git(&["branch", "--list", branch]);
        if known.is_empty() {
            repository.git(&["switch", "--quiet", "--create", branch]);
        } else {
            repository.git(&["switch", "--quiet", branch]);
        }
        for (path, text) in files {
            repository.write(path, text);
        }
        repository.git(&["add", "--all"]);
        repository.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        let target = format!("HEAD:refs/heads/{branch}");
        repository.git(&["push", "--quiet", "--force", "origin", &target]);
        let revision = repository.revision("HEAD");
        repository.git(&["switch", "--quiet", "main"]);
        revision
    }

    /// Opens a pull request onto `main` as somebody, from a branch or `user:branch`, and
    /// gives its number.
    pub fn open(&self, user: &User, title: &str, head: &str) -> u64 {
        self.until_filled();
        let path = format!("/repos/{}/{}/pulls", self.owner.name, self.name);
        let body = json!({"title": title, "head": head, "base": "main"});
        let made = self.gitea.call(user, "POST", &path, &body);
        made["number"]
            .as_u64()
            .expect("a pull request has a number")
    }

    /// A pull request, as the API has it.
    pub fn pull_request(&self, number: u64) -> Value {
        self.get(&format!("/pulls/{number}"))
    }

    /// Merges a pull request, and gives the merge commit.
    pub fn merge(&self, number: u64) -> String {
        // First it looks for conflicts, in its own time.
        wait_seeing("the pull request to be merged", PATIENCE, || {
            let path = format!(
                "/repos/{}/{}/pulls/{number}/merge",
                self.owner.name, self.name
            );
            let body = json!({"Do": "merge"});
            let done = self.gitea.try_call(&self.owner, "POST", &path, &body);
            done.map_err(|error| format!("{error:#}"))
        });
        let merged = self.pull_request(number);
        let commit = merged["merge_commit_sha"].as_str();
        commit.expect("it was merged").to_owned()
    }

    /// The texts of a pull request's comments, oldest first.
    pub fn comments(&self, number: u64) -> Vec<String> {
        let found = self.get(&format!("/issues/{number}/comments"));
        let found = found.as_array().cloned().unwrap_or_default();
        let text = |comment: &Value| comment["body"].as_str().unwrap_or_default().to_owned();
        found.iter().map(text).collect()
    }

    /// The newest status of each context on a commit: its state and description.
    pub fn status(&self, revision: &str, context: &str) -> Option<(String, String)> {
        let found = self.statuses(revision, context);
        let newest = found
            .into_iter()
            .max_by_key(|status| status["id"].as_u64())?;
        let text = |field: &str| newest[field].as_str().unwrap_or_default().to_owned();
        Some((text("status"), text("description")))
    }

    /// Every status of a context that was ever set on a commit.
    pub fn statuses(&self, revision: &str, context: &str) -> Vec<Value> {
        let found = self.get(&format!("/commits/{revision}/statuses?limit=50"));
        let mut found = found.as_array().cloned().unwrap_or_default();
        found.retain(|status| status["context"] == context);
        found
    }

    /// Has every push, and whatever happens to pull requests, told to an address.
    pub fn hook(&self, address: &str, secret: &str) {
        let body = json!({
            "type": "gitea",
            "active": true,
            "events": ["push", "pull_request", "pull_request_sync", "issue_comment"],
            "config": {"url": address, "content_type": "json", "secret": secret},
        });
        self.call("POST", "/hooks", &body);
    }
}
