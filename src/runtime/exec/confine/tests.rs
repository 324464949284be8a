#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};

use landlock::{CompatLevel, Compatible as _};
use rustix::process::{getppid, test_kill_process};
use tempfile::TempDir;
use tokio::runtime;

use super::super::{ExecError, Limits, Output, Program, run};
use super::*;

/// The other tests start this one as a program, confined or not: then it tries everything,
/// and says how that went.
#[test]
fn prober() {
    let Some(outside) = env::var_os("PROBE_OUTSIDE").map(PathBuf::from) else {
        return;
    };
    let snapshot = PathBuf::from(env::var_os("PROBE_SNAPSHOT").unwrap());
    let home = PathBuf::from(env::var_os("HOME").unwrap());
    let port: u16 = env::var("PROBE_PORT").unwrap().parse().unwrap();
    let (given, secret) = (snapshot.join("given"), outside.join("secret"));
    let mode = fs::Permissions::from_mode(0o600);
    let said = [
        ("read the snapshot", fs::read(&given).map(drop)),
        ("list the snapshot", fs::read_dir(&snapshot).map(drop)),
        ("write at home", fs::write(home.join("x"), "x")),
        ("read outside", fs::read(&secret).map(drop)),
        ("list outside", fs::read_dir(&outside).map(drop)),
        ("write outside", fs::write(outside.join("new"), "x")),
        ("read the system", fs::read("/etc/passwd").map(drop)),
        ("read a process", fs::read("/proc/self/environ").map(drop)),
        ("change the snapshot", fs::write(&given, "x")),
        ("add to the snapshot", fs::write(snapshot.join("new"), "x")),
        (
            "remove from the snapshot",
            fs::remove_file(snapshot.join("old")),
        ),
        ("change a mode", fs::set_permissions(&secret, mode)),
        (
            "connect by TCP",
            TcpStream::connect(("127.0.0.1", port)).map(drop),
        ),
        ("listen by TCP", TcpListener::bind("127.0.0.1:0").map(drop)),
        (
            "open a UDP socket",
            UdpSocket::bind("127.0.0.1:0").map(drop),
        ),
        (
            "connect by a file",
            UnixStream::connect(outside.join("socket")).map(drop),
        ),
        (
            "signal another process",
            test_kill_process(getppid().unwrap()).map_err(Into::into),
        ),
    ];
    for (what, result) in said {
        let how = match result {
            Ok(()) => "done".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        println!("\nprobe: {what}: {how}");
    }
}

/// What the prober may see, and what it may not.
struct Place {
    snapshot: TempDir,
    outside: TempDir,
    listener: TcpListener,
    _socket: UnixListener,
}

impl Place {
    fn new() -> Self {
        let (snapshot, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        fs::write(snapshot.path().join("given"), "given").unwrap();
        fs::write(snapshot.path().join("old"), "old").unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        Self {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            _socket: UnixListener::bind(outside.path().join("socket")).unwrap(),
            snapshot,
            outside,
        }
    }

    fn confined(&self, unconfined: Unconfined) -> Access {
        Access::Confined {
            read: vec![self.snapshot.path().to_owned()],
            unconfined,
        }
    }

    fn prober(&self, access: Access) -> Program {
        let port = self.listener.local_addr().unwrap().port();
        let name = "runtime::exec::confine::tests::prober";
        let arguments = ["--exact", name, "--nocapture"];
        let environment: [(&str, OsString); 3] = [
            ("PROBE_OUTSIDE", self.outside.path().into()),
            ("PROBE_SNAPSHOT", self.snapshot.path().into()),
            ("PROBE_PORT", port.to_string().into()),
        ];
        Program {
            executable: env::current_exe().unwrap(),
            arguments: arguments.map(Into::into).into(),
            directory: self.snapshot.path().to_owned(),
            environment: environment.map(|(name, value)| (name.into(), value)).into(),
            stdin: None,
            access,
            limits: Limits::of_one(crate::runtime::memory::Memory::default()),
            hint: "",
        }
    }
}

fn told(output: &Output) -> BTreeMap<String, String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("probe: "));
    let pairs = lines.map(|line| line.split_once(": ").unwrap());
    pairs
        .map(|(what, how)| (what.to_owned(), how.to_owned()))
        .collect()
}

/// Linux 6.12 can.
fn scopes_signals() -> bool {
    let all = landlock::Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    all.scope(Scope::Signal).is_ok()
}

#[tokio::test]
async fn it_reads_what_it_is_given_and_touches_nothing_else() {
    assert_eq!(gaps().unwrap(), [], "these tests need Linux 5.13");
    let place = Place::new();
    let access = place.confined(Unconfined::Refused);
    let mut told = told(&run(place.prober(access)).await.unwrap());
    let allowed = ["read the snapshot", "list the snapshot", "write at home"];
    for what in allowed {
        assert_eq!(told.remove(what).as_deref(), Some("done"), "{what}");
    }
    if !scopes_signals() {
        told.remove("signal another process");
    }
    assert!(told.len() >= 13, "{told:?}");
    for (what, how) in told {
        assert_eq!(how, "PermissionDenied", "{what}");
    }
    let given = fs::read_to_string(place.snapshot.path().join("given")).unwrap();
    assert_eq!(given, "given");
}

#[tokio::test]
async fn a_program_that_is_not_confined_could_do_all_of_it() {
    let place = Place::new();
    let told = told(&run(place.prober(Access::Open)).await.unwrap());
    assert_eq!(told.len(), 17);
    for (what, how) in told {
        assert_eq!(how, "done", "{what}");
    }
}

#[tokio::test]
async fn what_starts_the_program_stays_free() {
    let place = Place::new();
    let access = place.confined(Unconfined::Refused);
    for _ in 0..3 {
        run(place.prober(access.clone())).await.unwrap();
    }
    fs::write(place.outside.path().join("secret"), "changed").unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap();
    let blocking = tokio::task::spawn_blocking(|| UdpSocket::bind("127.0.0.1:0"));
    blocking.await.unwrap().unwrap();
}

#[tokio::test]
async fn it_cannot_run_what_is_not_installed() {
    let place = Place::new();
    let script = place.outside.path().join("secret");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let mut program = place.prober(place.confined(Unconfined::Refused));
    program.executable = "/bin/sh".into();
    program.arguments = vec!["-c".into(), script.into()];
    let error = run(program).await.unwrap_err();
    assert!(error.to_string().contains("Permission denied"), "{error}");
}

#[tokio::test]
async fn one_that_may_not_be_run_says_what_it_takes() {
    let place = Place::new();
    let mut program = place.prober(place.confined(Unconfined::Runs));
    program.executable = place.outside.path().join("secret");
    let error = run(program).await.unwrap_err();
    let words = "may not be run: it must be executable, and what it needs to start";
    assert!(error.to_string().contains(words), "{error}");
}

/// Does something on a thread where system calls are as unknown as on an older kernel.
fn on_a_kernel_without<T: Send>(call: libc::c_long, test: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let filter = SeccompFilter::new(
                BTreeMap::from([(call, Vec::new())]),
                SeccompAction::Allow,
                SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
                env::consts::ARCH.try_into().unwrap(),
            );
            let filter = BpfProgram::try_from(filter.unwrap()).unwrap();
            seccompiler::apply_filter(&filter).unwrap();
            test()
        });
        thread.join().unwrap()
    })
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut runtime = runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

#[test]
fn where_the_kernel_cannot_it_is_refused_or_runs_as_confined_as_can_be() {
    let cases = [
        (
            libc::SYS_landlock_create_ruleset,
            Gap::Files,
            "read outside",
            "connect by TCP",
        ),
        (
            libc::SYS_seccomp,
            Gap::Network,
            "open a UDP socket",
            "read outside",
        ),
    ];
    for (call, gap, open, shut) in cases {
        on_a_kernel_without(call, || {
            assert_eq!(gaps().unwrap(), [gap]);
            let place = Place::new();
            let refused = run(place.prober(place.confined(Unconfined::Refused)));
            let error = block_on(refused).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("this kernel cannot keep it from")
            );
            match error {
                ExecError::Unconfined { gaps, .. } => assert_eq!(gaps, [gap]),
                other => panic!("{other}"),
            }
            let runs = run(place.prober(place.confined(Unconfined::Runs)));
            let told = told(&block_on(runs).unwrap());
            assert_eq!(told[open], "done");
            assert_eq!(told[shut], "PermissionDenied");
        });
    }
}
