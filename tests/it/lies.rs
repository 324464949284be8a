//! An API server that lies to watches and lists, or breaks off: nothing is taken for gone that
//! is there, nothing is asked again and again, memory stays bounded, and soon after the last
//! lie, or within a minute or so of a lie that goes on, drift is put back.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::believed::{
    MEMORY, change, peak_memory, synced, synced_as, until_logged, until_put_back,
};
use crate::support::liar::{Asked, Lie};
use crate::support::stage::Stage;
use crate::support::wait::wait;

fn is_config_maps(asked: &Asked) -> bool {
    asked.is_watch_of("configmaps") || asked.is_list_of("configmaps")
}

/// Says that nobody has deleted anything, and nothing was made again.
fn assert_nothing_is_gone(stage: &Stage, since: usize) {
    let deleted = stage.entries_on("somebody deleted");
    assert!(deleted.is_empty(), "{deleted:#?}");
    assert_eq!(stage.writes().len(), since);
    assert_eq!(stage.deletes(), Vec::<String>::new());
}

#[test]
fn a_list_that_lacks_objects_takes_none_for_gone() {
    let (mut stage, liar) = synced_as("halved", 12, &["--relist-interval", "1s"]);
    let writes = stage.writes().len();
    let empty = |mut list: Value| {
        list["items"] = json!([]);
        list
    };
    let half = |mut list: Value| {
        if let Some(items) = list["items"].as_array_mut() {
            items.truncate(items.len() / 2);
        }
        list
    };
    let html = Lie::Say {
        status: 200,
        headers: vec![("content-type", "text/html".to_owned())],
        body: "<html><body>Sign in</body></html>".to_owned(),
    };
    let status = Lie::Say {
        status: 200,
        headers: vec![("content-type", "application/json".to_owned())],
        body: json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}).to_string(),
    };
    let lies = [
        Lie::Alter(empty),
        Lie::Alter(half),
        html,
        status,
        Lie::Cut(400),
    ];
    for lie in lies {
        let before = liar.told();
        liar.lie(|asked| asked.is_list_of("configmaps"), lie);
        wait("lies to be told", Duration::from_secs(30), || {
            (liar.told() > before + 1).then_some(())
        });
        liar.be_true();
        assert_nothing_is_gone(&stage, writes);
    }
    change(&stage, "c1");
    until_put_back(&mut stage, "c1");
    // What is really gone is told, and made again.
    stage.kubectl(&["delete", "configmap", "c2"]);
    stage.until_entry("somebody deleted ConfigMap");
    stage.until_state("shop", "Synced");
    assert!(stage.get("configmap", "c2").is_object());
}

#[test]
fn a_watch_without_an_end_of_its_lines_costs_no_memory() {
    let (mut stage, liar) = synced("long-line", 3);
    liar.lie(
        Asked::is_watch,
        Lie::Endless("{\"type\": \"ADDED\", \"object\": {\"a\": \"", "aaaaaaaa"),
    );
    // The watch that is open ends with the proxy's connections: a new agent opens anew.
    stage.daemon().restart();
    until_logged(&stage, &["larger than 16 MiB"]);
    let peak = peak_memory(stage.daemon().id());
    assert!(peak < MEMORY, "{} MiB", peak >> 20);
    liar.be_true();
    change(&stage, "c1");
    until_put_back(&mut stage, "c1");
}

#[test]
fn a_server_that_forgets_at_once_is_not_asked_again_and_again() {
    let (mut stage, liar) = synced("forgets", 3);
    let expired = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1",
        "status": "Failure", "reason": "Expired", "code": 410, "message": "too old"}});
    liar.lie(
        |asked| asked.is_watch_of("configmaps"),
        Lie::Say {
            status: 200,
            headers: vec![("content-type", "application/json".to_owned())],
            body: format!("{expired}\n"),
        },
    );
    stage.daemon().restart();
    wait("lies to be told", Duration::from_secs(30), || {
        (liar.told() > 1).then_some(())
    });
    liar.take_asked();
    sleep(Duration::from_secs(15));
    let asked: Vec<Asked> = liar.take_asked();
    let asked = asked.iter().filter(|asked| is_config_maps(asked)).count();
    println!("{asked} requests in 15 s");
    assert!(asked <= 6, "{asked} requests");
    liar.be_true();
    change(&stage, "c1");
    until_put_back(&mut stage, "c1");
}

#[test]
fn a_watch_that_says_nothing_is_noticed() {
    let (mut stage, liar) = synced("silent", 3);
    liar.lie(|asked| asked.is_watch_of("configmaps"), Lie::Silence);
    stage.daemon().restart();
    wait("the lie to be told twice", Duration::from_mins(1), || {
        (liar.told() > 1).then_some(())
    });
    let began = Instant::now();
    change(&stage, "c1");
    let put_back = wait("c1 to be put back", Duration::from_secs(50), || {
        let live = stage.get("configmap", "c1")["data"]["a"].clone();
        (live == "one").then(|| began.elapsed())
    });
    println!("put back after {put_back:?}");
    assert_nothing_is_gone(&stage, stage.writes().len());
}

#[test]
fn a_server_that_asks_to_be_left_alone_for_a_day_is_for_a_minute() {
    let (mut stage, liar) = synced("a-day", 3);
    let day = || Lie::Say {
        status: 429,
        headers: vec![("retry-after", "86400".to_owned())],
        body: "too many requests".to_owned(),
    };
    liar.lie_times(
        1,
        |asked| asked.method == "PATCH" && asked.path.ends_with("/c1"),
        day(),
    );
    let began = Instant::now();
    change(&stage, "c1");
    until_logged(&stage, &["wants to be left alone for 86400 s"]);
    let put_back = wait("c1 to be put back", Duration::from_secs(100), || {
        let live = stage.get("configmap", "c1")["data"]["a"].clone();
        (live == "one").then(|| began.elapsed())
    });
    println!("put back after {put_back:?}");
    let log = stage.log();
    assert!(!log.contains("lease could not be renewed"), "{log}");
    stage.until_state("shop", "Synced");
}

#[test]
fn the_lease_is_kept_up_whatever_the_server_asks_for() {
    let (mut stage, liar) = synced("lease-day", 3);
    let lease = |asked: &Asked| asked.path.contains("/leases/");
    let day = Lie::Say {
        status: 429,
        headers: vec![("retry-after", "86400".to_owned())],
        body: "too many requests".to_owned(),
    };
    // It is renewed after ten of its fifteen seconds.
    let renewed = |stage: &Stage| {
        let name = format!("lease/gitops-agent-{}", stage.environment);
        let lease = stage.cluster.get(&["-n", &stage.inventories, &name]);
        lease.unwrap_or_default()["spec"]["renewTime"].clone()
    };
    let before = renewed(&stage);
    liar.lie_times(1, lease, day.clone());
    wait("the lease to be renewed", Duration::from_secs(30), || {
        let lied = liar.told() > 0;
        (lied && renewed(&stage) != before).then_some(())
    });
    let log = stage.log();
    assert!(!log.contains("given up"), "{log}");

    // Where that goes on it is given up, and had again at once when it is over.
    liar.lie(lease, day);
    until_logged(&stage, &["could not be renewed in time"]);
    liar.be_true();
    change(&stage, "c1");
    until_put_back(&mut stage, "c1");
}

#[test]
fn a_clock_that_is_off_is_told_once() {
    let (mut stage, liar) = synced("clock", 3);
    assert!(stage.status()["warning"].is_null());
    let now = jiff::Timestamp::now().as_second();
    let behind = jiff::Timestamp::from_second(now - 3600).unwrap();
    let date = behind.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    liar.lie(|asked| !asked.is_watch(), Lie::Dated(date));
    change(&stage, "c1");
    until_put_back(&mut stage, "c1");
    let words = "the clock of this machine is 1h ahead of the API server's";
    until_logged(&stage, &[words]);
    stage.until("the status to tell it", |stage| {
        let status = stage.status();
        let told = status["warning"].to_string().contains(words);
        if told {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
    let told = stage.agent(&["status"]).run();
    assert!(told.stdout.contains(words), "{told:?}");
    for name in ["c1", "c2"] {
        change(&stage, name);
        until_put_back(&mut stage, name);
    }
    assert_eq!(stage.log().matches(words).count(), 1, "{}", stage.log());

    liar.be_true();
    change(&stage, "c1");
    until_put_back(&mut stage, "c1");
    stage.until("it to be over", |stage| {
        let status = stage.status();
        if status["warning"].is_null() {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
}

#[test]
fn a_path_that_is_not_there_for_a_moment_takes_none_for_gone() {
    let (mut stage, liar) = synced_as("unserved-path", 3, &["--relist-interval", "1s"]);
    let plain = Lie::Say {
        status: 404,
        headers: vec![("content-type", "text/plain".to_owned())],
        body: "404 page not found\n".to_owned(),
    };
    let words = "the server could not find the requested resource";
    for lie in [plain, Lie::status(404, "NotFound", words)] {
        let (before, writes) = (liar.told(), stage.writes().len());
        let namespace = stage.namespace.clone();
        liar.lie(
            move |asked| {
                let inside = format!("/namespaces/{namespace}/configmaps/c");
                is_config_maps(asked) || asked.path.contains(&inside)
            },
            lie,
        );
        wait("lies to be told", Duration::from_secs(30), || {
            (liar.told() > before + 3).then_some(())
        });
        liar.be_true();
        assert_nothing_is_gone(&stage, writes);
        change(&stage, "c1");
        until_put_back(&mut stage, "c1");
        let deleted = stage.entries_on("deleted");
        assert!(deleted.is_empty(), "{deleted:#?}");
        stage.until_state("shop", "Synced");
    }
}

#[test]
fn an_object_is_not_gone_because_its_path_is() {
    let (mut stage, liar) = synced("unserved-object", 3);
    let writes = stage.writes().len();
    let path = format!("/namespaces/{}/configmaps/c1", stage.namespace);
    let plain = Lie::Say {
        status: 404,
        headers: vec![("content-type", "text/plain".to_owned())],
        body: "404 page not found\n".to_owned(),
    };
    liar.lie(move |asked| asked.path.ends_with(&path), plain);
    // It leaves what is watched, and so is asked for by itself.
    stage.kubectl(&[
        "label",
        "configmap",
        "c1",
        "applyset.kubernetes.io/part-of-",
    ]);
    wait("lies to be told", Duration::from_secs(30), || {
        (liar.told() > 1).then_some(())
    });
    stage.until("the trouble to be told", |stage| {
        let message = stage.unit("shop")["message"].to_string();
        let told = message.contains("nothing serves this path");
        told.then_some(()).ok_or(message)
    });
    assert_nothing_is_gone(&stage, writes);
    liar.be_true();
    stage.until_state("shop", "Synced");
    let deleted = stage.entries_on("deleted");
    assert!(deleted.is_empty(), "{deleted:#?}");
}
