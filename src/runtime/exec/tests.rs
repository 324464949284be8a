#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::time::Instant;

use super::*;

/// A shell stands in for the program: it can do all that a program may do wrong.
fn shell(script: &str, directory: &Path) -> Program {
    Program {
        executable: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        directory: directory.to_owned(),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        stdin: None,
        access: Access::Open,
        limits: Limits::of_one(Memory::default()),
        hint: "install a shell",
    }
}

/// Whether a process is gone; one that is dead but not yet reaped counts as gone.
fn gone(pid: &str) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(')').next().unwrap().trim().starts_with('Z'),
        Err(_) => true,
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn pid_in(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.ends_with('\n').then(|| text.trim().to_owned())
}

#[tokio::test]
async fn runs_where_and_with_what_it_is_told() {
    let directory = TempDir::new().unwrap();
    let mut program = shell(
        "cat; pwd; echo $HOME > home; env | cut -d= -f1 | sort; echo w >&2",
        directory.path(),
    );
    program.stdin = Some(b"in\n".to_vec());
    let output = run(program).await.unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let here = directory.path().canonicalize().unwrap();
    let wanted = format!("in\n{}\nHOME\nPATH\nPWD\nTMPDIR\n", here.display());
    assert_eq!(
        stdout
            .replace("OLDPWD\n", "")
            .replace("SHLVL\n", "")
            .replace("_\n", ""),
        wanted
    );
    assert_eq!(output.stderr, b"w\n");
    let home = fs::read_to_string(directory.path().join("home")).unwrap();
    assert!(!Path::new(home.trim()).exists(), "the home is removed");
}

#[tokio::test]
async fn a_missing_program_says_what_to_do() {
    let directory = TempDir::new().unwrap();
    let mut program = shell("", directory.path());
    program.executable = "no-such-program".into();
    let error = run(program.clone()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no-such-program was not found: install a shell"
    );
    program.executable = "/bin/sh".into();
    program.directory = directory.path().join("gone");
    let error = run(program).await.unwrap_err();
    assert!(matches!(error, ExecError::Start { .. }), "{error}");
}

#[tokio::test]
async fn failing_tells_status_and_the_end_of_stderr() {
    let directory = TempDir::new().unwrap();
    let script = "yes noise | head -c 20000 >&2; echo reason >&2; exit 3";
    let error = run(shell(script, directory.path())).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("/bin/sh failed with exit status: 3: "),
        "{text}"
    );
    assert!(text.ends_with("reason") && text.len() < 10_000, "{text}");
    assert_eq!(error.retry(), Retry::WhenInputsChange);
}

#[tokio::test]
async fn too_much_output_ends_it() {
    let directory = TempDir::new().unwrap();
    for script in ["yes", "yes >&2"] {
        let mut program = shell(script, directory.path());
        program.limits.output = 100_000;
        let error = run(program).await.unwrap_err();
        assert!(
            matches!(error, ExecError::TooMuchOutput { limit: 100_000, .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn time_out_kills_the_whole_group() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("pid");
    let mut program = shell("sleep 1000 & echo $! > pid; wait", directory.path());
    program.limits.time = Duration::from_secs(1);
    let error = run(program).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "/bin/sh did not finish within 1s and was killed"
    );
    assert_eq!(error.retry(), Retry::Later);
    let pid = pid_in(&file).unwrap();
    until("the background process dies", || gone(&pid)).await;
}

#[tokio::test]
async fn nobody_waiting_kills_the_whole_group() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("pid");
    let running = run(shell("sleep 1000 & echo $! > pid; wait", directory.path()));
    tokio::select! {
        _ = running => panic!("it ended by itself"),
        () = until("it starts", || pid_in(&file).is_some()) => {}
    }
    let pid = pid_in(&file).unwrap();
    until("the background process dies", || gone(&pid)).await;
}

#[tokio::test]
async fn what_it_leaves_behind_is_killed() {
    let directory = TempDir::new().unwrap();
    let script = "sleep 1000 >/dev/null 2>&1 & echo $! > pid";
    run(shell(script, directory.path())).await.unwrap();
    let pid = pid_in(&directory.path().join("pid")).unwrap();
    until("the background process dies", || gone(&pid)).await;
}

#[tokio::test]
async fn memory_is_bounded() {
    let directory = TempDir::new().unwrap();
    // Waits until the limit stands, then holds 200 MB in a variable.
    let script = "while ! grep -q 'Max data size *306184192' /proc/self/limits; do :; done; \
                  x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}";
    let mut program = shell(script, directory.path());
    program.limits.memory = 100 * 1024 * 1024;
    let error = run(program).await.unwrap_err();
    // Shells say so or crash.
    let ended = matches!(
        error,
        ExecError::Failed { .. } | ExecError::OutOfMemory { .. }
    );
    assert!(ended, "{error}");
}

#[tokio::test]
async fn what_runs_out_of_memory_is_told_as_such() {
    let directory = TempDir::new().unwrap();
    let script =
        "echo 'fatal error: runtime: out of memory' >&2; yes stack | head -c 20000 >&2; exit 2";
    let mut program = shell(script, directory.path());
    program.limits.memory = 100 * MIB;
    let error = run(program).await.unwrap_err();
    let words = "/bin/sh needed more than the 100 MiB of memory that it may take here";
    assert!(error.to_string().starts_with(words), "{error}");
    assert_eq!(error.retry(), Retry::WhenInputsChange);
}

#[tokio::test]
async fn what_is_killed_from_outside_is_told_as_killed() {
    let directory = TempDir::new().unwrap();
    let error = run(shell("kill -9 $$", directory.path())).await;
    let error = error.unwrap_err();
    let words = "/bin/sh was killed from outside";
    assert!(error.to_string().starts_with(words), "{error}");
    assert_eq!(error.retry(), Retry::Later);
}

#[test]
fn limits_follow_the_memory_that_there_is() {
    let limits = |text: &str| {
        let memory: Memory = text.parse().unwrap();
        let one = Limits::of_one(memory);
        (
            Limits::side_by_side(memory),
            one.memory / MIB,
            one.output / MIB,
        )
    };
    assert_eq!(limits("256Mi"), (1, 144, 16));
    assert_eq!(limits("128Mi"), (1, 128, 16));
    assert_eq!(limits("1Gi"), (4, 228, 64));
    assert_eq!(limits("64Gi"), (4, 1024, 64));
}
